// SPDX-License-Identifier: GPL-3.0-or-later
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_program.hpp"

namespace goldmill::cli {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

TEST(TableTest, AlignsByColumnsOfTheTerminal) {
  const Table table{{{"name"}, {"size", Table::Align::right}, {"note"}},
                    {{"gr\xc3\xbcn", "5", "x"}, {"\xe6\xbc\xa2", "1234567", ""}, {"a"}}};
  EXPECT_EQ(to_text(table),
            "name     size  note\n"
            "gr\xc3\xbcn        5  x\n"
            "\xe6\xbc\xa2    1234567\n"
            "a\n");
}

TEST(TableTest, HostileCellsAreEscaped) {
  const std::string text = to_text({{{"n"}, {"m"}}, {{"a\x1b[2Jb\nc", "z"}}});
  EXPECT_EQ(text, "n             m\na\\x1b[2Jb\\nc  z\n");
}

TEST(TerminalTest, ErrorsSayWhatWhereAndWhatNext) {
  Recorded recorded;
  Terminal terminal = recorded.terminal();
  const int status = terminal.fail({ErrorKind::not_found,
                                    "no image 'x\x1b'",
                                    "see 'list'",
                                    {"opening the base", "building java"}});
  EXPECT_EQ(status, 3);
  EXPECT_EQ(recorded.err,
            "error: no image 'x\\x1b'\n  in: opening the base\n  in: building java\n"
            "hint: see 'list'\n");
  EXPECT_EQ(recorded.out, "");
}

TEST(TerminalTest, ColoursOnlyOnATty) {
  Recorded plain;
  plain.terminal(false, true).fail({ErrorKind::internal, "m"});
  EXPECT_THAT(plain.err, Not(HasSubstr("\x1b")));
  Recorded without;
  without.terminal(true, false).fail({ErrorKind::internal, "m"});
  EXPECT_THAT(without.err, Not(HasSubstr("\x1b")));
  Recorded coloured;
  Terminal terminal = coloured.terminal(true, true);
  terminal.fail({ErrorKind::internal, "m"});
  EXPECT_THAT(coloured.err, HasSubstr("\x1b[1;31merror: \x1b[0mm\n"));
  EXPECT_EQ(terminal.styled("x\x1b", Style::green), "\x1b[32mx\\x1b\x1b[0m");
}

TEST(TerminalTest, ExitStatusesAreDistinct) {
  std::set<int> seen = {0, 1};
  for (const ErrorKind kind : {ErrorKind::invalid_input,
                               ErrorKind::not_found,
                               ErrorKind::conflict,
                               ErrorKind::unavailable,
                               ErrorKind::tool_failed,
                               ErrorKind::no_space,
                               ErrorKind::cancelled,
                               ErrorKind::corrupt,
                               ErrorKind::internal}) {
    EXPECT_TRUE(seen.insert(exit_status(kind)).second) << name_of(kind);
  }
  EXPECT_EQ(exit_status(ErrorKind::invalid_input), 2);
}

TEST(ProgressTest, PlainLinesElsewhere) {
  Recorded recorded;
  Terminal terminal = recorded.terminal();
  ProgressView& view = terminal.progress();
  view.show("fetch", 0, 100);
  for (std::uint64_t i = 1; i < 100; ++i) {
    recorded.now += milliseconds(500);
    view.show("fetch", i, 100);
  }
  view.log("a \x1b line");
  view.show("fetch", 100, 100);
  EXPECT_EQ(recorded.err,
            "fetch ...\nfetch: 20%\nfetch: 40%\nfetch: 60%\nfetch: 80%\na \\x1b line\n"
            "fetch: done in 49.5 s\n");
}

TEST(ProgressTest, BarsOnATtyAtMostTenTimesASecond) {
  Recorded recorded;
  Terminal terminal = recorded.terminal(true);
  ProgressView& view = terminal.progress();
  view.show("fetch", 0, 1000);
  const auto draws = [&] {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = recorded.err.find("fetch ", at)) != std::string::npos; ++at) {
      ++count;
    }
    return count;
  };
  EXPECT_EQ(draws(), 1U);
  for (std::uint64_t i = 1; i <= 100; ++i) {
    recorded.now += milliseconds(10);
    view.show("fetch", i * 5, 1000);
  }
  EXPECT_LE(draws(), 11U);
  EXPECT_GE(draws(), 9U);
  EXPECT_THAT(recorded.err, HasSubstr("[############............]  50%"));
  recorded.err.clear();
  view.show("unpack", 3, 0);
  recorded.now += milliseconds(200);
  view.show("unpack", 4, 0);
  recorded.now += milliseconds(200);
  view.show("unpack", 5, 0);
  EXPECT_THAT(recorded.err, HasSubstr("\x1b[2A\r\x1b[J")) << "both bars are redrawn in place";
  view.end("unpack");
  view.show("fetch", 1000, 1000);
  EXPECT_THAT(recorded.err, HasSubstr("unpack: done in 0.4 s\n"));
  recorded.err.clear();
  terminal.print("x\n");
  EXPECT_EQ(recorded.err, "") << "nothing is left to erase";
}

}  // namespace goldmill::cli
