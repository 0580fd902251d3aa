// SPDX-License-Identifier: GPL-3.0-or-later
// Generated texts: golden files in tests/golden/cli (GOLDMILL_ACCEPT=1 writes them and reports
// "skipped"), and the programs that read such texts as judges.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/cli/help.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "sample_program.hpp"

namespace goldmill::cli {

namespace fs = std::filesystem;

namespace {

bool accepting() {
  return std::getenv("GOLDMILL_ACCEPT") != nullptr;
}

void expect_golden(const std::string& name, const std::string& text) {
  const fs::path file = fs::path(GOLDMILL_SOURCE_DIR) / "tests/golden/cli" / name;
  if (accepting()) {
    ASSERT_TRUE(system::write_file(file, text));
    return;
  }
  const auto golden = system::read_file(file);
  ASSERT_TRUE(golden) << golden.error().text() << "; run with GOLDMILL_ACCEPT=1 to make it";
  EXPECT_EQ(text, *golden) << file;
}

std::string script(const char* shell) {
  auto text = completion_script(sample_program(), shell);
  return text ? *text : text.error().text();
}

Result<system::Output> shell(const std::vector<std::string>& argv, const std::string& input) {
  return system::process_runner().run({.argv = argv, .input = input});
}

/// What bash offers for a command line whose last word is being completed.
std::string offered(const std::vector<std::string>& words) {
  std::string line = script("bash") +
                     "goldmill() { echo \"$2-one $2-two $2@3\"; }\n"
                     "COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:@'\nCOMP_LINE='goldmill";
  for (const std::string& word : words) {
    line += " " + word;
  }
  line += "'\nCOMP_POINT=${#COMP_LINE}\n_goldmill 2>/dev/null\necho \"${COMPREPLY[*]}\"\n";
  const auto output = shell({"bash", "--norc", "-s"}, line);
  return output ? output->text : output.error().text();
}

}  // namespace

TEST(TextTest, IsAsAccepted) {
  const Program program = sample_program();
  expect_golden("help.txt", help(program));
  expect_golden("help-export.txt", help(program, *find_command(program, "export")));
  expect_golden("goldmill.1", man_page(program, "2026-01-31"));
  for (const char* name : {"bash", "zsh", "fish"}) {
    expect_golden(std::string("completion.") + name, script(name));
  }
  if (accepting()) {
    GTEST_SKIP() << "golden files written";
  }
}

TEST(TextTest, HelpFitsEightyColumns) {
  const Program program = sample_program();
  for (const Command& command : program.commands) {
    const std::string text = help(program, command);
    std::size_t start = 0;
    while (start < text.size()) {
      const std::size_t end = text.find('\n', start);
      EXPECT_LE(end - start, 79U) << text.substr(start, end - start);
      start = end + 1;
    }
  }
  EXPECT_THAT(help(program), testing::Not(testing::HasSubstr("__complete")));
}

TEST(TextTest, ManReadsThePageWithoutWarning) {
  auto scratch = system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-man.");
  ASSERT_TRUE(scratch);
  const fs::path page = scratch->path() / "goldmill.1";
  ASSERT_TRUE(system::write_file(page, man_page(sample_program(), "2026-01-31")));
  const auto output = shell({"man", "--warnings", "-E", "UTF-8", "-P", "cat", "-l", page}, "");
  if (!output || output->errors.find("minimized") != std::string::npos ||
      output->text.find("minimized") != std::string::npos) {
    GTEST_SKIP() << "man is not installed";
  }
  EXPECT_EQ(output->status, 0);
  EXPECT_EQ(output->errors, "");
  EXPECT_THAT(output->text, testing::HasSubstr("nor is \\fB."));
  EXPECT_THAT(output->text, testing::HasSubstr(".. is no request"));
  EXPECT_THAT(output->text, testing::HasSubstr("It's the same"));
}

TEST(CompletionTest, BashOffersWhatFits) {
  EXPECT_EQ(offered({"ex"}), "export\n");
  EXPECT_EQ(offered({"export", "--fo"}), "--format\n");
  EXPECT_EQ(offered({"export", "--format", ""}), "qcow2 raw\n");
  EXPECT_EQ(offered({"export", "-f", "r"}), "raw\n");
  EXPECT_EQ(offered({"export", ""}), "images-one images-two images@3\n");
  EXPECT_EQ(offered({"export", "-f", "raw", ""}), "images-one images-two images@3\n");
  EXPECT_EQ(offered({"export", "x", ""}), "\n") << "only one image is exported";
  EXPECT_EQ(offered({"ssh", "instances-t"}), "instances-two\n");
  EXPECT_EQ(offered({"ssh", "images@"}), "\n");
  EXPECT_EQ(offered({"export", "images@"}), "3\n") << "bash replaces what follows the @";
  EXPECT_EQ(offered({"export", "--format=q"}), "qcow2\n");
  EXPECT_EQ(offered({"export", "--format=raw", "images-o"}), "images-one\n");
  EXPECT_EQ(offered({"completion", "z"}), "zsh\n");
  EXPECT_EQ(offered({"help", "ss"}), "ssh\n");
}

TEST(CompletionTest, OtherShellsReadTheirScripts) {
  int judged = 0;
  for (const char* name : {"zsh", "fish"}) {
    const auto output = shell({name, "-n", "/dev/stdin"}, script(name));
    if (!output) {
      continue;
    }
    ++judged;
    EXPECT_EQ(output->status, 0) << name << output->errors;
    EXPECT_EQ(output->errors, "") << name;
  }
  if (judged == 0) {
    GTEST_SKIP() << "neither zsh nor fish is installed";
  }
}

TEST(CompletionTest, FishOffersWhatFits) {
  const auto offers = [](const std::string& line) -> std::string {
    const auto output =
        shell({"fish", "--no-config"},
              "function goldmill; echo $argv[2]-one; echo $argv[2]-two; end\n" + script("fish") +
                  "complete -C'" + line + "' | string replace -r '\\t.*' ''\n");
    return output ? output->text : "no fish";
  };
  if (offers("goldmill ex") == "no fish") {
    GTEST_SKIP() << "fish is not installed";
  }
  EXPECT_EQ(offers("goldmill ex"), "export\n");
  EXPECT_EQ(offers("goldmill export --format "), "qcow2\nraw\n");
  EXPECT_EQ(offers("goldmill export im"), "images-one\nimages-two\n");
  EXPECT_EQ(offers("goldmill ssh instances-t"), "instances-two\n");
}

TEST(CompletionTest, UnknownShellIsRefused) {
  EXPECT_EQ(completion_script(sample_program(), "bsh").error().hint,
            "did you mean 'bash' or 'zsh'?");
}

}  // namespace goldmill::cli
