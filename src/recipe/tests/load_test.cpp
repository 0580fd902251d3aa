// SPDX-License-Identifier: GPL-3.0-or-later
// Good recipes: what they become. Bad ones are golden files (golden_test.cpp).
#include <gmock/gmock.h>

#include "recipe_files.hpp"

namespace goldmill::recipe {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class LoadTest : public RecipeFiles {};

constexpr const char* kKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops";

TEST_F(LoadTest, ReadsEveryKeyOfABase) {
  write("ops.pub", std::string("# the team\n") + kKey + "\n");
  const auto recipe = load_text(R"(
recipe: base
os: ubuntu/24.04
architecture: arm64
hardware: [nvme, virtio]
clouds: [ec2, openstack]
baseline:
  timezone: Europe/Berlin
  locale: de_DE.UTF-8
  keyboard: de-nodeadkeys
  network: none
  firewall: {inbound: [http, 53/udp]}
  root: "$6$saltsalt$abcdefghijklmnop"
  users:
    - {name: ops, sudo: true, ssh_keys: [file:ops.pub], shell: /bin/sh, groups: [adm]}
  ssh: {passwords: true}
  security: none
proxy: http://proxy.example.org:3128
recommends: true
disk: {size: 8GiB, boot: [uefi]}
promises: {disk_used: 400MiB, image_size: 150MiB, boot_seconds: 9,
           commands: ["true"], services: [ssh.service], ports: [http]}
)");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_EQ(recipe->name, "base");
  EXPECT_TRUE(recipe->is_base());
  EXPECT_EQ(recipe->os->family, "ubuntu");
  EXPECT_EQ(recipe->os->release, "24.04");
  EXPECT_EQ(recipe->os->architecture, "arm64");
  EXPECT_THAT(recipe->hardware, ElementsAre(Hardware::nvme, Hardware::virtio));
  EXPECT_THAT(*recipe->clouds, ElementsAre("ec2", "openstack"));
  EXPECT_EQ(recipe->baseline.timezone, "Europe/Berlin");
  EXPECT_EQ(recipe->baseline.keyboard, "de-nodeadkeys");
  EXPECT_EQ(recipe->baseline.network, "none");
  EXPECT_THAT(*recipe->baseline.firewall_inbound, ElementsAre("http", "53/udp"));
  EXPECT_THAT(*recipe->baseline.root, StartsWith("$6$"));
  ASSERT_EQ(recipe->baseline.users->size(), 1U);
  const User& user = recipe->baseline.users->front();
  EXPECT_TRUE(user.sudo);
  EXPECT_THAT(user.ssh_keys, ElementsAre(kKey));
  EXPECT_EQ(user.shell, "/bin/sh");
  EXPECT_THAT(user.groups, ElementsAre("adm"));
  EXPECT_EQ(recipe->baseline.ssh_passwords, true);
  EXPECT_EQ(recipe->proxy, "http://proxy.example.org:3128");
  EXPECT_EQ(recipe->recommends, true);
  EXPECT_EQ(recipe->disk->size, 8_GiB);
  EXPECT_THAT(recipe->disk->boot, ElementsAre(Firmware::uefi));
  EXPECT_EQ(recipe->promises.disk_used, 400_MiB);
  EXPECT_EQ(recipe->promises.boot_seconds, 9);
  EXPECT_THAT(recipe->promises.commands, ElementsAre("true"));
  EXPECT_TRUE(recipe->file.is_absolute());
}

TEST_F(LoadTest, ReadsPackagesAndRepositories) {
  write("tool_1.0_amd64.deb", "!<arch>\n");
  write("archive.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n");
  const auto recipe = load_text(R"(
recipe: web
from: base@7
packages: [nginx, "openssl=1:3.0.11-1~deb12u2", ./tool_1.0_amd64.deb, -nano]
repositories:
  - uri: https://mirror.example.org/debian
    suites: [bookworm]
    components: [main]
    key: file:archive.asc
apt:
  sources:
    - |
      Types: deb
      URIs: https://mirror.example.org/debian
      Suites: bookworm
      Components: main
)");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_FALSE(recipe->is_base());
  EXPECT_EQ(recipe->from, "base@7");
  ASSERT_EQ(recipe->packages.size(), 4U);
  EXPECT_EQ(recipe->packages[1].name, "openssl");
  EXPECT_EQ(recipe->packages[1].version, "1:3.0.11-1~deb12u2");
  EXPECT_EQ(recipe->packages[1].position.line, 4);
  EXPECT_EQ(recipe->packages[2].kind, PackageRequest::Kind::local);
  EXPECT_EQ(recipe->packages[2].file, at("tool_1.0_amd64.deb"));
  EXPECT_EQ(recipe->packages[3].kind, PackageRequest::Kind::remove);
  EXPECT_EQ(recipe->packages[3].name, "nano");
  ASSERT_EQ(recipe->repositories.size(), 1U);
  EXPECT_EQ(recipe->repositories[0].key, at("archive.asc"));
  EXPECT_EQ(recipe->apt_sources.size(), 1U);
}

TEST_F(LoadTest, ReadsStepsAndSecrets) {
  write("setup.sh", "echo ${HOME}\n");
  write("motd", "hello\n");
  write("web.pp", "");
  std::filesystem::create_directory(at("site"));
  const auto recipe = load_text(R"(
recipe: web
from: base:stable
secrets: [{name: token, version: 3, env: TOKEN}, {name: cert, version: "b", file: c.pem}]
provision:
  - shell: {file: setup.sh, secrets: [token], network: true}
  - shell: {script: "echo $${HOME}"}
  - files:
      - {source: motd, target: /etc/motd, mode: 0600, owner: 33, group: adm}
      - {content: "x", target: /etc/x, mode: "4755"}
  - puppet: {manifest: web.pp, facts: {n: 3, f: 1.5, b: true, s: "7", o: 0644},
             modules: [apache, ./site]}
)");
  ASSERT_TRUE(recipe) << recipe.error().text();
  EXPECT_EQ(recipe->secrets[0].variable, "TOKEN");
  EXPECT_EQ(recipe->secrets[0].version, "3");
  EXPECT_EQ(recipe->secrets[1].file, at("c.pem"));
  ASSERT_EQ(recipe->provision.size(), 4U);
  const auto& first = std::get<ShellStep>(recipe->provision[0].action);
  EXPECT_EQ(first.script, "echo ${HOME}\n") << "files are not touched by parameters";
  EXPECT_TRUE(first.network);
  EXPECT_THAT(first.secrets, ElementsAre("token"));
  EXPECT_EQ(std::get<ShellStep>(recipe->provision[1].action).script, "echo ${HOME}");
  const auto& files = std::get<FilesStep>(recipe->provision[2].action).files;
  EXPECT_EQ(files[0].mode, 0600U) << "a bare 0600 is octal as written";
  EXPECT_EQ(files[0].owner, "33");
  EXPECT_EQ(files[1].mode, 04755U);
  const auto& puppet = std::get<PuppetStep>(recipe->provision[3].action);
  EXPECT_EQ(puppet.manifest, at("web.pp"));
  EXPECT_EQ(puppet.modules[0].name, "apache");
  EXPECT_EQ(puppet.modules[0].directory, "");
  EXPECT_EQ(puppet.modules[1].directory, at("site"));
  EXPECT_EQ(canonical(puppet.facts), R"({"b":true,"f":"1.5","n":3,"o":"0644","s":"7"})");
}

TEST_F(LoadTest, ReadsPackagesAndPlaybooksAmongTheSteps) {
  write("db.yml", "");
  std::filesystem::create_directory(at("own"));
  const auto recipe = load_text(R"(
recipe: db
from: base
provision:
  - packages: [less=590-2, -nano]
  - ansible: {playbook: db.yml, roles: [own], collections: [community.postgresql, ./own],
              groups: [db], extra_vars: {port: 8080}}
)");
  ASSERT_TRUE(recipe) << recipe.error().text();
  const auto& packages = std::get<PackagesStep>(recipe->provision[0].action).packages;
  EXPECT_EQ(packages[0].version, "590-2");
  EXPECT_EQ(packages[1].kind, PackageRequest::Kind::remove);
  const auto& ansible = std::get<AnsibleStep>(recipe->provision[1].action);
  EXPECT_EQ(ansible.playbook, at("db.yml"));
  EXPECT_EQ(ansible.roles[0].directory, at("own")) << "a role is always a directory";
  EXPECT_EQ(ansible.collections[0].directory, "");
  EXPECT_EQ(ansible.collections[1].directory, at("own"));
  EXPECT_THAT(ansible.groups, ElementsAre("db"));
  EXPECT_EQ(canonical(ansible.extra_vars), R"({"port":8080})");
}

TEST_F(LoadTest, ReadsPartitions) {
  const auto recipe = load_text(R"(
recipe: base
os: debian/12
disk:
  size: 4GiB
  partitions:
    - {name: swap, size: 512MiB, filesystem: swap}
    - {name: data, size: 1GiB, mount: /var/lib}
    - {name: root, mount: /, label: system}
)");
  ASSERT_TRUE(recipe) << recipe.error().text();
  ASSERT_EQ(recipe->disk->partitions.size(), 3U);
  EXPECT_EQ(recipe->disk->partitions[0].mount, "");
  EXPECT_EQ(recipe->disk->partitions[1].label, "data");
  EXPECT_EQ(recipe->disk->partitions[2].label, "system");
  EXPECT_FALSE(recipe->disk->partitions[2].size);
}

/// What this machine's tzdata does not know may be in a guest's.
TEST_F(LoadTest, OfTimeZonesOnlySlipsAreRefused) {
  if (!std::filesystem::exists("/usr/share/zoneinfo/tzdata.zi") &&
      !std::filesystem::exists("/usr/share/zoneinfo/zone1970.tab")) {
    GTEST_SKIP() << "no tzdata is installed";
  }
  const auto refusal = [this](const std::string& zone) {
    return refusal_of("recipe: r\nos: debian/12\nbaseline: {timezone: " + zone + "}\n");
  };
  const auto slip = refusal("Europe/Berln");
  ASSERT_TRUE(slip);
  EXPECT_EQ(slip->kind, ErrorKind::invalid_input);
  EXPECT_EQ(slip->message, "r.yaml:3:22: there is no time zone 'Europe/Berln'");
  EXPECT_EQ(slip->hint, "did you mean 'Europe/Berlin'?");
  for (const char* zone : {"UTC",
                           "Europe/Berlin",
                           "America/Argentina/Ushuaia",
                           "Mars/Olympus_Mons",
                           "Europe/New_Berlin"}) {
    EXPECT_FALSE(refusal(zone)) << zone;
  }
}

TEST_F(LoadTest, ParametersReplaceEverywhereAndSetWins) {
  const char* text = R"(
recipe: java
from: base
parameters: {java: "17", size: 4GiB, flag: "true"}
packages: ["openjdk-${java}-jre"]
recommends: ${flag}
disk: {size: "${size}"}
)";
  const auto plain = load_text(text);
  ASSERT_TRUE(plain) << plain.error().text();
  EXPECT_EQ(plain->packages[0].name, "openjdk-17-jre");
  EXPECT_EQ(plain->recommends, true);
  const auto set = load_text(text, {{{"java", "21"}, {"size", "9GiB"}}});
  ASSERT_TRUE(set) << set.error().text();
  EXPECT_EQ(set->packages[0].name, "openjdk-21-jre");
  EXPECT_EQ(set->disk->size, 9_GiB);
  EXPECT_EQ(set->parameters.at("java"), "21");
  const auto slip = load_text(text, {{{"jawa", "21"}}});
  ASSERT_FALSE(slip);
  EXPECT_EQ(slip.error().kind, ErrorKind::invalid_input);
  EXPECT_THAT(slip.error().message, HasSubstr("r.yaml:4:13: there is no parameter 'jawa'"));
  EXPECT_EQ(slip.error().hint, "did you mean 'java'?");
  const auto bad = load_text(text, {{{"size", "9"}}});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("'9' has no unit"));
  EXPECT_FALSE(load_text(text, {{{"java", std::string("1\0", 2)}}}));
}

