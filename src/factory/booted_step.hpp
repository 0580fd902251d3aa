// SPDX-License-Identifier: GPL-3.0-or-later
// BootedStep: the tree of a step as a virtual machine: a disk is made of the layers, booted, and
// what the guest changed on it is brought into the step's sandbox.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/build/work.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/image/layout.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/plan/booted_tree.hpp>
#include <goldmill/plan/step_kind.hpp>

#include "guest_talk.hpp"

namespace goldmill::factory {

struct BootedStepRequest {
  plan::Sandbox& sandbox;                     ///< the step's own
  std::vector<std::filesystem::path> layers;  ///< below the step, bottom to top
  std::filesystem::path upper;                ///< what the sandbox has changed, once it has
  const image::Layout& layout;                ///< of the image
  plan::Progress& progress;
};

class BootedStep final : public plan::BootedTree {
 public:
  BootedStep(Session& session, BootedStepRequest request)
      : session_(session), request_(std::move(request)) {}

  /// Whether it can be done here at all. Errors: unavailable.
  static Result<void> check_possible(const image::Layout& layout);

  Result<std::string> capture(const plan::Execution& execution) override;
  Result<void> close() override;

 private:
  Result<void> boot(const plan::Execution& first);
  Result<void> start();
  Result<void> find_kernel();
  Result<std::vector<std::filesystem::path>> guest_trees();
  Result<void> write_disk(const image::Layout& layout,
                          const std::vector<std::filesystem::path>& trees,
                          const std::filesystem::path& file);
  Result<void> write_directories(const plan::Execution& first);
  Result<machine::MachineSpec> machine_spec();
  std::optional<Error> reason_to_give_up();
  Error failure(Error error);
  void show(std::string_view phase);

  Session& session_;
  BootedStepRequest request_;
  std::optional<build::WorkDirectory> work_;
  std::filesystem::path room_;
  image::Layout layout_;
  std::vector<system::UniqueFd> files_;   ///< that the machine uses
  std::vector<std::string> directories_;  ///< where the disks beside the first are to be seen
  std::optional<machine::Machine> machine_;
  std::optional<machine::BootWatch> watch_;  ///< until it is up
  std::optional<GuestTalk> talk_;
};

}  // namespace goldmill::factory
