// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/system/file.hpp>
#include <goldmill/system/memory.hpp>

namespace goldmill::system {
namespace {

namespace fs = std::filesystem;

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    put("proc/meminfo", "MemTotal:       67108864 kB\nMemAvailable:   62914560 kB\n");
  }
  void put(const fs::path& path, const std::string& content) {
    ASSERT_TRUE(make_directories((scratch_.path() / path).parent_path()));
    ASSERT_TRUE(write_file(scratch_.path() / path, content));
  }
  void limit(const fs::path& group, const std::string& most, Bytes usage) {
    put(group / "memory.max", most + "\n");
    put(group / "memory.current", std::to_string(usage.value) + "\n");
  }
  static std::string digits(Bytes size) { return std::to_string(size.value); }
  Bytes available() { return available_memory(scratch_.path()); }

  TemporaryDirectory scratch_ =
      TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
};

TEST_F(MemoryTest, IsWhatTheMachineHas) {
  EXPECT_EQ(available(), 60_GiB) << "without control groups";
  put("proc/self/cgroup", "0::/user.slice\nnonsense\n");
  EXPECT_EQ(available(), 60_GiB) << "without a limit";
  limit("sys/fs/cgroup/user.slice", "max", 3_GiB);
  EXPECT_EQ(available(), 60_GiB);
  limit("sys/fs/cgroup/user.slice", digits(100_GiB), 3_GiB);
  EXPECT_EQ(available(), 60_GiB) << "a limit that the machine cannot give";
}

TEST_F(MemoryTest, GroupsAroundTheProcessLimitIt) {
  put("proc/self/cgroup", "0::/jobs.slice/build.scope\n");
  limit("sys/fs/cgroup/jobs.slice/build.scope", digits(4_GiB), 1_GiB);
  EXPECT_EQ(available(), 3_GiB);
  limit("sys/fs/cgroup/jobs.slice", digits(8_GiB), 6_GiB);
  EXPECT_EQ(available(), 2_GiB) << "others in the slice took the rest";
  limit("sys/fs/cgroup/other.slice", digits(1_GiB), 1_GiB);
  EXPECT_EQ(available(), 2_GiB) << "a group that it is not in";
  limit("sys/fs/cgroup/jobs.slice/build.scope", digits(4_GiB), 5_GiB);
  EXPECT_EQ(available(), 0_GiB) << "a limit that was lowered";
}

TEST_F(MemoryTest, WhatWasReadFromDisksCanGo) {
  put("proc/self/cgroup", "0::/\n");
  limit("sys/fs/cgroup", digits(4_GiB), 4_GiB);
  put("sys/fs/cgroup/memory.stat",
      "anon 1000\ninactive_anon 1000\ninactive_file " + digits(1_GiB) + "\nactive_file " +
          digits(2_GiB) + "\n");
  EXPECT_EQ(available(), 3_GiB);
}

TEST_F(MemoryTest, ContainersSeeTheHostsPath) {
  limit("sys/fs/cgroup", digits(4_GiB), 1_GiB);
  for (const char* path : {"/", "/system.slice/container.scope", "/../container.scope"}) {
    put("proc/self/cgroup", std::string("0::") + path + "\n");
    EXPECT_EQ(available(), 3_GiB) << path;
  }
}

TEST_F(MemoryTest, TheFirstVersionOfGroupsHasOtherNames) {
  put("proc/self/cgroup", "5:cpu,cpuacct:/cpu\n4:memory:/docker/abc\n0::/docker/abc\n");
  const fs::path mount = "sys/fs/cgroup/memory";
  put(mount / "memory.limit_in_bytes", "9223372036854771712\n");  // none
  put(mount / "memory.usage_in_bytes", digits(1_GiB) + "\n");
  EXPECT_EQ(available(), 60_GiB);
  put(mount / "docker/memory.limit_in_bytes", digits(4_GiB) + "\n");
  put(mount / "docker/memory.usage_in_bytes", digits(3_GiB) + "\n");
  EXPECT_EQ(available(), 1_GiB);
  put(mount / "docker/memory.stat", "inactive_file 7\ntotal_inactive_file " + digits(1_GiB) + "\n");
  EXPECT_EQ(available(), 2_GiB) << "of the groups in it, too";
}

TEST_F(MemoryTest, IsNothingWhereNothingTells) {
  EXPECT_EQ(available_memory(scratch_.path() / "missing"), Bytes{0});
  EXPECT_GT(available_memory().value, 0U) << "of the machine that runs this";
}

}  // namespace
}  // namespace goldmill::system
