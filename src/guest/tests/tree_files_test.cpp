// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <goldmill/guest/tree_files.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {
namespace {

namespace fs = std::filesystem;

class TreeFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(testing::TempDir(), "tree-files");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    fs::create_directories(scratch_->path() / "outside");
    fs::create_directories(scratch_->path() / "tree");
    root_ = std::move(system::open_directory(tree()).value());
  }
  fs::path tree() const { return scratch_->path() / "tree"; }
  std::optional<system::TemporaryDirectory> scratch_;
  system::UniqueFd root_;
};

TEST_F(TreeFilesTest, WritesFilesAndLinksWithTheirModes) {
  const std::vector<TreeFile> files = {{"/etc/a/b.conf", "text\n", 0440, ""},
                                       {"/etc/localtime", "", 0644, "/usr/share/zoneinfo/UTC"},
                                       {"/usr/lib/x",
                                        std::string("\x7F"
                                                    "ELF\0\xFF\x80",
                                                    7),
                                        0755,
                                        ""}};
  ASSERT_TRUE(write_tree_files(root_.get(), files));
  EXPECT_EQ(*system::read_file(tree() / "etc/a/b.conf"), "text\n");
  EXPECT_EQ(fs::status(tree() / "etc/a/b.conf").permissions(), fs::perms(0440));
  EXPECT_EQ(fs::read_symlink(tree() / "etc/localtime"), "/usr/share/zoneinfo/UTC");
  ASSERT_TRUE(write_tree_files(root_.get(), files)) << "twice is fine";
  const auto copy = tree_files_from(to_json(files));
  ASSERT_TRUE(copy);
  EXPECT_EQ(*copy, files);
}

TEST_F(TreeFilesTest, LinksOfTheTreeNeverLeadOut) {
  fs::create_symlink(scratch_->path() / "outside", tree() / "absolute");
  fs::create_symlink("../../../../../.." / scratch_->path().relative_path() / "outside",
                     tree() / "relative");
  fs::create_symlink(scratch_->path() / "outside/target", tree() / "file");
  // What the links name does not exist inside the tree, so nothing is written at all.
  EXPECT_FALSE(write_tree_files(root_.get(), {{"/absolute/x", "x", 0644, ""}}));
  EXPECT_FALSE(write_tree_files(root_.get(), {{"/relative/x", "x", 0644, ""}}));
  EXPECT_TRUE(write_tree_files(root_.get(), {{"/file", "x", 0644, ""}}));
  EXPECT_TRUE(fs::is_empty(scratch_->path() / "outside"));
  EXPECT_FALSE(fs::is_symlink(tree() / "file")) << "the link is replaced, not followed";
}

TEST_F(TreeFilesTest, RefusesPathsThatAreNone) {
  for (const char* path : {"", "/", "etc/a", "/etc/../../a", "/..", "/etc/a/", "//etc/a"}) {
    EXPECT_FALSE(write_tree_files(root_.get(), {{path, "x", 0644, ""}})) << path;
  }
}

TEST_F(TreeFilesTest, RemovesWhatIsThere) {
  ASSERT_TRUE(write_tree_files(root_.get(), {{"/etc/a", "x", 0644, ""}}));
  EXPECT_TRUE(remove_tree_files(root_.get(), {"/etc/a", "/etc/missing"}));
  EXPECT_FALSE(fs::exists(tree() / "etc/a"));
}

}  // namespace
}  // namespace goldmill::guest
