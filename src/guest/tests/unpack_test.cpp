// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <fstream>
#include <optional>
#include <sstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/guest/control_paragraph.hpp>
#include <goldmill/guest/deb.hpp>
#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/guest_tree.hpp>
#include <goldmill/guest/package_relation.hpp>
#include <goldmill/guest/unpacker.hpp>

#include "../account_files.hpp"
#include "../maintainer_scripts.hpp"
#include "../normaliser.hpp"
#include "unpacking.hpp"

namespace goldmill::guest {
namespace {

using test_parts::DebText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ControlParagraph, KeepsOrderAndContinuations) {
  const auto paragraph =
      ControlParagraph::parse("Package: a\nDescription: short\n long line\n .\n end\nVersion: 1\n");
  ASSERT_TRUE(paragraph);
  EXPECT_EQ(paragraph->get("description"), "short\n long line\n .\n end");
  EXPECT_EQ(paragraph->text(),
            "Package: a\nDescription: short\n long line\n .\n end\nVersion: 1\n");
}

TEST(ControlParagraph, RefusesDoubtfulText) {
  for (const std::string text : {"Package a\n", " start\n", "A: 1\na: 2\n", ": x\n"}) {
    EXPECT_FALSE(ControlParagraph::parse(text)) << text;
  }
  EXPECT_FALSE(ControlParagraph::parse(std::string("A: \0", 4)));
}

TEST(ControlParagraph, SplitsAStatusFile) {
  const auto all = parse_paragraphs("Package: a\n\nPackage: b\nStatus: install ok installed\n\n\n");
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[1].get("Status"), "install ok installed");
}

TEST(PackageVersions, OrderAsDebVersionSays) {
  const std::vector<std::string> sorted = {"1.0~rc1",
                                           "1.0~rc1-1",
                                           "1.0",
                                           "1.0-1~deb12u1",
                                           "1.0-1",
                                           "1.0-1+b1",
                                           "1.0a",
                                           "1.0+x",
                                           "1.9",
                                           "1.10",
                                           "1:0.1",
                                           "2:0"};
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      const int found = compare_versions(sorted[i], sorted[j]);
      EXPECT_EQ(found < 0, i < j) << sorted[i] << " " << sorted[j];
      EXPECT_EQ(found == 0, i == j) << sorted[i] << " " << sorted[j];
    }
  }
  EXPECT_EQ(compare_versions("0:1.0-0", "1.0"), 0);
}

TEST(PackageRelations, AreReadPartByPart) {
  const auto parts = parse_relations("libc6 (>= 2.36), awk | mawk:any (<< 2), x [amd64]");
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0][0].name, "libc6");
  EXPECT_TRUE(parts[0][0].accepts("2.36-9"));
  EXPECT_FALSE(parts[0][0].accepts("2.35"));
  EXPECT_EQ(parts[1][1].name, "mawk");
  EXPECT_TRUE(parts[1][1].accepts("1.9"));
}

TEST(MemberPaths, AreCleanedOrRefused) {
  EXPECT_EQ(*clean_member_path("./usr//bin/./env"), "/usr/bin/env");
  EXPECT_EQ(*clean_member_path("./"), "/");
  for (const std::string bad : {"/etc/passwd", "../x", "a/../../x", "./a/..", "a\nb", ""}) {
    EXPECT_FALSE(clean_member_path(bad)) << bad;
  }
  EXPECT_FALSE(clean_member_path(std::string(5000, 'a')));
  EXPECT_FALSE(clean_member_path(std::string(256, 'a')));
}

