// SPDX-License-Identifier: GPL-3.0-or-later
// The judges are e2fsck and debugfs, which know nothing of our writer.
#include <array>
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/image/ext4.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "scratch_parent.hpp"

namespace goldmill::image {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kEpoch = 1790000000;
constexpr std::uint64_t kOffset = 3U << 20;

class Ext4 : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(scratch_parent(), "ext4-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    ASSERT_TRUE(system::make_directories(tree()));
  }

  fs::path tree() const { return scratch_->path() / "tree"; }
  fs::path image(const std::string& name = "disk") const { return scratch_->path() / name; }

  void put(const std::string& path, const std::string& content = "") const {
    ASSERT_TRUE(system::make_directories((tree() / path).parent_path()));
    std::ofstream file(tree() / path, std::ios::binary);  // nothing here must survive a crash
    ASSERT_TRUE(file << content);
  }

  Result<Ext4Usage> write(std::uint64_t size,
                          const std::string& name = "disk",
                          std::vector<std::string> hollow = {}) const {
    const auto file = TRY(system::open_file(image(name), O_RDWR | O_CREAT | O_TRUNC));
    EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(offset_ + size)), 0);
    const auto directory = TRY(system::open_directory(tree()));
    return write_ext4(file.get(), options(size), {{directory.get()}, "", std::move(hollow)});
  }

  Ext4Options options(std::uint64_t size) const {
    const Identity identity(sha256("test"));
    Ext4Options options;
    options.offset = offset_;
    options.size = size;
    options.label = "label";
    options.uuid = identity.uuid("file system");
    options.hash_seed = identity.uuid("hash seed");
    options.epoch = kEpoch;
    options.features = ext4_features();
    return options;
  }

  std::string place(const std::string& name = "disk") const {
    return image(name).string() + "?offset=" + std::to_string(kOffset);
  }

  void expect_clean(const std::string& name = "disk") const {
    const auto output = system::process_runner().run({.argv = {"e2fsck", "-fn", place(name)}});
    ASSERT_TRUE(output) << output.error().text();
    EXPECT_EQ(output->status, 0) << output->text << output->errors;
  }

  std::string debugfs(const std::string& request, const std::string& name = "disk") const {
    const auto output =
        system::process_runner().run({.argv = {"debugfs", "-R", request, place(name)}});
    return output ? output->text : "";
  }

  /// A block of a file, found by debugfs and read past our writer.
  std::string block_at(const std::string& path, long logical) const {
    const std::string answer = debugfs("bmap " + path + " " + std::to_string(logical));
    std::string block(4096, '?');
    const auto file = system::open_file(image(), O_RDONLY);
    const off_t at = std::strtol(answer.c_str(), nullptr, 10) * 4096 + static_cast<off_t>(kOffset);
    EXPECT_EQ(::pread(file->get(), block.data(), block.size(), at), 4096);
    return block;
  }

  std::uint64_t offset_ = kOffset;
  std::optional<system::TemporaryDirectory> scratch_;
};

TEST_F(Ext4, EmptyTreesOfManySizesAreClean) {
  for (const std::uint64_t mib : {4U, 5U, 64U, 127U, 129U, 1000U, 2049U}) {
    const auto usage = write(std::uint64_t{mib} << 20);
    ASSERT_TRUE(usage) << mib << " MiB: " << usage.error().text();
    expect_clean();
  }
}

