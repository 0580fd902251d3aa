// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/base/base64.hpp>

namespace goldmill {

TEST(Base64, GoesBothWays) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xff\xfe"), "//4=");
  EXPECT_EQ(decode_base64("Zm8=").value(), "fo");
  EXPECT_EQ(decode_base64("Zm9v").value(), "foo");
  for (const char* bad : {"Zg", "Zg=", "=g==", "Zg==Zg==", "Z g=", "Zm=v", "===="}) {
    EXPECT_EQ(decode_base64(bad).error().kind, ErrorKind::corrupt) << bad;
  }
}

}  // namespace goldmill