TEST_F(LoadTest, MissingFilesAreNotFound) {
  EXPECT_EQ(load(at("none.yaml")).error().kind, ErrorKind::not_found);
  const std::string deep = std::string(90, 'd') + "/" + std::string(90, 'd') + "/none.yaml";
  EXPECT_TRUE(load(at(deep)).error().message.ends_with("d/none.yaml'"));
  EXPECT_EQ(load(at("")).error().kind, ErrorKind::invalid_input) << "a directory";
}

class LineageTest : public RecipeFiles {};

TEST_F(LineageTest, FollowsFromToTheBase) {
  write("base.yaml",
        "recipe: base\nos: debian/12\nparameters: {zone: UTC}\n"
        "baseline: {timezone: \"${zone}\", firewall: {inbound: [ssh]}}\n"
        "disk: {size: 8GiB, boot: [uefi]}\nhardware: [virtio]\nclouds: [ec2]\n"
        "promises: {disk_used: 1GiB, commands: [a], ports: [http]}\n");
  write("mid.yaml",
        "recipe: mid\nfrom: base@3\npackages: [vim]\nclouds: []\n"
        "baseline: {locale: de_DE.UTF-8, firewall: {inbound: [http]}}\n"
        "promises: {boot_seconds: 5, commands: [b, a]}\n");
  const auto top = write("top.yaml", "recipe: top\nfrom: mid\ndisk: {size: 9GiB}\n");
  const auto lineage = load_lineage(top, {{{"zone", "Asia/Tokyo"}}});
  ASSERT_TRUE(lineage) << lineage.error().text();
  EXPECT_EQ(lineage->missing_parent, "");
  ASSERT_EQ(lineage->recipes.size(), 3U);
  EXPECT_EQ(lineage->recipes[0].name, "base");
  EXPECT_EQ(lineage->recipes[2].name, "top");

  const Recipe merged_recipe = merged(lineage->recipes);
  EXPECT_EQ(merged_recipe.name, "top");
  EXPECT_EQ(merged_recipe.from, "mid");
  EXPECT_FALSE(merged_recipe.is_base());
  EXPECT_EQ(merged_recipe.os->release, "12");
  EXPECT_EQ(merged_recipe.baseline.timezone, "Asia/Tokyo");
  EXPECT_EQ(merged_recipe.baseline.locale, "de_DE.UTF-8");
  EXPECT_THAT(*merged_recipe.baseline.firewall_inbound, ElementsAre("http")) << "lists replace";
  EXPECT_EQ(merged_recipe.baseline.root, "locked");
  EXPECT_EQ(merged_recipe.baseline.ssh_passwords, false);
  EXPECT_EQ(merged_recipe.baseline.security, "standard");
  EXPECT_EQ(merged_recipe.disk->size, 9_GiB);
  EXPECT_THAT(merged_recipe.disk->boot, ElementsAre(Firmware::uefi)) << "maps merge";
  EXPECT_THAT(merged_recipe.hardware, ElementsAre(Hardware::virtio));
  EXPECT_THAT(*merged_recipe.clouds, IsEmpty()) << "a variant may list none";
  EXPECT_THAT(*merged({lineage->recipes[0]}).clouds, ElementsAre("ec2"));
  EXPECT_THAT(merged_recipe.packages, IsEmpty()) << "packages are its own only";
  EXPECT_THAT(merged_recipe.promises.commands, ElementsAre("a", "b"));
  EXPECT_THAT(merged_recipe.promises.ports, ElementsAre("http"));
  EXPECT_FALSE(merged_recipe.promises.disk_used) << "budgets are not inherited";
  EXPECT_FALSE(merged_recipe.promises.boot_seconds);
}

