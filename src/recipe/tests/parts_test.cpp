// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include "recipe_files.hpp"

namespace goldmill::recipe {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PartsTest : public RecipeFiles {
 protected:
  static std::vector<std::string> names(const std::vector<PackageRequest>& packages) {
    std::vector<std::string> names;
    names.reserve(packages.size());
    for (const PackageRequest& package : packages) {
      names.push_back(package.name);
    }
    return names;
  }

  static std::vector<std::string> scripts(const Recipe& recipe) {
    std::vector<std::string> scripts;
    scripts.reserve(recipe.provision.size());
    for (const ProvisionStep& step : recipe.provision) {
      scripts.push_back(std::get<ShellStep>(step.action).script);
    }
    return scripts;
  }

  /// Of a recipe under the site's settings; both are written.
  Result<Recipe> under(std::string_view settings, std::string_view text) const {
    return load_text(text, {.set = {}, .os = {}, .settings = {write("settings.yaml", settings)}});
  }
};

constexpr const char* kBase = "recipe: r\nos: debian/12\n";

TEST_F(PartsTest, ListsAppendAndMapsMerge) {
  std::filesystem::create_directory(at("parts"));
  write("parts/hello.sh", "echo part\n");
  write("parts/java.yaml", R"(part: java
parameters: {java: "17"}
packages: ["openjdk-${java}-jre-headless", curl]
baseline: {timezone: UTC, firewall: {inbound: [ssh, http]}}
provision: [{shell: {file: hello.sh}}]
promises: {commands: ["java -version"]}
)");
  const auto recipe = load_text(R"(recipe: r
os: debian/12
include: [{part: parts/java.yaml, set: {java: "21"}}]
packages: [curl, htop]
baseline: {timezone: UTC, locale: C.UTF-8, firewall: {inbound: [https, http]}}
provision: [{shell: {script: echo own}}]
)");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_THAT(names(recipe->packages), ElementsAre("openjdk-21-jre-headless", "curl", "htop"));
  EXPECT_THAT(*recipe->baseline.firewall_inbound, ElementsAre("ssh", "http", "https"));
  EXPECT_EQ(recipe->baseline.locale, "C.UTF-8");
  EXPECT_THAT(scripts(*recipe), ElementsAre("echo part\n", "echo own"));
  ASSERT_EQ(recipe->parts.size(), 1U);
  EXPECT_EQ(recipe->parts[0].name, "java");
  EXPECT_EQ(recipe->parts[0].parameters.at("java"), "21");
  EXPECT_EQ(recipe->parts[0].included.line, 3);
  const auto origin = recipe->origins.find("promises.commands");
  ASSERT_NE(origin, recipe->origins.end());
  EXPECT_THAT(origin->second.text(), HasSubstr("parts/java.yaml:6:23"));
}

TEST_F(PartsTest, APartOfAPartIsBroughtInOnce) {
  write("common.yaml", "part: common\nprovision: [{shell: {script: common}}]\n");
  write("one.yaml", "part: one\ninclude: [common.yaml]\nprovision: [{shell: {script: one}}]\n");
  write("two.yaml", "part: two\ninclude: [common.yaml]\nprovision: [{shell: {script: two}}]\n");
  const auto recipe = load_text(std::string(kBase) + "include: [one.yaml, two.yaml]\n");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_THAT(scripts(*recipe), ElementsAre("common", "one", "two"));
}

TEST_F(PartsTest, AContradictionNamesBothPlaces) {
  write("a.yaml", "part: a\nbaseline: {timezone: Europe/Berlin}\n");
  write("b.yaml", "part: b\nbaseline:\n  root: \"$6$saltsalt$abcdefghijklmnop\"\n");
  EXPECT_EQ(error_of(std::string(kBase) + "include: [a.yaml]\nbaseline: {timezone: UTC}\n"),
            "r.yaml:4:22: 'baseline.timezone' is 'UTC' here and 'Europe/Berlin' at a.yaml:2:22");
  const std::string secret =
      error_of(std::string(kBase) + "include: [b.yaml]\nbaseline: {root: locked}\n");
  EXPECT_EQ(secret, "r.yaml:4:18: 'baseline.root' is one value here and another at b.yaml:3:9");
  write("c.yaml", "part: c\npackages: [-nano]\n");
  EXPECT_EQ(error_of(std::string(kBase) + "include: [c.yaml]\npackages: [nano]\n"),
            "r.yaml:4:12: the package 'nano' is there twice");
}

TEST_F(PartsTest, WhatIsWrongInAPartIsSaidThere) {
  write("a.yaml", "part: a\npackges: [x]\n");
  EXPECT_THAT(error_of(std::string(kBase) + "include: [a.yaml]\n"),
              HasSubstr("a.yaml:2:1: unknown key 'packges'"));
  write("a.yaml", "part: a\nos: debian/12\n");
  EXPECT_THAT(error_of(std::string(kBase) + "include: [a.yaml]\n"), HasSubstr("a.yaml:2:1:"));
  write("a.yaml", "part: a\nprovision: [{shell: {file: gone.sh}}]\n");
  EXPECT_EQ(error_of(std::string(kBase) + "include: [a.yaml]\n"),
            "a.yaml:2:28: there is no file 'gone.sh'");
  EXPECT_EQ(error_of(std::string(kBase) + "include: [gone.yaml]\n"),
            "r.yaml:3:11: there is no part 'gone.yaml'");
  EXPECT_EQ(error_of(std::string(kBase) + "include: [{part: a.yaml, set: {jawa: \"1\"}}]\n"),
            "r.yaml:3:11: 'a.yaml' has no parameter 'jawa'");
  write("a.yaml", kBase);
  EXPECT_EQ(error_of(std::string(kBase) + "include: [a.yaml]\n"),
            "r.yaml:3:11: 'a.yaml' is a recipe, not a part of one");
  EXPECT_EQ(error_of("part: x\n"), "r.yaml:1:1: this is a part of recipes, not a recipe");
}

TEST_F(PartsTest, CirclesAndDepthAreBounded) {
  write("a.yaml", "part: a\ninclude: [b.yaml]\n");
  write("b.yaml", "part: b\ninclude: [a.yaml]\n");
  EXPECT_EQ(error_of(std::string(kBase) + "include: [a.yaml]\n"),
            "b.yaml:2:11: 'include:' goes round in a circle: a.yaml -> b.yaml -> a.yaml");
  for (int i = 0; i < 10; ++i) {
    const std::string number = std::to_string(i);
    write("d" + number + ".yaml",
          "part: d" + number + "\ninclude: [d" + std::to_string(i + 1) + ".yaml]\n");
  }
  EXPECT_THAT(error_of(std::string(kBase) + "include: [d0.yaml]\n"),
              HasSubstr("d7.yaml:2:11: parts include each other deeper than 8"));
  write("n.yaml", "part: many\nparameters: {n: \"0\"}\npackages: [\"p${n}\"]\n");
  std::string many = std::string(kBase) + "include:\n";
  for (int i = 0; i < 65; ++i) {
    many += "  - {part: n.yaml, set: {n: \"" + std::to_string(i) + "\"}}\n";
  }
  EXPECT_THAT(error_of(many), HasSubstr("r.yaml:68:5: more than 64 parts"));
}

TEST_F(PartsTest, WhatIsEnforcedHoldsForEveryBase) {
  write("site.yaml", R"(part: site
packages: [auditd]
baseline: {security: standard, firewall: {inbound: [9100/tcp]}}
)");
  const char* settings = "enforce: [site.yaml]\n";
  const auto recipe = under(settings, std::string(kBase) + "packages: [htop]\n");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_THAT(names(recipe->packages), ElementsAre("auditd", "htop"));
  EXPECT_EQ(recipe->baseline.security, "standard");
  ASSERT_EQ(recipe->parts.size(), 1U);
  EXPECT_TRUE(recipe->parts[0].enforced);
  const auto against = under(settings, std::string(kBase) + "baseline: {security: none}\n");
  ASSERT_FALSE(against);
  EXPECT_THAT(against.error().message, HasSubstr("'baseline.security' is 'none' here"));
  EXPECT_THAT(against.error().message, HasSubstr("site.yaml:3:22"));
  EXPECT_FALSE(under(settings, std::string(kBase) + "packages: [-auditd]\n"));
  const auto wrong = under("enforce: site.yaml\n", kBase);
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("settings.yaml:1:10: 'enforce' must be a list"));
}

