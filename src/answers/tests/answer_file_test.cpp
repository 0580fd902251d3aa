// SPDX-License-Identifier: GPL-3.0-or-later
// Answer files and the way back. Judges of their own: debconf-set-selections, xmllint, ksvalidator
// where it is installed.
#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>

#include <goldmill/answers/answer_file.hpp>
#include <goldmill/kickstart/profile.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/snapshot.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::answers {
namespace {

namespace fs = std::filesystem;
using recipe::Recipe;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kServer = R"(recipe: server
os: debian/12
baseline:
  timezone: Europe/Berlin
  locale: de_DE.UTF-8
  keyboard: de-nodeadkeys
  firewall: {inbound: [8080/tcp, ssh, http]}
  root: "$6$saltsaltsalt$abcdefghijklmnopqrstuvwxyz"
  users:
    - name: ops
      sudo: true
      groups: [adm]
      ssh_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops"]
    - {name: dba, password: "$6$saltsaltsalt$zyxwvutsrqponmlkjihgfedcba", shell: /bin/sh}
proxy: http://proxy.example.org:3128
packages: [nginx, vim, -nano]
debconf: [{package: postfix, question: postfix/main_mailer_type, type: select, value: Local only}]
provision:
  - shell: {script: "echo \"it's ${HOME:-x}\" >/etc/made\n"}
  - files: [{target: /etc/motd, content: "hello\n"}]
disk:
  size: 8GiB
  kernel_options: [mitigations=off]
  partitions:
    - {name: swap, size: 512MiB, filesystem: swap}
    - {name: srv, size: 1GiB, mount: /srv, label: data}
    - {name: root, mount: /}
)";

class AnswerFileTest : public testing::Test {
 protected:
  fs::path at(std::string_view name) const { return scratch_.path() / name; }
  fs::path write(std::string_view name, std::string_view text) const {
    EXPECT_TRUE(system::write_file(at(name), text));
    return at(name);
  }

  Recipe load(const fs::path& file) const {
    auto recipe = recipe::load(file, {.set = {}, .os = "debian/12", .settings = {}});
    EXPECT_TRUE(recipe) << recipe.error().text();
    return recipe ? *std::move(recipe) : Recipe();
  }