TEST_F(Ext4, MeasuringGivesWhatWritingTakes) {
  put("small", "x");
  put("empty");
  put("large", std::string(5U << 20, 'y'));
  std::string holes(1U << 20, '\0');
  for (std::size_t at = 0; at < holes.size(); at += 64U << 10) {
    holes[at] = 'z';  // more pieces than an inode holds
  }
  put("holes", holes);
  for (int i = 0; i < 500; ++i) {
    put("many/" + std::string(100, 'n') + std::to_string(i), "");
  }
  fs::create_hard_link(tree() / "small", tree() / "second");
  fs::create_symlink(std::string(200, 'l'), tree() / "long");
  const std::uint64_t size = std::uint64_t{64} << 20;
  const auto written = write(size);
  ASSERT_TRUE(written) << written.error().text();
  const auto directory = system::open_directory(tree());
  const auto measured = measure_ext4(options(size), {{directory->get()}, "", {}});
  ASSERT_TRUE(measured) << measured.error().text();
  EXPECT_EQ(measured->usage.used_bytes, written->used_bytes);
  EXPECT_EQ(measured->usage.free_bytes, written->free_bytes);
  constexpr std::uint64_t kLostAndFound = 4 * 4096;
  std::uint64_t sum = kLostAndFound;
  for (const Ext4Share& share : measured->shares) {
    sum += share.bytes;
    const std::string said = debugfs("stat /" + share.path);
    const std::size_t at = said.find("Blockcount: ");
    ASSERT_NE(at, std::string::npos) << share.path;
    EXPECT_EQ(std::stoull(said.substr(at + 12)) * 512, share.bytes) << share.path;
  }
  EXPECT_EQ(sum, written->used_bytes);
  EXPECT_EQ(measured->shares.size(), 6U) << "root, holes, large, long, many, and small once";
}

TEST_F(Ext4, HasNoFeatureThatSomeGuestLacks) {
  ASSERT_TRUE(write(std::uint64_t{64} << 20));
  const std::string said = debugfs("features");
  EXPECT_NE(said.find("metadata_csum"), std::string::npos) << said;
  EXPECT_EQ(said.find("metadata_csum_seed"), std::string::npos) << said;
  EXPECT_EQ(said.find("orphan_file"), std::string::npos) << said;
}

TEST_F(Ext4, EveryKindOfFileArrives) {
  put("usr/bin/tool", "#!/bin/sh\n");
  ::chmod((tree() / "usr/bin/tool").c_str(), 04755);
  ASSERT_EQ(::link((tree() / "usr/bin/tool").c_str(), (tree() / "usr/bin/again").c_str()), 0);
  ASSERT_EQ(::symlink("usr/bin", (tree() / "bin").c_str()), 0);
  ASSERT_EQ(::symlink(std::string(59, 's').c_str(), (tree() / "fast").c_str()), 0);
  ASSERT_EQ(::symlink(std::string(60, 'l').c_str(), (tree() / "slow").c_str()), 0);
  ASSERT_EQ(::symlink(std::string(4000, 'x').c_str(), (tree() / "longest").c_str()), 0);
  ASSERT_EQ(::mkfifo((tree() / "pipe").c_str(), 0600), 0);
  put("empty");
  put(std::string(255, 'n'), "a long name");
  put("\xc3\xa4\xff name\n", "not ASCII, not UTF-8");
  ASSERT_TRUE(write(64U << 20));
  expect_clean();
  const std::string tool = debugfs("stat /usr/bin/tool");
  EXPECT_THAT(tool, testing::HasSubstr("Mode:  04755"));
  EXPECT_THAT(tool, testing::HasSubstr("Links: 2"));
  EXPECT_EQ(debugfs("cat /usr/bin/again"), "#!/bin/sh\n");
  EXPECT_THAT(debugfs("stat /bin"), testing::HasSubstr("Fast link dest: \"usr/bin\""));
  EXPECT_EQ(debugfs("cat /slow"), std::string(60, 'l'));
  EXPECT_EQ(debugfs("cat /longest"), std::string(4000, 'x'));
  EXPECT_THAT(debugfs("stat /pipe"), testing::HasSubstr("Type: FIFO"));
  EXPECT_EQ(debugfs("cat /" + std::string(255, 'n')), "a long name");
}

TEST_F(Ext4, AllTimesComeFromTheEpochAndClampedMtimes) {
  put("old", "x");
  put("new", "x");
  const std::array<timespec, 2> old_times = {timespec{5000, 7}, timespec{1000, 7}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (tree() / "old").c_str(), old_times.data(), 0), 0);
  const std::array<timespec, 2> late = {timespec{kEpoch + 99, 0}, timespec{kEpoch + 99, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (tree() / "new").c_str(), late.data(), 0), 0);
  ASSERT_TRUE(write(64U << 20));
  const std::string old_one = debugfs("stat /old");
  EXPECT_THAT(old_one, testing::HasSubstr("mtime: 0x000003e8:00000000"));
  EXPECT_THAT(old_one, testing::HasSubstr("ctime: 0x6ab13b80:00000000"));
  EXPECT_THAT(old_one, testing::HasSubstr("atime: 0x6ab13b80:00000000"));
  EXPECT_THAT(old_one, testing::HasSubstr("crtime: 0x6ab13b80:00000000"));
  EXPECT_THAT(debugfs("stat /new"), testing::HasSubstr("mtime: 0x6ab13b80:00000000"));
}

