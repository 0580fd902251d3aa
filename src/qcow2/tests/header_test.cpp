// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <goldmill/qcow2/chain.hpp>
#include <goldmill/qcow2/header.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::qcow2 {
namespace {

namespace fs = std::filesystem;

class HeaderTest : public testing::Test {
 protected:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();

  fs::path write(const std::string& name, const std::string& backing) const {
    Header header;
    header.size = 1ULL << 30U;
    header.backing = backing;
    header.backing_format = "qcow2";
    const fs::path path = scratch_.path() / name;
    EXPECT_TRUE(system::write_file(path, to_bytes(header).value()));
    return path;
  }
  static std::vector<std::string> names(const std::vector<fs::path>& paths) {
    std::vector<std::string> names;
    names.reserve(paths.size());
    for (const fs::path& path : paths) {
      names.push_back(path.filename());
    }
    return names;
  }
};

using Names = std::vector<std::string>;

TEST_F(HeaderTest, ReadsWhatItWrote) {
  Header header;
  header.size = 4ULL << 40U;
  header.level1_entries = 8192;
  header.level1_table = 65536;
  header.refcount_table = 1ULL << 33U;
  header.refcount_table_clusters = 2;
  header.compression = Compression::zstd;
  header.backing = "a name with ä.qcow2";
  header.backing_format = "qcow2";
  const fs::path path = scratch_.path() / "disk";
  ASSERT_TRUE(system::write_file(path, to_bytes(header).value()));
  const auto file = system::open_file(path, O_RDONLY).value();
  const Header read = read_header(file.get()).value();
  EXPECT_EQ(read.size, header.size);
  EXPECT_EQ(read.level1_entries, header.level1_entries);
  EXPECT_EQ(read.level1_table, header.level1_table);
  EXPECT_EQ(read.refcount_table, header.refcount_table);
  EXPECT_EQ(read.refcount_table_clusters, header.refcount_table_clusters);
  EXPECT_EQ(read.compression, header.compression);
  EXPECT_EQ(read.backing, header.backing);
}

TEST_F(HeaderTest, RefusesOtherFilesAndCutOnes) {
  const std::string whole = to_bytes({.size = 512, .backing = "below.qcow2"}).value();
  for (const std::string& bytes :
       {std::string(), std::string("QFI\xfb"), std::string(4096, 'x'), whole.substr(0, 115)}) {
    const fs::path path = scratch_.path() / "disk";
    ASSERT_TRUE(system::write_file(path, bytes));
    const auto file = system::open_file(path, O_RDONLY).value();
    const auto header = read_header(file.get());
    ASSERT_FALSE(header) << bytes.size();
    EXPECT_EQ(header.error().kind, ErrorKind::invalid_input);
  }
}

TEST_F(HeaderTest, AChainIsFollowedToItsEnd) {
  write("base", "");
  write("java", "base");
  const fs::path top = write("app", "java");
  const auto chain = open_chain(top).value();
  ASSERT_EQ(chain.size(), 3U);
  EXPECT_EQ(chain[2].path.filename(), "base");
  EXPECT_EQ(names(chain_of(top)), (Names{"app", "java", "base"}));
}

TEST_F(HeaderTest, ABrokenChainSaysWhatIsGone) {
  const fs::path top = write("app", "java");
  const auto chain = open_chain(top);
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().kind, ErrorKind::not_found);
  EXPECT_NE(chain.error().text().find("app stands on it"), std::string::npos);
  EXPECT_NE(chain.error().text().find("/java"), std::string::npos);
  EXPECT_EQ(names(chain_of(top)), (Names{"app", "java"}));
}

TEST_F(HeaderTest, NothingElsewhereAndNoCircleIsFollowed) {
  EXPECT_FALSE(open_chain(write("outside", "/etc/shadow")));
  EXPECT_FALSE(open_chain(write("up", "../base")));
  EXPECT_FALSE(open_chain(write("self", "self")));
}

}  // namespace
}  // namespace goldmill::qcow2
