// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/machine/saved_state.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;
using system::UniqueFd;

class SavedMemory : public testing::Test {
 protected:
  void SetUp() override {
    memory_ = make_memory(64_MiB).value();
    for (const auto& [text, offset] :
         {std::pair<std::string_view, off_t>{"first", 0}, {"second", 5 << 20}}) {
      ASSERT_GT(::pwrite(memory_.get(), text.data(), text.size(), offset), 0);
    }
    // Written, but with nothing in it.
    const std::string zeros(1 << 20, '\0');
    ASSERT_GT(::pwrite(memory_.get(), zeros.data(), zeros.size(), 20 << 20), 0);
    file_ = system::open_file(scratch_.path() / "memory", O_RDWR | O_CREAT).value();
    digest_ = store_memory(memory_.get(), file_.get()).value();
  }

  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
  UniqueFd memory_;
  UniqueFd file_;
  Digest digest_;
};

TEST_F(SavedMemory, ComesBackAndTakesOnlyWhatIsInIt) {
  struct stat status {};
  ASSERT_EQ(::fstat(file_.get(), &status), 0);
  EXPECT_EQ(status.st_size, 64 << 20);
  EXPECT_LE(status.st_blocks * 512, 64 << 10);
  const UniqueFd loaded = load_memory(file_.get(), digest_).value();
  std::array<char, 8> text{};
  ASSERT_EQ(::pread(loaded.get(), text.data(), 6, 5 << 20), 6);
  EXPECT_STREQ(text.data(), "second");
  ASSERT_EQ(::fstat(loaded.get(), &status), 0);
  EXPECT_EQ(status.st_size, 64 << 20);
}

TEST_F(SavedMemory, IsSharedButChangedByNobody) {
  const UniqueFd loaded = load_memory(file_.get(), digest_).value();
  EXPECT_LT(::pwrite(loaded.get(), "x", 1, 0), 0);
  const std::string again = "/proc/self/fd/" + std::to_string(loaded.get());
  const UniqueFd writable(::open(again.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(writable) << "QEMU opens it so";
  EXPECT_LT(::pwrite(writable.get(), "x", 1, 0), 0);
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writable.get(), 0),
            MAP_FAILED);
  auto* own = static_cast<char*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, writable.get(), 0));
  ASSERT_NE(own, MAP_FAILED);
  EXPECT_STREQ(own, "first");
  own[0] = 'F';
  std::array<char, 2> text{};
  ASSERT_EQ(::pread(loaded.get(), text.data(), 1, 0), 1);
  EXPECT_STREQ(text.data(), "f");
  ::munmap(own, 4096);
}

TEST_F(SavedMemory, DamageIsSeen) {
  ASSERT_EQ(::pwrite(file_.get(), "X", 1, 5 << 20), 1);
  EXPECT_EQ(load_memory(file_.get(), digest_).error().kind, ErrorKind::corrupt);
  ASSERT_EQ(::pwrite(file_.get(), "s", 1, 5 << 20), 1);
  EXPECT_TRUE(load_memory(file_.get(), digest_));
  // A page at another place, and one more page.
  ASSERT_EQ(::pwrite(file_.get(), "second", 7, 6 << 20), 7);
  EXPECT_EQ(load_memory(file_.get(), digest_).error().kind, ErrorKind::corrupt);
  ASSERT_EQ(::ftruncate(file_.get(), 32 << 20), 0);
  EXPECT_EQ(load_memory(file_.get(), digest_).error().kind, ErrorKind::corrupt);
}

}  // namespace goldmill::machine