TEST_F(LineageTest, DefaultsOfABareBase) {
  const auto base = load_text("recipe: r\nos: debian/13\n");
  ASSERT_TRUE(base);
  const Recipe all = merged({*base});
  EXPECT_EQ(all.baseline.timezone, "UTC");
  EXPECT_EQ(all.baseline.locale, "C.UTF-8");
  EXPECT_EQ(all.baseline.network, "dhcp");
  EXPECT_THAT(*all.baseline.firewall_inbound, ElementsAre("ssh"));
  EXPECT_EQ(all.hardware.size(), 5U);
  EXPECT_THAT(*all.clouds, IsEmpty());
  EXPECT_EQ(all.disk->size, 4_GiB);
  EXPECT_EQ(all.disk->boot.size(), 2U);
  EXPECT_EQ(all.recommends, false);
}

TEST_F(LineageTest, ADirectoryHasOtherYamlToo) {
  const auto b = write("b.yaml", "# A comment first.\nrecipe: b\nos: debian/12\n");
  const auto a = write("a.yaml", "recipe: [broken\n");
  write("playbook.yaml", "- hosts: all\n  vars: {recipe: x}\n");
  write("notes.txt", "recipe: c\n");
  const auto found = find_recipes(a.parent_path());
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_THAT(*found, testing::ElementsAre(a, b)) << "what is wrong with one is said on reading";
  EXPECT_EQ(find_recipes(a.parent_path() / "nowhere").error().kind, ErrorKind::not_found);
}

