// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe_files.hpp"

namespace goldmill::recipe {

using testing::HasSubstr;

class CloudConfigTest : public RecipeFiles {
 protected:
  static constexpr const char* kKey =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops";

  /// The document as a file beside the recipe.
  Result<Json> read(const std::string& text) {
    write("user-data", text);
    const Recipe recipe =
        TRY(load_text("recipe: web\nfrom: base\nprovision:\n  - cloud_config: user-data\n"));
    return std::get<CloudConfigStep>(recipe.provision.at(0).action).config;
  }
  std::string refusal(const std::string& text) {
    const auto config = read("#cloud-config\n" + text);
    return config ? "accepted: " + canonical(*config)
                  : config.error().text() + "\nhint: " + config.error().hint;
  }
};

TEST_F(CloudConfigTest, ReadsADocumentInCloudInitsManyForms) {
  const auto config = read(std::string("#cloud-config\n") + R"(
packages: [nginx, [less, 590-2]]
package_update: true
write_files:
  - {path: /etc/a, content: "hello\n", permissions: '0o600', owner: "www-data:adm", append: true}
  - {path: /etc/b, content: !!binary "AAEC\n  AwQ=", defer: true}
  - {path: /etc/c, content: H4sI, encoding: gz+b64}
groups: [plain, {team: [ops, dev]}]
users:
  - dev
  - {name: ops, groups: "adm, staff", sudo: ["ALL=(ALL) NOPASSWD:ALL"], lock_passwd: false, uid: 1500}
ssh_authorized_keys: [)" + '"' +
                           kKey + '"' + R"(]
runcmd: ["echo a > /b", [printf, "it's %s", x]]
timezone: Europe/Berlin
locale: de_DE
ntp: {servers: [ntp.example.org]}
ca_certs: {trusted: ["-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"]}
)");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(find_strings(*config, "packages"), (std::vector<std::string>{"nginx", "less=590-2"}));
  const Json& files = config->at("files");
  EXPECT_EQ(files[0]["mode"], "600");
  EXPECT_EQ(files[0]["owner"], "www-data:adm");
  EXPECT_TRUE(files[0]["append"]);
  EXPECT_EQ(files[1]["content"], "AAECAwQ=");
  EXPECT_TRUE(files[1]["base64"]);
  EXPECT_TRUE(files[1]["defer"]);
  EXPECT_TRUE(files[2]["gzip"]);
  EXPECT_EQ(config->at("groups")[1], (Json{{"name", "team"}, {"members", {"ops", "dev"}}}));
  const Json& users = config->at("users");
  EXPECT_EQ(users[0], (Json{{"name", "dev"}, {"keys", {kKey}}})) << "the first user's";
  EXPECT_EQ(find_strings(users[1], "groups"), (std::vector<std::string>{"adm", "staff"}));
  EXPECT_EQ(users[1]["lock_passwd"], false);
  EXPECT_EQ(config->at("runcmd"), "echo a > /b\n'printf' 'it'\\''s %s' 'x'\n");
  EXPECT_EQ(config->at("locale"), "de_DE.UTF-8");
  EXPECT_FALSE(config->contains("package_update")) << "the indexes are goldmill's";
}

TEST_F(CloudConfigTest, WhatMakesNoSenseForAnImageIsRefusedWithItsReason) {
  EXPECT_THAT(refusal("hostname: web1\n"), HasSubstr("user-data:2:11: 'hostname' is not applied"));
  EXPECT_THAT(refusal("hostname: web1\n"), HasSubstr("hint: leave it to"));
  EXPECT_THAT(refusal("bootcmd: [ls]\n"), HasSubstr("each boot"));
  EXPECT_THAT(refusal("package_upgrade: true\n"), HasSubstr("initramfs"));
  EXPECT_THAT(refusal("users: [default]\n"), HasSubstr("'default' is the user of a cloud's"));
  EXPECT_THAT(refusal("users: [{name: a, plain_text_passwd: secret}]\n"),
              HasSubstr("users.plain_text_passwd"));
  EXPECT_THAT(refusal("write_files: [{path: /a, source: {uri: x}}]\n"), HasSubstr("elsewhere"));
}

TEST_F(CloudConfigTest, MistakesAreNamedWithTheirPlace) {
  EXPECT_THAT(refusal("pakages: [a]\n"), HasSubstr("did you mean 'packages'?"));
  EXPECT_THAT(refusal("write_files: [{path: /a, contents: x}]\n"),
              HasSubstr("did you mean 'content'?"));
  EXPECT_THAT(refusal("write_files: [{content: x}]\n"), HasSubstr("has no 'path'"));
  EXPECT_THAT(refusal("write_files: [{path: a}]\n"), HasSubstr("'a' is not the absolute path"));
  EXPECT_THAT(refusal("write_files: [{path: /a, content: '*', encoding: b64}]\n"),
              HasSubstr("is not base64"));
  EXPECT_THAT(refusal("users: [{name: a, passwd: hunter2}]\n"),
              HasSubstr("'users.passwd' is not a password hash"));
  EXPECT_THAT(refusal("users: [{name: a, ssh_authorized_keys: [nonsense]}]\n"),
              HasSubstr("is not an SSH public key"));
  EXPECT_THAT(refusal("ssh_authorized_keys: [" + std::string(1, '"') + kKey + "\"]\n"),
              HasSubstr("first of 'users'"));
  EXPECT_THAT(refusal("timezone: Europe/Berlin; reboot\n"), HasSubstr("is not a time zone"));
  EXPECT_THAT(refusal("runcmd: ls\n"), HasSubstr("'runcmd' must be a list"));
  const auto script = read("#!/bin/sh\nls\n");
  ASSERT_FALSE(script);
  EXPECT_THAT(script.error().text(), HasSubstr("user-data:1:1: this is no cloud-config"));
  const auto filled_in = read("##template: jinja\n#cloud-config\ntimezone: {{ ds.zone }}\n");
  ASSERT_FALSE(filled_in);
  EXPECT_THAT(filled_in.error().text(), HasSubstr("user-data:1:1: this is a template"));
}

TEST_F(CloudConfigTest, StandsInTheRecipeAsWell) {
  const auto recipe = load_text(
      "recipe: web\nfrom: base\nprovision:\n"
      "  - cloud_config: {write_files: [{path: /a, content: !!binary AAEC}]}\n");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_THAT(load_text("recipe: web\nfrom: base\nprovision:\n  - cloud_config: {hostname: a}\n")
                  .error()
                  .text(),
              HasSubstr("4:30: 'hostname' is not applied"));
  for (const char* text : {"recipe: !!binary d2Vi\nfrom: base\n",
                           "recipe: web\nfrom: base\nprovision:\n"
                           "  - shell: {script: !!binary AAEC}\n"}) {
    EXPECT_THAT(load_text(text).error().text(), HasSubstr("!!binary is not allowed here"));
  }
}

}  // namespace goldmill::recipe