  AnswerFile answers(std::string_view text, Installer installer) const {
    std::string escaped;  // ${ is a parameter's
    for (std::size_t i = 0; i < text.size(); ++i) {
      escaped +=
          text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{' ? "$$" : text.substr(i, 1);
    }
    return write_answers({load(write("server.yaml", escaped))}, installer);
  }

  /// Exit status and what was said; nothing when the program is not there.
  static std::optional<system::Output> run(std::vector<std::string> argv) {
    const auto there =
        system::process_runner().run(system::Command{.argv = {"which", argv.front()}});
    if (!there || there->status != 0) {
      return std::nullopt;
    }
    const auto output = system::process_runner().run(system::Command{.argv = std::move(argv)});
    return output ? std::optional(*output) : std::nullopt;
  }

  /// What holds, with open ports in one order: they are a set.
  static Json meaning(const Recipe& recipe) {
    Recipe merged = recipe::merged({recipe});
    std::sort(merged.baseline.firewall_inbound->begin(), merged.baseline.firewall_inbound->end());
    return to_snapshot(merged);
  }

  /// As far as a preseed file has words: one user, and no firewall.
  static void expect_same_machine(const Recipe& before,
                                  const Recipe& loaded,
                                  std::string_view text) {
    const Recipe after = recipe::merged({loaded});
    EXPECT_EQ(before.baseline.timezone, after.baseline.timezone) << text;
    EXPECT_EQ(before.baseline.locale, after.baseline.locale) << text;
    EXPECT_EQ(before.baseline.keyboard, after.baseline.keyboard) << text;
    EXPECT_EQ(before.baseline.root, after.baseline.root) << text;
    EXPECT_EQ(before.proxy, after.proxy) << text;
    EXPECT_EQ(to_snapshot(before).at("disk"), to_snapshot(after).at("disk")) << text;
    EXPECT_EQ(before.debconf.size(), after.debconf.size()) << text;
    ASSERT_EQ(after.baseline.users->size(),
              std::min<std::size_t>(before.baseline.users->size(), 1));
    if (!after.baseline.users->empty()) {
      const recipe::User& one = before.baseline.users->front();
      const recipe::User& other = after.baseline.users->front();
      EXPECT_EQ(one.name, other.name);
      EXPECT_EQ(one.sudo, other.sudo) << text;
      EXPECT_EQ(one.groups, other.groups) << text;
      EXPECT_EQ(one.password_hash, other.password_hash) << text;
    }
  }

  static std::string last_script(const Recipe& recipe, std::size_t from_end) {
    const auto& step = recipe.provision.at(recipe.provision.size() - from_end);
    return std::get<recipe::ShellStep>(step.action).script;
  }

 private:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
};

TEST_F(AnswerFileTest, KickstartComesBackAsTheSameRecipe) {
  const AnswerFile file = answers(kServer, Installer::kickstart);
  const Recipe before = load(at("server.yaml"));
  const Recipe after = load(write("server.ks", file.text));
  const auto judgement = kickstart::read_profile(file.text);
  EXPECT_TRUE(judgement.problems.empty()) << file.text;
  EXPECT_EQ(judgement.profile.edition, "F45") << file.text;
  const Json one = meaning(before);
  const Json other = meaning(after);
  for (const char* key : {"os", "baseline", "disk"}) {
    EXPECT_EQ(one.at(key), other.at(key)) << key << "\n" << file.text;
  }
  EXPECT_EQ(one.at("requests").at("packages"), other.at("requests").at("packages"));
  EXPECT_THAT(last_script(after, 2), HasSubstr("echo \"it's ${HOME:-x}\" >/etc/made\n"));
  EXPECT_THAT(last_script(after, 1), HasSubstr("aGVsbG8K"));
  EXPECT_THAT(file.unsaid, testing::Contains(HasSubstr("debconf")));
  EXPECT_THAT(file.unsaid, testing::Contains(HasSubstr("proxy")));
}

/// Anaconda installs RPM packages whatever the recipe's os is; Debian's installer does not.
TEST_F(AnswerFileTest, PackagesGoByTheNamesOfTheInstallersFamily) {
  const char* recipe =
      "recipe: web\nos: debian/12\n"
      "packages: [apache2, cron, openssh-client, default-jre, python3, nginx, -vim]\n";
  const std::string kickstart = answers(recipe, Installer::kickstart).text;
  EXPECT_THAT(kickstart,
              HasSubstr("\nhttpd\ncronie\nopenssh-clients\njava-latest-openjdk\npython3\nnginx\n"
                        "-vim-enhanced\n%end\n"));
  EXPECT_EQ(to_snapshot(load(at("server.yaml"))).at("requests").at("packages"),
            to_snapshot(load(write("back.ks", kickstart))).at("requests").at("packages"));
  EXPECT_THAT(answers(recipe, Installer::preseed).text, HasSubstr("apache2"));
}

TEST_F(AnswerFileTest, HardwareAndSecretsAreNotSaid) {
  const char* recipe =
      "recipe: web\nos: debian/12\nhardware: [nvme]\n"
      "secrets: [{name: token, version: \"1\", env: TOKEN}]\n";
  for (const Installer installer : {Installer::kickstart, Installer::preseed}) {
    const AnswerFile file = answers(recipe, installer);
    EXPECT_THAT(file.unsaid, testing::Contains(HasSubstr("hardware: ")));
    EXPECT_THAT(file.unsaid, testing::Contains(HasSubstr("secrets: token")));
    EXPECT_THAT(answers("recipe: r\nos: debian/12\n", installer).unsaid,
                Not(testing::Contains(HasSubstr("hardware: "))));
  }
}

TEST_F(AnswerFileTest, PreseedComesBackAsTheSameRecipe) {
  const AnswerFile file = answers(kServer, Installer::preseed);
  const Recipe before = recipe::merged({load(at("server.yaml"))});
  const Recipe loaded = load(write("server.preseed", file.text));
  const Recipe after = recipe::merged({loaded});
  expect_same_machine(before, loaded, file.text);
  EXPECT_EQ(to_snapshot(before).at("requests").at("debconf"),
            to_snapshot(after).at("requests").at("debconf"));
  std::string scripts;
  for (const recipe::ProvisionStep& step : loaded.provision) {
    scripts += std::get<recipe::ShellStep>(step.action).script;
  }
  for (const char* part : {"ssh-ed25519 AAAA",
                           "NOPASSWD",
                           "useradd --create-home",
                           " dba\n",
                           "apt-get purge --yes nano",
                           "echo \"it's ${HOME:-x}\" >/etc/made\n"}) {
    EXPECT_THAT(scripts, HasSubstr(part));
  }
}

TEST_F(AnswerFileTest, WhatWouldActInTheFileItselfIsSaidInstead) {
  const std::string text = R"(recipe: sly
os: debian/12
debconf:
  - {package: one, question: one/path, type: string, value: "C:\\"}
  - {package: two, question: two/word, type: string, value: kept}
provision:
  - shell: {script: "cat >/etc/x <<X\n  %end\n\n \treboot now please\nX\n"}
)";
  const AnswerFile profile = answers(text, Installer::kickstart);
  EXPECT_THAT(profile.unsaid, testing::Contains(HasSubstr("begins with '%'")));
  EXPECT_THAT(profile.text, Not(HasSubstr("reboot now please")));
  const AnswerFile preseed = answers(text, Installer::preseed);
  EXPECT_THAT(preseed.unsaid, testing::Contains(HasSubstr("one/path")));
  const Recipe after = load(write("back.preseed", preseed.text));
  ASSERT_EQ(after.debconf.size(), 1U);
  EXPECT_EQ(after.debconf[0].question, "two/word");
}

