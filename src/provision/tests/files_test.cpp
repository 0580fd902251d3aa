// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/provision/provision.hpp>

#include "tree_sandbox.hpp"

namespace goldmill::provision {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* directory : {"tree/etc", "source/sub", "outside", "cache"}) {
      fs::create_directories(at(directory));
    }
    // Names that stand for ourselves, so that no root is needed.
    const std::string id = std::to_string(::getuid());
    const std::string group = std::to_string(::getgid());
    put("tree/etc/passwd",
        "root:x:" + id + ":" + group + ":root:/root:/bin/sh\nwww-data:x:" + id + ":" + group +
            "::/:/bin/false\n");
    put("tree/etc/group", "root:x:" + group + ":\nwww-data:x:" + group + ":\n");
    put("outside/canary", "alive");
  }

  fs::path at(const std::string& name) const { return scratch_.path() / name; }
  void put(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(system::write_file(at(name), text));
  }
  std::string get(const std::string& name) const {
    const auto text = system::read_file(at(name));
    return text ? *text : "ERROR " + text.error().text();
  }
  unsigned int mode(const std::string& name) const {
    struct stat status {};
    return ::lstat(at(name).c_str(), &status) == 0 ? status.st_mode & 07777U : 0U;
  }

  Result<plan::Step> step_of(std::vector<recipe::FileCopy> copies) const {
    recipe::Recipe recipe;
    recipe.provision = {{recipe::FilesStep{std::move(copies)}, {"r.yaml", 7, 3}}};
    return TRY(make_steps(recipe)).at(0);
  }
  Result<Json> run(const plan::Step& step) {
    plan::StepContext context{sandbox_, progress_, at("cache")};
    return find_kind(step.kind)->run(step, context);
  }
  Result<Json> copy(std::vector<recipe::FileCopy> copies) {
    return run(TRY(step_of(std::move(copies))));
  }

  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-files.").value();
  TreeSandbox sandbox_{scratch_.path() / "tree"};
  plan::Progress progress_;
};

