// SPDX-License-Identifier: GPL-3.0-or-later
// The guest is debugfs, which knows nothing of our reader.
#include <fstream>
#include <map>
#include <optional>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/image/ext4.hpp>
#include <goldmill/image/guest_changes.hpp>
#include <goldmill/image/identity.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "scratch_parent.hpp"

namespace goldmill::image {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPlace = 1U << 20;
constexpr std::uint64_t kSize = 64U << 20;

class GuestChanges : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(scratch_parent(), "changes-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    ASSERT_TRUE(system::make_directories(tree("etc/site")));
    ASSERT_TRUE(system::make_directories(tree("var")));
    put("etc/hosts", "old\n");
    put("etc/site/a", "a\n");
    put("etc/site/b", "b\n");
    put("large", std::string(3U << 20, 'x'));
    put("several", "one file\n");
    fs::create_hard_link(tree("several"), tree("etc/second"));
    fs::create_symlink("hosts", tree("etc/link"));
  }

  fs::path tree(const std::string& path) const { return scratch_->path() / "tree" / path; }
  fs::path disk() const { return scratch_->path() / "disk"; }

  void put(const std::string& path, const std::string& content) const {
    std::ofstream file(tree(path), std::ios::binary);  // nothing here must survive a crash
    ASSERT_TRUE(file << content);
  }

  std::string read(const std::string& path) const {
    const auto content = system::read_file(tree(path));
    return content ? *content : content.error().text();
  }

  static Layout layout() {
    Layout layout;
    layout.os_family = "debian";
    layout.os_release = "12";
    layout.architecture = "amd64";
    layout.size = kPlace + kSize + (1U << 20);
    layout.partitions = {{Role::root, "root", "ext4", "/", "root", kPlace, kSize}};
    return layout;
  }

  void write_disk() const {
    const auto file = system::open_file(disk(), O_RDWR | O_CREAT | O_TRUNC);
    ASSERT_TRUE(file);
    ASSERT_EQ(::ftruncate(file->get(), static_cast<off_t>(layout().size)), 0);
    const auto directory = system::open_directory(tree(""));
    ASSERT_TRUE(directory);
    const Identity identity(sha256("test"));
    Ext4Options options;
    options.offset = kPlace;
    options.size = kSize;
    options.label = "root";
    options.uuid = identity.uuid("file system");
    options.hash_seed = identity.uuid("hash seed");
    options.epoch = 1790000000;
    options.features = ext4_features();
    const auto written = write_ext4(file->get(), options, {{directory->get()}, "", {}});
    ASSERT_TRUE(written) << written.error().text();
  }

  /// What debugfs does to the disk, one command each.
  void change(const std::vector<std::string>& commands) const {
    const std::string place = disk().string() + "?offset=" + std::to_string(kPlace);
    for (const std::string& command : commands) {
      const auto done =
          system::process_runner().run({.argv = {"debugfs", "-w", "-R", command, place}});
      ASSERT_TRUE(done) << done.error().text();
    }
  }

  Result<void> take(const std::vector<std::string>& left = {}) const {
    const auto file = TRY(system::open_file(disk(), O_RDONLY));
    const auto directory = TRY(system::open_directory(tree("")));
    return take_guest_changes(file.get(), layout(), left, directory.get());
  }

  /// Inode numbers by path: what is not written anew keeps its own.
  std::map<std::string, ino_t> inodes() const {
    std::map<std::string, ino_t> found;
    for (const auto& entry : fs::recursive_directory_iterator(tree(""))) {
      struct stat status {};
      EXPECT_EQ(::lstat(entry.path().c_str(), &status), 0);
      found[entry.path().lexically_relative(tree("")).string()] = status.st_ino;
    }
    return found;
  }

  std::optional<system::TemporaryDirectory> scratch_;
};

TEST_F(GuestChanges, AGuestThatDidNothingChangesNothing) {
  write_disk();
  const auto before = inodes();
  const auto taken = take();
  ASSERT_TRUE(taken) << taken.error().text();
  EXPECT_EQ(inodes(), before);
}

