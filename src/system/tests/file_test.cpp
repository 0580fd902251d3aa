// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

namespace goldmill::system {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  TemporaryDirectory scratch_ =
      TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
  fs::path at(const char* name) const { return scratch_.path() / name; }
};

TEST_F(FileTest, WriteReplacesAsAWholeAndLeavesNothingBeside) {
  ASSERT_TRUE(write_file(at("a"), "old"));
  ASSERT_TRUE(write_file(at("a"), "new", 0600));
  EXPECT_EQ(read_file(at("a")).value(), "new");
  struct stat status {};
  ASSERT_EQ(::stat(at("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch_.path()), fs::directory_iterator()), 1);
}

TEST_F(FileTest, ReadRefusesMoreThanItsLimit) {
  ASSERT_TRUE(write_file(at("a"), std::string(100, 'x')));
  EXPECT_FALSE(read_file(at("a"), Bytes{99}));
  EXPECT_TRUE(read_file(at("a"), Bytes{100}));
  EXPECT_EQ(read_file(at("missing")).error().kind, ErrorKind::not_found);
}

TEST_F(FileTest, APlainFileIsReadAndNothingElseIsWaitedFor) {
  ASSERT_TRUE(write_file(at("a"), "text"));
  fs::create_symlink(at("a"), at("link"));
  EXPECT_EQ(read_plain_file(at("link")).value(), "text");
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  for (const fs::path& other : {at("fifo"), scratch_.path(), fs::path("/dev/zero")}) {
    const auto read = read_plain_file(other, 1_MiB);
    ASSERT_FALSE(read) << other;
    EXPECT_EQ(read.error().message, other.string() + " is not a plain file");
  }
  EXPECT_EQ(read_plain_file(at("missing")).error().kind, ErrorKind::not_found);
}

TEST_F(FileTest, RemoveTreeNeverFollowsLinks) {
  ASSERT_TRUE(make_directories(at("outside/deep")));
  ASSERT_TRUE(write_file(at("outside/deep/canary"), "alive"));
  ASSERT_TRUE(make_directories(at("tree/a/b")));
  fs::create_directory_symlink(at("outside"), at("tree/a/link"));
  fs::create_symlink(at("outside/deep/canary"), at("tree/canary"));
  fs::permissions(at("tree/a/b"), fs::perms::none);
  ASSERT_TRUE(remove_tree(at("tree")));
  EXPECT_FALSE(fs::exists(at("tree")));
  EXPECT_EQ(read_file(at("outside/deep/canary")).value(), "alive");
  EXPECT_TRUE(remove_tree(at("tree"))) << "a missing tree is no error";
}

TEST_F(FileTest, RenameIntoPlaceKeepsWhatIsThere) {
  ASSERT_TRUE(write_file(at("a"), "a"));
  ASSERT_TRUE(write_file(at("b"), "b"));
  EXPECT_EQ(rename_into_place(at("a"), at("b")).error().kind, ErrorKind::conflict);
  EXPECT_EQ(read_file(at("b")).value(), "b");
}

TEST_F(FileTest, ExchangedFilesHaveEachOthersNames) {
  ASSERT_TRUE(write_file(at("a"), "a"));
  ASSERT_TRUE(write_file(at("b"), "b"));
  ASSERT_TRUE(exchange(at("a"), at("b")));
  EXPECT_EQ(read_file(at("a")).value() + read_file(at("b")).value(), "ba");
  EXPECT_EQ(exchange(at("a"), at("none")).error().kind, ErrorKind::not_found);
}

TEST_F(FileTest, ExclusiveLockExcludesAndIsLetGo) {
  {
    const auto first = FileLock::acquire(at("lock"), FileLock::Mode::exclusive);
    ASSERT_TRUE(first);
    EXPECT_EQ(FileLock::try_acquire(at("lock"), FileLock::Mode::shared).error().kind,
              ErrorKind::conflict);
  }
  const auto one = FileLock::try_acquire(at("lock"), FileLock::Mode::shared);
  const auto two = FileLock::try_acquire(at("lock"), FileLock::Mode::shared);
  EXPECT_TRUE(one && two);
}

}  // namespace goldmill::system