TEST_F(FilesTest, WritesContentWithModeAndTime) {
  const auto result = copy({{.content = "hello\n", .target = "/etc/motd"},
                            {.content = "#!/bin/sh\n", .target = "/opt/a/b/run", .mode = 04755},
                            {.content = "", .target = "/etc/empty", .mode = 0600}});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(sandbox_.called, "provision.files");
  EXPECT_EQ((*result)["written"], 3);
  EXPECT_EQ(get("tree/etc/motd"), "hello\n");
  EXPECT_EQ(mode("tree/etc/motd"), 0644U);
  EXPECT_EQ(mode("tree/opt/a/b/run"), 04755U);
  EXPECT_EQ(mode("tree/opt/a"), 0755U);
  EXPECT_EQ(mode("tree/etc/empty"), 0600U);
  struct stat status {};
  ASSERT_EQ(::stat(at("tree/etc/motd").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtime, sandbox_.epoch());
  EXPECT_FALSE(fs::exists(at("tree/etc/.goldmill-new")));
}

TEST_F(FilesTest, CopiesDirectoriesWithLinksAndExecutables) {
  put("source/a", "A");
  put("source/sub/run", "#!/bin/sh\n");
  fs::permissions(at("source/sub/run"), fs::perms::owner_all);
  fs::create_symlink("../../../etc/shadow", at("source/sub/link"));
  fs::create_directories(at("tree/srv"));
  const auto result =
      copy({{.source = at("source"), .target = "/srv/site", .mode = 0640, .owner = "www-data"}});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(get("tree/srv/site/a"), "A");
  EXPECT_EQ(mode("tree/srv/site"), 0750U);
  EXPECT_EQ(mode("tree/srv/site/a"), 0640U);
  EXPECT_EQ(mode("tree/srv/site/sub/run"), 0750U) << "executable files stay so";
  EXPECT_EQ(fs::read_symlink(at("tree/srv/site/sub/link")), "../../../etc/shadow");
}

TEST_F(FilesTest, NeverLeavesTheTree) {
  // A hostile tree: its links point to the machine's own files.
  fs::create_directory_symlink(at("outside"), at("tree/evil"));
  fs::create_directory_symlink("../../../../../../../../../.." + at("outside").string(),
                               at("tree/up"));
  fs::create_symlink(at("outside/canary"), at("tree/etc/canary"));
  fs::create_directories(at("tree/" + at("outside").string()));
  ASSERT_TRUE(copy({{.content = "x", .target = "/evil/canary"}}));
  ASSERT_TRUE(copy({{.content = "x", .target = "/up/canary2"}}));
  ASSERT_TRUE(copy({{.content = "x", .target = "/etc/canary"}}));
  put("source/canary", "x");
  ASSERT_TRUE(copy({{.source = at("source"), .target = "/evil"}}));
  EXPECT_EQ(get("outside/canary"), "alive");
  EXPECT_FALSE(fs::exists(at("outside/canary2")));
  EXPECT_FALSE(fs::is_symlink(at("tree/etc/canary"))) << "a link at the target is replaced";
  EXPECT_EQ(get("tree/etc/canary"), "x");
  EXPECT_EQ(get("tree" + at("outside").string() + "/canary"), "x") << "resolved inside the tree";
  fs::create_symlink("/proc/self/fd", at("tree/magic"));
  EXPECT_FALSE(copy({{.content = "x", .target = "/magic/2/x"}}));
}

TEST_F(FilesTest, OwnersAreTheGuests) {
  const auto unknown = copy({{.content = "x", .target = "/x", .owner = "www-daat"}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::not_found);
  EXPECT_THAT(unknown.error().message, HasSubstr("no user 'www-daat'"));
  EXPECT_EQ(unknown.error().hint, "did you mean 'www-data'?");
  EXPECT_FALSE(fs::exists(at("tree/x")));
  if (::chown(at("tree").c_str(), 4711, 4712) == 0) {  // root; a namespace may have one id only
    put("tree/etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:4711:4712::/:/bin/sh\n");
    put("tree/etc/group", "root:x:0:\nstaff:x:50:\n");
    ASSERT_TRUE(copy({{.content = "x", .target = "/x", .owner = "app", .group = "staff"},
                      {.content = "y", .target = "/y", .owner = "1234", .group = "0"}}));
    struct stat status {};
    ASSERT_EQ(::stat(at("tree/x").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 4711U);
    EXPECT_EQ(status.st_gid, 50U);
    ASSERT_EQ(::stat(at("tree/y").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 1234U);
  }
}

TEST_F(FilesTest, ADirectoryIsNotReplacedByAFile) {
  const auto result = copy({{.content = "x", .target = "/etc"}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::conflict);
  EXPECT_TRUE(fs::is_directory(at("tree/etc")));
}

TEST_F(FilesTest, KeyFollowsContentModeAndExecutableBitOnly) {
  put("source/a", "A");
  const auto digest = [&] {
    const auto step = step_of({{.source = at("source"), .target = "/s"}});
    return step ? step->inputs.at("source of /s") : step.error().text();
  };
  const std::string first = digest();
  EXPECT_THAT(first, HasSubstr("sha256:"));
  fs::last_write_time(at("source/a"), fs::file_time_type::clock::now() - std::chrono::hours(99));
  fs::permissions(at("source/a"), fs::perms::owner_read);
  EXPECT_EQ(digest(), first) << "times and other modes do not count";
  fs::permissions(at("source/a"), fs::perms::owner_all);
  const std::string executable = digest();
  EXPECT_NE(executable, first);
  put("source/a", "B");
  EXPECT_NE(digest(), executable);
  const auto step = step_of({{.source = at("source"), .target = "/s"}});
  EXPECT_THAT(canonical(step->options), testing::Not(HasSubstr(at("source").string())))
      << "no path of this machine in a key";
}

TEST_F(FilesTest, ContentsNameEachFileOrTheDirectoriesOfVeryMany) {
  put("source/a", "A");
  put("source/sub/b", "B");
  const auto contents = [&](const std::string& source) {
    const auto step = step_of({{.source = at(source), .target = "/s"}});
    return step ? step->contents.at("source of /s") : Json(step.error().text());
  };
  const Json first = contents("source");
  ASSERT_TRUE(first.contains("/s/sub/b")) << first;
  EXPECT_TRUE(contents("source/a").contains("/s"));
  put("source/sub/b", "C");
  Json second = contents("source");
  EXPECT_NE(second.at("/s/sub/b"), first.at("/s/sub/b"));
  second["/s/sub/b"] = first.at("/s/sub/b");
  EXPECT_EQ(second, first);

  for (int i = 0; i < 1100; ++i) {
    put("source/sub/" + std::to_string(i), "");
  }
  const Json many = contents("source");
  EXPECT_EQ(many.size(), 2U) << "a and sub";
  put("source/sub/b", "D");
  EXPECT_NE(contents("source").at("/s/sub"), many.at("/s/sub"));
  EXPECT_EQ(contents("source").at("/s/a"), many.at("/s/a"));
}

TEST_F(FilesTest, WhatChangedSincePlanningIsRefused) {
  put("source/a", "A");
  const auto step = step_of({{.source = at("source"), .target = "/s"}});
  ASSERT_TRUE(step);
  put("source/a", "B");
  const auto result = run(*step);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::conflict);
  EXPECT_FALSE(fs::exists(at("tree/s")));
}

TEST_F(FilesTest, SpecialSourcesAreRefused) {
  ASSERT_EQ(::mkfifo(at("source/fifo").c_str(), 0600), 0);
  const auto step = step_of({{.source = at("source"), .target = "/s"}});
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().kind, ErrorKind::invalid_input);
  EXPECT_THAT(step.error().message, HasSubstr("r.yaml:7:3: "));
}

}  // namespace goldmill::provision
