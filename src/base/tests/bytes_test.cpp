// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/base/bytes.hpp>

namespace goldmill {

TEST(Bytes, ReadsSizesWithUnits) {
  EXPECT_EQ(parse_bytes("4GiB").value(), 4_GiB);
  EXPECT_EQ(parse_bytes("400 MiB").value(), 400_MiB);
  EXPECT_EQ(parse_bytes("1.5GiB").value().value, 3ULL << 29);
  EXPECT_EQ(parse_bytes("512MB").value().value, 512000000U);
  EXPECT_EQ(parse_bytes("0B").value().value, 0U);
}

TEST(Bytes, RefusesWhatIsNotASize) {
  for (const char* text : {"",
                           "4",
                           "4G",
                           "GiB",
                           "-1MiB",
                           "4GiBs",
                           "1e3MiB",
                           "nan B",
                           "inf B",
                           "99999999999TiB",
                           "0.3B",
                           "0x10MiB",
                           "4  GiB"}) {
    EXPECT_FALSE(parse_bytes(text)) << text;
  }
}

TEST(Bytes, ShowsThreeDigits) {
  EXPECT_EQ(to_text(Bytes{0}), "0 B");
  EXPECT_EQ(to_text(Bytes{378806272}), "361 MiB");
  EXPECT_EQ(to_text(1_GiB), "1.00 GiB");
  EXPECT_EQ(to_text(Bytes{15ULL << 20}), "15.0 MiB");
}

}  // namespace goldmill
