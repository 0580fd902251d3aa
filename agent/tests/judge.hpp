// SPDX-License-Identifier: GPL-3.0-or-later
// Judge: an independent program that says whether what we wrote is right. Tests only.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace goldmill::agent {

/// Exit status and output of a shell command.
inline std::pair<int, std::string> run_judge(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::string text;
  char buffer[4096];
  std::size_t count = 0;
  while (pipe != nullptr && (count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    text.append(buffer, count);
  }
  const int status = pipe == nullptr ? -1 : pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 255, text};
}

/// A place for all tests of one run, gone when it ends.
class Scratch {
 public:
  Scratch() : path_(testing::TempDir() + "goldmill-agent.XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  Scratch(const Scratch&) = delete;
  ~Scratch() { run_judge("rm -rf '" + path_ + "'"); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// An empty directory of this test's own.
inline std::string test_directory() {
  static const Scratch kScratch;
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string path = kScratch.path() + "/" + info->test_suite_name() + "-" + info->name();
  run_judge("rm -rf '" + path + "' && mkdir -p '" + path + "'");
  return path;
}

}  // namespace goldmill::agent
