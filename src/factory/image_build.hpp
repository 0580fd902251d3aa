// SPDX-License-Identifier: GPL-3.0-or-later
// ImageBuild: one recipe of a lineage on its way to an image. Reads as the build happens:
// resolve, plan, run, assemble, record.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/lock_file.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/guest/debian_family.hpp>
#include <goldmill/image/layout.hpp>
#include <goldmill/recipe/recipe.hpp>

#include "step_runner.hpp"
#include "stored_disk.hpp"

namespace goldmill::factory {

/// What a variant stands on: a finished image and what holds for it.
struct ParentImage {
  store::ImageRecord record;
  recipe::Recipe merged;
};

/// The recipe, its ancestors merged in, and where it stands.
struct Subject {
  recipe::Recipe own;
  recipe::Recipe merged;
  std::optional<ParentImage> parent;
};

class ImageBuild {
 public:
  /// Reads the lock or resolves. Errors: those of the recipe's packages.
  static Result<ImageBuild> prepare(Session& session, const BuildRequest& request, Subject subject);

  Result<plan::Plan> plan();
  Result<ImageReport> run();
  /// The image that a plan whose steps are all done stands for; nothing if it was never finished.
  Result<std::optional<store::ImageRecord>> find_finished(const plan::Plan& plan);
  /// What prepare() decided on; written beside the recipe by run() and write_lock().
  const LockFile& lock() const { return lock_; }
  Result<void> adopt_inputs(const plan::Plan& plan);
  Result<void> write_lock() const;
  /// The last row of a plan that is shown: whether the image's disk is written, and why.
  plan::PlannedStep plan_disk(const plan::Plan& plan,
                              const std::optional<store::ImageRecord>& finished) const;

 private:
  ImageBuild(Session& session,
             const BuildRequest& request,
             Subject subject,
             guest::DebianFamily family,
             image::Layout layout)
      : session_(&session),
        request_(&request),
        subject_(std::make_unique<Subject>(std::move(subject))),
        family_(std::make_unique<guest::DebianFamily>(std::move(family))),
        layout_(std::move(layout)) {}

  guest::RecipeView view() const;
  plan::Parent parent() const;
  guest::GivenFiles parent_given() const;
  Result<void> give_files();
  Result<void> pin();
  bool is_lock_changed_meanwhile(const std::filesystem::path& file) const;
  std::string why_stale(const LockFile& lock, const Json& wishes) const;
  Result<void> use_lock(LockFile lock);
  Result<void> resolve(const Json& wishes, const std::optional<LockFile>& old);
  void note_moves() const;
  Json inputs_of(const plan::Plan& plan) const;
  Result<void> check_machine(const Json& inputs) const;
  Result<void> check_files(Json inputs) const;
  Result<void> adopt_ids(const Json& all);
  Result<Json> parent_ids() const;
  Result<Json> ids_on(const std::vector<Digest>& layers) const;
  Result<std::map<std::string, std::string>> versions_to_keep(const LockFile& old) const;
  Result<std::vector<plan::Step>> steps() const;
  Json preferred_step_packages(const LockFile& old) const;
  std::map<std::string, std::string> installed() const;
  Result<void> run_steps(StepRunner& runner, Claims& claims, plan::Plan& plan, ImageReport& report);
  void keep_result(const plan::PlannedStep& planned);
  Result<void> adopt_accounts(StepRunner& runner, const plan::PlannedStep& planned);
  plan::Step with_locked_packages(plan::Step step) const;
  Result<void> forget_gone_steps();
  bool has_locked_packages(const plan::Step& step) const;
  std::string why_another_disk() const;
  const Json* locked_packages_of(const plan::Step& step) const;
  Result<plan::DoneStep> run_step(StepRunner& runner, const plan::Step& step);
  Result<plan::DoneStep> run_with_archive(StepRunner& runner, plan::Step step);
  void adopt_packages(const plan::Step& step, const plan::DoneStep& done);
  Result<store::ImageRecord> identify();
  bool has_disk(const store::ImageRecord& image) const;
  /// The report of a build that had nothing to do.
  static ImageReport unchanged(const plan::Plan& plan, const store::ImageRecord& image);
  std::string name_of_result(const plan::DoneStep& done) const;
  Result<void> claim_layers(Claims& claims, const plan::Plan& plan) const;
  Result<void> finish(StepRunner& runner,
                      Claims& claims,
                      const plan::Plan& plan,
                      ImageReport& report);
  Result<void> claim_disks(Claims& claims, const store::ImageRecord& record) const;
  Result<StoredDisk> make_disk(store::ImageRecord& record,
                               const std::optional<store::ImageRecord>& known);
  Result<Json> details(const plan::Plan& plan) const;
  /// The layers, from the base on, whose files a recipe says.
  std::vector<Digest> declared_layers(const plan::Plan& plan) const;
  std::vector<std::string> keys_of_lineage() const;
  Result<Json> check_seal(const std::vector<Digest>& declared) const;

  Session* session_;
  const BuildRequest* request_;
  std::unique_ptr<Subject> subject_;
  std::unique_ptr<guest::DebianFamily> family_;
  image::Layout layout_;
  guest::GivenFiles given_;
  LockFile lock_;
  std::optional<Digest>
      lock_before_;  ///< of the lock's text when this build began, if there was one
  std::map<std::string, std::string> before_;  ///< versions of the lock that was not up to date
  guest::PinnedPackages pinned_;
  std::string parent_status_;
  std::vector<Digest> layers_;
  Json ids_;  ///< of all accounts on these layers
  Digest assets_;
};

}  // namespace goldmill::factory
