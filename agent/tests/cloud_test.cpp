// SPDX-License-Identifier: GPL-3.0-or-later
#include "cloud.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "files.hpp"
#include "judge.hpp"

namespace goldmill::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Cloud, Ec2IsNamedByItsVendorOrItsUuidTwice) {
  EXPECT_TRUE(is_named(Cloud::ec2, {.sys_vendor = "Amazon EC2", .product_name = "m5.large"}));
  EXPECT_TRUE(is_named(Cloud::ec2, {.board_vendor = "Amazon EC2"}));
  EXPECT_TRUE(is_named(Cloud::ec2,
                       {.sys_vendor = "Xen",
                        .product_uuid = "EC2CEFAC-DCE1-EED5-4E48-83AD3EF51BFB",
                        .product_serial = "ec2cefac-dce1-eed5-4e48-83ad3ef51bfb"}));
  for (const Dmi& other :
       {Dmi{},
        Dmi{.sys_vendor = "Amazon EC2 "},
        Dmi{.sys_vendor = "QEMU", .product_name = "Amazon EC2"},
        // One UUID in 4096 begins so by chance.
        Dmi{.sys_vendor = "Xen", .product_uuid = "ec2cefac-dce1-eed5-4e48-83ad3ef51bfb"},
        Dmi{.product_uuid = "ec2cefac", .product_serial = "ec2cefad"},
        Dmi{.product_name = "OpenStack Nova"}}) {
    EXPECT_FALSE(is_named(Cloud::ec2, other)) << other.sys_vendor << other.product_uuid;
  }
}

TEST(Cloud, OpenstackIsNamedByProductOrAssetTag) {
  for (const char* name : {"OpenStack Nova", "OpenStack Compute"}) {
    EXPECT_TRUE(is_named(Cloud::openstack, {.product_name = name}));
    EXPECT_TRUE(is_named(Cloud::openstack, {.chassis_asset_tag = name}));
  }
  for (const char* tag : {"OpenTelekomCloud", "SAP CCloud VM", "HUAWEICLOUD"}) {
    EXPECT_TRUE(is_named(Cloud::openstack, {.chassis_asset_tag = tag}));
    EXPECT_FALSE(is_named(Cloud::openstack, {.product_name = tag}));
  }
  EXPECT_FALSE(is_named(Cloud::openstack, {.sys_vendor = "OpenStack Foundation"}));
  EXPECT_FALSE(is_named(Cloud::openstack, {.sys_vendor = "Amazon EC2"}));
}

TEST(Cloud, TheRecipeListsItAndTheFirmwareNamesIt) {
  const std::string root = test_directory();
  run_judge("mkdir -p " + root + "/sys/class/dmi/id " + root + "/usr/lib/goldmill");
  const auto put = [&root](const char* path, const char* text) {
    ASSERT_TRUE(write_file(root + path, text, 0644));
  };
  put("/sys/class/dmi/id/product_name", "OpenStack Nova\n");
  EXPECT_THAT(clouds_here(root), IsEmpty()) << "an image without a list asks nobody";
  put("/usr/lib/goldmill/clouds", "ec2\n");
  EXPECT_THAT(clouds_here(root), IsEmpty()) << "named, but not listed";
  put("/usr/lib/goldmill/clouds", "azure\nec2\nopenstack\n");
  EXPECT_THAT(clouds_here(root), ElementsAre(Cloud::openstack));
  put("/sys/class/dmi/id/product_name", "Standard PC (Q35 + ICH9, 2009)\n");
  EXPECT_THAT(clouds_here(root), IsEmpty()) << "listed, but not named";
  put("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
  EXPECT_THAT(clouds_here(root), ElementsAre(Cloud::ec2));
}

}  // namespace
}  // namespace goldmill::agent