TEST_F(AnswerFileTest, ALockedRootDoesNotGiveSudoToSomebody) {
  for (const Installer installer : {Installer::preseed, Installer::kickstart}) {
    const AnswerFile file =
        answers("recipe: r\nos: debian/12\nbaseline: {users: [{name: guest}]}\n", installer);
    const Recipe after =
        load(write(installer == Installer::preseed ? "r.preseed" : "r.ks", file.text));
    ASSERT_EQ(after.baseline.users->size(), 1U);
    EXPECT_FALSE(after.baseline.users->front().sudo) << file.text;
    EXPECT_EQ(after.baseline.root, "locked");
  }
}

TEST_F(AnswerFileTest, DebconfReadsThePreseed) {
  const fs::path file = write("server.preseed", answers(kServer, Installer::preseed).text);
  const auto output = run({"debconf-set-selections", "--checkonly", file.string()});
  if (!output) {
    GTEST_SKIP() << "no debconf-set-selections";
  }
  EXPECT_EQ(output->status, 0) << output->errors;
  EXPECT_THAT(output->errors, Not(HasSubstr("error")));
}

TEST_F(AnswerFileTest, KsvalidatorReadsTheKickstart) {
  const fs::path file = write("server.ks", answers(kServer, Installer::kickstart).text);
  const auto output = run({"ksvalidator", file.string()});
  if (!output) {
    GTEST_SKIP() << "no ksvalidator";
  }
  EXPECT_EQ(output->status, 0) << output->text << output->errors;
}

TEST_F(AnswerFileTest, XmllintReadsTheAutounattend) {
  const AnswerFile file = answers(kServer, Installer::autounattend);
  EXPECT_THAT(file.text, HasSubstr("<UILanguage>de-DE</UILanguage>"));
  EXPECT_THAT(file.text, HasSubstr("<TimeZone>W. Europe Standard Time</TimeZone>"));
  EXPECT_THAT(file.text, HasSubstr("localport=8080"));
  EXPECT_THAT(file.text, Not(HasSubstr("Password")));
  EXPECT_THAT(file.unsaid, testing::Contains(HasSubstr("baseline.users: ops")));
  const auto output = run({"xmllint", "--noout", write("a.xml", file.text).string()});
  if (!output) {
    GTEST_SKIP() << "no xmllint";
  }
  EXPECT_EQ(output->status, 0) << output->errors;
}

