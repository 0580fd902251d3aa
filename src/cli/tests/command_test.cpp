// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_program.hpp"

namespace goldmill::cli {

using testing::ElementsAre;
using testing::HasSubstr;
using Words = std::vector<std::string>;

class ParseTest : public testing::Test {
 protected:
  Result<Parsed> parsed(const char* command, const Words& words) const {
    return parse(program_, *find_command(program_, command), words);
  }
  std::string error(const char* command, const Words& words) const {
    const auto result = parsed(command, words);
    return result ? "" : result.error().message + " | " + result.error().hint;
  }
  Program program_ = sample_program();
};

TEST_F(ParseTest, TakesEveryFormOfAnOption) {
  for (const Words& words : {Words{"java", "--format=raw", "--output", "x y", "-q"},
                             Words{"-fraw", "-o", "x y", "-q", "java"},
                             Words{"-qf", "raw", "--output=x y", "--", "java"}}) {
    const auto result = parsed("export", words);
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_EQ(result->value("format"), "raw");
    EXPECT_EQ(result->value("output"), "x y");
    EXPECT_TRUE(result->has("quiet"));
    EXPECT_FALSE(result->has("verbose"));
    EXPECT_FALSE(result->json());
    EXPECT_THAT(result->arguments(), ElementsAre("java"));
  }
  const auto switches = parsed("export", {"-qv", "--json", "a"});
  ASSERT_TRUE(switches);
  EXPECT_TRUE(switches->has("verbose") && switches->json());
  EXPECT_EQ(switches->argument(5), "");
  EXPECT_THAT(parsed("export", {"--", "--json"})->arguments(), ElementsAre("--json"));
  EXPECT_THAT(parsed("export", {"-"})->arguments(), ElementsAre("-"));
}

TEST_F(ParseTest, RepeatableOptionsAreAMap) {
  const auto result = parsed("export", {"a", "--set", "x=1", "--set=y=a=b", "--set", "z="});
  ASSERT_TRUE(result);
  const auto pairs = result->pairs("set");
  ASSERT_TRUE(pairs);
  EXPECT_EQ(pairs->at("x"), "1");
  EXPECT_EQ(pairs->at("y"), "a=b");
  EXPECT_EQ(pairs->at("z"), "");
  EXPECT_FALSE(parsed("export", {"a", "--set", "x"})->pairs("set"));
  EXPECT_FALSE(parsed("export", {"a", "--set", "=x"})->pairs("set"));
  EXPECT_FALSE(parsed("export", {"a", "--set", "x=1", "--set", "x=2"})->pairs("set"));
  EXPECT_FALSE(parsed("export", {"a", "--output", "4x"})->integer("output", 0, 99));
  EXPECT_EQ(parsed("export", {"a", "--output", "42"})->integer("output", 0, 99).value(), 42);
  EXPECT_FALSE(parsed("export", {"a", "--output", "100"})->integer("output", 0, 99));
  EXPECT_FALSE(parsed("export", {"a", "--output", "4294967297"})->integer("output", 0, 99));
}

TEST_F(ParseTest, SlipsAreExplained) {
  EXPECT_THAT(error("export", {"a", "--fromat=raw"}),
              HasSubstr("unknown option '--fromat' | did you mean '--format'?"));
  EXPECT_THAT(error("export", {"a", "--format=row"}),
              HasSubstr("--format does not know 'row' | did you mean 'raw'?"));
  EXPECT_THAT(error("export", {"a", "-x"}), HasSubstr("unknown option '-x'"));
  EXPECT_THAT(error("export", {"a", "--output"}), HasSubstr("--output needs a value"));
  EXPECT_THAT(error("export", {"a", "-o"}), HasSubstr("-o needs a value"));
  EXPECT_THAT(error("export", {"a", "--quiet=yes"}), HasSubstr("--quiet takes no value"));
  EXPECT_THAT(error("export", {"a", "--format=raw", "-f", "raw"}), HasSubstr("given twice"));
  EXPECT_THAT(error("export", {}), HasSubstr("needs IMAGE"));
  EXPECT_THAT(error("export", {"a", "b"}), HasSubstr("unexpected argument 'b'"));
  EXPECT_THAT(error("completion", {"basj"}), HasSubstr("did you mean 'bash'?"));
  EXPECT_THAT(error("export", {"a", "--\x1b[2J"}), HasSubstr("'--\\x1b[2J'"));
  EXPECT_THAT(error("export", {}), HasSubstr("see 'goldmill export --help'"));
}

TEST_F(ParseTest, WordsOfAnotherCommandAreLeftAlone) {
  const auto result = parsed("ssh", {"--json", "web-1", "ls", "-l", "--", "--json"});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->json());
  EXPECT_THAT(result->arguments(), ElementsAre("web-1", "ls", "-l", "--", "--json"));
}

class RunTest : public testing::Test {
 protected:
  int run(const Words& words) {
    Terminal terminal = recorded_.terminal();
    return run_program(program_, words, terminal);
  }
  Program program_ = sample_program();
  Recorded recorded_;
};

TEST_F(RunTest, RunsTheCommandAndGivesItsStatus) {
  EXPECT_EQ(run({"ssh", "a", "up\x1btime"}), 7);
  EXPECT_EQ(recorded_.out, "up\\x1btime\n");
}

TEST_F(RunTest, UnknownCommandsAndOptionsEndWithTwo) {
  EXPECT_EQ(run({"exprot"}), 2);
  EXPECT_EQ(recorded_.err, "error: there is no command 'exprot'\nhint: did you mean 'export'?\n");
  EXPECT_EQ(run({"export", "--nothing"}), 2);
  EXPECT_EQ(run({"--nothing"}), 2);
  EXPECT_EQ(recorded_.out, "");
  EXPECT_EQ(run({}), 2);
  EXPECT_THAT(recorded_.out, HasSubstr("Usage: goldmill COMMAND"));
}

TEST_F(RunTest, ErrorsAreJsonWhenAskedFor) {
  EXPECT_EQ(run({"export", "--json", "--nothing"}), 2);
  const auto json = parse_json(recorded_.out, "the error");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["error"]["kind"], "invalid_input");
  EXPECT_THAT((*json)["error"]["message"], "unknown option '--nothing'");
}

TEST_F(RunTest, HelpIsEverywhere) {
  for (const Words& words : {Words{"export", "--help"},
                             Words{"export", "-h"},
                             Words{"help", "export"},
                             Words{"--help", "export"}}) {
    recorded_.out.clear();
    EXPECT_EQ(run(words), 0);
    EXPECT_THAT(recorded_.out, HasSubstr("Usage: goldmill export [OPTION]... IMAGE\n"));
  }
  recorded_.out.clear();
  EXPECT_EQ(run({"--version"}), 0);
  EXPECT_EQ(recorded_.out, "goldmill 1.2.3\n");
  EXPECT_EQ(run({"help", "nothing"}), 2);
}

}  // namespace goldmill::cli
