// SPDX-License-Identifier: GPL-3.0-or-later
#include "../boot_time.hpp"

#include <gtest/gtest.h>

namespace goldmill::prove {

namespace {
const std::string kSerial =
    "[    0.000000] Linux version 6.1.0\r\n[    2.500000] Run /init as init process\r\n[ 9.0] x";
}  // namespace

TEST(BootTime, UnderKvmThePromiseIsTheLimit) {
  const BootTime time(20, machine::Accelerator::kvm);
  EXPECT_EQ(time.patience(), std::chrono::seconds(20));
  EXPECT_EQ(time.judge(3, kSerial).expected, "within 20 s");
}

TEST(BootTime, EmulatedItIsScaledByTheKernelsOwnStart) {
  const BootTime time(5, machine::Accelerator::tcg);
  const Row kept = time.judge(49.9, kSerial);
  EXPECT_TRUE(kept.passed) << kept.expected;
  EXPECT_EQ(kept.found, "49.9 s");
  EXPECT_TRUE(kept.expected.starts_with("within 50 s (5 s under KVM, times 10.0 "))
      << kept.expected;
  EXPECT_FALSE(time.judge(50.1, kSerial).passed);
}

TEST(BootTime, AnEmulatedBootIsWaitedForInProportion) {
  EXPECT_EQ(BootTime(1, machine::Accelerator::tcg).patience(), std::chrono::seconds(100));
  EXPECT_EQ(BootTime(60, machine::Accelerator::tcg).patience(),
            BootTime(std::nullopt, machine::Accelerator::tcg).patience());
}

TEST(BootTime, SilentConsoleIsNoBrokenPromise) {
  const BootTime time(5, machine::Accelerator::tcg);
  EXPECT_TRUE(time.judge(800, "GRUB loading").passed);
}

TEST(Slowness, IsBoundedWhateverTheGuestSays) {
  EXPECT_EQ(slowness("[ 99999999999.0] Run /init as init process"), 1000);
  EXPECT_EQ(slowness("[    0.000001] Run /init as init process"), 1);
  EXPECT_EQ(slowness("[ -5.0] Run /init as init process"), 1);
  EXPECT_FALSE(slowness("[ nan] Run /init as init process"));
  EXPECT_FALSE(slowness("[ ] Run /init as init process"));
  EXPECT_FALSE(slowness("] Run /init as init process"));
  EXPECT_FALSE(slowness(""));
}

}  // namespace goldmill::prove
