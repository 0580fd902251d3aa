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
  const std::string no_key = "sshkey --username=ops nonsense\n";
  EXPECT_TRUE(refused("d.ks", "text\n" + no_key).starts_with("d.ks:2: "));
  EXPECT_TRUE(refused("d.ks", "user --name=ops\n\n" + no_key).starts_with("d.ks:3: "));
  write("more.ks", "\n\n" + no_key);
  EXPECT_TRUE(refused("d.ks", "text\n%include more.ks\n").starts_with("more.ks:3: "));
  EXPECT_TRUE(refused("d.ks", "text\n%post\necho \x01\n%end\n").starts_with("d.ks:2: "));
  EXPECT_TRUE(
      refused("d.ks", "text\n\nuser --name=ops --shell=/bin/\x01\n").starts_with("d.ks:3: "));
  EXPECT_TRUE(refused("d.ks", "text\nservices --enabled=cups\n%post --log=/\x01\n%end\n")
                  .starts_with("d.ks:3: "));
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

/// What Kickstart allows and a recipe does not.
TEST_F(ProfileTest, LinesThatARecipeHasNoWordsForStillMakeARecipe) {
  for (const char* text : {"part /a --size=100 --label=\"My Root\"\n",
                           "part /an-absolutely-endless-mount-point-of-many-letters --size=100\n",
                           "part /a-b --size=100\npart /a/b --size=100\n",
                           "part /a/b/c/mysql-1 --size=100\npart /a/b/c/mysql-2 --size=100\n",
                           "part \"/my data\" --size=100\npart /x/../y --size=1\n",
                           "part / --size=-5\n",
                           "part /data --size=99999999999\n",
                           "part /data --size=16777216\npart /more --size=16777216\n",
                           "user --name=Ops\nuser --name=a.b\nuser --name=root\n",
                           "user --name=ops --groups=Foo,a:b --shell=bash\n",
                           "user --name=ops --shell=\"/bin/a b\" --password=\"\"\n",
                           "firewall --port=80:sctp,0:tcp,70000:udp,a-b\n",
                           "lang xx_YY.ISO-8859-1\n",
                           "lang english\n",
                           "keyboard 105\n",
                           "timezone EST5EDT\n",
                           "sshkey --username=root \"ssh-ed25519 AAAA\"\n",
                           "rootpw \"!secret\"\n",
                           "bootloader --append=\"a=b 'c d' \\\"e\\\"\"\n",
                           "services --enabled=network,chronyd\n",
                           "%packages\nglibc.i686\n@core --nodefaults\n*\n%end\n",
                           "%post --interpreter=/usr/bin/python3 --log=/root/py.log\n%end\n"}) {
    const auto profile = recipe_of_profile(write("web.ks", text), "debian/12");
    ASSERT_TRUE(profile) << text << profile.error().text();
    const auto recipe = load(write("recipe.yaml", profile->yaml));
    EXPECT_TRUE(recipe) << text << recipe.error().text() << "\n" << profile->yaml;
  }
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