TEST_F(LineageTest, ParentWithoutRecipeIsNamed) {
  const auto lineage = load_lineage(write("a.yaml", "recipe: a\nfrom: gone:stable\n"));
  ASSERT_TRUE(lineage);
  EXPECT_EQ(lineage->missing_parent, "gone");
  EXPECT_EQ(lineage->recipes.size(), 1U);
}

TEST_F(LineageTest, CycleNamesItsMembers) {
  const auto a = write("a.yaml", "recipe: a\nfrom: b\n");
  write("b.yaml", "recipe: b\nfrom: c\n");
  write("c.yaml", "recipe: c\nfrom: a\n");
  const auto lineage = load_lineage(a);
  ASSERT_FALSE(lineage);
  EXPECT_EQ(lineage.error().kind, ErrorKind::invalid_input);
  EXPECT_THAT(lineage.error().message, HasSubstr("c.yaml:2:7: "));
  EXPECT_THAT(lineage.error().message, HasSubstr("a -> b -> c -> a"));
}

TEST_F(LineageTest, SetMustBeDeclaredSomewhere) {
  write("b.yaml", "recipe: b\nos: debian/12\nparameters: {zone: UTC}\n");
  const auto a = write("a.yaml", "recipe: a\nfrom: b\n");
  EXPECT_TRUE(load_lineage(a, {{{"zone", "x"}}}));
  const auto slip = load_lineage(a, {{{"zones", "x"}}});
  ASSERT_FALSE(slip);
  EXPECT_EQ(slip.error().hint, "did you mean 'zone'?");
}

TEST_F(LineageTest, AParentMustBearItsName) {
  write("b.yaml", "recipe: other\nos: debian/12\n");
  const auto lineage = load_lineage(write("a.yaml", "recipe: a\nfrom: b\n"));
  ASSERT_FALSE(lineage);
  EXPECT_THAT(lineage.error().message, HasSubstr("a.yaml:2:7: "));
}

}  // namespace goldmill::recipe
