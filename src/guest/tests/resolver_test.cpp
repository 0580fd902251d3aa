// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>

#include <gtest/gtest.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/packages_step.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {
namespace {

namespace fs = std::filesystem;

PackageFile package() {
  return {.name = "tool",
          .version = "1:2.0-1",
          .architecture = "all",
          .sha256 = sha256("tool").hex(),
          .size = 1234,
          .installed_size = 4096,
          .pool_path = "pool/main/t/tool/tool_2.0-1_all.deb",
          .source_index = 1,
          .essential = false,
          .automatic = true,
          .pre_depends = true,
          .upgrades_from = "1.0"};
}

Resolution resolution() {
  return {.packages = {package()},
          .removed = {"old:amd64"},
          .manual = {"tool"},
          .operations = {{Operation::Kind::remove, "old:amd64"},
                         {Operation::Kind::unpack, "tool:amd64"},
                         {Operation::Kind::configure, "tool:amd64"},
                         {Operation::Kind::purge, "older:amd64"}},
          .epoch = 1'700'000'000,
          .suites = {{"main/bookworm", 1'700'000'000}}};
}

TEST(Resolution, SurvivesJson) {
  const auto again = resolution_from_json(to_json(resolution()));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, resolution());
}

TEST(Resolution, TellsWhoUnpacksIt) {
  Resolution wanted = resolution();
  EXPECT_EQ(unpacked_by(to_json(wanted), true), "unpacked by goldmill into an empty tree");
  EXPECT_EQ(unpacked_by(to_json(wanted), false),
            "unpacked by the image's dpkg, since packages are removed");
  wanted.removed.clear();
  EXPECT_EQ(unpacked_by(to_json(wanted), false),
            "unpacked by the image's dpkg, since tool is there in another version");
  wanted.packages[0].upgrades_from.clear();
  EXPECT_EQ(unpacked_by(to_json(wanted), false),
            "unpacked by goldmill if they only add paths, else by the image's dpkg");
}

TEST(Resolution, ADamagedLockIsRefused) {
  const auto refused = [](const char* key, const Json& value) {
    Json json = to_json(resolution());
    json["packages"][0][key] = value;
    return !resolution_from_json(json).has_value();
  };
  EXPECT_FALSE(refused("version", "2.0"));
  EXPECT_TRUE(refused("sha256", "../../etc/passwd"));
  EXPECT_TRUE(refused("sha256", std::string(64, 'G')));
  EXPECT_TRUE(refused("pool_path", "../secret"));
  EXPECT_TRUE(refused("pool_path", "/etc/passwd"));
  EXPECT_TRUE(refused("pool_path", "pool/a?b"));
  EXPECT_TRUE(refused("name", 7));
  Json json = to_json(resolution());
  json["operations"][0][0] = "explode";
  EXPECT_FALSE(resolution_from_json(json));
  EXPECT_FALSE(resolution_from_json(Json::object()));
}

class Cache : public testing::Test {
 protected:
  void SetUp() override {
    scratch_.emplace(system::TemporaryDirectory::make(fs::temp_directory_path(), "cache-").value());
  }
  fs::path directory() const { return scratch_->path() / "packages"; }
  PackageFile cached(const std::string& content) const {
    PackageFile made = package();
    made.sha256 = sha256(content).hex();
    made.size = content.size();
    fs::create_directories(directory());
    EXPECT_TRUE(system::write_file(cached_file(directory(), made.sha256), content));
    return made;
  }

 private:
  std::optional<system::TemporaryDirectory> scratch_;
};

// Here each fetch that lacks a file fails before it starts a worker: there are no sources.
TEST_F(Cache, AFullOneNeedsNoNetwork) {
  const PackageFile made = cached("!<arch>\ncontent");
  EXPECT_TRUE(fetch({.packages = {made}, .cache_directory = directory(), .verify = true}));
}

TEST_F(Cache, AWrongFileIsRemoved) {
  const PackageFile made = cached("!<arch>\ncontent");
  const fs::path file = cached_file(directory(), made.sha256);
  ASSERT_TRUE(system::write_file(file, "!<arch>\nCONTENT"));
  EXPECT_FALSE(fetch({.packages = {made}, .cache_directory = directory(), .verify = true}));
  EXPECT_FALSE(fs::exists(file));
  ASSERT_TRUE(system::write_file(file, "short"));
  EXPECT_FALSE(fetch({.packages = {made}, .cache_directory = directory()}));
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(Cache, TakesALocalPackage) {
  fs::create_directories(directory().parent_path());
  const fs::path file = directory().parent_path() / "x.deb";
  ASSERT_TRUE(system::write_file(file, "!<arch>\nlocal"));
  const auto digest = add_to_cache(file, directory());
  ASSERT_TRUE(digest) << digest.error().text();
  EXPECT_EQ(*digest, sha256("!<arch>\nlocal").hex());
  EXPECT_EQ(*system::read_file(cached_file(directory(), *digest)), "!<arch>\nlocal");
  ASSERT_TRUE(system::write_file(file, "no package"));
  const auto refused = add_to_cache(file, directory());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid_input);
}

// It never was in this machine's cache, or has left it.
TEST_F(Cache, ALockedLocalPackageComesFromBesideTheRecipe) {
  PackageFile local = cached("!<arch>\nlocal");
  local.source_index = -1;
  const fs::path cached = cached_file(directory(), local.sha256);
  const fs::path file = directory().parent_path() / "x.deb";
  fs::rename(cached, file);
  const FetchRequest wanted{.packages = {local}, .cache_directory = directory()};
  EXPECT_FALSE(fetch(wanted));
  const auto brought = fetch_local(wanted, {{local.sha256, file}});
  ASSERT_TRUE(brought) << brought.error().text();
  EXPECT_TRUE(fetch(wanted));
  EXPECT_EQ(*system::read_file(cached), "!<arch>\nlocal");
}

TEST_F(Cache, ADamagedLocalPackageIsReplaced) {
  PackageFile local = cached("!<arch>\nlocal");
  local.source_index = -1;
  const fs::path file = directory().parent_path() / "x.deb";
  ASSERT_TRUE(system::write_file(file, "!<arch>\nlocal"));
  ASSERT_TRUE(system::write_file(cached_file(directory(), local.sha256), "!<arch>\nLOCAL"));
  const FetchRequest wanted{.packages = {local}, .cache_directory = directory(), .verify = true};
  ASSERT_TRUE(fetch_local(wanted, {{local.sha256, file}}));
  EXPECT_TRUE(fetch(wanted));
}

// Other content is no package of the lock: nothing but its own file will do.
TEST_F(Cache, ALocalPackageOfOtherContentIsNotTaken) {
  PackageFile local = cached("!<arch>\nlocal");
  local.source_index = -1;
  fs::remove(cached_file(directory(), local.sha256));
  const fs::path file = directory().parent_path() / "x.deb";
  ASSERT_TRUE(system::write_file(file, "!<arch>\nother"));
  const FetchRequest wanted{.packages = {local}, .cache_directory = directory()};
  ASSERT_TRUE(fetch_local(wanted, {{sha256("!<arch>\nother").hex(), file}}));
  const auto refused = fetch(wanted);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("no file of the recipe is it"), std::string::npos);
}

}  // namespace
}  // namespace goldmill::guest