TEST_F(Ext4, TheSameTreeGivesTheSameBytesWhateverTheOrderItWasMadeIn) {
  const auto content = [](int i) { return std::string(static_cast<std::size_t>(i * 37), 'c'); };
  for (int i = 0; i < 300; ++i) {
    put("d" + std::to_string(i % 7) + "/f" + std::to_string(i), content(i));
  }
  const auto clamp = [&] {
    for (const auto& entry : fs::recursive_directory_iterator(tree())) {
      const std::array<timespec, 2> times = {timespec{1, 0}, timespec{kEpoch + 5, 0}};
      ::utimensat(AT_FDCWD, entry.path().c_str(), times.data(), 0);
    }
    const std::array<timespec, 2> times = {timespec{1, 0}, timespec{kEpoch + 5, 0}};
    ::utimensat(AT_FDCWD, tree().c_str(), times.data(), 0);
  };
  clamp();
  ASSERT_TRUE(write(16U << 20, "first"));
  fs::rename(tree(), scratch_->path() / "older");
  ASSERT_TRUE(system::make_directories(tree()));
  for (int i = 299; i >= 0; --i) {
    put("d" + std::to_string(i % 7) + "/f" + std::to_string(i), content(i));
  }
  clamp();
  ASSERT_TRUE(write(16U << 20, "second"));
  EXPECT_EQ(*system::read_file(image("first")), *system::read_file(image("second")));
  expect_clean("second");
}

TEST_F(Ext4, LargeDirectoriesAndManyLinksAreClean) {
  put("many/first", "content");
  for (int i = 0; i < 3000; ++i) {
    put("many/" + std::string(200, 'a') + std::to_string(i), "");
    ASSERT_EQ(
        ::link((tree() / "many/first").c_str(), (tree() / ("link" + std::to_string(i))).c_str()),
        0);
  }
  ASSERT_TRUE(write(64U << 20));
  expect_clean();
  EXPECT_THAT(debugfs("stat /link2999"), testing::HasSubstr("Links: 3001"));
}

TEST_F(Ext4, HolesStayHolesAndZerosBecomeThemBeyondFourGigabytes) {
  // 300 pieces far apart: more extents than the inode holds, and past 4 GiB.
  const auto file = system::open_file(tree() / "sparse", O_RDWR | O_CREAT);
  ASSERT_TRUE(file);
  for (off_t i = 0; i < 300; ++i) {
    const std::string text = "piece " + std::to_string(i);
    ASSERT_GT(::pwrite(file->get(), text.data(), text.size(), i * (20 << 20)), 0);
  }
  put("zeros", std::string(5U << 20, '\0'));
  put("mixed", std::string(8192, '\0') + "x" + std::string(8191, '\0') + "y");
  const auto usage = write(64U << 20);
  ASSERT_TRUE(usage) << usage.error().text();
  EXPECT_LT(usage->used_bytes, 2U << 20);
  expect_clean();
  EXPECT_THAT(debugfs("stat /sparse"), testing::HasSubstr("Size: 6270484489"));
  EXPECT_EQ(block_at("/sparse", 299 * 5120).substr(0, 9), "piece 299");
  EXPECT_EQ(block_at("/sparse", 17 * 5120).substr(0, 9), std::string("piece 17\0", 9));
  EXPECT_THAT(debugfs("bmap /sparse 1"), testing::StartsWith("0"));
  EXPECT_EQ(debugfs("cat /mixed"), std::string(8192, '\0') + "x" + std::string(8191, '\0') + "y");
}

TEST_F(Ext4, ATreeThatIsTooLargeIsRefusedWithTheSizeNeeded) {
  put("large", std::string(30U << 20, 'x'));
  const auto usage = write(16U << 20);
  ASSERT_FALSE(usage);
  EXPECT_EQ(usage.error().kind, ErrorKind::no_space);
  EXPECT_THAT(usage.error().message, testing::HasSubstr("30"));
  EXPECT_THAT(usage.error().hint, testing::HasSubstr("disk.size"));
}

