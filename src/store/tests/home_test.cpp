// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <goldmill/store/home.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::store {

namespace {
unsigned mode_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777U;
}
}  // namespace

TEST(Home, IsClosedToOthersButOpenInsideForGuestIds) {
  const auto scratch =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
  const auto home = Home::open(scratch.path() / "deep" / "home");
  ASSERT_TRUE(home) << home.error().text();
  EXPECT_EQ(mode_of(home->root()), 0700U);
  EXPECT_EQ(mode_of(home->trees()), 0777U);
  EXPECT_EQ(mode_of(home->work()), 0777U);
  EXPECT_EQ(mode_of(home->packages()), 0755U);
}

TEST(Home, IsRecognisedWithoutItsLayoutFileAndWritesItAgain) {
  const auto scratch =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
  const std::filesystem::path root = scratch.path() / "home";
  ASSERT_TRUE(Home::open(root));
  const std::string whole = system::read_file(root / "oci-layout").value();
  ASSERT_TRUE(system::write_file(root / "catalogue.db", ""));
  ASSERT_TRUE(system::write_file(root / "index.json", "kept"));
  for (const char* damage : {"", "{"}) {
    ASSERT_TRUE(system::write_file(root / "oci-layout", damage));
    if (*damage == '\0') {
      std::filesystem::remove(root / "oci-layout");
    }
    ASSERT_TRUE(Home::open(root)) << damage;
    EXPECT_EQ(system::read_file(root / "oci-layout").value(), whole);
    EXPECT_EQ(system::read_file(root / "index.json").value(), "kept");
  }
  std::filesystem::remove(root / "index.json");  // an empty one would hide what was lost
  ASSERT_TRUE(Home::open(root));
  EXPECT_FALSE(std::filesystem::exists(root / "index.json"));
}

TEST(Home, BlobsAreVerifiedWhenRead) {
  const auto scratch =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
  const Home home = Home::open(scratch.path()).value();
  const Digest digest = home.put_blob("content").value();
  EXPECT_EQ(digest, sha256("content"));
  EXPECT_EQ(home.get_blob(digest).value(), "content");
  ASSERT_TRUE(system::write_file(home.blob(digest), "c0ntent"));
  EXPECT_EQ(home.get_blob(digest).error().kind, ErrorKind::corrupt);
  EXPECT_EQ(home.get_blob(sha256("never stored")).error().kind, ErrorKind::not_found);
}

}  // namespace goldmill::store
