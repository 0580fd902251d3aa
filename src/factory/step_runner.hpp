// SPDX-License-Identifier: GPL-3.0-or-later
// StepRunner: runs the steps of one image in their sandboxes and makes what they did durable.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/image/layout.hpp>
#include <goldmill/plan/plan.hpp>
#include <goldmill/plan/step_kind.hpp>

#include "claims.hpp"

namespace goldmill::factory {

/// The catalogue as a plan's memory: a step counts as done only while its layer is there.
class CatalogueHistory : public plan::History {
 public:
  explicit CatalogueHistory(Session& session) : session_(session) {}
  Result<std::optional<plan::DoneStep>> find(const Digest& key) override;
  Result<std::vector<plan::DoneStep>> earlier(const std::string& image,
                                              const std::string& step,
                                              int most) override;
  Result<std::vector<plan::DoneStep>> earlier_at(const std::string& image,
                                                 const Json& record,
                                                 int most) override;

 private:
  Session& session_;
};

using MakeDoor = std::function<std::unique_ptr<plan::PackageDoor>(
    const plan::Step& step, const std::filesystem::path& scratch)>;
using FindKind = std::function<plan::StepKind*(const std::string& kind)>;

/// A step's layer is written to the disk while the next step runs: most of its time that takes is
/// waiting. It counts as done, in the catalogue, as soon as it is durable and not before.
class StepRunner {
 public:
  StepRunner(
      Session& session, Claims& claims, std::string image, std::int64_t epoch, FindKind find_kind)
      : session_(session),
        claims_(claims),
        image_(std::move(image)),
        epoch_(epoch),
        find_kind_(std::move(find_kind)) {}
  StepRunner(const StepRunner&) = delete;
  ~StepRunner() { (void)settle(); }  // what was done before a failure is not done again

  /// Runs the step on these layers.
  /// Errors: the step's own, with the path of its log as hint.
  Result<plan::DoneStep> run(const plan::Step& step, const std::vector<Digest>& layers);

  /// Lets `step` count as done with this result, once all that ran is durable.
  /// Gives it with its key and record.
  plan::DoneStep record(const plan::Step& step,
                        const std::vector<Digest>& layers,
                        const plan::DoneStep& result);

  /// What ran so far is made durable, and what was recorded is written into the catalogue, while
  /// the next step runs: it may take hours, and may be killed.
  /// Errors: those of what was begun so before.
  Result<void> begin_to_settle();

  /// The same, and waits until it is done.
  Result<void> settle();

  /// Where programs of steps get packages from.
  void set_door(MakeDoor make_door) { make_door_ = std::move(make_door); }

  /// The tree of the tools that later steps use.
  void set_tools(const Digest& layer) { tools_ = session_.home.tree(layer); }

  /// What the image's disk looks like, for steps that boot.
  void set_layout(const image::Layout& layout) { layout_ = &layout; }

  /// Opens an interactive shell in the sandbox of a step that fails, before it is given up.
  void set_shell_on_failure(bool is_on) { shell_on_failure_ = is_on; }

 private:
  std::string place_of(const plan::Step& step) const;
  std::int64_t epoch_of(const plan::Step& step) const;
  Result<plan::DoneStep> run_in(const std::filesystem::path& work,
                                const plan::Step& step,
                                const std::vector<Digest>& layers);
  Result<std::optional<Digest>> keep(const std::filesystem::path& work,
                                     const plan::Step& step,
                                     const std::vector<Digest>& layers);
  Result<void> keep_assets(const std::filesystem::path& output, const Digest& key);
  Result<bool> has_assets(const Digest& key);

  Session& session_;
  Claims& claims_;
  std::string image_;
  std::int64_t epoch_;
  FindKind find_kind_;
  bool shell_on_failure_ = false;
  std::filesystem::path tools_;
  MakeDoor make_door_;
  const image::Layout* layout_ = nullptr;
  std::vector<store::StepRecord> unsettled_;
  std::vector<build::WorkDirectory> finished_;  ///< they go when what they made is durable
  std::future<Result<void>> settling_;
};

}  // namespace goldmill::factory
