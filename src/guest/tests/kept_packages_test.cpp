// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>
#include <optional>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/kept_packages.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {
namespace {

namespace fs = std::filesystem;

class KeptPackagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(fs::temp_directory_path(), "kept-");
    ASSERT_TRUE(made) << made.error().text();
    room_.emplace(std::move(made).value());
    cache_ = room_->path() / "cache";
    kept_ = room_->path() / "r.packages";
    fs::create_directory(cache_);
  }

  /// A package whose file, of this content, is in the cache.
  PackageFile cached(const std::string& content) const {
    PackageFile package;
    package.name = content;
    package.sha256 = sha256(content).hex();
    package.size = content.size();
    write(cached_file(cache_, package.sha256), content);
    return package;
  }

  static void write(const fs::path& file, const std::string& content) {
    ASSERT_TRUE(system::write_file(file, content));
  }

  std::string in(const fs::path& directory, const PackageFile& package) const {
    return system::read_file(cached_file(directory, package.sha256)).value();
  }

  KeptPackages keep(const std::vector<PackageFile>& packages) const {
    auto kept = keep_packages(packages, cache_, kept_);
    EXPECT_TRUE(kept) << kept.error().text();
    return kept ? *kept : KeptPackages{};
  }

  std::optional<system::TemporaryDirectory> room_;
  fs::path cache_;
  fs::path kept_;
};

TEST_F(KeptPackagesTest, ComeIntoAnEmptyCache) {
  const std::vector<PackageFile> packages = {cached("one"), cached("another")};
  const KeptPackages kept = keep(packages);
  EXPECT_EQ(kept.packages, 2U);
  EXPECT_EQ(kept.added, 2U);
  EXPECT_EQ(kept.size.value, 10U);
  fs::remove_all(cache_);
  fs::create_directory(cache_);
  const auto damaged = take_kept_packages(packages, kept_, cache_);
  ASSERT_TRUE(damaged) << damaged.error().text();
  EXPECT_TRUE(damaged->empty());
  EXPECT_EQ(in(cache_, packages[0]), "one");
  EXPECT_EQ(in(cache_, packages[1]), "another");
}

TEST_F(KeptPackagesTest, OnesThatAreThereStay) {
  const std::vector<PackageFile> packages = {cached("one")};
  EXPECT_EQ(keep(packages).added, 1U);
  EXPECT_EQ(keep(packages).added, 0U);
}

TEST_F(KeptPackagesTest, AFileOfTheSameSizeIsNoProof) {
  const PackageFile package = cached("right");
  keep({package});
  fs::remove(cached_file(kept_, package.sha256));
  write(cached_file(kept_, package.sha256), "wrong");
  fs::remove(cached_file(cache_, package.sha256));
  const auto damaged = take_kept_packages({package}, kept_, cache_);
  ASSERT_TRUE(damaged);
  EXPECT_EQ(*damaged, std::vector<fs::path>{cached_file(kept_, package.sha256)});
  EXPECT_FALSE(fs::exists(cached_file(cache_, package.sha256)));
  cached("right");
  EXPECT_EQ(keep({package}).repaired, std::vector<std::string>{"right"});
  EXPECT_EQ(in(kept_, package), "right");
}

TEST_F(KeptPackagesTest, ALinkIsNotFollowed) {
  const PackageFile package = cached("secret");
  fs::create_directory(kept_);
  fs::rename(cached_file(cache_, package.sha256), room_->path() / "elsewhere");
  fs::create_symlink(room_->path() / "elsewhere", cached_file(kept_, package.sha256));
  const auto damaged = take_kept_packages({package}, kept_, cache_);
  ASSERT_TRUE(damaged);
  EXPECT_EQ(damaged->size(), 1U);
}

TEST_F(KeptPackagesTest, WhatIsDamagedInTheCacheIsNotKept) {
  const PackageFile package = cached("right");
  fs::remove(cached_file(cache_, package.sha256));
  write(cached_file(cache_, package.sha256), "wrong");
  const auto kept = keep_packages({package}, cache_, kept_);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().kind, ErrorKind::corrupt);
  EXPECT_TRUE(fs::is_empty(kept_));
}

TEST_F(KeptPackagesTest, OnesThatGuestsCouldNotReadAreCopied) {
  const PackageFile package = cached("one");
  ::chmod(cached_file(cache_, package.sha256).c_str(), 0600);
  keep({package});
  struct stat status {};
  ASSERT_EQ(::stat(cached_file(kept_, package.sha256).c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, 1U);
  EXPECT_EQ(status.st_mode & 0044U, 0044U);
}

TEST_F(KeptPackagesTest, OnlyOtherPackagesAreNotWanted) {
  const PackageFile old = cached("old");
  const PackageFile fresh = cached("new");
  keep({old});
  write(kept_ / "README", "ours");
  EXPECT_EQ(keep({fresh}).not_wanted, std::vector<std::string>{old.sha256 + ".deb"});
}

}  // namespace
}  // namespace goldmill::guest
