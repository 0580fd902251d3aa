// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that stand on others, judged by qemu-img.
#include <cstdlib>
#include <random>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <goldmill/exporter/linked_disk.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::exporter {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kPiece = 65536;

class LinkedDiskTest : public testing::Test {
 protected:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
  std::mt19937_64 random_{11};  // NOLINT(cert-msc51-cpp): the same disks each time are wanted

  fs::path at(const std::string& name) const { return scratch_.path() / name; }

  std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random_());
    }
    return bytes;
  }
  std::string text(std::size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
      bytes += "line " + std::to_string(random_() % 1000) + "\n";
    }
    return bytes.substr(0, size);
  }
  void put(const std::string& name, std::uint64_t offset, const std::string& bytes) const {
    const auto file = system::open_file(at(name), O_RDWR).value();
    ASSERT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }
  void make(const std::string& name, std::uint64_t size) const {
    const auto file = system::open_file(at(name), O_RDWR | O_CREAT | O_TRUNC).value();
    ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  }
  LinkedDisk write(const std::string& raw, const std::optional<BackingDisk>& backing) const {
    auto written = write_linked_disk(at(raw), backing, at(raw + ".qcow2"));
    EXPECT_TRUE(written) << written.error().text();
    return std::move(written).value();
  }
  std::uint64_t size_of(const std::string& name) const { return fs::file_size(at(name)); }

  /// What the qcow2 file and those below it show is the raw disk, and its tables are sound.
  void expect_same(const std::string& raw) const {
    const fs::path qcow2 = at(raw + ".qcow2");
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"compare", "-f", "raw", "-F", "qcow2", at(raw), qcow2},
          std::vector<std::string>{"check", "-f", "qcow2", qcow2}}) {
      std::vector<std::string> argv = {"qemu-img"};
      argv.insert(argv.end(), arguments.begin(), arguments.end());
      const auto output = system::process_runner().run({.argv = argv});
      ASSERT_TRUE(output);
      EXPECT_EQ(output->status, 0) << output->text << output->errors;
    }
  }
  /// A disk with text, noise and holes, and its file.
  LinkedDisk base() {
    make("base", 40 * 1024 * 1024 + 512);
    put("base", 0, text(10 * kPiece));
    put("base", 20 * kPiece, noise(5 * kPiece));
    put("base", 40 * 1024 * 1024, noise(512));
    return write("base", std::nullopt);
  }
  void SetUp() override {
    if (std::system("qemu-img --version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "qemu-img is not installed";
    }
  }
};

TEST_F(LinkedDiskTest, HoldsOnlyWhatDiffers) {
  const LinkedDisk below = base();
  EXPECT_EQ(below.whole.value, size_of("base.qcow2"));
  fs::copy(at("base"), at("java"));
  put("java", 3 * kPiece + 5, "changed");
  put("java", 21 * kPiece, std::string(2 * kPiece, '\0'));  // has gone
  put("java", 100 * kPiece, noise(kPiece));
  const LinkedDisk linked = write("java", BackingDisk{"base.qcow2", below.clusters});
  expect_same("java");
  EXPECT_LT(size_of("java.qcow2"), size_of("base.qcow2") - 2 * kPiece);
  const LinkedDisk alone = [&] {
    fs::copy(at("java"), at("alone"));
    return write("alone", std::nullopt);
  }();
  EXPECT_EQ(linked.whole.value, size_of("alone.qcow2"));
  EXPECT_EQ(linked.clusters.to_bytes(), alone.clusters.to_bytes());
}

TEST_F(LinkedDiskTest, StandsOnOneThatStandsOnAnother) {
  const LinkedDisk below = base();
  fs::copy(at("base"), at("java"));
  put("java", 50 * kPiece, text(3 * kPiece));
  const LinkedDisk middle = write("java", BackingDisk{"base.qcow2", below.clusters});
  fs::copy(at("java"), at("app"));
  put("app", 51 * kPiece, text(kPiece));
  put("app", 0, noise(kPiece));
  write("app", BackingDisk{"java.qcow2", middle.clusters});
  expect_same("app");
}

TEST_F(LinkedDiskTest, MayBeLargerOrSmallerThanWhatItStandsOn) {
  const LinkedDisk below = base();
  make("large", 90 * 1024 * 1024);
  put("large", 0, text(kPiece));
  put("large", 80 * 1024 * 1024, noise(kPiece));
  write("large", BackingDisk{"base.qcow2", below.clusters});
  expect_same("large");
  make("small", 22 * kPiece + 512);
  put("small", 20 * kPiece, noise(100));
  write("small", BackingDisk{"base.qcow2", below.clusters});
  expect_same("small");
}

TEST_F(LinkedDiskTest, TheListOfClustersIsReadBackOrRefused) {
  const std::string bytes = base().clusters.to_bytes();
  EXPECT_EQ(ClusterMap::parse(bytes).value().to_bytes(), bytes);
  EXPECT_EQ(ClusterMap::parse("").value().clusters().size(), 0U);
  for (const std::string& damaged : {bytes.substr(1), bytes + "x", bytes + bytes}) {
    const auto parsed = ClusterMap::parse(damaged);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().kind, ErrorKind::corrupt);
  }
}

}  // namespace
}  // namespace goldmill::exporter
