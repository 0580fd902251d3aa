// SPDX-License-Identifier: GPL-3.0-or-later
// What every registered format promises; a new one inherits these tests.
#include <atomic>
#include <cstdlib>
#include <random>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/exporter/exporter.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::exporter {
namespace {

namespace fs = std::filesystem;

/// Memory where there is some: these tests write much and keep nothing.
fs::path scratch_parent() {
  return fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
}
using recipe::Hardware;

const std::vector<Hardware> kAllHardware = {
    Hardware::virtio, Hardware::nvme, Hardware::vmware, Hardware::hyperv, Hardware::xen};

/// A disk with holes, zeros, text, noise (which no compressor shrinks) and a partial last MiB.
void make_disk(const fs::path& path, std::uint64_t size) {
  auto file = system::open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  ASSERT_TRUE(file);
  ASSERT_EQ(::ftruncate(file->get(), static_cast<off_t>(size)), 0);
  std::mt19937_64 random(7);  // NOLINT(cert-msc51-cpp): the same disk each time is wanted
  const auto put = [&](std::uint64_t at, const std::string& bytes) {
    ASSERT_EQ(::pwrite(file->get(), bytes.data(), bytes.size(), static_cast<off_t>(at)),
              static_cast<ssize_t>(bytes.size()));
  };
  std::string noise(1 << 20, '\0');
  for (char& byte : noise) {
    byte = static_cast<char>(random());
  }
  std::string text;
  while (text.size() < (3U << 20)) {
    text += "line " + std::to_string(random() % 100000) + " of a file\n";
  }
  put(512, "EFI PART and a GUID that is always the same");
  put(1 << 20, text);
  put((6 << 20) + 12345, noise);
  put(9 << 20, std::string(1 << 20, '\0'));
  put((12 << 20) + 65536 - 7, text.substr(0, 200000));
  put(size - 700, noise.substr(0, 700));
}

Digest digest_of(const fs::path& path) {
  const auto content = system::read_file(path);
  return content ? sha256(*content) : Digest{};
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

bool qemu_img_is_there() {
  return std::system("qemu-img --version >/dev/null 2>&1") == 0;
}

std::string qemu_name(const std::string& format) {
  return format == "vhd" ? "vpc" : format == "containerdisk" ? "qcow2" : format;
}

int qemu_img(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "qemu-img");
  const auto output = system::process_runner().run({.argv = arguments});
  if (!output) {
    return -1;
  }
  EXPECT_EQ(output->status, 0) << output->text << output->errors;
  return output->status;
}

class Conformance : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(scratch_parent(), "export-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    ASSERT_TRUE(system::make_directories(scratch_->path() / "out"));
    make_disk(disk(), (20 << 20) + 512);
    const bool by_qemu_img = GetParam() == "vmdk" || GetParam() == "vhdx" || GetParam() == "vhd";
    if (by_qemu_img && !qemu_img_is_there()) {
      GTEST_SKIP() << "qemu-img is not installed";
    }
  }

  fs::path disk() const { return scratch_->path() / "disk.raw"; }
  fs::path output(const std::string& name = "image") const {
    return scratch_->path() / "out" / name;
  }

  Export wanted(const fs::path& to) const {
    Export result;
    result.source.disk = disk();
    result.source.write_tree = [](int file) { return system::write_all(file, "an archive"); };
    result.hardware = kAllHardware;
    result.format = GetParam();
    result.output = to;
    return result;
  }

  std::optional<system::TemporaryDirectory> scratch_;
};

/// The disk in a container image: its largest blob is the layer.
fs::path disk_in_container(const fs::path& image) {
  const fs::path directory = image.parent_path();
  const auto done = system::process_runner().run(
      {.argv = {"sh",
                "-ec",
                "mkdir image.d; cd image.d; tar -xf ../image; tar -xf $(ls -S blobs/sha256/* | "
                "head -n 1); "
                "test \"$(stat -c %u:%g disk/disk.qcow2)\" = 107:107 || test \"$(id -u)\" != 0"},
       .directory = directory});
  EXPECT_TRUE(done && done->status == 0) << (done ? done->errors : done.error().text());
  return directory / "image.d/disk/disk.qcow2";
}