/// A variant's list replaces its parent's, but what is enforced stays; steps run once.
TEST_F(PartsTest, WhatIsEnforcedHoldsForEveryVariant) {
  write("site.yaml", R"(part: site
packages: [auditd]
baseline: {security: standard, firewall: {inbound: [9100/tcp]}}
provision: [{shell: {script: site}}]
)");
  const char* settings = "enforce: [site.yaml]\n";
  const Recipe base = merged(
      {under(settings, std::string(kBase) + "baseline: {firewall: {inbound: [ssh]}}\n").value()});
  const Recipe quiet = under(settings, "recipe: v\nfrom: r\npackages: [htop]\n").value();
  EXPECT_THAT(names(quiet.packages), ElementsAre("htop"));
  EXPECT_THAT(*merged({base, quiet}).baseline.firewall_inbound, ElementsAre("9100/tcp", "ssh"));
  const Recipe own =
      under(settings, "recipe: v\nfrom: r\nbaseline: {firewall: {inbound: [http]}}\n").value();
  EXPECT_THAT(*merged({base, own}).baseline.firewall_inbound,
              testing::UnorderedElementsAre("9100/tcp", "http"));
  EXPECT_THAT(with_enforced(own, base).provision, IsEmpty());
  const Recipe older = merged({load_text(kBase).value()});
  EXPECT_THAT(scripts(with_enforced(quiet, older)), ElementsAre("site"));
  EXPECT_THAT(names(with_enforced(quiet, older).packages), ElementsAre("auditd", "htop"));
  EXPECT_THAT(*merged({older, quiet}).baseline.firewall_inbound, ElementsAre("9100/tcp", "ssh"));
  EXPECT_FALSE(under(settings, "recipe: v\nfrom: r\nbaseline: {security: none}\n"));
  EXPECT_FALSE(under(settings, "recipe: v\nfrom: r\npackages: [-auditd]\n"));
}

