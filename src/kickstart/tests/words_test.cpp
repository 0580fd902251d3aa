// SPDX-License-Identifier: GPL-3.0-or-later
#include "../words.hpp"

#include <gtest/gtest.h>

namespace goldmill::kickstart {
namespace {

using Words = std::vector<std::string>;

// What Python 3.11's shlex.split(line, comments=True) gives.
TEST(Words, AreSplitAsShlexDoes) {
  const std::vector<std::pair<std::string, Words>> cases = {
      {"", {}},
      {"  a\tb  ", {"a", "b"}},
      {"a 'b c' d", {"a", "b c", "d"}},
      {"a'b c'd\"e f\"", {"ab cde f"}},
      {"--x=\"\" ''", {"--x=", ""}},
      {"a#b c", {"a"}},
      {"a '#' \"#\" # c", {"a", "#", "#"}},
      {"a\\ b \\#", {"a b", "#"}},
      {R"("a\"b\\c\d" 'a\b')", {"a\"b\\c\\d", "a\\b"}},
      {"ä \xe2\x88\x92\xe2\x88\x92x", {"ä", "\xe2\x88\x92\xe2\x88\x92x"}}};
  for (const auto& [line, words] : cases) {
    EXPECT_EQ(split_words(line).value(), words) << line;
  }
  for (const char* line : {"a 'b", "a \"b", "a \\", "\"\\\""}) {
    EXPECT_FALSE(split_words(line)) << line;
  }
}

}  // namespace
}  // namespace goldmill::kickstart
