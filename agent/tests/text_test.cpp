// SPDX-License-Identifier: GPL-3.0-or-later
#include "text.hpp"

#include <gtest/gtest.h>

namespace goldmill::agent {
namespace {

TEST(Text, Base64FollowsRfc4648) {
  // RFC 4648, section 10.
  EXPECT_EQ(base64_encode(""), "");
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_decode("Zm9vYg=="), "foob");
  EXPECT_EQ(base64_decode("Zm9vYmE="), "fooba");
}

TEST(Text, Base64RefusesWhatIsNotCanonical) {
  for (const char* bad :
       {"Zg", "Zg=", "Z===", "Zh==", "Zm9=", "Z g=", "Zg==Zg==", "====", "Zg\n="}) {
    EXPECT_FALSE(base64_decode(bad)) << bad;
  }
}

TEST(Text, HostNamesAreLabels) {
  EXPECT_TRUE(is_host_name("web-001.example.org"));
  for (const char* bad : {"", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "a\nb"}) {
    EXPECT_FALSE(is_host_name(bad)) << bad;
  }
  EXPECT_TRUE(is_host_name(std::string(60, 'a') + ".bc"));
  EXPECT_FALSE(is_host_name(std::string(64, 'a')));
  EXPECT_FALSE(is_host_name(std::string(60, 'a') + ".bcdef"));
}

TEST(Text, UserNamesCannotLeaveTheirDirectory) {
  EXPECT_TRUE(is_user_name("ops"));
  for (const char* bad : {"", "..", ".", "a/b", "A", "1a", "a b", "-a"}) {
    EXPECT_FALSE(is_user_name(bad)) << bad;
  }
}

TEST(Text, KeyLinesAreOneLine) {
  const std::string key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO";
  EXPECT_TRUE(is_key_line(key));
  EXPECT_FALSE(is_key_line(key + "\nssh-rsa AAAA"));
  EXPECT_FALSE(is_key_line(key + std::string(1, '\0')));
  EXPECT_FALSE(is_key_line("# " + key));
  EXPECT_FALSE(is_key_line(std::string(20000, 'a')));
}

TEST(Text, AddressesAreParsedWhole) {
  EXPECT_TRUE(is_address_with_prefix("192.0.2.10/24"));
  EXPECT_TRUE(is_address_with_prefix("2001:db8::1/128"));
  for (const char* bad : {"192.0.2.10",
                          "192.0.2.10/33",
                          "2001:db8::1/129",
                          "192.0.2/24",
                          "/24",
                          "192.0.2.1/24\nDHCP=yes",
                          "192.0.2.1/"}) {
    EXPECT_FALSE(is_address_with_prefix(bad)) << bad;
  }
  EXPECT_TRUE(is_mac("52:54:00:12:34:5f"));
  EXPECT_FALSE(is_mac("52:54:00:12:34:5F"));
  EXPECT_FALSE(is_mac("52-54-00-12-34-56"));
}

TEST(Text, NumbersAreBounded) {
  EXPECT_EQ(parse_number("1790000000123456789"), 1790000000123456789U);
  EXPECT_FALSE(parse_number("17900000001234567890"));
  EXPECT_FALSE(parse_number("-1"));
  EXPECT_FALSE(parse_number(""));
}

}  // namespace
}  // namespace goldmill::agent