TEST_F(Ext4, ManySmallFilesGetEnoughInodes) {
  for (int i = 0; i < 2000; ++i) {
    put("f" + std::to_string(i));
  }
  const auto usage = write(16U << 20);  // at the usual ratio 1024 inodes
  ASSERT_TRUE(usage) << usage.error().text();
  expect_clean();
}

TEST_F(Ext4, AttributesArriveAndOurOwnMarksDoNot) {
  put("file", "x");
  put("null", "");
  const std::string file = tree() / "file";
  if (::setxattr(file.c_str(), "user.note", "kept", 4, 0) != 0) {
    GTEST_SKIP() << "no user attributes on this file system";
  }
  const std::string large(3000, 'v');
  ASSERT_EQ(::setxattr(file.c_str(), "user.large", large.data(), large.size(), 0), 0);
  ASSERT_EQ(::setxattr(file.c_str(), "user.overlay.origin", "o", 1, 0), 0);
  ASSERT_EQ(::setxattr((tree() / "null").c_str(), "user.goldmill.node", "c 1 3", 5, 0), 0);
  ASSERT_TRUE(write(64U << 20));
  expect_clean();
  const std::string listed = debugfs("ea_list /file");
  EXPECT_THAT(listed, testing::HasSubstr("user.note (4) = \"kept\""));
  EXPECT_THAT(listed, testing::HasSubstr("user.large (3000)"));
  EXPECT_THAT(listed, testing::Not(testing::HasSubstr("overlay")));
  const std::string node = debugfs("stat /null");
  EXPECT_THAT(node, testing::HasSubstr("Type: character special"));
  EXPECT_THAT(node, testing::HasSubstr("01:03"));
  EXPECT_THAT(debugfs("ea_list /null"), testing::Not(testing::HasSubstr("goldmill")));
}

TEST_F(Ext4, ABrokenPlaceholderIsRefused) {
  put("null", "");
  for (const std::string text : {"c 1", "x 1 3", "c 1 3 5", "c  3", "c a b", ""}) {
    if (::setxattr((tree() / "null").c_str(), "user.goldmill.node", text.data(), text.size(), 0) !=
        0) {
      GTEST_SKIP() << "no user attributes on this file system";
    }
    EXPECT_FALSE(write(64U << 20)) << text;
  }
}

TEST_F(Ext4, HollowDirectoriesArePresentAndEmpty) {
  put("var/lib/data", "belongs to another partition");
  put("var2", "stays");
  ASSERT_TRUE(write(64U << 20, "disk", {"var"}));
  expect_clean();
  EXPECT_THAT(debugfs("stat /var"), testing::HasSubstr("Type: directory"));
  EXPECT_THAT(debugfs("ls /var"), testing::Not(testing::HasSubstr("lib")));
  EXPECT_EQ(debugfs("cat /var2"), "stays");
}

TEST_F(Ext4, LostAndFoundOfTheTreeIsReplaced) {
  put("a", "x");
  put("z/file", "x");
  ASSERT_EQ(::link((tree() / "a").c_str(), (tree() / "z/link").c_str()), 0);
  ASSERT_TRUE(system::make_directories(tree() / "lost+found"));
  ASSERT_TRUE(write(64U << 20));
  expect_clean();
  EXPECT_THAT(debugfs("stat /z/link"), testing::HasSubstr("Links: 2"));
  put("lost+found/precious", "x");
  EXPECT_FALSE(write(64U << 20));
}

TEST_F(Ext4, GrowsSixteenTimesWithoutMovingAnything) {
  put("etc/hostname", "golden\n");
  offset_ = 0;  // resize2fs takes no offset
  ASSERT_TRUE(write(256U << 20));
  ASSERT_EQ(::truncate(image().c_str(), off_t{4} << 30), 0);
  const auto grown = system::process_runner().run({.argv = {"resize2fs", image()}});
  ASSERT_TRUE(grown);
  EXPECT_EQ(grown->status, 0) << grown->text << grown->errors;
  const auto checked = system::process_runner().run({.argv = {"e2fsck", "-fn", image()}});
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->status, 0) << checked->text;
}

}  // namespace
}  // namespace goldmill::image
