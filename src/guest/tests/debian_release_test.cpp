// SPDX-License-Identifier: GPL-3.0-or-later
#include <set>

#include <gtest/gtest.h>

#include <goldmill/guest/debian_release.hpp>

namespace goldmill::guest {
namespace {

using recipe::Hardware;

TEST(DebianRelease, IsFoundByNumberAndByCodename) {
  const auto by_number = find_release("debian", "12");
  const auto by_codename = find_release("debian", "bookworm");
  ASSERT_TRUE(by_number && by_codename);
  EXPECT_EQ(*by_number, *by_codename);
  EXPECT_EQ((*by_number)->suites, (std::vector<std::string>{"bookworm", "bookworm-updates"}));
  EXPECT_EQ((*by_number)->security_suites, std::vector<std::string>{"bookworm-security"});
}

TEST(DebianRelease, SidHasNoUpdates) {
  const auto sid = find_release("debian", "sid");
  ASSERT_TRUE(sid);
  EXPECT_EQ((*sid)->suites, std::vector<std::string>{"sid"});
  EXPECT_TRUE((*sid)->security_suites.empty());
}

TEST(DebianRelease, ASlipGetsASuggestion) {
  const auto release = find_release("debian", "1 2");
  ASSERT_FALSE(release);
  EXPECT_EQ(release.error().kind, ErrorKind::not_found);
  EXPECT_NE(release.error().hint.find("debian/12"), std::string::npos) << release.error().hint;
  EXPECT_FALSE(find_release("fedora", "40"));
}

TEST(DebianRelease, EveryEntryIsWhole) {
  std::set<std::string> names;
  for (const DebianRelease& release : debian_releases()) {
    EXPECT_TRUE(names.insert(release.name()).second) << release.name();
    EXPECT_EQ(release.suites.front(), release.codename);
    EXPECT_TRUE(release.keyring.is_absolute());
    EXPECT_FALSE(release.components.empty());
    const std::set<std::string> packages(release.base_packages.begin(),
                                         release.base_packages.end());
    EXPECT_EQ(packages.size(), release.base_packages.size()) << "named twice";
    EXPECT_TRUE(packages.contains("openssh-server"));
  }
}

TEST(Kernel, IsTheCloudOneOnlyForHardwareThatItDrives) {
  const DebianRelease& debian = **find_release("debian", "12");
  const auto package = [&](const std::vector<Hardware>& hardware, const char* architecture) {
    const auto choice = kernel_for(debian, architecture, hardware);
    return choice ? choice->package : choice.error().text();
  };
  EXPECT_EQ(package({Hardware::virtio}, "amd64"), "linux-image-cloud-amd64");
  EXPECT_EQ(
      package({Hardware::virtio, Hardware::nvme, Hardware::vmware, Hardware::hyperv}, "arm64"),
      "linux-image-cloud-arm64");
  EXPECT_EQ(package({Hardware::virtio, Hardware::xen}, "amd64"), "linux-image-amd64");
  EXPECT_EQ(package({}, "amd64"), "linux-image-amd64");
  EXPECT_FALSE(kernel_for(debian, "riscv64", {}));
  const DebianRelease& ubuntu = **find_release("ubuntu", "24.04");
  EXPECT_EQ(kernel_for(ubuntu, "amd64", {Hardware::virtio})->package, "linux-image-virtual");
  EXPECT_EQ(kernel_for(ubuntu, "amd64", {})->package, "linux-image-generic");
}

TEST(Baseline, BringsItsPackages) {
  recipe::Baseline baseline;
  EXPECT_TRUE(baseline_packages(baseline).empty());
  recipe::User ops;
  ops.sudo = true;
  baseline.users = {ops};
  baseline.locale = "de_DE.UTF-8";
  EXPECT_EQ(baseline_packages(baseline), (std::vector<std::string>{"sudo", "locales"}));
}

}  // namespace
}  // namespace goldmill::guest
