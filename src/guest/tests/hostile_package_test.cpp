// SPDX-License-Identifier: GPL-3.0-or-later
// Packages that try to reach what is outside of the tree; the fixture's TearDown looks at the
// canary there.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <goldmill/guest/deb.hpp>
#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/guest_tree.hpp>
#include <goldmill/guest/package_set.hpp>
#include <goldmill/guest/unpacker.hpp>

#include "unpacking.hpp"

namespace goldmill::guest {
namespace {

using test_parts::add_to;
using test_parts::DebText;
using test_parts::make_ar;
using test_parts::make_deb;
using test_parts::make_tar;
using test_parts::pax_record;
using test_parts::RawEntry;
using ::testing::HasSubstr;

class HostilePackage : public test_parts::Unpacking {
 protected:
  /// The kind of the refusal, which must name the package and say what to do.
  ErrorKind refused(const DebText& text) {
    const auto answer = unpack(Json::array({add(text)}));
    EXPECT_FALSE(answer);
    if (answer) {
      return ErrorKind::internal;
    }
    EXPECT_THAT(answer.error().text(), HasSubstr(text.name));
    return answer.error().kind;
  }
  /// Whether it is taken is its own matter: TearDown judges.
  void attempt(const std::vector<RawEntry>& entries,
               const std::vector<std::string>& phases = {"create"}) {
    (void)unpack(Json::array({add({.entries = entries})}), phases);
  }
};

TEST_F(HostilePackage, NamesThatLeadOutAreRefused) {
  for (const std::string name :
       {"../outside/canary", "./../outside/canary", "./a/../../outside/canary", "..", "./a/.."}) {
    EXPECT_EQ(refused({.entries = {{.name = name, .content = "bad"}}}), ErrorKind::invalid_input);
    EXPECT_EQ(refused({.entries = {{.name = name, .type = '5', .mode = 0777}}}),
              ErrorKind::invalid_input);
    EXPECT_EQ(refused({.entries = {{.name = name, .type = '2', .target = "x"}}}),
              ErrorKind::invalid_input);
  }
  EXPECT_EQ(refused({.entries = {{.name = outside() + "/canary", .content = "bad"}}}),
            ErrorKind::invalid_input);
  // The same by a pax header, whose path wins over the entry's own.
  EXPECT_EQ(refused({.entries = {{.name = "./p",
                                  .type = 'x',
                                  .content = pax_record("path", "../outside/canary")},
                                 {.name = "./x", .content = "bad"}}}),
            ErrorKind::invalid_input);
}

TEST_F(HostilePackage, ALinkInPlaceOfTheRootChangesNothing) {
  for (const std::string name : {".", "./", "././."}) {
    attempt({{.name = name, .type = '2', .target = outside()},
             {.name = "./canary", .content = "bad"},
             {.name = "./deep/canary", .content = "bad"}});
    EXPECT_TRUE(S_ISDIR(look(".")->st_mode)) << name;
    EXPECT_EQ(content("canary"), "bad") << name;
    SetUp();
  }
}

TEST_F(HostilePackage, WritingThroughALinkStaysInside) {
  EXPECT_EQ(refused({.entries = {{.name = "./evil", .type = '2', .target = outside()},
                                 {.name = "./evil/canary", .content = "bad"}}}),
            ErrorKind::not_found);
  EXPECT_EQ(
      refused({.entries = {{.name = "./evil", .type = '2', .target = "../../../.." + outside()},
                           {.name = "./evil/canary", .content = "bad"}}}),
      ErrorKind::not_found);
  // Over two links, the second of which climbs.
  EXPECT_EQ(refused({.entries = {{.name = "./a/", .type = '5', .mode = 0755},
                                 {.name = "./a/up", .type = '2', .target = "../.."},
                                 {.name = "./way", .type = '2', .target = "a/up/outside"},
                                 {.name = "./way/canary", .content = "bad"}}}),
            ErrorKind::not_found);
}

TEST_F(HostilePackage, ALinkToAPlaceThatTheTreeHasTooMeansTheTrees) {
  const std::string inside = "." + outside();
  attempt({{.name = inside + "/", .type = '5', .mode = 0755},
           {.name = "./evil", .type = '2', .target = outside()},
           {.name = "./evil/canary", .content = "inside"}});
  EXPECT_EQ(content(inside + "/canary"), "inside");
}

TEST_F(HostilePackage, ALinkAtAFilesNameIsReplacedNotFollowed) {
  for (const char type : {'0', '1', '2', '3', '4', '6'}) {
    attempt(
        {{.name = "./target", .content = "own"},
         {.name = "./e", .type = '2', .target = outside() + "/canary"},
         {.name = "./e", .type = type, .content = type == '0' ? "bad" : "", .target = "./target"}});
    ASSERT_TRUE(look("e")) << type;
    EXPECT_EQ(S_ISLNK(look("e")->st_mode), type == '2') << type;
    SetUp();
  }
}

TEST_F(HostilePackage, ADirectoryAtALinksNameIsNotMadeOutside) {
  attempt({{.name = "./e", .type = '2', .target = outside() + "/new"},
           {.name = "./e/", .type = '5', .mode = 0777}});
  attempt({{.name = "./f", .type = '2', .target = outside()},
           {.name = "./f/", .type = '5', .mode = 0777}});
  attempt({{.name = "./g", .type = '2', .target = outside()},
           {.name = "./g/new/", .type = '5', .mode = 0777}});
}

TEST_F(HostilePackage, AnEtcThatPointsAwayCatchesNothing) {
  (void)unpack(Json::array(
      {add({.name = "aa", .entries = {{.name = "./etc", .type = '2', .target = outside()}}}),
       add({.name = "bb", .entries = {{.name = "./etc/canary", .content = "bad"}}})}));
}

TEST_F(HostilePackage, HardLinksReachOnlyTheirOwnPackage) {
  EXPECT_EQ(refused({.entries = {{.name = "./h", .type = '1', .target = "../outside/canary"}}}),
            ErrorKind::invalid_input);
  EXPECT_EQ(refused({.entries = {{.name = "./h", .type = '1', .target = outside() + "/canary"}}}),
            ErrorKind::invalid_input);
  EXPECT_EQ(refused({.entries = {{.name = "./h", .type = '1', .target = "./etc/shadow"}}}),
            ErrorKind::invalid_input);
  EXPECT_EQ(refused({.entries = {{.name = "./l", .type = '2', .target = outside()},
                                 {.name = "./h", .type = '1', .target = "./l/canary"}}}),
            ErrorKind::invalid_input);
  // To a link itself is right, and shares the link, not what it points to.
  attempt({{.name = "./l", .type = '2', .target = outside() + "/canary"},
           {.name = "./h", .type = '1', .target = "./l"}});
  EXPECT_EQ(look("h")->st_ino, look("l")->st_ino);
}

TEST_F(HostilePackage, DeviceNodesAreNoDevices) {
  attempt({{.name = "./dev/", .type = '5', .mode = 0755},
           {.name = "./dev/disk", .type = '4', .mode = 0666},
           {.name = "./dev/memory", .type = '3', .mode = 0666}});
  EXPECT_TRUE(S_ISREG(look("dev/disk")->st_mode));
  EXPECT_TRUE(S_ISREG(look("dev/memory")->st_mode));
  EXPECT_EQ(refused({.entries = {{.name = "../outside/node", .type = '3', .mode = 0666}}}),
            ErrorKind::invalid_input);
}

TEST_F(HostilePackage, NamesThatMeanDeletedFilesAreRefused) {
  for (const std::string name : {"./.wh.etc", "./usr/.wh..wh..opq", "./.wh.x/y", "./.wh..."}) {
    EXPECT_EQ(refused({.entries = {{.name = name, .content = ""}}}), ErrorKind::invalid_input)
        << name;
  }
}

TEST_F(HostilePackage, ADatabaseThatIsALinkStaysInside) {
  for (const std::string name : {"./var", "./var/lib/dpkg", "./var/lib/dpkg/info"}) {
    attempt({{.name = name, .type = '2', .target = outside()}});
    attempt({{.name = name, .type = '2', .target = "../../../../../.." + outside()}});
  }
  attempt(
      {{.name = "./var/lib/dpkg/status", .type = '2', .target = outside() + "/canary"},
       {.name = "./var/lib/dpkg/triggers/File", .type = '2', .target = outside() + "/canary"},
       {.name = "./var/lib/dpkg/info/sample.list", .type = '2', .target = outside() + "/canary"}});
}

TEST_F(HostilePackage, LaterPhasesFollowNoLinkOutside) {
  const std::string link = "../../../../../../../../.." + outside() + "/deep/canary";
  std::vector<RawEntry> entries;
  for (const char* name : {"./etc/passwd",
                           "./etc/group",
                           "./etc/shadow",
                           "./etc/shadow-",
                           "./var/lib/apt/extended_states",
                           "./var/lib/dpkg/status-old",
                           "./var/cache/ldconfig/aux-cache",
                           "./etc/ssl/certs/java/cacerts",
                           "./var/log/dpkg.log"}) {
    entries.push_back({.name = name, .type = '2', .target = link});
  }
  Json package = add({.entries = entries});
  package["automatic"] = true;
  for (const char* phase : {"create", "place", "accounts", "mark", "normalise"}) {
    (void)unpack(Json::array({package}), {phase});
  }
}

TEST_F(HostilePackage, AStatusFileThatBlocksEndsInAnError) {
  attempt({{.name = "./var/lib/dpkg/status", .type = '6', .mode = 0600}});
  EXPECT_FALSE(unpack(Json::array({add({.name = "more"})}), {"inspect"}));
}

TEST_F(HostilePackage, DiversionsOutOfTheTreeAreRefused) {
  const Json sample = add({.entries = {{.name = "./usr/x", .content = "x"}}});
  const Json owner = add({.name = "owner"});
  for (const std::string to : {"/../outside/new",
                               "/../outside/canary",
                               "/usr/../../outside/canary",
                               "/..",
                               "//../outside/canary",
                               "/usr/x/../../../outside/canary"}) {
    SetUp();
    const Json both = Json::array(
        {add({.entries = {{.name = "./usr/x", .content = "x"}}}), add({.name = "owner"})});
    ASSERT_TRUE(unpack(both));
    write("var/lib/dpkg/diversions", "/usr/x\n" + to + "\nowner\n");
    const auto placed = unpack(both, {"place"});
    ASSERT_FALSE(placed) << to;
    EXPECT_EQ(placed.error().kind, ErrorKind::invalid_input) << placed.error().text();
    const auto written = unpack(both, {"write"});
    ASSERT_FALSE(written) << to;
    // Backwards: what is outside must not be moved in either.
    write("var/lib/dpkg/info/sample.list", to + "\n");
    write("var/lib/dpkg/diversions", to + "\n/usr/stolen\nowner\n");
    EXPECT_FALSE(unpack(both, {"place"})) << to;
    EXPECT_FALSE(look("usr/stolen")) << to;
  }
}

TEST_F(HostilePackage, AContestedPathOutOfTheTreeIsRefused) {
  const Json sample = add({.entries = {{.name = "./usr/x", .content = "x"}}});
  ASSERT_TRUE(unpack(Json::array({sample})));
  write("var/lib/dpkg/diversions", "/usr/x\n/../outside/canary\nowner\n");
  const Json contested = Json::array(
      {{{"place", "/usr/x"},
        {"claims",
         Json::array({{{"name", "sample"}, {"architecture", "all"}, {"path", "/usr/x"}}})}}});
  const auto placed = unpack(Json::array({sample}), {"place"}, contested);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().kind, ErrorKind::invalid_input) << placed.error().text();
}

TEST_F(HostilePackage, PathsInControlFilesLeadNowhere) {
  const std::string list = "/../outside/canary\n../outside/canary\n" + outside() + "/canary\n";
  const auto answer = unpack(Json::array({add(
      {.control_files = {{.name = "./conffiles", .content = list},
                         {.name = "./md5sums", .content = "0  ../outside/canary\n"},
                         {.name = "./triggers",
                          .content = "interest /../outside/canary\ninterest ../../outside/canary\n"
                                     "interest ..\nactivate /../outside/canary\n"}},
       .entries = {{.name = "./etc/x", .content = "x"}}})}));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_FALSE(look("var/lib/dpkg/triggers/.." + std::string("/canary")));
  write("var/lib/dpkg/statoverride", "root root 0777 /../outside/canary\n");
  write("var/lib/dpkg/status", "");
  EXPECT_TRUE(unpack(Json::array({add({.name = "more"})}), {"inspect"}));
}

TEST_F(HostilePackage, ControlNamesAreChecked) {
  for (const std::string name : {"./../../x", "./a/b", "./list", "./x y", "./\xc3\xa4", "./x\ny"}) {
    EXPECT_EQ(refused({.control_files = {{.name = name, .content = "bad"}}}),
              ErrorKind::invalid_input)
        << name;
  }
  for (const char type : {'1', '2', '3', '4', '6'}) {
    EXPECT_EQ(refused({.control_files = {{.name = "./postinst",
                                          .type = type,
                                          .target = outside() + "/canary"}}}),
              ErrorKind::invalid_input)
        << type;
  }
}

TEST_F(HostilePackage, NamesAndVersionsThatBecomePathsAreRefused) {
  const Json good = add({.name = "sample"});
  for (const std::string name :
       {"../../x", "a/b", "sample\nx", "-x", "..", "", "Sample", "sample:amd64"}) {
    Json bad = good;
    bad["name"] = name;
    EXPECT_EQ(unpack(Json::array({bad})).error().kind, ErrorKind::invalid_input) << name;
  }
  for (const std::string version : {"1.0\nStatus: x", "1/2", "../1", "", "1 0", "\x1b[31m1"}) {
    Json bad = good;
    bad["version"] = version;
    EXPECT_EQ(unpack(Json::array({bad})).error().kind, ErrorKind::invalid_input) << version;
  }
  Json bad = good;
  bad["architecture"] = "../x";
  EXPECT_EQ(unpack(Json::array({bad})).error().kind, ErrorKind::invalid_input);
}

/// The control file says another name or version than the index, which is what was signed.
TEST_F(HostilePackage, ControlFilesThatDisagreeWithTheIndexAreRefused) {
  const auto with_control = [](const std::string& control) {
    return make_ar({{"debian-binary", "2.0\n"},
                    {"control.tar", make_tar({{.name = "./control", .content = control}})},
                    {"data.tar", make_tar({{.name = "./usr/x", .content = "x"}})}});
  };
  for (const std::string control :
       {"Package: ../../outside/canary\nVersion: 1.0\nArchitecture: all\n",
        "Package: sample\n ../x\nVersion: 1.0\nArchitecture: all\n",
        "Package: sample\nVersion: 1.0/../../../outside/canary\nArchitecture: all\n",
        "Package: sample\nVersion: 1.0\n Status: x\nArchitecture: all\n",
        "Package: sample\nVersion: 1.0\nArchitecture: ../all\n",
        "Package: sample\nArchitecture: all\n",
        "Package: other\nVersion: 1.0\nArchitecture: all\n"}) {
    const auto answer = unpack(Json::array({add_to(cache(), "sample", with_control(control))}));
    ASSERT_FALSE(answer) << control;
    EXPECT_EQ(answer.error().kind, ErrorKind::corrupt) << control;
    EXPECT_FALSE(look("var")) << control;
  }
}

TEST_F(HostilePackage, ASwappedFileInTheCacheIsRefused) {
  const Json wanted = add({.entries = {{.name = "./usr/x", .content = "good"}}});
  const Json other = add({.entries = {{.name = "./usr/x", .content = "evil"}}});
  const auto file_of = [&](const Json& package) {
    return cache() / (package["sha256"].get<std::string>() + ".deb");
  };
  // Another valid package of the same name, version and size, under the wanted one's digest.
  ASSERT_EQ(std::filesystem::file_size(file_of(wanted)),
            std::filesystem::file_size(file_of(other)));
  std::filesystem::copy_file(
      file_of(other), file_of(wanted), std::filesystem::copy_options::overwrite_existing);
  for (const char* phase : {"inspect", "create", "register", "write"}) {
    const auto answer = unpack(Json::array({wanted}), {phase});
    ASSERT_FALSE(answer) << phase;
    EXPECT_EQ(answer.error().kind, ErrorKind::corrupt);
    EXPECT_THAT(answer.error().text(), HasSubstr("sample"));
    EXPECT_THAT(answer.error().hint, HasSubstr("cache"));
  }
  EXPECT_FALSE(look("usr/x"));
  EXPECT_FALSE(look("var"));
  // Nor is a link to the right file one, which could change its target.
  std::filesystem::remove(file_of(other));
  std::filesystem::rename(file_of(wanted), file_of(other));
  std::filesystem::create_symlink(file_of(other), file_of(wanted));
  EXPECT_FALSE(unpack(Json::array({wanted})));
}

TEST_F(HostilePackage, WrongDigestsAndTornFilesAreCorrupt) {
  Json wrong = add({.name = "sample"});
  const std::string other(64, '0');
  std::filesystem::rename(cache() / (wrong["sha256"].get<std::string>() + ".deb"),
                          cache() / (other + ".deb"));
  wrong["sha256"] = other;
  const auto answer = unpack(Json::array({wrong}));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::corrupt);
  EXPECT_FALSE(look("var"));
  // The head of an xz stream, and nothing behind it.
  const std::string torn(
      "\xfd"
      "7zXZ\0\0\4\346\326\264F\2\0!\1\26\0\0\0",
      20);
  EXPECT_EQ(refused({.data_member = "data.tar.xz", .data = torn}), ErrorKind::corrupt);
}

