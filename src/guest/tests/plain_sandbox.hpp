// SPDX-License-Identifier: GPL-3.0-or-later
// PlainSandbox: the least that runs a guest's programs, for the tests of this module. It holds
// nothing back: the product's sandbox is another.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <goldmill/plan/sandbox.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest::test_parts {

class PlainSandbox : public plan::Sandbox {
 public:
  /// `root` becomes the guest's, when it is new.
  static Result<PlainSandbox> open(const std::filesystem::path& root, std::int64_t epoch);

  Result<void> run(const plan::Execution& execution) override;
  Result<std::string> capture(const plan::Execution& execution) override;
  Result<Json> call(std::string_view worker,
                    const Json& request,
                    const std::vector<int>& hands,
                    const std::function<void(const Json&)>& on_event) override;
  Result<std::string> read(std::string_view path) override;
  std::int64_t epoch() const override { return epoch_; }
  const std::string& log() const { return log_; }

 private:
  PlainSandbox(std::filesystem::path root, system::UniqueFd directory, std::int64_t epoch)
      : root_(std::move(root)), directory_(std::move(directory)), epoch_(epoch) {}
  Result<std::string> run_in(const plan::Execution& execution);

  std::filesystem::path root_;
  system::UniqueFd directory_;
  std::int64_t epoch_;
  std::string log_;
};

/// The worker "plain_sandbox".
Result<Json> plain_sandbox_worker(system::WorkerContext& context);
/// The worker "read_guest_file".
Result<Json> read_guest_file_worker(system::WorkerContext& context);

}  // namespace goldmill::guest::test_parts