TEST(Triggers, FileInterestsMatchThePathAndWhatIsBelow) {
  const std::string file =
      "/usr/share/man man-db\n/usr/lib/udev/hwdb.d udev/noawait\n/usr/share/ma other\n";
  EXPECT_THAT(touched_triggers(file, {"/usr/share/man/man1/x.1.gz", "/usr/share/manual"}),
              ElementsAre("/usr/share/man"));
  EXPECT_THAT(touched_triggers(file, {"/usr/lib/udev/hwdb.d"}),
              ElementsAre("/usr/lib/udev/hwdb.d"));
  EXPECT_TRUE(touched_triggers(file, {"/usr/share", "/usr"}).empty());
}

TEST(Triggers, InterestLinesAreRead) {
  const auto interests = parse_interests(
      "# comment\ninterest-noawait /usr/lib/x\ninterest ldconfig\nactivate foo\ninterest a/b\n");
  ASSERT_EQ(interests.size(), 2U);
  EXPECT_EQ(interests[0].name, "/usr/lib/x");
  EXPECT_FALSE(interests[0].waits);
  EXPECT_TRUE(interests[1].waits);
}

TEST(Diversions, AreThreeLinesEach) {
  const auto diversions = parse_diversions("/bin/sh\n/bin/sh.distrib\ndash\n/a\n/b\n:\n");
  ASSERT_TRUE(diversions);
  ASSERT_EQ(diversions->size(), 2U);
  EXPECT_EQ((*diversions)[0].to, "/bin/sh.distrib");
  EXPECT_EQ((*diversions)[1].package, "");
  EXPECT_FALSE(parse_diversions("/a\n/b\n"));
  EXPECT_FALSE(parse_diversions("a\n/b\nc\n"));
}

TEST(Statoverrides, GiveTheirPaths) {
  EXPECT_THAT(parse_statoverrides("root crontab 2755 /usr/bin/cron tab\nroot root 0700 /x\n"),
              ElementsAre("/usr/bin/cron tab", "/x"));
}

TEST(Normaliser, ClampsShadowDays) {
  EXPECT_EQ(with_days_until("root:*:20717:0:99999:7:::\nold:*:100::::::\nx:!::::::\n",
                            20000 * std::int64_t{86400} + 5),
            "root:*:20000:0:99999:7:::\nold:*:100::::::\nx:!::::::\n");
}

TEST(Normaliser, LeavesWhatIsNoJavaKeystore) {
  EXPECT_FALSE(with_dates("", 0));
  EXPECT_FALSE(with_dates(std::string(100, 'x'), 0));
}

/// A keystore of certificates "b" and "a", made with keytool's format written out by hand; the
/// check values come from `sha1sum` over the password in UTF-16, "Mighty Aphrodite" and the rest.
std::string from_hex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

TEST(Normaliser, DatesAndSortsAJavaKeystore) {
  const std::string old = from_hex(
      "feedfeed0000000200000002000000020001620000018bcfe5687b0005582e353039000000024242"
      "000000020001610000018bcfe569c80005582e3530390000000341414169a30e1f51952c67fbdac7"
      "fb1f3cd98742507c78");
  const std::string fresh = from_hex(
      "feedfeed000000020000000200000002000161000001a0c4506c000005582e353039000000034141"
      "4100000002000162000001a0c4506c000005582e353039000000024242b87aeff0c014bef163ae86"
      "9f2d1fc7834120e9cf");
  const auto found = with_dates(old, 1790000000);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, fresh);
  EXPECT_EQ(*with_dates(fresh, 1790000000), fresh);
  std::string damaged = old;
  damaged[20] = 'x';
  EXPECT_FALSE(with_dates(damaged, 1790000000));
}

TEST(MaintainerScripts, FailuresNameThePackage) {
  const Error explained = explain_failure(
      Error{ErrorKind::tool_failed,
            "x\ndpkg: error processing package udev (--configure):\n installed udev package "
            "post-installation script subprocess returned error exit status 3\n"});
  EXPECT_THAT(explained.message, HasSubstr("the post-installation script of udev failed"));
  const Error early = explain_failure(
      Error{ErrorKind::tool_failed, "oh\ngoldmill: failed script: base-files preinst\n"});
  EXPECT_THAT(early.message, HasSubstr("the preinst script of base-files failed"));
}