TEST_F(PartsTest, AnswersToDebconfAreRead) {
  const auto recipe = load_text(std::string(kBase) + R"(packages: [postfix]
debconf:
  - {package: postfix, question: postfix/main_mailer_type, type: select, value: Local only}
  - {package: postfix, question: postfix/relay, type: boolean, value: true}
)");
  ASSERT_TRUE(recipe) << recipe.error().text();
  ASSERT_EQ(recipe->debconf.size(), 2U);
  EXPECT_EQ(recipe->debconf[0].value, "Local only");
  EXPECT_EQ(recipe->debconf[1].value, "true");
  EXPECT_THAT(
      error_of(std::string(kBase) +
               "debconf: [{package: mydb, question: mydb/key, type: password, value: x}]\n"),
      HasSubstr("r.yaml:3:53: 'debconf.type' does not know 'password'"));
}

// Others are named by where they lie from the recipe, which is the same in each checkout.
TEST_F(PartsTest, FilesByAbsolutePathAndOfTheSiteDoNotMoveWithTheRecipe) {
  for (const char* name : {"own.sh", "absolute.sh", "site.sh", "part.sh"}) {
    write(name, "echo\n");
  }
  write("site.yaml", "part: site\nprovision: [{shell: {file: site.sh}}]\n");
  write("part.yaml", "part: p\nprovision: [{shell: {file: part.sh}}]\n");
  const auto recipe = under("enforce: [site.yaml]\n",
                            std::string(kBase) +
                                "include: [part.yaml]\nprovision:\n  - shell: {file: own.sh}\n"
                                "  - shell: {file: " +
                                at("absolute.sh").string() + "}\n");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_EQ(recipe->files.size(), 4U);
  EXPECT_THAT(recipe->fixed_files, testing::UnorderedElementsAre(at("absolute.sh"), at("site.sh")));
}

TEST_F(PartsTest, WhatAPartOfAnAbsolutePathReadsDoesNotMoveEither) {
  std::filesystem::create_directory(at("shared"));
  write("shared/deep.sh", "echo\n");
  write("shared/part.yaml", "part: p\ninclude: [deep.yaml]\n");
  write("shared/deep.yaml", "part: d\nprovision: [{shell: {file: deep.sh}}]\n");
  const std::string base = kBase;
  const auto fixed =
      load_text(base + "include: [" + at("shared/part.yaml").string() + "]\n").value();
  EXPECT_THAT(fixed.fixed_files, ElementsAre(at("shared/deep.sh")));
  EXPECT_THAT(load_text(base + "include: [shared/part.yaml]\n").value().fixed_files, IsEmpty());
}

}  // namespace goldmill::recipe
