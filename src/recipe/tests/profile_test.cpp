// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/profile.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::recipe {
namespace {

namespace fs = std::filesystem;

class ProfileTest : public testing::Test {
 protected:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
  fs::path write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(system::write_file(scratch_.path() / name, text));
    return scratch_.path() / name;
  }
};

TEST_F(ProfileTest, IsLoadedWhereARecipeIs) {
  const fs::path profile =
      write("web.ks",
            "timezone Europe/Berlin\nkeyboard 'no'\n"
            "%packages\nhttpd\n%end\n%post\necho \"${HOME}: it's\t$1\"\n%end\n");
  const Recipe recipe = load(profile, {.set = {}, .os = "debian/12"}).value();
  EXPECT_EQ(recipe.name, "web");
  EXPECT_EQ(recipe.os->release, "12");
  EXPECT_EQ(recipe.baseline.timezone, "Europe/Berlin");
  EXPECT_EQ(recipe.baseline.keyboard, "no");
  ASSERT_EQ(recipe.packages.size(), 1U);
  const auto& step = std::get<ShellStep>(recipe.provision.at(0).action);
  EXPECT_NE(step.script.find("echo \"${HOME}: it's\t$1\"\n"), std::string::npos) << step.script;
  EXPECT_TRUE(step.network);
}

/// The generated recipe has lines of its own, which nobody sees.
TEST_F(ProfileTest, WhatIsWrongIsToldOfWithTheLineThatSaidIt) {
  const auto refused = [this](const std::string& name, const std::string& text) {
    const auto loaded = load(write(name, text), {.set = {}, .os = "debian/12"});
    EXPECT_FALSE(loaded) << text;
    return loaded ? "" : loaded.error().message.substr((scratch_.path().string() + "/").size());
  };
  EXPECT_TRUE(refused("d.ks", "text\nuser --name=a.b\n").starts_with("d.ks:2: "));
  write("more.ks", "\n\nuser --name=a.b\n");
  EXPECT_TRUE(refused("d.ks", "text\n%include more.ks\n").starts_with("more.ks:3: "));
  EXPECT_TRUE(refused("d.ks", "text\n%post\necho \x01\n%end\n").starts_with("d.ks:2: "));
  EXPECT_TRUE(refused("d.ks", "text\n\ntimezone Mars\n").starts_with("d.ks:3: "));
  EXPECT_TRUE(
      refused("d.ks", "text\npart /a@b --size=1\npart / --size=9\n").starts_with("d.ks:2: "));
  const auto strange = load(write("d.ks", "text\n"), {.set = {}, .os = "plan/9"});
  ASSERT_FALSE(strange);
  EXPECT_TRUE(strange.error().message.starts_with("--os: ")) << strange.error().message;
}

TEST_F(ProfileTest, OriginsAreLinesOfTheProfile) {
  const fs::path more = write("more.ks", "firewall --port=80:tcp,443:tcp\n");
  const fs::path profile = write("d.ks", "%include more.ks\nuser --name=ops\n");
  const Recipe recipe = load(profile, {.set = {}, .os = "debian/12"}).value();
  const auto texts = [&recipe](const std::string& key) {
    std::vector<std::string> all;
    const auto [first, last] = recipe.origins.equal_range(key);
    for (auto origin = first; origin != last; ++origin) {
      all.push_back(origin->second.text());
    }
    return all;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts("os"), Texts{"--os"});
  EXPECT_EQ(texts("baseline.users"), Texts{profile.string() + ":2"});
  EXPECT_EQ(texts("baseline.firewall.inbound"), Texts{more.string() + ":1"});
  EXPECT_EQ(texts("recipe"), Texts{}) << "no line says it";
  EXPECT_EQ(recipe.baseline.users->front().position.text(), profile.string() + ":2");
}

TEST_F(ProfileTest, OriginsAreLinesOfThePreseedFile) {
  const fs::path profile = fs::path(GOLDMILL_SOURCE_DIR) / "examples/server.preseed";
  const Recipe recipe = load(profile, {.set = {}, .os = "debian/12"}).value();
  EXPECT_EQ(recipe.baseline.users->front().position.line, 13);
  ASSERT_EQ(recipe.debconf.size(), 2U);
  EXPECT_EQ(recipe.debconf.front().position.line, 36);
  EXPECT_EQ(recipe.debconf.front().position.column, 0);
}

TEST_F(ProfileTest, NeedsAnOs) {
  const auto loaded = load(write("web.ks", "text\n"));
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().hint.find("--os"), std::string::npos);
}

/// Each profile of the corpus (not ours to ship) becomes a recipe, or what it includes cannot
/// be read.
TEST_F(ProfileTest, EveryProfileOfTheCorpusBecomesARecipe) {
  const char* const given = std::getenv("GOLDMILL_KICKSTART_CORPUS");
  const fs::path corpus =
      given != nullptr ? fs::path(given)
                       : fs::path(GOLDMILL_SOURCE_DIR).parent_path() / "shared/corpora/kickstart";
  std::ifstream oracle(corpus / "ORACLE.tsv");
  if (!oracle) {
    GTEST_SKIP() << "no corpus at " << corpus;
  }
  std::size_t loaded = 0;
  std::size_t incomplete = 0;
  for (std::string line; std::getline(oracle, line);) {
    const std::string name = line.substr(0, line.find('\t'));
    if (name.starts_with('#') || line.find("\tNONE") != std::string::npos) {
      continue;
    }
    const auto profile = recipe_of_profile(corpus / name, "debian/12");
    if (!profile) {
      // Of its own it is right: what it includes is gone, or is one that nobody reads.
      EXPECT_NE(profile.error().text().find("%include"), std::string::npos)
          << profile.error().text();
      ++incomplete;
      continue;
    }
    const auto recipe = load(write("recipe.yaml", profile->yaml));
    EXPECT_TRUE(recipe) << name << ": " << recipe.error().text() << "\n" << profile->yaml;
    ++loaded;
  }
  std::cout << loaded << " became recipes, " << incomplete << " include what cannot be read\n";
  EXPECT_GT(loaded, incomplete);
}

}  // namespace
}  // namespace goldmill::recipe