using test_parts::Unpacking;

TEST_F(Unpacking, WritesFilesAndDatabase) {
  const std::string long_name = "./opt/" + std::string(120, 'n') + "/\xc3\xa4.txt";
  const Json sample =
      add({.name = "sample",
           .control = "Multi-Arch: same\nPriority: optional\n",
           .control_files = {{.name = "./conffiles", .content = "/etc/sample.conf\n"},
                             {.name = "./preinst", .content = "#!/bin/sh\n", .mode = 0755},
                             {.name = "./triggers", .content = "interest-noawait /usr/share/x\n"}},
           .entries = {{.name = "./", .type = '5', .mode = 0755},
                       {.name = "./etc/", .type = '5', .mode = 0755},
                       {.name = "./etc/sample.conf", .content = "conf"},
                       {.name = "./usr/", .type = '5', .mode = 0755},
                       {.name = "./usr/bin/", .type = '5', .mode = 0755},
                       {.name = "./usr/bin/tool", .content = "tool", .mode = 04755},
                       {.name = "./usr/bin/tool2", .type = '1', .target = "./usr/bin/tool"},
                       {.name = "./usr/bin/link", .type = '2', .target = "/etc/sample.conf"},
                       {.name = "./opt/pipe", .type = '6', .mode = 0600},
                       {.name = long_name, .content = "umlaut"}}});
  const auto answer = unpack(Json::array({sample}));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(content("etc/sample.conf.dpkg-new"), "conf");
  EXPECT_FALSE(look("etc/sample.conf"));
  EXPECT_EQ(look("usr/bin/tool")->st_mode & 07777U, 04755U);
  EXPECT_EQ(look("usr/bin/tool")->st_ino, look("usr/bin/tool2")->st_ino);
  EXPECT_EQ(look("usr/bin/tool")->st_mtime, 1700000000);
  EXPECT_TRUE(S_ISFIFO(look("opt/pipe")->st_mode));
  EXPECT_EQ(content(long_name.substr(2)), "umlaut");
  EXPECT_EQ(content("var/lib/dpkg/info/sample:all.list"),
            "/.\n/etc\n/etc/sample.conf\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/bin/tool2\n"
            "/usr/bin/link\n/opt/pipe\n" +
                long_name.substr(1) + "\n");
  EXPECT_THAT(content("var/lib/dpkg/status"),
              HasSubstr("Package: sample\nStatus: install ok unpacked\nPriority: optional\n"));
  EXPECT_THAT(content("var/lib/dpkg/status"),
              HasSubstr("Conffiles:\n /etc/sample.conf newconffile\n"));
  EXPECT_EQ(content("var/lib/dpkg/triggers/File"), "/usr/share/x sample:all/noawait\n");
  EXPECT_EQ(look("var/lib/dpkg/info/sample:all.preinst")->st_mode & 0777U, 0755U);
  EXPECT_TRUE((*answer)["order"][0]["preinst"].get<bool>());
  EXPECT_THAT(content("var/lib/dpkg/tmp.goldmill/sample:all/control"),
              HasSubstr("Package: sample\n"));
  EXPECT_EQ(look("var/lib/dpkg/tmp.goldmill/sample:all/preinst")->st_mode & 0777U, 0755U);
  EXPECT_FALSE(look("lib32"));
  EXPECT_TRUE(S_ISLNK(look("bin")->st_mode));
}

