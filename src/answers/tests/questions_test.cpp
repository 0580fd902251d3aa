// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>

#include <gmock/gmock.h>

#include <goldmill/answers/questions.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::answers {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class QuestionsTest : public testing::Test {
 protected:
  std::filesystem::path write(std::string_view name, std::string_view text) const {
    EXPECT_TRUE(system::write_file(scratch_.path() / name, text));
    return scratch_.path() / name;
  }

  std::vector<Question> ask(const std::filesystem::path& file,
                            const recipe::LoadOptions& options = {}) const {
    const auto lineage = recipe::load_lineage(file, options);
    EXPECT_TRUE(lineage) << lineage.error().text();
    return questions(lineage.value().recipes);
  }

  static Question find(const std::vector<Question>& all, const std::string& question) {
    for (const Question& entry : all) {
      if (entry.question == question) {
        return entry;
      }
    }
    ADD_FAILURE() << "nobody asks for the " << question;
    return {};
  }

 private:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
};

TEST_F(QuestionsTest, EachHasAnAnswerAndWhereItComesFrom) {
  write("site.yaml", "part: site\nbaseline: {security: standard}\n");
  write("java.yaml", "part: java\npackages: [default-jre-headless]\n");
  write("base.yaml", R"(recipe: base
os: debian/12
baseline:
  timezone: Europe/Berlin
  users: [{name: ops, sudo: true}]
disk: {partitions: [{name: swap, size: 1GiB, filesystem: swap}, {name: root, mount: /}]}
)");
  const auto all =
      ask(write("v.yaml", R"(recipe: v
from: base
include: [java.yaml]
baseline: {locale: de_DE.UTF-8}
proxy: http://me:geheim@proxy.example.org:3128
debconf: [{package: postfix, question: postfix/mailname, type: string, value: example.org}]
)"),
          {.set = {}, .os = {}, .settings = {write("s.yaml", "enforce: [site.yaml]")}});
  for (const Question& question : all) {
    EXPECT_FALSE(question.answer.empty()) << question.question;
    const bool is_said =
        question.source != Question::Source::standard && question.source != Question::Source::fixed;
    EXPECT_EQ(is_said, !question.where.empty()) << question.question;
    EXPECT_EQ(is_said, question.why.empty()) << question.question;
  }
  const Question zone = find(all, "time zone");
  EXPECT_EQ(zone.answer, "Europe/Berlin");
  EXPECT_EQ(zone.source, Question::Source::parent);
  EXPECT_THAT(zone.where, EndsWith("base.yaml:4:13"));
  EXPECT_THAT(find(all, "language").where, EndsWith("v.yaml:4:20"));
  EXPECT_EQ(find(all, "tasks and packages").source, Question::Source::part);
  EXPECT_EQ(find(all, "security policy").source, Question::Source::enforced);
  EXPECT_EQ(find(all, "keyboard").source, Question::Source::standard);
  EXPECT_EQ(find(all, "swap").answer, "1.00 GiB");
  EXPECT_THAT(find(all, "account ops").answer, HasSubstr("WITHOUT being asked"));
  EXPECT_EQ(find(all, "postfix/mailname of postfix").answer, "example.org");
  EXPECT_EQ(find(all, "proxy").answer, "http://proxy.example.org:3128");
}

TEST_F(QuestionsTest, OfAProfileItsLinesAreNamed) {
  const auto all = ask(write("web.ks", "text\ntimezone Europe/Rome\nrootpw geheim\n"),
                       {.set = {}, .os = "debian/12"});
  const Question zone = find(all, "time zone");
  EXPECT_EQ(zone.source, Question::Source::profile);
  EXPECT_THAT(zone.where, EndsWith("web.ks:2"));
  EXPECT_THAT(find(all, "root's password").answer, testing::Not(HasSubstr("$")));
  const Question os = find(all, "operating system");
  EXPECT_EQ(os.source, Question::Source::profile);
  EXPECT_EQ(os.where, "--os");
  EXPECT_EQ(find(all, "language").source, Question::Source::standard);
}

TEST_F(QuestionsTest, OfAPreseedFileItsLinesAreNamed) {
  const auto all = ask(write("web.preseed",
                             "d-i passwd/user-fullname string Operations\n"
                             "d-i passwd/username string ops\n"
                             "d-i pkgsel/include string \\\n  curl\n\n"
                             "postfix postfix/mailname string example.org\n"
                             "d-i preseed/late_command string in-target true\n"),
                       {.set = {}, .os = "debian/12"});
  EXPECT_THAT(find(all, "account ops").where, EndsWith("web.preseed:2"));
  EXPECT_THAT(find(all, "tasks and packages").where, EndsWith("web.preseed:3"));
  EXPECT_THAT(find(all, "postfix/mailname of postfix").where, EndsWith("web.preseed:6"));
  EXPECT_THAT(find(all, "further configuration").where, EndsWith("web.preseed:1 and 1 more"));
}

}  // namespace
}  // namespace goldmill::answers
