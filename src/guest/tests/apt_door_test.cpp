// SPDX-License-Identifier: GPL-3.0-or-later
#include "../apt_door.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace goldmill::guest {

TEST(AptDoorTest, FindsThePackageOfADigest) {
  const std::string first(64, 'a');
  const std::string last(64, 'b');
  const std::string index =
      "Package: one\nVersion: 1\nArchitecture: all\nFilename: pool/o.deb\nSize: 10\nSHA256: " +
      first + "\n\nPackage: two\nVersion: 2:1-1\nArchitecture: amd64\nInstalled-Size: 3\n" +
      "Filename: pool/t.deb\nSize: 20\nSHA256: " + last + "\n";
  const auto two = find_in_index(index, last);
  ASSERT_TRUE(two) << two.error().text();
  EXPECT_EQ(two->name, "two");
  EXPECT_EQ(two->version, "2:1-1");
  EXPECT_EQ(two->size, 20U);
  EXPECT_EQ(two->installed_size, 3072U);
  EXPECT_EQ(two->pool_path, "pool/t.deb");
  EXPECT_EQ(find_in_index(index, first)->name, "one");
  EXPECT_EQ(find_in_index(index, std::string(64, 'c')).error().kind, ErrorKind::not_found);
  EXPECT_FALSE(find_in_index(index, std::string(63, 'a')));
}

}  // namespace goldmill::guest
