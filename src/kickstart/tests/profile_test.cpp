// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>

#include <gtest/gtest.h>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/profile.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::kickstart {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> problems_of(std::string_view text) {
  std::vector<std::string> problems;
  for (const Problem& problem : read_profile(text).problems) {
    problems.push_back(std::to_string(problem.line) + ": " + problem.message);
  }
  return problems;
}

using Texts = std::vector<std::string>;

TEST(Profile, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(problems_of("lang en_US\n\ntimezon UTC\n"),
            Texts{"3: no command is called 'timezon'; did you mean 'timezone'?"});
  EXPECT_EQ(problems_of("rootpw --lokc x\n"),
            Texts{"1: rootpw has no option --lokc; did you mean '--lock'?"});
  EXPECT_EQ(problems_of("text\nuser --name=a --uid=b\n"),
            Texts{"2: --uid cannot be 'b'; give a whole number"});
  EXPECT_EQ(problems_of("reqpart\n%packages\na\n"), Texts{"2: %packages does not end with %end"});
  EXPECT_EQ(problems_of("lang 'en_US\n"), Texts{"1: a quotation is not closed on this line"});
  EXPECT_EQ(problems_of("mount /dev/a /\nautopart\n"),
            Texts{"2: autopart and mount do not go together"});
}

TEST(Profile, IsReadInTheEditionInWhichItWasWritten) {
  EXPECT_EQ(read_profile("timesource --ntp-disable\n").profile.edition, "F45");
  EXPECT_EQ(read_profile("install\n").profile.edition, "RHEL8");
  EXPECT_EQ(read_profile("unsupported_hardware\n").profile.edition, "RHEL7");
  EXPECT_EQ(read_profile("langsupport\n").profile.edition, "FC3");
  // Each has its edition, and no edition has both.
  EXPECT_FALSE(read_profile("langsupport\ntimesource --ntp-disable\n").problems.empty());
}

TEST(Profile, KeepsScriptsAsTheyAre) {
  const auto judgement = read_profile(
      "%post --log=/a\n  # kept\n%notasection\n\n\techo\r\n%end\n%packages # comment\na # "
      "b\n%end\n");
  ASSERT_TRUE(judgement.problems.empty());
  const auto& sections = judgement.profile.sections;
  ASSERT_EQ(sections.size(), 2U);
  EXPECT_EQ(sections[0].header.value("log"), "/a");
  Texts lines;
  for (const SectionLine& line : sections[0].lines) {
    EXPECT_EQ(line.line, static_cast<int>(lines.size()) + 2);
    lines.push_back(line.text);
  }
  EXPECT_EQ(lines, (Texts{"  # kept", "%notasection", "", "\techo"}));
  EXPECT_EQ(sections[1].header.line, 7);
}