TEST_F(GuestChanges, WhatTheGuestDidIsInTheTreeAndNothingElseIsWritten) {
  write_disk();
  const auto before = inodes();
  std::ofstream(scratch_->path() / "new") << "new\n";
  const std::string source = (scratch_->path() / "new").string();
  // A plain user's namespace has root only.
  const uid_t owner = ::chown(source.c_str(), 7, 7) == 0 ? 7 : 0;
  change({"rm /etc/hosts",
          "write " + source + " /etc/hosts",
          "rm /etc/site/a",
          "rm /etc/site/b",
          "rmdir /etc/site",
          "mkdir /srv",
          "write " + source + " /srv/new",
          "set_inode_field /srv/new mode 0100640",
          "set_inode_field /srv/new uid " + std::to_string(owner),
          "ea_set /srv/new user.word value",
          "symlink /srv/link /etc/hosts",
          "set_inode_field /large mode 0100600"});
  const auto taken = take();
  ASSERT_TRUE(taken) << taken.error().text();
  EXPECT_EQ(read("etc/hosts"), "new\n");
  EXPECT_FALSE(fs::exists(tree("etc/site")));
  EXPECT_EQ(read("srv/new"), "new\n");
  struct stat status {};
  ASSERT_EQ(::stat(tree("srv/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640U);
  EXPECT_EQ(status.st_uid, owner);
  std::string value(16, '\0');
  ASSERT_EQ(::getxattr(tree("srv/new").c_str(), "user.word", value.data(), value.size()), 5);
  EXPECT_EQ(value.substr(0, 5), "value");
  EXPECT_EQ(fs::read_symlink(tree("srv/link")), "/etc/hosts");
  ASSERT_EQ(::stat(tree("large").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(read("large").size(), 3U << 20);
  const auto after = inodes();
  for (const char* path : {"several", "etc/second", "etc/link", "var", "etc"}) {
    EXPECT_EQ(after.at(path), before.at(path)) << path;
  }
}

TEST_F(GuestChanges, NamesOfOneFileStayTogetherAndComeApart) {
  write_disk();
  change({"ln /etc/site/a /var/joined", "set_inode_field /etc/site/a links_count 2"});
  ASSERT_TRUE(take());
  EXPECT_EQ(fs::hard_link_count(tree("etc/site/a")), 2U);
  EXPECT_TRUE(fs::equivalent(tree("etc/site/a"), tree("var/joined")));
  EXPECT_TRUE(fs::equivalent(tree("several"), tree("etc/second")));

  write_disk();
  std::ofstream(scratch_->path() / "same") << "one file\n";
  change({"unlink /etc/second",
          "set_inode_field /several links_count 1",
          "write " + (scratch_->path() / "same").string() + " /etc/second"});
  ASSERT_TRUE(take());
  EXPECT_FALSE(fs::equivalent(tree("several"), tree("etc/second")));
  EXPECT_EQ(read("etc/second"), "one file\n");
}

TEST_F(GuestChanges, WhatIsLeftAloneStays) {
  write_disk();
  std::ofstream(scratch_->path() / "new") << "new\n";
  const std::string source = (scratch_->path() / "new").string();
  change({"write " + source + " /etc/unit", "rm /etc/hosts", "write " + source + " /var/new"});
  ASSERT_TRUE(take({"etc/unit", "etc/hosts", "var/"}));
  EXPECT_FALSE(fs::exists(tree("var/new")));
  EXPECT_FALSE(fs::exists(tree("etc/unit")));
  EXPECT_EQ(read("etc/hosts"), "old\n");
}

TEST_F(GuestChanges, ADiskThatWasNotClosedIsRefused) {
  write_disk();
  change({"set_super_value state 0"});
  const auto taken = take();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(read("etc/hosts"), "old\n");
}

TEST_F(GuestChanges, HostileNamesReachNothingOutside) {
  write_disk();
  change({"symlink /srv /", "rm /etc/hosts"});
  ASSERT_TRUE(take());
  EXPECT_TRUE(fs::is_symlink(tree("srv")));
  std::ofstream(tree("var/kept")) << "kept\n";  // below what the guest makes a link out of the tree
  write_disk();
  change({"rm /var/kept", "rmdir /var", "symlink /var /"});
  const auto taken = take();
  ASSERT_TRUE(taken) << taken.error().text();
  EXPECT_TRUE(fs::is_symlink(tree("var")));
  EXPECT_TRUE(fs::exists("/var"));
}

TEST_F(GuestChanges, DirectoriesInEachOtherAreRefused) {
  write_disk();
  change({"ln /etc /etc/site/again"});
  const auto taken = take();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::corrupt);
}

}  // namespace
}  // namespace goldmill::image