/// Keys and actions are those of subiquity's and curtin's documentation.
TEST_F(AnswerFileTest, AutoinstallHasOnlyKeysThatSubiquityKnows) {
  const AnswerFile file = answers(kServer, Installer::autoinstall);
  const char* script = R"(
import sys
try:
    import yaml
except ImportError:
    sys.exit(77)
known = {"version", "interactive-sections", "early-commands", "locale", "refresh-installer",
         "keyboard", "source", "network", "proxy", "apt", "storage", "identity", "ssh", "codecs",
         "drivers", "oem", "snaps", "debconf-selections", "packages", "kernel", "timezone",
         "updates", "shutdown", "late-commands", "error-commands", "reporting", "user-data"}
text = open(sys.argv[1]).read()
assert text.startswith("#cloud-config\n")
answers = yaml.safe_load(text)["autoinstall"]
assert set(answers) <= known, set(answers) - known
assert answers["version"] == 1 and answers["locale"] == "de_DE.UTF-8"
users = {user["name"]: user for user in answers["user-data"]["users"]}
assert users["ops"]["lock_passwd"] and users["ops"]["ssh_authorized_keys"]
assert users["dba"]["passwd"].startswith("$6$")
ids = set()
for action in answers["storage"]["config"]:
    assert action["type"] in ("disk", "partition", "format", "mount"), action
    assert action.get("device", action.get("volume", "disk")) in ids | {"disk"}, action
    ids.add(action["id"])
assert [a["path"] for a in answers["storage"]["config"] if a["type"] == "mount"] == [
    "/boot/efi", "none", "/srv", "/"]
assert "postfix postfix/main_mailer_type select Local only" in answers["debconf-selections"]
for command in answers["late-commands"]:
    assert command[:5] == ["curtin", "in-target", "--target=/target", "--", "sh"], command
)";
  const auto output = run({"python3", "-c", script, write("user-data", file.text).string()});
  if (!output || output->status == 77) {
    GTEST_SKIP() << "no python3-yaml";
  }
  EXPECT_EQ(output->status, 0) << output->errors << file.text;
}

/// The examples with their ancestors: what an installer makes stands on nothing.
TEST_F(AnswerFileTest, ExamplesComeBack) {
  const fs::path examples = fs::path(GOLDMILL_SOURCE_DIR) / "examples";
  for (const char* name : {"base.yaml", "java.yaml", "profile.ks", "server.preseed"}) {
    write(name, system::read_file(examples / name).value());
  }
  write("ops.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops\n");
  for (const char* name : {"base.yaml", "java.yaml", "profile.ks", "server.preseed"}) {
    SCOPED_TRACE(name);
    const auto lineage =
        recipe::load_lineage(at(name), {.set = {}, .os = "debian/12", .settings = {}});
    ASSERT_TRUE(lineage) << lineage.error().text();
    Recipe before = recipe::merged(lineage->recipes);
    before.from.clear();
    const AnswerFile kickstart = write_answers(lineage->recipes, Installer::kickstart);
    const Recipe one = load(write("back.ks", kickstart.text));
    EXPECT_EQ(meaning(before).at("baseline"), meaning(one).at("baseline")) << kickstart.text;
    EXPECT_EQ(meaning(before).at("disk"), meaning(one).at("disk")) << kickstart.text;
    const AnswerFile preseed = write_answers(lineage->recipes, Installer::preseed);
    expect_same_machine(before, load(write("back.preseed", preseed.text)), preseed.text);
  }
}

/// Profiles that people wrote, by way of their recipes and back.
TEST_F(AnswerFileTest, ProfilesOfTheCorpusComeBack) {
  const char* const given = std::getenv("GOLDMILL_KICKSTART_CORPUS");
  const fs::path corpus =
      given != nullptr ? fs::path(given)
                       : fs::path(GOLDMILL_SOURCE_DIR).parent_path() / "shared/corpora/kickstart";
  std::error_code failure;
  std::size_t compared = 0;
  for (fs::recursive_directory_iterator entry(corpus, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (entry->path().extension() != ".ks" || compared >= 60) {
      continue;
    }
    const auto loaded = recipe::load(entry->path(), {.set = {}, .os = "debian/12", .settings = {}});
    if (!loaded) {
      continue;  // it is refused, or includes what is not there
    }
    const AnswerFile file = write_answers({*loaded}, Installer::kickstart);
    const Recipe after = load(write(loaded->name + ".ks", file.text));
    const Json one = meaning(*loaded);
    const Json other = meaning(after);
    for (const char* key : {"baseline", "disk"}) {
      EXPECT_EQ(one.at(key), other.at(key)) << entry->path() << " " << key << "\n" << file.text;
    }
    const AnswerFile preseed = write_answers({*loaded}, Installer::preseed);
    expect_same_machine(
        recipe::merged({*loaded}), load(write("back.preseed", preseed.text)), preseed.text);
    ++compared;
  }
  if (compared == 0) {
    GTEST_SKIP() << "no corpus at " << corpus;
  }
  std::cout << compared << " profiles came back\n";
}

}  // namespace
}  // namespace goldmill::answers