TEST_F(Unpacking, SharedPathsGoToTheReplacingPackageWhicheverComesFirst) {
  for (const bool big_first : {true, false}) {
    SetUp();
    const std::string bulk(200000, 'x');
    const Json old = add({.name = "old",
                          .entries = {{.name = "./usr/share/it", .content = "old"},
                                      {.name = "./usr/a", .content = big_first ? bulk : ""}}});
    const Json fresh = add({.name = "new",
                            .control = "Replaces: old (<< 2)\n",
                            .entries = {{.name = "./usr/share/it", .content = "new"},
                                        {.name = "./usr/b", .content = big_first ? "" : bulk}}});
    const auto answer = unpack(Json::array({old, fresh}));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_FALSE(look("usr/share/it"));
    ASSERT_TRUE(unpack(Json::array({old, fresh}), {"place"}, (*answer)["contested"]));
    EXPECT_EQ(content("usr/share/it"), "new");
    EXPECT_EQ(content("var/lib/dpkg/info/old.list"), "/usr/a\n");
  }
}

TEST_F(Unpacking, SharedPathsWithoutReplacesAreRefused) {
  const Json a = add({.name = "aa", .entries = {{.name = "./x", .content = "1"}}});
  const Json b = add({.name = "bb", .entries = {{.name = "./x", .content = "2"}}});
  const auto answer = unpack(Json::array({a, b}));
  ASSERT_TRUE(answer);
  const auto placed = unpack(Json::array({a, b}), {"place"}, (*answer)["contested"]);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().kind, ErrorKind::conflict);
  EXPECT_THAT(placed.error().message, HasSubstr("/x is in both aa and bb"));
}

TEST_F(Unpacking, DiversionsMoveTheOthersFile) {
  const Json a = add({.name = "aa", .entries = {{.name = "./usr/x", .content = "aa"}}});
  const Json b = add({.name = "bb", .entries = {{.name = "./usr/x", .content = "bb"}}});
  const Json c = add({.name = "cc", .entries = {{.name = "./usr/y", .content = "cc"}}});
  const auto answer = unpack(Json::array({a, b, c}));
  ASSERT_TRUE(answer) << answer.error().text();
  std::ofstream(root() / "var/lib/dpkg/diversions")
      << "/usr/x\n/usr/x.distrib\nbb\n/usr/y\n/usr/y.aside\nbb\n";
  const auto placed = unpack(Json::array({a, b, c}), {"place"}, (*answer)["contested"]);
  ASSERT_TRUE(placed) << placed.error().text();
  EXPECT_EQ(content("usr/x"), "bb");
  EXPECT_EQ(content("usr/x.distrib"), "aa");
  EXPECT_EQ(content("usr/y.aside"), "cc");
  EXPECT_FALSE(look("usr/y"));
}

TEST_F(Unpacking, LinkAgainstDirectoryFollowsOneOrder) {
  for (int round = 0; round < 5; ++round) {
    SetUp();
    const Json a = add({.name = "aa",
                        .entries = {{.name = "./usr/real/", .type = '5', .mode = 0755},
                                    {.name = "./usr/way", .type = '2', .target = "real"}}});
    const Json b = add({.name = "bb",
                        .control = "Depends: aa\n",
                        .entries = {{.name = "./usr/way/", .type = '5', .mode = 0755},
                                    {.name = "./usr/way/file", .content = "b"}}});
    const auto answer = unpack(Json::array({a, b}));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_TRUE(S_ISLNK(look("usr/way")->st_mode));
    EXPECT_EQ(content("usr/real/file"), "b");
  }
}

TEST_F(Unpacking, DeviceNodesAreNoted) {
  const Json sample =
      add({.name = "sample", .entries = {{.name = "./dev/x", .type = '3', .mode = 0666}}});
  ASSERT_TRUE(unpack(Json::array({sample})));
  std::array<char, 32> value{};
  const auto file = root() / "dev/x";
  ASSERT_GT(::getxattr(file.c_str(), "user.goldmill.node", value.data(), value.size()), 0);
  EXPECT_STREQ(value.data(), "c 1 3");
  EXPECT_TRUE(S_ISREG(look("dev/x")->st_mode));
}

// ---- packages that merely add, or do not ----

