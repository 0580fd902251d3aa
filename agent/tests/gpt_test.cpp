// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpt.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grow.hpp"
#include "judge.hpp"

namespace goldmill::agent {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1U << 20U;

/// A disk of 64 MiB with three partitions, enlarged to `size`.
std::string make_disk(std::uint64_t size) {
  const std::string path = test_directory() + "/disk";
  const auto made = run_judge("truncate -s 64M " + path +
                              " && sgdisk -a 2048 -n 1:2048:4095 -n "
                              "2:4096:20479 -n 3:20480:0 " +
                              path + " && truncate -s " + std::to_string(size) + " " + path);
  EXPECT_EQ(made.first, 0) << made.second;
  return path;
}

std::string read_head(const std::string& path) {
  std::string head(kGptHead, '\0');
  std::ifstream(path, std::ios::binary).read(head.data(), static_cast<std::streamsize>(kGptHead));
  return head;
}

void write(const std::string& path, const GptGrowth::Write& change) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(change.offset));
  file.write(change.bytes.data(), static_cast<std::streamsize>(change.bytes.size()));
}

DiskGeometry geometry(std::uint64_t size) {
  return {.disk_size = size, .partition = 3, .partition_start = 10 * kMiB};
}

class Gpt : public testing::Test {
 protected:
  void SetUp() override {
    if (run_judge("command -v sgdisk").first != 0) {
      GTEST_SKIP() << "no sgdisk here";
    }
  }
};

TEST_F(Gpt, GrowsTheLastPartitionToTheEnd) {
  for (const std::uint64_t size : {200 * kMiB, 65 * kMiB + 512 * 7, 5000 * kMiB}) {
    const std::string path = make_disk(size);
    const auto growth = plan_gpt_growth(read_head(path), geometry(size));
    ASSERT_TRUE(growth) << growth.error().text();
    ASSERT_TRUE(growth.value());
    for (const auto& change : (*growth)->writes) {
      write(path, change);
    }
    const auto verdict = run_judge("sgdisk -v " + path);
    EXPECT_THAT(verdict.second, HasSubstr("No problems found")) << verdict.second;
    const auto shown = run_judge("sgdisk -i 3 " + path).second;
    EXPECT_THAT(shown, HasSubstr("First sector: 20480"));
    const std::uint64_t last = 20480 + (*growth)->partition_size / 512 - 1;
    EXPECT_THAT(shown, HasSubstr("Last sector: " + std::to_string(last)));
    EXPECT_GT((*growth)->partition_size + 10 * kMiB + kMiB, size);
    // The others stay, and a second run has nothing to do.
    EXPECT_THAT(run_judge("sgdisk -i 2 " + path).second, HasSubstr("Last sector: 20479"));
    const auto again = plan_gpt_growth(read_head(path), geometry(size));
    ASSERT_TRUE(again);
    EXPECT_FALSE(again.value());
  }
}

TEST_F(Gpt, APowerCutBetweenTheWritesLeavesAValidPrimary) {
  const std::string path = make_disk(200 * kMiB);
  const auto growth = plan_gpt_growth(read_head(path), geometry(200 * kMiB));
  ASSERT_TRUE(growth && growth.value());
  ASSERT_EQ((*growth)->writes.size(), 2U);
  write(path, (*growth)->writes[0]);
  const auto again = plan_gpt_growth(read_head(path), geometry(200 * kMiB));
  ASSERT_TRUE(again) << "the old primary table is still whole";
  ASSERT_TRUE(again.value());
  EXPECT_LE((*again)->writes[1].bytes.size(), 4096U) << "one page: never torn";
  for (const auto& change : (*again)->writes) {
    write(path, change);
  }
  EXPECT_THAT(run_judge("sgdisk -v " + path).second, HasSubstr("No problems found"));
}

TEST_F(Gpt, DoesNothingWithoutGain) {
  const std::string path = make_disk(64 * kMiB);
  const auto growth = plan_gpt_growth(read_head(path), geometry(64 * kMiB));
  ASSERT_TRUE(growth) << growth.error().text();
  EXPECT_FALSE(growth.value());
}

TEST_F(Gpt, RefusesWhatItDoesNotUnderstand) {
  const std::string path = make_disk(200 * kMiB);
  const std::string head = read_head(path);
  const DiskGeometry good = geometry(200 * kMiB);
  for (const std::size_t flip : {513, 530, 560, 600, 1024 + 2 * 128 + 33}) {
    std::string bad = head;
    bad[flip] = static_cast<char>(bad[flip] ^ 1);
    EXPECT_FALSE(plan_gpt_growth(bad, good)) << flip;
  }
  EXPECT_FALSE(plan_gpt_growth(std::string(kGptHead, '\0'), good));
  EXPECT_FALSE(plan_gpt_growth("", good));
  DiskGeometry other = good;
  other.partition = 2;  // not the last one
  other.partition_start = 2 * kMiB;
  EXPECT_FALSE(plan_gpt_growth(head, other));
  other = good;
  other.partition_start += 512;
  EXPECT_FALSE(plan_gpt_growth(head, other));
  other = good;
  other.disk_size = 32 * kMiB;  // smaller than the table says
  EXPECT_FALSE(plan_gpt_growth(head, other));
}

TEST(Grow, FindsTheRootDevice) {
  EXPECT_EQ(root_device("22 1 0:2 / / rw - rootfs rootfs rw\n"
                        "30 1 254:3 / / rw,relatime shared:1 - ext4 /dev/vda3 rw\n"
                        "31 30 0:20 / /proc rw - proc proc rw\n"
                        "32 30 254:2 /sub / rw - ext4 x rw\n"),
            "254:3");
  EXPECT_EQ(root_device(""), "");
}

}  // namespace
}  // namespace goldmill::agent