TEST_P(Conformance, HoldsTheSameDisk) {
  const auto done = export_image(wanted(output()));
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_THAT(names_in(output().parent_path()), testing::ElementsAre("image"));
  if (GetParam() == "tar") {
    EXPECT_EQ(*system::read_file(output()), "an archive");
    return;
  }
  if (!qemu_img_is_there()) {
    GTEST_SKIP() << "qemu-img is not installed";
  }
  const std::string format = qemu_name(GetParam());
  const fs::path file = GetParam() == "containerdisk" ? disk_in_container(output()) : output();
  qemu_img({"compare", "-f", "raw", "-F", format, disk(), file});
  if (format != "raw" && format != "vpc") {  // these two have no check
    qemu_img({"check", "-f", format, file});
  }
}

TEST_P(Conformance, GivesTheSameBytesTwice) {
  ASSERT_TRUE(export_image(wanted(output())));
  const Digest first = digest_of(output());
  ASSERT_TRUE(export_image(wanted(output())));
  EXPECT_EQ(digest_of(output()), first);
}

TEST_P(Conformance, ReplacesAnExistingFileOnlyWhenItIsWhole) {
  ASSERT_TRUE(system::write_file(output(), "old"));
  Export missing = wanted(output());
  missing.source.disk = scratch_->path() / "missing.raw";
  missing.source.write_tree = nullptr;
  EXPECT_FALSE(export_image(missing));
  EXPECT_EQ(*system::read_file(output()), "old");
  EXPECT_THAT(names_in(output().parent_path()), testing::ElementsAre("image"));
}

TEST_P(Conformance, LeavesNothingWhenItIsStopped) {
  Export stopped = wanted(output());
  stopped.progress.is_cancelled = [] { return true; };
  const auto done = export_image(stopped);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::cancelled);
  EXPECT_THAT(names_in(output().parent_path()), testing::IsEmpty());
}

TEST_P(Conformance, LeavesNothingWhenTheDiskIsFull) {
  if (GetParam() == "tar") {
    GTEST_SKIP() << "the caller writes it";
  }
  // A limit of the file's size is the full disk that needs no rights: write says EFBIG.
  const auto child = system::process_runner().run(
      {.argv = {"sh",
                "-c",
                "ulimit -f 100; trap '' XFSZ; exec \"$0\" \"$@\"",
                fs::read_symlink("/proc/self/exe").string(),
                "--gtest_filter=InProcessOfItsOwn.ExportsOnce"},
       .environment = std::vector<std::string>{"PATH=" + std::string(std::getenv("PATH")),
                                               "EXPORT_DISK=" + disk().string(),
                                               "EXPORT_FORMAT=" + GetParam(),
                                               "EXPORT_OUTPUT=" + output().string()}});
  ASSERT_TRUE(child);
  EXPECT_EQ(child->status, 1) << child->text;
  EXPECT_THAT(child->text, testing::HasSubstr("export failed: "));
  EXPECT_THAT(names_in(output().parent_path()), testing::IsEmpty());
}

TEST_P(Conformance, IsRefusedWithoutItsController) {
  Export bare = wanted(output());
  bare.hardware = {};
  const auto done = export_image(bare);
  const auto format = find_format(GetParam());
  ASSERT_TRUE(format);
  EXPECT_EQ(done.has_value(), !(*format)->needs.has_value());
  if (!done) {
    EXPECT_EQ(done.error().kind, ErrorKind::invalid_input);
    EXPECT_THAT(done.error().hint, testing::HasSubstr("hardware:"));
  }
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Format& format : formats()) {
    names.emplace_back(format.name);
  }
  return names;
}
INSTANTIATE_TEST_SUITE_P(Formats,
                         Conformance,
                         testing::ValuesIn(all_names()),
                         [](const auto& name) { return name.param; });

