// SPDX-License-Identifier: GPL-3.0-or-later
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/system/locked_directory.hpp>

namespace goldmill::system {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class LockedDirectoryTest : public testing::Test {
 protected:
  fs::path work() const { return home_.path() / "work"; }

  /// One whose owner was killed.
  fs::path left_behind() const {
    int pipe[2];
    EXPECT_EQ(::pipe(pipe), 0);
    const pid_t owner = ::fork();
    if (owner == 0) {
      const auto made = LockedDirectory::make(work(), "job-");
      const std::string path = made ? made->path().string() : "";
      (void)!::write(pipe[1], path.data(), path.size());
      ::raise(SIGKILL);
    }
    ::close(pipe[1]);
    std::string path = read_all(pipe[0], Bytes{4096}).value();
    ::close(pipe[0]);
    EXPECT_EQ(::waitpid(owner, nullptr, 0), owner);
    return path;
  }

 private:
  TemporaryDirectory home_ =
      TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
};

TEST_F(LockedDirectoryTest, GoesWithItsOwner) {
  fs::path path;
  {
    const auto made = LockedDirectory::make(work(), "job-");
    ASSERT_TRUE(made) << made.error().text();
    path = made->path();
    EXPECT_TRUE(path.filename().string().starts_with("job-"));
    EXPECT_TRUE(is_owned(path));
    EXPECT_THAT(*abandoned(work()), IsEmpty());
    fs::create_directories(path / "a/b");
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(is_owned(path));
}

TEST_F(LockedDirectoryTest, IsGivenAwayWhole) {
  auto made = LockedDirectory::make(work(), "job-");
  ASSERT_TRUE(made) << made.error().text();
  const fs::path path = made->path();
  {
    const LockedDirectory taken = std::move(*made);
    EXPECT_TRUE(is_owned(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(LockedDirectoryTest, WhatAKilledOwnerLeftIsFound) {
  const auto alive = LockedDirectory::make(work(), "job-");
  ASSERT_TRUE(alive) << alive.error().text();
  const fs::path dead = left_behind();
  ASSERT_TRUE(fs::exists(dead));
  EXPECT_FALSE(is_owned(dead));
  EXPECT_THAT(*abandoned(work()), ElementsAre(dead));
}

TEST_F(LockedDirectoryTest, OneThatIsComingOrGoingDoesNotLookAbandoned) {
  static fs::path seen_going;
  const auto watch = [](const fs::path& directory) -> Result<void> {
    // What abandoned() needs cannot be had meanwhile.
    const auto lock = FileLock::try_acquire(directory.parent_path().parent_path() / "work.lock",
                                            FileLock::Mode::exclusive);
    seen_going = lock ? fs::path() : directory;
    return remove_tree(directory);
  };
  fs::path path;
  {
    const auto made = LockedDirectory::make(work(), "job-", watch);
    ASSERT_TRUE(made) << made.error().text();
    path = made->path();
  }
  EXPECT_EQ(seen_going, path);
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace goldmill::system
