// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <goldmill/recipe/profile.hpp>

#include "recipe_files.hpp"

namespace goldmill::recipe {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class UserDataTest : public RecipeFiles {
 protected:
  std::string note_of(const ProfileRecipe& profile, const std::string& key) const {
    for (const kickstart::ImportRow& row : profile.rows) {
      if (row.text == key + ":") {
        return std::string(name_of(row.verdict)) + " " + std::to_string(row.line) + ": " + row.note;
      }
    }
    return "nothing";
  }
};

constexpr const char* kUserData = R"(#cloud-config
hostname: web
timezone: Europe/Berlin
locale: de_DE.utf8
keyboard: {layout: de, variant: nodeadkeys}
ssh_pwauth: false
groups:
  - web: [ops]
users:
  - default
  - name: ops
    gecos: Operations
    groups: sudo, adm
    shell: /bin/sh
    lock_passwd: false
    plain_text_passwd: geheim
    ssh_authorized_keys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops
package_update: true
packages: [nginx, [curl, 7.88.1-10], nginx]
write_files:
  - {path: /etc/motd, content: "hello ${name}\n", permissions: "0600", owner: "root:adm"}
runcmd:
  - [sh, -c, "echo it's"]
  - systemctl enable nginx
power_state: {mode: reboot}
)";

