// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>

#include <gtest/gtest.h>

#include <goldmill/machine/accelerator.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;

TEST(AcceleratorTest, WhatKeptAKernelFromBeingTriedIsNotKept) {
  const char* forced = std::getenv("GOLDMILL_ACCELERATOR");  // NOLINT(concurrency-mt-unsafe)
  if (forced != nullptr && *forced != '\0') {
    GTEST_SKIP() << "GOLDMILL_ACCELERATOR is set";
  }
  const auto scratch =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
  const fs::path home = scratch.path() / "home";
  const auto choice = choose_accelerator(home, {scratch.path() / "none", {}});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->kind, Accelerator::tcg);
  EXPECT_TRUE(choice->reason.starts_with("emulation: /dev/kvm cannot be ")) << choice->reason;
  EXPECT_FALSE(fs::exists(home / "accelerator.json")) << "the next launch must try again";
}

}  // namespace goldmill::machine
