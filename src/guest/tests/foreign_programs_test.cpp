// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/guest/foreign_programs.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {
namespace {

class ForeignPrograms : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(testing::TempDir(), "gm-binfmt-");
    ASSERT_TRUE(made);
    registered_.emplace(std::move(made).value());
  }

  void enter(const std::string& content) {
    ASSERT_TRUE(system::write_file(registered_->path() / ("qemu-" + kernel_name_), content));
  }
  Result<void> check() const { return check_programs_run(foreign_, registered_->path()); }

  const std::string foreign_ = machine_architecture() == "arm64" ? "amd64" : "arm64";
  const std::string kernel_name_ = foreign_ == "arm64" ? "aarch64" : "x86_64";
  std::optional<system::TemporaryDirectory> registered_;
};

TEST_F(ForeignPrograms, TheMachinesOwnRunWithoutAnything) {
  EXPECT_TRUE(check_programs_run(machine_architecture(), "/nonexistent"));
}

TEST_F(ForeignPrograms, OthersNeedAnEmulator) {
  const auto checked = check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::unavailable);
  EXPECT_NE(checked.error().message.find(foreign_), std::string::npos);
  EXPECT_NE(checked.error().hint.find("qemu-user-static"), std::string::npos);
}

TEST_F(ForeignPrograms, TheEmulatorMustBeEnabledAndHeldOpen) {
  enter("enabled\ninterpreter /usr/bin/qemu\nflags: OCF\noffset 0\n");
  EXPECT_TRUE(check());
  enter("disabled\ninterpreter /usr/bin/qemu\nflags: OCF\noffset 0\n");
  EXPECT_FALSE(check());
  enter("enabled\ninterpreter /usr/bin/qemu\nflags: OC\noffset 0\nmagic F\n");
  EXPECT_FALSE(check()) << "the sandbox has no /usr/bin/qemu";
  enter("enabled\n");
  EXPECT_FALSE(check());
}

}  // namespace
}  // namespace goldmill::guest
