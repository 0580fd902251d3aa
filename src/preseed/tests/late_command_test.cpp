// SPDX-License-Identifier: GPL-3.0-or-later
#include "../late_command.hpp"

#include <gmock/gmock.h>

namespace goldmill::preseed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(LateCommand, RunsInTheImageWhatRanInTheTarget) {
  const LateCommand command = read_late_command(
      "in-target sed -i 's/a;b/c && d/' /etc/x; "
      "echo 'ops ALL=(ALL) NOPASSWD: /bin/x' > /target/etc/sudoers.d/ops && "
      "chmod 0440 /target/etc/sudoers.d/ops; chroot /target sh -c \"a | b\"; "
      "in-target --pass-stdout cat /a | in-target tee /b; apt-install sudo curl");
  ASSERT_EQ(command.scripts.size(), 1U);
  EXPECT_EQ(command.scripts[0],
            "#!/bin/sh\n"
            "sed -i 's/a;b/c && d/' /etc/x\n"
            "echo 'ops ALL=(ALL) NOPASSWD: /bin/x' > /etc/sudoers.d/ops && "
            "chmod 0440 /etc/sudoers.d/ops\n"
            "sh -c \"a | b\"\n"
            "cat /a | tee /b\n");
  EXPECT_THAT(command.packages, ElementsAre("sudo", "curl"));
  EXPECT_THAT(command.left_out, IsEmpty());
}

TEST(LateCommand, SaysWhatOnlyTheInstallerCouldDo) {
  const LateCommand command = read_late_command(
      "wget http://mirror.example.org/x -O /target/root/x && in-target sh /root/x; "
      "cp /cdrom/key /target/root/ ; swapoff -a || true");
  EXPECT_THAT(command.scripts, ElementsAre("#!/bin/sh\nsh /root/x\n"));
  EXPECT_THAT(command.left_out,
              ElementsAre("wget http://mirror.example.org/x -O /target/root/x",
                          "cp /cdrom/key /target/root/",
                          "swapoff -a"));
}

TEST(LateCommand, ALeftOutCommandCountsAsSuccess) {
  EXPECT_THAT(read_late_command("in-target a && poweroff && in-target b").scripts,
              ElementsAre("#!/bin/sh\na && b\n"));
  EXPECT_THAT(read_late_command("in-target a || poweroff || in-target b").scripts,
              ElementsAre("#!/bin/sh\na\nb\n"));
  EXPECT_THAT(read_late_command("in-target a && poweroff").scripts, ElementsAre("#!/bin/sh\na\n"));
}

TEST(LateCommand, DoesNotGuessAtCompoundCommands) {
  const LateCommand command =
      read_late_command("if [ -e /target/x ]; then in-target rm /x; fi; in-target b");
  EXPECT_THAT(command.scripts, IsEmpty());
  ASSERT_EQ(command.left_out.size(), 1U);
  EXPECT_THAT(command.left_out[0], HasSubstr("in-target rm /x"));
  EXPECT_THAT(read_late_command("in-target echo \"$(a; b)\" 'x").scripts,
              ElementsAre(HasSubstr("$(a; b)")));
}

TEST(LateCommand, TurnsACarriedScriptBack) {
  const std::string line =
      "in-target sh -c 'f=$(mktemp); echo c2V0IC1lCmVjaG8gaGVsbG8K | base64 -d >$f; /bin/sh $f; "
      "s=$?; rm -f $f; exit $s'";
  EXPECT_THAT(read_late_command("in-target a && " + line + " && in-target b").scripts,
              ElementsAre("#!/bin/sh\na\n", "echo hello\n", "#!/bin/sh\nb\n"));
  EXPECT_THAT(read_late_command("in-target sh -c 'f=$(mktemp); echo % | base64 -d >$f; x $f; "
                                "s=$?; rm -f $f; exit $s'")
                  .scripts,
              ElementsAre(HasSubstr("base64 -d")));
}

}  // namespace
}  // namespace goldmill::preseed
