// SPDX-License-Identifier: GPL-3.0-or-later
#include "../layered_directory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

namespace goldmill::build {
namespace {

namespace fs = std::filesystem;

/// Layers as overlays leave them; a plain user may make whiteouts, too.
class LayeredDirectories : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(fs::current_path(), "layers-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
  }

  fs::path place(std::size_t layer, const std::string& path) {
    const fs::path at = scratch_->path() / std::to_string(layer) / path;
    EXPECT_TRUE(system::make_directories(at.parent_path()));
    return at;
  }
  void file(std::size_t layer, const std::string& path) {
    EXPECT_TRUE(system::write_file(place(layer, path), std::to_string(layer)));
  }
  void directory(std::size_t layer, const std::string& path) {
    EXPECT_TRUE(system::make_directories(place(layer, path)));
  }
  void whiteout(std::size_t layer, const std::string& path) {
    EXPECT_EQ(::mknod(place(layer, path).c_str(), S_IFCHR, ::makedev(0, 0)), 0);
  }
  bool make_opaque(std::size_t layer, const std::string& path) {
    directory(layer, path);
    return ::setxattr(place(layer, path).c_str(), "user.overlay.opaque", "y", 1, 0) == 0;
  }

  /// The tree of these layers, bottom to top.
  LayeredDirectory tree(const std::vector<std::size_t>& layers) {
    std::vector<LayerRoot> roots;
    for (const std::size_t layer : layers) {
      (void)place(layer, "x");
      auto open = system::open_directory(scratch_->path() / std::to_string(layer));
      EXPECT_TRUE(open);
      open_.push_back(std::move(open).value());
      roots.push_back({open_.back().get(), layer});
    }
    return LayeredDirectory::open_root(roots).value();
  }

  static std::vector<std::size_t> layers_of(const std::vector<LayerEntry>& entries) {
    std::vector<std::size_t> layers;
    layers.reserve(entries.size());
    for (const LayerEntry& entry : entries) {
      layers.push_back(entry.layer);
    }
    return layers;
  }

  using Layers = std::vector<std::size_t>;
  std::optional<system::TemporaryDirectory> scratch_;
  std::vector<system::UniqueFd> open_;
};

TEST_F(LayeredDirectories, TheUpperFileIsShown) {
  file(0, "a");
  file(2, "a");
  const LayeredEntry found = tree({0, 1, 2}).find("a").value();
  EXPECT_EQ(layers_of(found.shown), Layers{2});
  EXPECT_EQ(layers_of(found.hidden), Layers{0});
}

TEST_F(LayeredDirectories, AWhiteoutHidesWhatIsBelowButNotWhatIsAbove) {
  file(0, "gone");
  file(0, "back");
  whiteout(1, "gone");
  whiteout(1, "back");
  file(2, "back");
  const LayeredDirectory root = tree({0, 1, 2});
  const LayeredEntry gone = root.find("gone").value();
  EXPECT_TRUE(gone.shown.empty());
  EXPECT_EQ(layers_of(gone.hidden), Layers{0});
  EXPECT_EQ(layers_of(root.find("back")->shown), Layers{2});
}

TEST_F(LayeredDirectories, DirectoriesAreFilledByAllLayersUntilSomethingCoversThem) {
  file(0, "d/zero");
  file(1, "d");  // covers the directory of layer 0
  file(2, "d/two");
  file(3, "d/three");
  const LayeredDirectory through = tree({0, 2, 3});
  const LayeredDirectory inside = LayeredDirectory::open(through.find("d").value(), "d").value();
  EXPECT_EQ(inside.names().value(), (std::set<std::string>{"three", "two", "zero"}));
  const LayeredEntry covered = tree({0, 1, 2, 3}).find("d").value();
  EXPECT_EQ(layers_of(covered.shown), (Layers{3, 2}));
  EXPECT_EQ(layers_of(covered.hidden), (Layers{1, 0}));
}

TEST_F(LayeredDirectories, AnOpaqueDirectoryIsTheLastOneShown) {
  file(0, "d/old");
  if (!make_opaque(1, "d")) {
    GTEST_SKIP() << "this file system keeps no extended attributes";
  }
  file(2, "d/new");
  const LayeredEntry found = tree({0, 1, 2}).find("d").value();
  EXPECT_EQ(layers_of(found.shown), (Layers{2, 1}));
  EXPECT_EQ(layers_of(found.hidden), Layers{0});
}

TEST_F(LayeredDirectories, SharedLayersAreCountedFromTheBottom) {
  for (const std::size_t layer : {0U, 1U, 2U, 3U}) {
    file(layer, "f" + std::to_string(layer));
  }
  const LayeredDirectory one = tree({0, 1, 2});
  const LayeredDirectory other = tree({0, 1, 3});
  EXPECT_EQ(one.shared_with(other), 2U);
  EXPECT_EQ(one.names_above(2).value(), std::set<std::string>{"f2"});
  EXPECT_EQ(one.shared_with(tree({1, 0, 2})), 0U) << "another order is another tree";
}

}  // namespace
}  // namespace goldmill::build
