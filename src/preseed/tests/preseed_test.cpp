// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <goldmill/preseed/import.hpp>
#include <goldmill/preseed/preseed.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::preseed {
namespace {

using kickstart::Import;
using kickstart::ImportRow;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class PreseedTest : public testing::Test {
 protected:
  Result<Import> import(std::string_view text, const std::string& os = "debian/12") const {
    const auto file = scratch_.path() / "server.preseed";
    EXPECT_TRUE(system::write_file(file, text));
    return import_preseed({file, os});
  }

  static std::string note_of(const Import& import, int line) {
    for (const ImportRow& row : import.rows) {
      if (row.line == line) {
        return std::string(name_of(row.verdict)) + ": " + row.note;
      }
    }
    return "nothing";
  }

 private:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
};

/// As debconf-set-selections reads them: comments may go on too, values keep their inner spaces.
TEST_F(PreseedTest, LinesAreJoinedAsDebconfJoinsThem) {
  const Reading reading = read_preseed(
      "#_preseed_V1\r\n\n# a comment \\\nd-i lost/line string x\n"
      "d-i\tpkgsel/include  string\ta \\\n   b\\\n c\n"
      "postfix postfix/mailname string\n  d-i time/zone string Europe/Berlin  \n");
  EXPECT_TRUE(reading.problems.empty());
  ASSERT_EQ(reading.answers.size(), 3U);
  EXPECT_EQ(reading.answers[0].line, 5);
  EXPECT_EQ(reading.answers[0].value, "a    b c");
  EXPECT_EQ(reading.answers[1].value, "");
  EXPECT_EQ(reading.answers[2].value, "Europe/Berlin");
}

TEST_F(PreseedTest, WhatIsNoAnswerIsRefusedWithItsLine) {
  const auto imported = import("d-i time/zone string UTC\nd-i oops\nd-i x/y string \x01\n");
  ASSERT_FALSE(imported);
  EXPECT_THAT(imported.error().message, HasSubstr("server.preseed:2: an answer is OWNER"));
  EXPECT_THAT(imported.error().message, HasSubstr("server.preseed:3: not UTF-8 text"));
  EXPECT_FALSE(import("# nothing\n"));
  const auto recipe =
      import("d-i a/b string x\nd-i partman-auto/expert_recipe string \\\n  r :: 1 2\n");
  ASSERT_FALSE(recipe);
  EXPECT_THAT(recipe.error().message, HasSubstr("server.preseed:2: the expert recipe: a size"));
}

TEST_F(PreseedTest, SaysOfManyProblemsTheFirstAndHowManyThereAre) {
  std::string text;
  for (int i = 0; i < 150; ++i) {
    text += "oops\n";
  }
  const Reading reading = read_preseed(text);
  ASSERT_EQ(reading.problems.size(), 101U);
  EXPECT_EQ(reading.problems.back().line, 101);
  EXPECT_EQ(reading.problems.back().message, "and 50 more");
}

/// Each of them was looked for among all that came before.
TEST_F(PreseedTest, ManyAnswersTakeNoLongerThanTheyAre) {
  std::string text;
  std::string packages = "d-i pkgsel/include string";
  for (int i = 0; i < 25'000; ++i) {
    text += "pp p/" + std::to_string(i) + " string x\n";
    packages += " p" + std::to_string(i);
  }
  text += "pp p/0 string y\n";
  const auto imported = import(text + packages + "\n");
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->recipe["debconf"].size(), 25'000U);
  EXPECT_EQ(imported->recipe["debconf"][0]["value"], "y");
  EXPECT_EQ(imported->places.at("debconf.0").line, 25'001);
  EXPECT_EQ(imported->recipe["packages"].size(), 25'000U);
}

TEST_F(PreseedTest, BecomesARecipe) {
  const auto imported = import(R"(d-i debian-installer/locale string de_DE
d-i keyboard-configuration/xkb-keymap select de
d-i netcfg/choose_interface select auto
d-i time/zone string Europe/Berlin
d-i passwd/root-login boolean false
d-i passwd/username string ops
d-i passwd/user-fullname string Operations
d-i passwd/user-password password geheim
d-i passwd/user-password-again password geheim
d-i mirror/http/proxy string http://proxy.example.org:3128
d-i debian-installer/add-kernel-opts string quiet mitigations=off
tasksel tasksel/first multiselect standard, web-server
d-i pkgsel/include string openssh-server, vim
d-i pkgsel/update-policy select unattended-upgrades
postfix postfix/main_mailer_type select Local only
mysql mysql/root_password password geheim
d-i preseed/late_command string in-target touch /etc/made
d-i preseed/early_command string anna-install x
)");
  ASSERT_TRUE(imported) << imported.error().text();
  const Json& recipe = imported->recipe;
  EXPECT_EQ(recipe.at("recipe"), "server");
  EXPECT_EQ(recipe.at("baseline").at("locale"), "de_DE.UTF-8");
  EXPECT_EQ(recipe.at("baseline").at("keyboard"), "de");
  EXPECT_EQ(recipe.at("baseline").at("timezone"), "Europe/Berlin");
  EXPECT_EQ(recipe.at("baseline").at("root"), "locked");
  const Json& user = recipe.at("baseline").at("users").at(0);
  EXPECT_EQ(user.at("name"), "ops");
  EXPECT_EQ(user.at("sudo"), true);
  EXPECT_THAT(user.at("password").get<std::string>(), testing::StartsWith("$6$"));
  EXPECT_EQ(recipe.at("proxy"), "http://proxy.example.org:3128");
  EXPECT_EQ(recipe.at("disk").at("kernel_options"), (Json{"mitigations=off"}));
  EXPECT_EQ(recipe.at("packages"),
            (Json{"task-web-server", "openssh-server", "vim", "unattended-upgrades"}));
  EXPECT_EQ(recipe.at("debconf").at(0).at("value"), "Local only");
  ASSERT_EQ(recipe.at("debconf").size(), 1U);
  ASSERT_EQ(recipe.at("provision").size(), 2U);
  EXPECT_THAT(recipe.at("provision").at(0).at("shell").dump(), HasSubstr("usermod --comment"));
  EXPECT_THAT(recipe.at("provision").at(1).at("shell").dump(), HasSubstr("touch /etc/made"));
  EXPECT_THAT(recipe.dump(), Not(HasSubstr("geheim")));
  EXPECT_EQ(imported->rows.size(), 18U);
  for (const ImportRow& row : imported->rows) {
    EXPECT_THAT(row.text, Not(HasSubstr("geheim")));
  }
  EXPECT_THAT(note_of(*imported, 12), HasSubstr("'standard' is left out"));
  EXPECT_THAT(note_of(*imported, 16), HasSubstr("would stand in the image"));
  EXPECT_THAT(note_of(*imported, 18), HasSubstr("not_applicable: a script of the installer's own"));
}

TEST_F(PreseedTest, AnExpertRecipeBecomesPartitions) {
  const auto imported = import(R"(d-i partman-auto/method string lvm
d-i partman-auto/expert_recipe string \
  multi :: \
    1 1 1 free $bios_boot{ } method{ biosgrub } . \
    512 512 512 fat32 $primary{ } method{ efi } format{ } . \
    512 512 512 ext4 $primary{ } method{ format } format{ } mountpoint{ /boot } . \
    2048 2048 200% linux-swap $lvmok{ } method{ swap } format{ } . \
    10000 5000 -1 xfs $lvmok{ } method{ format } format{ } use_filesystem{ } filesystem{ xfs } \
      mountpoint{ / } . \
    5000 4000 6000 ext4 method{ format } format{ } mountpoint{ /var/lib } label{ data } .
)");
  ASSERT_TRUE(imported) << imported.error().text();
  const Json& disk = imported->recipe.at("disk");
  ASSERT_EQ(disk.at("partitions").size(), 3U);
  EXPECT_EQ(disk.at("partitions").at(0).at("filesystem"), "swap");
  EXPECT_EQ(disk.at("partitions").at(0).at("size"), "1024MiB");
  EXPECT_EQ(disk.at("partitions").at(1).at("mount"), "/var/lib");
  EXPECT_EQ(disk.at("partitions").at(1).at("label"), "data");
  EXPECT_EQ(disk.at("partitions").at(2).at("mount"), "/");
  const std::string note = note_of(*imported, 2);
  for (const char* part : {"boot partitions are always added",
                           "/boot is a directory",
                           "share of the memory",
                           "ext4 instead of xfs"}) {
    EXPECT_THAT(note, HasSubstr(part));
  }
}

TEST_F(PreseedTest, OnUbuntuTasksAreNoPackages) {
  const auto imported =
      import("tasksel tasksel/first multiselect openssh-server, lamp-server\n", "ubuntu/24.04");
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->recipe.at("packages"), (Json{"openssh-server"}));
  EXPECT_THAT(note_of(*imported, 1), HasSubstr("'lamp-server' is no task that is known"));
}

}  // namespace
}  // namespace goldmill::preseed