/// Not a test: what the full-disk test runs in a process of its own.
TEST(InProcessOfItsOwn, ExportsOnce) {
  const char* disk = std::getenv("EXPORT_DISK");
  if (disk == nullptr) {
    GTEST_SKIP() << "run by another test";
  }
  Export wanted;
  wanted.source.disk = disk;
  wanted.hardware = kAllHardware;
  wanted.format = std::getenv("EXPORT_FORMAT");
  wanted.output = std::getenv("EXPORT_OUTPUT");
  const auto done = export_image(wanted);
  EXPECT_TRUE(done) << "export failed: " << done.error().text();
}

class Qcow2 : public Conformance {};
INSTANTIATE_TEST_SUITE_P(Only, Qcow2, testing::Values("qcow2"));

TEST_P(Qcow2, BytesDoNotDependOnThreads) {
  std::vector<Digest> digests;
  for (const char* threads : {"1", "2", "7"}) {
    Export one = wanted(output());
    one.options = {{"threads", threads}};
    ASSERT_TRUE(export_image(one));
    digests.push_back(digest_of(output()));
  }
  EXPECT_THAT(digests, testing::Each(digests.front()));
}

TEST_P(Qcow2, OtherCompressionsHoldTheSameDisk) {
  if (!qemu_img_is_there()) {
    GTEST_SKIP() << "qemu-img is not installed";
  }
  for (const auto& options :
       std::vector<std::map<std::string, std::string>>{{{"compression", "zlib"}},
                                                       {{"level", "19"}},
                                                       {{"compression", "zlib"}, {"level", "1"}}}) {
    Export one = wanted(output());
    one.options = options;
    const auto done = export_image(one);
    ASSERT_TRUE(done) << done.error().text();
    qemu_img({"compare", "-f", "raw", "-F", "qcow2", disk(), output()});
    qemu_img({"check", "-f", "qcow2", output()});
  }
}

TEST_P(Qcow2, HugeAndEmptyDisks) {
  if (!qemu_img_is_there()) {
    GTEST_SKIP() << "qemu-img is not installed";
  }
  for (const std::uint64_t size :
       {std::uint64_t{512}, std::uint64_t{65536} * 8192 + 512, std::uint64_t{3} << 40}) {
    auto file = system::open_file(disk(), O_RDWR | O_CREAT | O_TRUNC);
    ASSERT_TRUE(file);
    ASSERT_EQ(::ftruncate(file->get(), static_cast<off_t>(size)), 0);
    ASSERT_EQ(::pwrite(file->get(), "end", 3, static_cast<off_t>(size - 3)), 3);
    ASSERT_TRUE(export_image(wanted(output())));
    EXPECT_LT(fs::file_size(output()), 1U << 20);
    qemu_img({"compare", "-f", "raw", "-F", "qcow2", disk(), output()});
    qemu_img({"check", "-f", "qcow2", output()});
  }
}

TEST_P(Qcow2, WrongOptionsAreNamed) {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"level", "40"}, {"compression", "bzip2"}, {"threads", "-1"}, {"levle", "3"}}) {
    Export one = wanted(output());
    one.options = {{name, value}};
    const auto done = export_image(one);
    ASSERT_FALSE(done) << name;
    EXPECT_EQ(done.error().kind, ErrorKind::invalid_input);
    EXPECT_FALSE(done.error().hint.empty());
  }
}

TEST(Formats, AWrongNameIsCorrected) {
  const auto found = find_format("qcow");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().hint, "did you mean 'qcow2'?");
}

TEST(Formats, StandardOutputIsNoFile) {
  Export wanted;
  wanted.format = "raw";
  wanted.output = "-";
  EXPECT_EQ(export_image(wanted).error().kind, ErrorKind::invalid_input);
}

}  // namespace
}  // namespace goldmill::exporter
