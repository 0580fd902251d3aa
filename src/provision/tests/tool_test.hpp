// SPDX-License-Identifier: GPL-3.0-or-later
// ToolTest: one step of a tool that works from outside, with files of its own, tools that hold
// nothing, and a sandbox that gives prepared answers.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <goldmill/provision/provision.hpp>
#include <goldmill/system/file.hpp>

#include "tree_sandbox.hpp"

namespace goldmill::provision {

template <typename Action>
class ToolTest : public testing::Test {
 protected:
  ToolTest(std::string recipe, std::initializer_list<const char*> tools)
      : recipe_(std::move(recipe)) {
    write("tools/usr/lib64/ld-linux-x86-64.so.2", "");
    write("tools/usr/lib/x86_64-linux-gnu/libc.so.6", "");
    for (const char* path : tools) {
      write(std::string("tools/") + path, "");
    }
  }

  std::filesystem::path at(const std::string& path) const { return room_.path() / path; }
  void write(const std::string& path, std::string_view text) const {
    std::filesystem::create_directories(at(path).parent_path());
    ASSERT_TRUE(system::write_file(at(path), text));
  }

  Result<plan::Step> step() {
    recipe::Recipe recipe;
    recipe.name = recipe_;
    recipe.provision = {{action_, {recipe_ + ".yaml", 4, 5}}};
    return TRY(make_steps(recipe)).at(0);
  }
  Digest key() { return plan::key_of(step().value(), {}); }

  Result<Json> run(std::vector<std::string> answers) {
    sandbox_.answers = std::move(answers);
    plan::StepContext context{sandbox_, progress_, "/nonexistent", at("tools"), packages_};
    const plan::Step made = TRY(step());
    return find_kind(made.kind)->run(made, context);
  }

  /// What the driver in the sandbox says of one resource.
  static std::string answer_of(int status,
                               const char* version,
                               const char* service,
                               const Json& resource) {
    return Json{{"status", status},
                {"version", version},
                {"services", {service}},
                {"resources", Json::array({resource})},
                {"messages", Json::array()}}
        .dump();
  }

  system::TemporaryDirectory room_ =
      std::move(system::TemporaryDirectory::make("/tmp", "tool-test.")).value();
  std::string recipe_;
  Action action_;
  plan::Progress progress_;
  TreeSandbox sandbox_{"/nonexistent"};
  plan::PackageDoor* packages_ = nullptr;
};

}  // namespace goldmill::provision
