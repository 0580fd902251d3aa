// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/base/utf8.hpp>

namespace goldmill {

TEST(Utf8Test, FindsBrokenOverlongAndSurrogateBytes) {
  EXPECT_FALSE(find_invalid_utf8("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7"));
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2U);
  EXPECT_EQ(find_invalid_utf8("\xc0\xaf"), 0U) << "overlong /";
  EXPECT_EQ(find_invalid_utf8("\xe0\x80\xaf"), 0U) << "overlong /";
  EXPECT_EQ(find_invalid_utf8("x\xed\xa0\x80"), 1U) << "surrogate";
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0U) << "above U+10FFFF";
  EXPECT_EQ(find_invalid_utf8("a\xe2\x82"), 1U) << "cut off";
}

TEST(Utf8Test, EscapesWhatWouldFoolATerminal) {
  EXPECT_EQ(escape_controls("a\x1b[31mb\n"), "a\\x1b[31mb\\n");
  EXPECT_EQ(escape_controls("a\nb\tc\r", Lines::keep), "a\nb\tc\\r");
  EXPECT_EQ(escape_controls("x\xe2\x80\xaey"), "x\\u{202e}y");
  EXPECT_EQ(escape_controls("\xc2\x9b"), "\\x9b") << "C1: CSI in one character";
  EXPECT_EQ(escape_controls("\xff\xc3\xbc"), "\\xff\xc3\xbc");
}

TEST(Utf8Test, MeasuresColumns) {
  EXPECT_EQ(display_width("gr\xc3\xbcn"), 4U);
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);
  EXPECT_EQ(display_width("\xe6\xbc\xa2\xe5\xad\x97"), 4U);
}

}  // namespace goldmill
