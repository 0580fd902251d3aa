// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/machine/dossier.hpp>

namespace goldmill::machine {

TEST(LikelyCause, IsReadFromTheSerialLog) {
  const struct {
    const char* serial;
    const char* cause;
    bool fatal;
  } cases[] = {
      {"[ 2.1] VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
       "[ 2.2] Kernel panic - not syncing: VFS: Unable to mount root fs",
       "the kernel panicked: it found no root file system",
       true},
      {"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009",
       "the kernel panicked: the first program of the system died",
       true},
      {"ALERT!  LABEL=root does not exist.  Dropping to a shell!\r\n(initramfs) ",
       "the initramfs waited in vain for the root disk",
       true},
      {"BusyBox v1.35.0\r\n(initramfs) ", "the boot ended at the initramfs's shell", true},
      {"You are in emergency mode. After logging in", "systemd went into emergency mode", true},
      {"error: unknown filesystem.\r\ngrub rescue> ",
       "GRUB did not find its files and stopped at its rescue prompt",
       true},
      {"Press ESC in 1 seconds to skip startup.nsh or any other key to continue.",
       "the UEFI firmware found nothing to boot from and went to its shell",
       true},
      {"Out of memory and no killable processes...",
       "the guest ran out of memory while booting",
       true},
      {"[***  ] A start job is running for Wait for Network (1min 3s / no limit)",
       "systemd still waited for: Wait for Network ",
       false},
      {"[    0.000000] Linux version 6.1.0", "the kernel started but did not reach systemd", false},
      {"base login: ", "the system came up, but its agent did not report", false},
      {"", "nothing was written to the serial port", false},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(likely_cause(one.serial, "").text, one.cause) << one.serial;
    EXPECT_EQ(has_fatal_sign(one.serial), one.fatal) << one.serial;
  }
}

TEST(LikelyCause, IsReadFromTheScreenToo) {
  EXPECT_EQ(likely_cause("", "Booting from Hard Disk...\nNo bootable device.\n").text,
            "the firmware found nothing to boot from");
}

TEST(SafeTail, KeepsTheLastLinesWithoutControlCharacters) {
  const std::string text = "old\nred: \x1b[31;1mtext\x1b[0m\r\nbell \a and \x9b\ttab\n\n";
  const auto tail = safe_tail(text, 2);
  ASSERT_EQ(tail.size(), 2U);
  EXPECT_EQ(tail[0], "red: text");
  EXPECT_EQ(tail[1], "bell \\x07 and \\x9b tab");
}

TEST(SafeTail, IsBounded) {
  const auto tail = safe_tail(std::string(1 << 20, 'a'), 10);
  ASSERT_EQ(tail.size(), 1U);
  EXPECT_LE(tail[0].size(), 510U);
  EXPECT_EQ(safe_tail("\x1b", 1).size(), 0U);
  EXPECT_EQ(safe_tail(std::string("\x1b[") + std::string(100, '1'), 1).size(), 1U);
  EXPECT_TRUE(safe_tail("", 5).empty());
}

}  // namespace goldmill::machine