TEST_F(Unpacking, AdditionsAreToldFromChanges) {
  const Json base = add({.name = "base", .entries = {{.name = "./usr/f", .content = "f"}}});
  ASSERT_TRUE(unpack(Json::array({base})));
  const std::string status = content("var/lib/dpkg/status");
  std::string installed = status;
  installed.replace(installed.find("unpacked"), 8, "installed");
  std::ofstream(root() / "var/lib/dpkg/status") << installed;
  std::ofstream(root() / "var/lib/dpkg/diversions") << "/usr/d\n/usr/d.x\nbase\n";
  const auto why = [&](const DebText& text) {
    const auto answer = unpack(Json::array({add(text)}), {"inspect"});
    return answer ? find_string(*answer, "needs_dpkg").value_or("adds") : answer.error().text();
  };
  EXPECT_EQ(why({.name = "more", .entries = {{.name = "./usr/g", .content = "g"}}}), "adds");
  EXPECT_THAT(why({.name = "more", .entries = {{.name = "./usr/f", .content = "g"}}}),
              HasSubstr("/usr/f exists"));
  EXPECT_THAT(why({.name = "more", .entries = {{.name = "./usr/d", .content = "g"}}}),
              HasSubstr("diversion"));
  EXPECT_THAT(why({.name = "base"}), HasSubstr("known"));
  EXPECT_THAT(why({.name = "more", .control = "Breaks: base\n"}), HasSubstr("conflict"));
  EXPECT_THAT(why({.name = "more", .control = "Replaces: base\n"}), HasSubstr("replaces"));
  EXPECT_EQ(why({.name = "more", .control = "Breaks: base (<< 1.0)\n"}), "adds");
}

TEST_F(Unpacking, AdditionsWakeTheTriggersOfTheTree) {
  const Json base =
      add({.name = "base",
           .control_files = {{.name = "./triggers", .content = "interest /usr/share/t\n"}}});
  ASSERT_TRUE(unpack(Json::array({base})));
  const Json more =
      add({.name = "more", .entries = {{.name = "./usr/share/t/file", .content = "g"}}});
  ASSERT_TRUE(unpack(Json::array({more}), {"register", "write"}));
  EXPECT_EQ(content("var/lib/dpkg/triggers/Unincorp"), "/usr/share/t -\n");
  EXPECT_EQ(content("usr/share/t/file"), "g");
}

TEST(Accounts, AreAppendedOnce) {
  auto made = system::TemporaryDirectory::make("/var/tmp", "gm-unpack-test-");
  ASSERT_TRUE(made);
  ::mkdir((made->path() / "etc").c_str(), 0755);
  std::ofstream(made->path() / "etc/passwd") << "root:x:0:0::/root:/bin/sh\n";
  const auto root = system::open_directory(made->path());
  GuestTree tree(root->get());
  const Json accounts = {{"passwd", {"root:x:0:0::/:/x", "web:x:100:100::/:/bin/false"}},
                         {"shadow", {"web:!:1::::::"}}};
  ASSERT_TRUE(add_accounts(tree, accounts));
  ASSERT_TRUE(add_accounts(tree, accounts));
  EXPECT_EQ(*tree.read("/etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:100:100::/:/bin/false\n");
  EXPECT_FALSE(add_accounts(tree, {{"passwd", {"no line"}}}));
  const auto renumbered = [&](const char* file, const char* line) {
    const auto result = add_accounts(tree, {{file, {line}}});
    return !result && result.error().kind == ErrorKind::conflict ? result.error().message : "";
  };
  EXPECT_THAT(renumbered("passwd", "web:x:101:65534::/:/bin/false"),
              HasSubstr("'web' had 101 and has 100 below"));
  EXPECT_THAT(renumbered("passwd", "other:x:100:100::/:/bin/false"),
              HasSubstr("'other' had 100, which is now 'web' below"));
}

}  // namespace
}  // namespace goldmill::guest