TEST_F(HostilePackage, TwoControlMembersAreRefused) {
  const std::string one = make_tar({{.name = "./control", .content = "Package: a\n"}});
  const auto answer = unpack(Json::array({add_to(cache(),
                                                 "sample",
                                                 make_ar({{"debian-binary", "2.0\n"},
                                                          {"control.tar", one},
                                                          {"control.tar.gz", one},
                                                          {"data.tar", make_tar({})}}))}));
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("two control.tar"));
}

TEST_F(HostilePackage, ReservedAttributesAndIdsAreRefused) {
  EXPECT_EQ(refused({.entries = {{.name = "./x", .content = "", .user = 70000}}}),
            ErrorKind::invalid_input);
}

TEST(GuestTrees, PathsThatAreNotCleanAreRefused) {
  const auto made = system::TemporaryDirectory::make("/var/tmp", "gm-unpack-test-");
  ASSERT_TRUE(made);
  ::mkdir((made->path() / "root").c_str(), 0755);
  const auto root = system::open_directory(made->path() / "root");
  GuestTree tree(root->get());
  for (const std::string path : {"/..", "/../x", "/a/../b", "/./x", "/a//b", "x", "", "/a/"}) {
    EXPECT_FALSE(tree.place(path)) << path;
    EXPECT_FALSE(tree.write(path, "bad")) << path;
    EXPECT_FALSE(tree.remove_file(path)) << path;
    EXPECT_FALSE(tree.directory(path, Missing::create)) << path;
  }
  EXPECT_FALSE(std::filesystem::exists(made->path() / "x"));
}

}  // namespace
}  // namespace goldmill::guest