TEST(Profile, HostileTextEndsSoon) {
  EXPECT_FALSE(problems_of(std::string(kLargestProfile + 1, '#')).empty());
  EXPECT_FALSE(problems_of(std::string(500'000, '"')).empty());
  std::string many;
  while (many.size() + 10 < kLargestProfile) {
    many += "part / \\\n";
  }
  EXPECT_FALSE(problems_of(many).empty());
  EXPECT_TRUE(problems_of(std::string("\0\n\0", 3)).size() <= 2U);
}

std::string repeated(const std::string& line, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) {
    text += line;
  }
  return text;
}

TEST(Profile, SaysOfManyProblemsTheFirstAndHowManyThereAre) {
  const auto problems = problems_of(repeated("zz\n", 2'000));
  ASSERT_EQ(problems.size(), 101U);
  EXPECT_EQ(problems.front(), "1: no command is called 'zz'");
  EXPECT_EQ(problems[99], "100: no command is called 'zz'");
  EXPECT_EQ(problems.back(), "101: and 1900 more");
  EXPECT_EQ(problems_of(repeated("network --bootprto\n", 1'000)).size(), 101U);
  EXPECT_EQ(problems_of(repeated("zz\n", 100)).size(), 100U);
}

class ImportTest : public testing::Test {
 protected:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();

  fs::path write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(system::write_file(scratch_.path() / name, text));
    return scratch_.path() / name;
  }
  Import import(const std::string& text) const {
    auto imported = import_profile({write("Web Server.ks", text), "debian/12"});
    EXPECT_TRUE(imported) << imported.error().text();
    return std::move(imported).value();
  }
};

TEST_F(ImportTest, SaysWhatTheProfileSays) {
  const Json recipe = import(R"(#version=RHEL9
timezone --utc Europe/Berlin
lang de_DE
keyboard --xlayouts='de (nodeadkeys)'
rootpw --lock
user --name=ops --groups=wheel,adm,web --uid=2000
group --name=web --gid=3000
sshkey --username=ops "ssh-ed25519 AAAA ops"
firewall --service=http --port=8080:tcp,5353:udp
services --enabled=sshd,httpd
bootloader --append="quiet console=ttyS0,115200 mitigations=off nosmt=force,x"
part swap --size=512
part /srv --fstype=xfs --size=1024 --label=data
part / --size=6000 --grow
reboot
%packages
@core
httpd
-nano
curl
%end
%post --erroronfail
echo "${HOME}"
%end
)")
                          .recipe;
  EXPECT_EQ(recipe["recipe"], "web-server");
  const Json& baseline = recipe["baseline"];
  EXPECT_EQ(baseline["timezone"], "Europe/Berlin");
  EXPECT_EQ(baseline["locale"], "de_DE.UTF-8");
  EXPECT_EQ(baseline["keyboard"], "de-nodeadkeys");
  EXPECT_EQ(baseline["root"], "locked");
  EXPECT_EQ(baseline["firewall"]["inbound"], Json({"8080/tcp", "5353/udp", "ssh", "http"}));
  EXPECT_EQ(baseline["users"],
            Json::array({{{"name", "ops"},
                          {"sudo", true},
                          {"groups", {"adm"}},
                          {"ssh_keys", {"ssh-ed25519 AAAA ops"}}}}));
  EXPECT_EQ(recipe["packages"], Json({"apache2", "-nano", "curl"}));
  const Json& disk = recipe["disk"];
  EXPECT_EQ(disk["kernel_options"], Json({"mitigations=off", "nosmt=force,x"}));
  EXPECT_EQ(disk["size"], "8GiB");
  ASSERT_EQ(disk["partitions"].size(), 3U);
  EXPECT_EQ(disk["partitions"][1],
            Json({{"name", "srv"},
                  {"mount", "/srv"},
                  {"size", "1024MiB"},
                  {"filesystem", "ext4"},
                  {"label", "data"}}));
  EXPECT_EQ(disk["partitions"][2],
            Json({{"name", "root"}, {"mount", "/"}, {"filesystem", "ext4"}}));
  const Json& steps = recipe["provision"];
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0]["shell"]["script"],
            "groupadd --force --gid '3000' 'web'\ngpasswd --add 'ops' 'web'\n"
            "usermod --uid '2000' 'ops'\n");
  EXPECT_EQ(steps[1]["shell"]["script"], "systemctl enable ssh\nsystemctl enable apache2\n");
  EXPECT_NE(steps[2]["shell"]["script"].get<std::string>().find("echo \"$${HOME}\""),
            std::string::npos);
}

TEST_F(ImportTest, HasAWordOnEveryLine) {
  const auto imported = import(
      "text\nurl --url=http://mirror.example.org/x\nvolgroup vg pv.1\n"
      "logvol / --vgname=vg --name=root --size=100\nrealm join example.org\n"
      "%packages --nocore\n@gnome-desktop\nkernel\nvim-*\nvim-enhanced\n%end\n%pre\nx\n%end\n"
      "%post --nochroot\ny\n%end\n%include /tmp/written-by-pre\n");
  using Verdict = ImportRow::Verdict;
  std::map<int, Verdict> verdicts;
  for (const ImportRow& row : imported.rows) {
    verdicts[row.line] = row.verdict;
    EXPECT_TRUE(row.verdict == Verdict::mapped || !row.note.empty()) << row.text;
  }
  EXPECT_EQ(verdicts,
            (std::map<int, Verdict>{{1, Verdict::not_applicable},
                                    {2, Verdict::not_applicable},
                                    {3, Verdict::changed},
                                    {4, Verdict::changed},
                                    {5, Verdict::not_applicable},
                                    {6, Verdict::changed},
                                    {7, Verdict::not_applicable},
                                    {8, Verdict::not_applicable},
                                    {9, Verdict::not_applicable},
                                    {10, Verdict::changed},
                                    {12, Verdict::not_applicable},
                                    {15, Verdict::not_applicable},
                                    {18, Verdict::not_applicable}}));
}

TEST_F(ImportTest, APlainPasswordBecomesTheSameHashEachTime) {
  const std::string text = "rootpw secret\nuser --name=a --password=secret --plaintext\n";
  const Json first = import(text).recipe["baseline"];
  EXPECT_EQ(first, import(text).recipe["baseline"]);
  EXPECT_TRUE(first["root"].get<std::string>().starts_with("$6$"));
  EXPECT_NE(first["root"], first["users"][0]["password"]) << "each has a salt of its own";
  EXPECT_EQ(first.dump().find("secret"), std::string::npos);
  EXPECT_EQ(first["root"].get<std::string>().find(sha256("root:secret").hex().substr(0, 16)),
            std::string::npos)
      << "a salt by which passwords can be guessed as quickly as they are digested";
}

TEST_F(ImportTest, TheReportHoldsNoPassword) {
  const Import done = import(
      "rootpw secret\nrootpw --plaintext \"two secret\"\nrootpw --plaintext \"sec\"ret\n"
      "user --name=a --password=secret --plaintext --gecos=A\nbootloader --password=secret\n"
      "part / --size=2000 --encrypted --passphrase=secret\n");
  ASSERT_EQ(done.rows.size(), 6U);
  for (const ImportRow& row : done.rows) {
    EXPECT_EQ(row.text.find("sec"), std::string::npos) << row.text;
  }
  EXPECT_EQ(done.rows[3].text, "user --gecos=A --name=a --password=... --plaintext");
  EXPECT_EQ(import("user --password=x --name=xx\n").rows[0].text, "user --name=xx --password=...");
}

TEST_F(ImportTest, FollowsIncludesInTheirPlace) {
  write("more.ks", "timezone Europe/Paris\n%packages\nbc\n%end\n");
  EXPECT_EQ(import("timezone UTC\n%include more.ks\n").recipe["baseline"]["timezone"],
            "Europe/Paris");
  EXPECT_EQ(import("%include more.ks\ntimezone UTC\n").recipe["baseline"]["timezone"], "UTC");
  const auto gone = import_profile({write("a.ks", "text\n%include gone.ks\n"), "debian/12"});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
  EXPECT_NE(gone.error().text().find("a.ks:2"), std::string::npos) << gone.error().text();
  EXPECT_FALSE(import_profile({write("b.ks", "%include b.ks\n"), "debian/12"}));
}

TEST_F(ImportTest, ASectionHasTheLinesOfWhatItIncludes) {
  write("web.pkgs", "# for the web\nhttpd\n%include more.pkgs\n");
  write("more.pkgs", "curl\n");
  write("post.sh", "echo two\n");
  const auto imported = import(
      "%packages\nvim\n%include web.pkgs\nbc\n%end\n"
      "%post --erroronfail\necho one\n  %include post.sh\necho three\n"
      "%include /tmp/written-by-pre\n%end\n%pre\n%include of-the-installer\n%end\n");
  EXPECT_EQ(imported.recipe["packages"], Json({"vim", "apache2", "curl", "bc"}));
  const std::string script = imported.recipe["provision"][0]["shell"]["script"];
  EXPECT_NE(script.find("echo one\necho two\necho three\n"), std::string::npos) << script;
  EXPECT_EQ(script.find("%include"), std::string::npos) << script;
  const Place curl = imported.places.at("packages.2");
  EXPECT_EQ(curl.file, (scratch_.path() / "more.pkgs").string());
  EXPECT_EQ(curl.line, 1);
  Texts told;
  for (const ImportRow& row : imported.rows) {
    told.push_back(fs::path(row.file).filename().string() + ":" + std::to_string(row.line));
  }
  EXPECT_EQ(told,
            (Texts{"Web Server.ks:1",
                   "Web Server.ks:2",
                   "web.pkgs:2",
                   "more.pkgs:1",
                   "Web Server.ks:4",
                   "Web Server.ks:10",
                   "Web Server.ks:6",
                   "Web Server.ks:12"}));
}

TEST_F(ImportTest, WhatASectionCannotIncludeIsToldOfWithItsLine) {
  const auto refused = [this](const std::string& text) {
    const auto imported = import_profile({write("a.ks", text), "debian/12"});
    EXPECT_FALSE(imported) << text;
    return imported ? "" : imported.error().text();
  };
  write("round.pkgs", "bc\n%include round.pkgs\n");
  write("end.pkgs", "bc\n%end\n");
  write("nameless.pkgs", "\n@\n");
  for (const auto& [include, where] :
       {std::pair("gone.pkgs", "a.ks:3: %include gone.pkgs"),
        std::pair("round.pkgs", "round.pkgs:2: %include round.pkgs"),
        std::pair("end.pkgs", "end.pkgs:2: a file that %packages includes holds lines of it only"),
        std::pair("nameless.pkgs", "nameless.pkgs:2: a name is missing behind '@'"),
        std::pair("http://mirror.example.org/x", "a.ks:3: http://mirror.example.org/x is on"),
        std::pair("", "a.ks:3: %include takes one file")}) {
    const std::string said =
        refused("%packages\nvim\n%include " + std::string(include) + "\n%end\n");
    EXPECT_NE(said.find(where), std::string::npos) << said;
  }
  EXPECT_NE(refused("%post\n%include gone.sh\n%end\n").find("a.ks:2: %include gone.sh"),
            std::string::npos);
}

TEST_F(ImportTest, SaysWhichLineAValueComesFrom) {
  write("more.ks", "\nuser --name=web\n");
  const auto imported = import(
      "rootpw --lock\nsshkey --username=ops key\n%include more.ks\nuser --name=ops --uid=7\n"
      "bootloader --append=\"a=1 b=2\"\npart swap --size=512\npart / --size=3000\n"
      "services --enabled=sshd\n%packages\nvim\n-nano\nvim\n%end\n");
  std::map<std::string, std::string> places;
  for (const auto& [path, place] : imported.places) {
    places[path] = fs::path(place.file).filename().string() + ":" + std::to_string(place.line);
  }
  EXPECT_EQ(places,
            (std::map<std::string, std::string>{{"baseline.root", "Web Server.ks:1"},
                                                {"baseline.users.0", "Web Server.ks:4"},
                                                {"baseline.users.0.ssh_keys.0", "Web Server.ks:2"},
                                                {"baseline.users.1", "more.ks:2"},
                                                {"disk.kernel_options.0", "Web Server.ks:5"},
                                                {"disk.kernel_options.1", "Web Server.ks:5"},
                                                {"disk.partitions.0", "Web Server.ks:6"},
                                                {"disk.partitions.1", "Web Server.ks:7"},
                                                {"disk.size", "Web Server.ks:6"},
                                                {"packages.0", "Web Server.ks:11"},
                                                {"packages.1", "Web Server.ks:12"},
                                                {"provision.0", "Web Server.ks:4"},
                                                {"provision.1", "Web Server.ks:8"}}));
}

/// Each of them was gone through again for each further line.
TEST_F(ImportTest, ManyLinesTakeNoLongerThanTheyAre) {
  std::string text;
  for (int i = 0; i < 15'000; ++i) {
    const std::string number = std::to_string(i);
    text += "user --name=u" + number + "\npart /a" + number + "\n";
  }
  text += "%packages\n";
  for (int i = 0; i < 40'000; ++i) {
    text += "p" + std::to_string(i) + "\n";
  }
  const auto imported = import(text + "%end\n");
  EXPECT_EQ(imported.recipe["baseline"]["users"].size(), 15'000U);
  EXPECT_EQ(imported.recipe["packages"].size(), 40'000U);
}

TEST_F(ImportTest, WhatItReadsTogetherHasALimit) {
  write("large.ks", std::string(1'000'000, '#'));
  EXPECT_TRUE(import_profile({write("a.ks", repeated("%include large.ks\n", 4)), "debian/12"}));
  EXPECT_FALSE(import_profile({write("a.ks", repeated("%include large.ks\n", 5)), "debian/12"}));
}

TEST_F(ImportTest, FetchesNothing) {
  const auto imported = import_profile(
      {write("far.ks", "text\n%ksappend http://mirror.example.org/x.ks\n"), "debian/12"});
  ASSERT_FALSE(imported);
  EXPECT_NE(imported.error().message.find("far.ks:2: http://mirror.example.org/x.ks is on the"),
            std::string::npos)
      << imported.error().message;
}

}  // namespace
}  // namespace goldmill::kickstart
