// SPDX-License-Identifier: GPL-3.0-or-later
// TreeSandbox: a plain directory in place of the sandbox. It records what would run, with the
// bytes of the binds, and writes files through the real worker's code.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/plan/sandbox.hpp>
#include <goldmill/system/file.hpp>

#include "../file_writer.hpp"

namespace goldmill::provision {

class TreeSandbox final : public plan::Sandbox {
 public:
  struct Shown {
    std::string content;
    mode_t mode = 0;
    bool writable = false;
  };

  explicit TreeSandbox(std::filesystem::path tree) : tree_(std::move(tree)) {}

  Result<void> run(const plan::Execution& execution) override {
    executions.push_back(execution);
    for (const plan::Bind& bind : execution.binds) {
      struct stat status {};
      ::fstat(bind.source, &status);
      if (!S_ISREG(status.st_mode)) {
        shown[bind.target] = {"", status.st_mode & 07777U, bind.writable};
        continue;
      }
      ::lseek(bind.source, 0, SEEK_SET);
      shown[bind.target] = {
          TRY(system::read_all(bind.source)), status.st_mode & 07777U, bind.writable};
    }
    return {};
  }
  Result<std::string> capture(const plan::Execution& execution) override {
    TRY(run(execution));
    std::string answer;
    if (!answers.empty()) {
      answer = answers.front();
      answers.erase(answers.begin());
    }
    return answer;
  }
  Result<Json> call(std::string_view worker,
                    const Json& request,
                    const std::vector<int>& hands,
                    const std::function<void(const Json&)>& /*on_event*/) override {
    called = worker;
    const system::UniqueFd tree = TRY(system::open_directory(tree_));
    return write_files(request, tree.get(), hands.at(0));
  }
  Result<std::string> read(std::string_view path) override {
    return system::read_file(tree_ / path.substr(1));
  }
  std::int64_t epoch() const override { return 1'700'000'000; }

  std::vector<plan::Execution> executions;
  std::map<std::string, Shown> shown;
  std::string called;
  std::vector<std::string> answers;  ///< of capture(), one after another

 private:
  std::filesystem::path tree_;
};

}  // namespace goldmill::provision
