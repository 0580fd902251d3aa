// SPDX-License-Identifier: GPL-3.0-or-later
// Whole disks from small trees; the judges are sgdisk, mtools and e2fsck.
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <goldmill/image/disk.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "scratch_parent.hpp"

namespace goldmill::image {
namespace {

namespace fs = std::filesystem;

std::string output_of(const std::vector<std::string>& argv) {
  const auto output = system::process_runner().run({.argv = argv});
  return output ? std::to_string(output->status) + "\n" + output->text + output->errors
                : output.error().text();
}

class Disk : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(scratch_parent(), "disk-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    for (const char* name : {"tree/etc", "tree/srv", "assets"}) {
      ASSERT_TRUE(system::make_directories(path(name)));
    }
    put("tree/etc/hostname", "golden\n");
    put("tree/srv/page", "hello\n");
    put("assets/boot.img", std::string(512, 'b'));
    put("assets/core.img", std::string(30000, 'c'));
    put("assets/shim.efi", "shim");
    put("assets/grub.efi", std::string(100000, 'g'));
  }

  fs::path path(const std::string& name) const { return scratch_->path() / name; }
  void put(const std::string& name, const std::string& content) const {
    std::ofstream file(path(name), std::ios::binary);
    ASSERT_TRUE(file << content);
  }

  static DiskRequest request() {
    recipe::Disk disk;
    disk.size = 256_MiB;
    disk.partitions = {{"data", 64_MiB, "ext4", "/srv", ""},
                       {"swap", 16_MiB, "swap", "", "swap"},
                       {"stick", 40_MiB, "vfat", "/mnt", "STICK"}};
    DiskRequest request;
    request.layout = Layout::make(disk, {"debian", "12", "amd64"}, {}).value();
    request.seed = Identity::of({sha256("layer")}, request.layout).seed();
    request.lineage = Identity::of_lineage({sha256("layer")}).seed();
    request.epoch = 1790000000;
    return request;
  }

  Result<Json> write(const std::string& name, const DiskRequest& wanted = request()) const {
    const auto disk = TRY(system::open_file(path(name), O_RDWR | O_CREAT));
    const auto tree = TRY(system::open_directory(path("tree")));
    const auto assets = TRY(system::open_directory(path("assets")));
    return write_disk(wanted, {disk.get(), assets.get(), {tree.get()}});
  }

  Digest digest(const std::string& name) const {
    const auto disk = system::open_file(path(name), O_RDONLY);
    return disk_digest(disk->get()).value();
  }

  std::optional<system::TemporaryDirectory> scratch_;
};

TEST_F(Disk, TablesAndFileSystemsAreRight) {
  const auto answer = write("disk.raw");
  ASSERT_TRUE(answer) << answer.error().text();
  const std::string disk = path("disk.raw");
  EXPECT_THAT(output_of({"sgdisk", "-v", disk}), testing::HasSubstr("No problems found"));
  const std::string table = output_of({"sgdisk", "-p", disk});
  for (const char* code : {"EF02  bios", "EF00  esp", "8306  data", "8200  swap", "8304  root"}) {
    EXPECT_THAT(table, testing::HasSubstr(code));
  }
  for (const std::size_t index : {std::size_t{2}, std::size_t{5}}) {
    const std::string offset =
        std::to_string((*answer)["partitions"][index]["offset"].get<std::uint64_t>());
    EXPECT_THAT(output_of({"e2fsck", "-fn", disk + "?offset=" + offset}),
                testing::StartsWith("0\n"));
  }
  EXPECT_THAT(output_of({"mdir", "-i", disk + "@@2M", "-b", "-/", "::"}),
              testing::AllOf(testing::HasSubstr("EFI/BOOT/BOOTX64.EFI"),
                             testing::HasSubstr("EFI/BOOT/grubx64.efi"),
                             testing::HasSubstr("EFI/debian/grub.cfg")));
  const std::string data = disk + "?offset=" + std::to_string(66U << 20);
  EXPECT_THAT(output_of({"debugfs", "-R", "cat /page", data}), testing::HasSubstr("hello"));
}

TEST_F(Disk, IsTheSameTwiceAlsoOverAnOldOne) {
  ASSERT_TRUE(write("first.raw"));
  put("second.raw", std::string(1 << 20, 'o'));
  ASSERT_TRUE(write("second.raw"));
  EXPECT_EQ(digest("first.raw"), digest("second.raw"));
  DiskRequest other = request();
  other.seed = sha256("another image");
  ASSERT_TRUE(write("second.raw", other));
  EXPECT_NE(digest("first.raw"), digest("second.raw"));
}

TEST_F(Disk, BootCodeKnowsWhereTheCoreLies) {
  ASSERT_TRUE(write("disk.raw"));
  const auto file = system::open_file(path("disk.raw"), O_RDONLY);
  std::string disk(2U << 20, '\0');
  ASSERT_EQ(::pread(file->get(), disk.data(), disk.size(), 0), 2 << 20);
  EXPECT_EQ(disk.substr(0x5c, 8), std::string("\0\x08\0\0\0\0\0\0", 8));  // sector 2048
  EXPECT_EQ(disk.substr(510, 2), "\x55\xaa");
  const std::size_t list = (1U << 20) + 0x1f4;
  EXPECT_EQ(disk.substr(list, 12), std::string("\x01\x08\0\0\0\0\0\0\x3a\0\x20\x08", 12));
}

TEST_F(Disk, MissingOrStrangeAssetsAreErrors) {
  ASSERT_TRUE(system::remove_tree(path("assets/grub.efi")));
  const auto missing = write("disk.raw");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().message, testing::HasSubstr("grub.efi"));
  ASSERT_EQ(::symlink("/etc/hostname", path("assets/grub.efi").c_str()), 0);
  EXPECT_FALSE(write("disk.raw")) << "a link would read the machine's files";
  put("assets/core.img", std::string(2U << 20, 'c'));
  EXPECT_FALSE(write("disk.raw")) << "longer than its partition";
}

TEST_F(Disk, AMountPointThatIsALinkIsNotFollowed) {
  ASSERT_TRUE(system::remove_tree(path("tree/srv")));
  ASSERT_EQ(::symlink("/etc", path("tree/srv").c_str()), 0);
  EXPECT_FALSE(write("disk.raw"));
}

TEST_F(Disk, DigestIsOfContentNotOfHoles) {
  const auto file = system::open_file(path("sparse"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(file->get(), (5 << 20) + 77), 0);
  ASSERT_EQ(::pwrite(file->get(), "x", 1, 3 << 20), 1);
  std::string content((5U << 20) + 77, '\0');
  content[3U << 20] = 'x';
  put("dense", content);
  EXPECT_EQ(digest("sparse"), digest("dense"));
  // By its definition.
  Sha256 whole;
  for (std::size_t at = 0; at < content.size(); at += 1U << 20) {
    const Digest chunk = sha256(std::string_view(content).substr(at, 1U << 20));
    whole.update(std::as_bytes(std::span(chunk.bytes())));
  }
  EXPECT_EQ(digest("sparse"), whole.finish());
  content.back() = 'y';
  put("dense", content);
  EXPECT_NE(digest("sparse"), digest("dense"));
}

}  // namespace
}  // namespace goldmill::image