TEST_F(UserDataTest, BecomesARecipe) {
  const auto file = write("user-data", kUserData);
  EXPECT_EQ(kind_of_file(file), AnswerFile::user_data);
  const auto loaded = load(file, {.set = {}, .os = "ubuntu/24.04", .settings = {}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->name, "user-data");
  EXPECT_EQ(loaded->baseline.timezone, "Europe/Berlin");
  EXPECT_EQ(loaded->baseline.locale, "de_DE.UTF-8");
  EXPECT_EQ(loaded->baseline.keyboard, "de-nodeadkeys");
  EXPECT_EQ(loaded->baseline.ssh_passwords, false);
  ASSERT_EQ(loaded->baseline.users->size(), 2U);
  EXPECT_EQ(loaded->baseline.users->at(0).name, "ubuntu");
  const User& ops = loaded->baseline.users->at(1);
  EXPECT_TRUE(ops.sudo);
  EXPECT_THAT(ops.groups, ElementsAre("adm"));
  EXPECT_EQ(ops.ssh_keys.size(), 1U);
  EXPECT_THAT(ops.password_hash, testing::StartsWith("$6$"));
  ASSERT_EQ(loaded->packages.size(), 2U);
  EXPECT_EQ(loaded->packages[1].version, "7.88.1-10");
  ASSERT_EQ(loaded->provision.size(), 3U);
  const auto& files = std::get<FilesStep>(loaded->provision[1].action).files;
  EXPECT_EQ(files.at(0).content, "hello ${name}\n");
  EXPECT_EQ(files.at(0).mode, 0600U);
  EXPECT_EQ(files.at(0).group, "adm");
  EXPECT_EQ(std::get<ShellStep>(loaded->provision[2].action).script,
            "#!/bin/sh\n'sh' '-c' 'echo it'\\''s'\nsystemctl enable nginx\n");
}

TEST_F(UserDataTest, HasAWordOnEveryKey) {
  const auto profile = recipe_of_profile(write("user-data", kUserData), "debian/12");
  ASSERT_TRUE(profile) << profile.error().text();
  EXPECT_EQ(profile->rows.size(), 12U);
  EXPECT_THAT(note_of(*profile, "hostname"), HasSubstr("not_applicable 2: each instance"));
  EXPECT_THAT(note_of(*profile, "users"), HasSubstr("changed 9: ops: not taken over: gecos"));
  EXPECT_THAT(note_of(*profile, "write_files"), HasSubstr("mapped"));
  EXPECT_THAT(note_of(*profile, "power_state"), HasSubstr("nothing runs while"));
  EXPECT_THAT(profile->yaml, Not(HasSubstr("geheim")));
}

TEST_F(UserDataTest, FilesThatAFilesStepCannotWriteAreOfACloudConfigStep) {
  const auto file = write("files", R"(#cloud-config
write_files:
  - {path: /etc/hosts, append: true, content: "192.0.2.1 ${db}\n"}
  - {path: /etc/b, content: !!binary aGVsbG8K}
  - {path: /etc/z, encoding: gz+b64, content: H4sIAAAAAAAAAytITM5OTeECAEPgQS8HAAAA}
)");
  const auto loaded = load(file, {.set = {}, .os = "debian/12", .settings = {}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  ASSERT_EQ(loaded->provision.size(), 1U);
  const Json files = std::get<CloudConfigStep>(loaded->provision[0].action).config["files"];
  EXPECT_EQ(files[0]["append"], true);
  EXPECT_EQ(files[0]["content"], "192.0.2.1 ${db}\n");
  EXPECT_EQ(files[1]["content"], "aGVsbG8K");
  EXPECT_EQ(files[1]["base64"], true);
  EXPECT_EQ(files[2]["gzip"], true);
}

TEST_F(UserDataTest, LockedPasswordsStayLocked) {
  const auto file = write("users", R"(#cloud-config
users:
  - {name: a, plain_text_passwd: geheim}
  - {name: b, lock_passwd: true, plain_text_passwd: geheim}
)");
  const auto loaded = load(file, {.set = {}, .os = "debian/12", .settings = {}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  for (const User& user : *loaded->baseline.users) {
    EXPECT_EQ(user.password_hash, "") << user.name;
  }
  EXPECT_THAT(note_of(*recipe_of_profile(file, "debian/12"), "users"),
              HasSubstr("plain_text_passwd (lock_passwd is not false)"));
}

TEST_F(UserDataTest, PackagesOfAptAreTaken) {
  const auto file =
      write("p", "#cloud-config\npackages: [{apt: [git, [curl, 7.1]]}, {snap: [x]}]\n");
  const auto loaded = load(file, {.set = {}, .os = "debian/12", .settings = {}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  ASSERT_EQ(loaded->packages.size(), 2U);
  EXPECT_EQ(loaded->packages[1].version, "7.1");
  EXPECT_THAT(note_of(*recipe_of_profile(file, "debian/12"), "packages"),
              HasSubstr("snap is not of Debian's family"));
  EXPECT_TRUE(
      load(write("none", "#cloud-config\n"), {.set = {}, .os = "debian/12", .settings = {}}));
}

TEST_F(UserDataTest, WhatIsWrongHasItsPlace) {
  const auto error = [this](const char* text) {
    const auto loaded = load(write("u.yaml", text), {.set = {}, .os = "debian/12", .settings = {}});
    return loaded ? "" : loaded.error().message;
  };
  EXPECT_THAT(error("#cloud-config\n- x\n"), HasSubstr("u.yaml:2:1: a cloud-config document is"));
  EXPECT_THAT(error("#cloud-config\nusers: [{gecos: x}]\n"),
              HasSubstr("u.yaml:2:9: a user has no"));
  EXPECT_THAT(error("#cloud-config\nwrite_files: [{content: x}]\n"), HasSubstr("u.yaml:2:15:"));
  EXPECT_THAT(error("#cloud-config\na: &x 1\n"), HasSubstr("u.yaml:2:"));
  EXPECT_THAT(error("## template: jinja\n#cloud-config\nhostname: {{ v1.name }}\n"),
              HasSubstr("u.yaml:1:1: this is a template"));
  EXPECT_EQ(kind_of_file(write("r.yaml", "#cloud-config-archive\n")), AnswerFile::none);
}

TEST_F(UserDataTest, FilesAreKnownByNameThenByContent) {
  EXPECT_EQ(kind_of_file(write("a.ks", "d-i time/zone string UTC\n")), AnswerFile::kickstart);
  EXPECT_EQ(kind_of_file(write("a.preseed", "timezone UTC\n")), AnswerFile::preseed);
  EXPECT_EQ(kind_of_file(write("a.seed", "")), AnswerFile::preseed);
  EXPECT_EQ(kind_of_file(write("a.cfg", "# x\n\nd-i time/zone string UTC\n")), AnswerFile::preseed);
  EXPECT_EQ(kind_of_file(write("b.cfg", "#_preseed_V1\n")), AnswerFile::preseed);
  EXPECT_EQ(kind_of_file(write("c.cfg", "# x\ntimezone UTC\n")), AnswerFile::kickstart);
  EXPECT_EQ(kind_of_file(write("d.cfg", "part / --size=1 select\n")), AnswerFile::kickstart);
  EXPECT_EQ(kind_of_file(write("r.yaml", "recipe: r\n")), AnswerFile::none);
}

/// A site has names for its own packages.
TEST_F(UserDataTest, SettingsNamePackages) {
  const auto settings = write("settings.yaml", "package_names: {httpd: nginx, our-tools: \"\"}\n");
  const auto loaded = load(write("w.ks", "%packages\nhttpd\nour-tools\nvim-enhanced\n%end\n"),
                           {.set = {}, .os = "debian/12", .settings = {settings}});
  ASSERT_TRUE(loaded) << loaded.error().text();
  ASSERT_EQ(loaded->packages.size(), 2U);
  EXPECT_EQ(loaded->packages[0].name, "nginx");
  EXPECT_EQ(loaded->packages[1].name, "vim");
}

}  // namespace goldmill::recipe
