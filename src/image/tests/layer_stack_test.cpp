// SPDX-License-Identifier: GPL-3.0-or-later
// Random layers over each other: what the file system shows, told by debugfs, is what was done to
// a model beside; and what a later layer leaves alone lies where it lay without that layer.
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/image/ext4.hpp>
#include <goldmill/image/layer_stack.hpp>
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "scratch_parent.hpp"

namespace goldmill::image {
namespace {

namespace fs = std::filesystem;

struct Thing {
  char kind = 'f';  ///< d, f or l
  std::string content;
  mode_t mode = 0644;
  std::size_t layer = 0;  ///< the last one that touched it
  int file = 0;           ///< the same for all names of one
  friend bool operator==(const Thing&, const Thing&) = default;
};
using Model = std::map<std::string, Thing>;

/// What debugfs says of a path: where it lies.
struct Location {
  std::string inode;
  std::string blocks;
  friend bool operator==(const Location&, const Location&) = default;
};
using Locations = std::map<std::string, Location>;

class Layers : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(scratch_parent(), "layers-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    add_layer();
    const std::string probe = layer();
    if (::setxattr(probe.c_str(), store::kOpaqueAttribute, "n", 1, 0) != 0) {
      GTEST_SKIP() << "no user attributes on this file system";
    }
  }

  // ---- layers and the model ----

  fs::path layer() const { return scratch_->path() / ("layer" + std::to_string(layers_ - 1)); }
  fs::path image(const std::string& name) const { return scratch_->path() / name; }

  void add_layer() {
    ++layers_;
    below_ = model_;
    ASSERT_TRUE(system::make_directories(layer()));
  }

  bool is_directory(const std::string& path) const {
    const auto found = model_.find(path);
    return path.empty() || (found != model_.end() && found->second.kind == 'd');
  }

  void forget(const std::string& path) {
    ASSERT_TRUE(system::remove_tree(layer() / path));
    std::erase_if(model_, [&](const auto& entry) {
      return entry.first == path || entry.first.starts_with(path + "/");
    });
  }

  /// The directories above, as a copy-up makes them.
  void make_above(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash != std::string::npos && !fs::exists(layer() / path.substr(0, slash))) {
      make_above(path.substr(0, slash));
      ASSERT_EQ(::mkdir((layer() / path.substr(0, slash)).c_str(), 0755), 0);
      model_.try_emplace(path.substr(0, slash), Thing{'d', "", 0755, layers_ - 1, 0});
    }
  }

  void put(const std::string& path, std::string content, mode_t mode = 0644) {
    forget(path);
    make_above(path);
    std::ofstream(layer() / path, std::ios::binary) << content;
    ASSERT_EQ(::chmod((layer() / path).c_str(), mode), 0);
    model_[path] = {'f', std::move(content), mode, layers_ - 1, ++files_};
  }

  void put_link(const std::string& path, const std::string& target) {
    forget(path);
    make_above(path);
    ASSERT_EQ(::symlink(target.c_str(), (layer() / path).c_str()), 0);
    model_[path] = {'l', target, 0777, layers_ - 1, ++files_};
  }

  /// A second name of a file of this layer.
  void put_name(const std::string& path, const std::string& other) {
    const Thing thing = model_.at(other);
    forget(path);
    make_above(path);
    ASSERT_EQ(::link((layer() / other).c_str(), (layer() / path).c_str()), 0);
    model_[path] = thing;
  }

  /// In place of whatever is there.
  void put_directory(const std::string& path) {
    forget(path);
    make_above(path);
    const std::string directory = layer() / path;
    ASSERT_EQ(::mkdir(directory.c_str(), 0755), 0);
    if (below_.contains(path) && below_.at(path).kind == 'd') {
      ASSERT_EQ(::setxattr(directory.c_str(), store::kOpaqueAttribute, "y", 1, 0), 0);
    }
    model_[path] = {'d', "", 0755, layers_ - 1, 0};
  }

  void remove(const std::string& path) {
    forget(path);
    if (below_.contains(path)) {
      make_above(path);
      ASSERT_EQ(::mknod((layer() / path).c_str(), S_IFCHR, 0), 0);
    }
  }

  // ---- the file system ----

  Result<Ext4Usage> write(const std::string& name,
                          std::size_t layers,
                          std::uint64_t size,
                          const std::string& root = "",
                          std::int64_t epoch = 1790000000) const {
    const auto file = TRY(system::open_file(image(name), O_RDWR | O_CREAT | O_TRUNC));
    EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
    std::vector<system::UniqueFd> trees;
    TreeSource source{{}, root};
    for (std::size_t i = 0; i < layers; ++i) {
      trees.push_back(
          TRY(system::open_directory(scratch_->path() / ("layer" + std::to_string(i)))));
      source.layers.push_back(trees.back().get());
    }
    const Identity identity(sha256("test"));
    Ext4Options options;
    options.size = size;
    options.uuid = identity.uuid("file system");
    options.hash_seed = identity.uuid("hash seed");
    options.epoch = epoch;
    options.features = ext4_features();
    return write_ext4(file.get(), options, source);
  }

  void expect_clean(const std::string& name) const {
    const auto output = system::process_runner().run({.argv = {"e2fsck", "-fn", image(name)}});
    ASSERT_TRUE(output) << output.error().text();
    EXPECT_EQ(output->status, 0) << output->text << output->errors;
  }

  std::string debugfs(const std::string& name, const std::vector<std::string>& requests) const {
    std::ofstream script(image("requests"));
    for (const std::string& request : requests) {
      script << request << "\n";
    }
    script.close();
    const auto output =
        system::process_runner().run({.argv = {"debugfs", "-f", image("requests"), image(name)}});
    return output ? output->text : "";
  }

  /// Where everything lies.
  Locations locations(const std::string& name, const Model& model) const {
    std::vector<std::string> requests;
    for (const auto& [path, thing] : model) {
      requests.push_back("stat \"/" + path + "\"");
      requests.push_back("blocks \"/" + path + "\"");
    }
    std::istringstream answers(debugfs(name, requests));
    Locations found;
    std::string line;
    auto entry = model.begin();
    while (entry != model.end() && std::getline(answers, line)) {
      if (line.starts_with("Inode: ")) {
        found[entry->first].inode = line.substr(7, line.find("Type") - 7);
      } else if (line.starts_with("debugfs: blocks")) {
        std::getline(answers, found[entry->first].blocks);
        ++entry;
      }
    }
    return found;
  }

  /// What debugfs takes out again is the model, and nothing else.
  void expect_shown(const std::string& name, const Model& model) const {
    const fs::path out = image("out");
    ASSERT_TRUE(system::remove_tree(out));
    ASSERT_TRUE(system::make_directories(out));
    (void)debugfs(name, {"rdump / " + out.string()});
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(out)) {
      const std::string path = fs::relative(entry.path().parent_path(), out) == "."
                                   ? entry.path().filename().string()
                                   : entry.path().string().substr(out.string().size() + 1);
      if (path == "lost+found") {
        continue;
      }
      ++count;
      ASSERT_TRUE(model.contains(path)) << path << " should be hidden";
      const Thing& thing = model.at(path);
      struct stat status {};
      ASSERT_EQ(::lstat(entry.path().c_str(), &status), 0);
      if (thing.kind == 'l') {
        EXPECT_EQ(fs::read_symlink(entry.path()), thing.content) << path;
        continue;
      }
      EXPECT_EQ(status.st_mode, (thing.kind == 'd' ? S_IFDIR : S_IFREG) | thing.mode) << path;
      const auto content = thing.kind == 'd' ? thing.content : *system::read_file(entry.path());
      EXPECT_EQ(content.size(), thing.content.size()) << path;
      EXPECT_TRUE(content == thing.content) << path;
    }
    EXPECT_EQ(count, model.size());
  }

  std::optional<system::TemporaryDirectory> scratch_;
  std::size_t layers_ = 0;
  Model model_;
  Model below_;  ///< without the last layer
  int files_ = 0;
};

/// Changes a layer at random, but the same for the same seed.
class RandomLayers : public Layers, public testing::WithParamInterface<unsigned> {
 protected:
  std::size_t below(std::size_t limit) { return random_() % limit; }

  std::string some(char kind) {
    std::vector<std::string> paths;
    for (const auto& [path, thing] : model_) {
      if (kind == '*' || thing.kind == kind) {
        paths.push_back(path);
      }
    }
    return paths.empty() ? "" : paths[below(paths.size())];
  }

  std::string new_path() {
    const std::string directory = below(3) == 0 ? "" : some('d');
    const auto letter = [this] { return static_cast<char>('a' + below(26)); };
    const std::string name =
        below(8) == 0 ? std::string(200, letter()) : std::string{letter(), letter()};
    return directory.empty() ? name : directory + "/" + name;
  }

  /// With blocks of zeros, which take no place.
  std::string new_content() {
    std::string content(below(9) * below(4000), '\0');
    for (char& byte : content) {
      byte = static_cast<char>(random_());
    }
    if (content.size() > 12288 && below(2) == 0) {
      std::fill_n(content.begin() + 4096, 8192, '\0');
    }
    return content;
  }

  void change() {
    const std::string file = some('f');
    const std::string any = some('*');
    switch (below(8)) {
      case 0: {
        const std::string directory = some('d');
        return put_directory(directory.empty() || below(3) > 0 ? new_path() : directory);
      }
      case 1:
        return put_link(new_path(), std::string(1 + below(100), 't'));
      case 2:
        return any.empty() || below(2) == 0 ? void() : remove(any);
      case 3:
        return file.empty() ? void() : put(file, model_.at(file).content, 0600);
      case 4:
        return file.empty() ? void() : put(file, model_.at(file).content + new_content());
      case 5: {
        const std::string other = new_path();
        const bool is_here = !file.empty() && model_.at(file).layer == layers_ - 1;
        return is_here && file != other && !file.starts_with(other + "/") ? put_name(other, file)
                                                                          : void();
      }
      default:
        return put(new_path(), new_content());
    }
  }

  void expect_unmoved(const Model& before, const Locations& old, const Locations& now) {
    for (const auto& [path, thing] : before) {
      const auto found = model_.find(path);
      if (found == model_.end() || found->second.kind != thing.kind) {
        continue;
      }
      if (thing.kind == 'd') {
        EXPECT_EQ(old.at(path).inode, now.at(path).inode) << path;
      } else if (found->second == thing) {
        EXPECT_EQ(old.at(path), now.at(path)) << path;
        ++unmoved_;
      }
    }
  }

  void expect_one_inode_for_all_names(const Locations& now) {
    std::map<std::string, int> files;
    for (const auto& [path, thing] : model_) {
      if (thing.kind != 'd') {
        const auto [first, is_new] = files.try_emplace(now.at(path).inode, thing.file);
        EXPECT_EQ(first->second, thing.file) << path;
      }
    }
  }

  std::mt19937_64 random_;
  int unmoved_ = 0;
};

TEST_P(RandomLayers, ShowWhatWasDoneAndStayWhereTheyWere) {
  random_.seed(GetParam());
  Model before;
  Locations old;
  for (int depth = 0; depth < 4 && !HasFailure(); ++depth) {
    for (int i = 0; i < (depth == 0 ? 150 : 25); ++i) {
      change();
    }
    ASSERT_TRUE(write("disk", layers_, 24U << 20));
    expect_clean("disk");
    expect_shown("disk", model_);
    Locations now = locations("disk", model_);
    ASSERT_EQ(now.size(), model_.size());
    expect_unmoved(before, old, now);
    expect_one_inode_for_all_names(now);
    before = model_;
    old = std::move(now);
    add_layer();
  }
  EXPECT_GT(unmoved_, 10) << "too little was left alone to tell";
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomLayers, testing::Range(0U, 6U));

TEST_F(Layers, AGrownFileKeepsItsPlaceAndGrowsElsewhere) {
  put("a", std::string(20000, 'a'));
  put("b", std::string(20000, 'b'));
  ASSERT_TRUE(write("first", 1, 16U << 20));
  const Locations first = locations("first", model_);
  add_layer();
  put("a", std::string(20000, 'a') + std::string(20000, 'A'));
  put("aa", "between them by name");
  ASSERT_TRUE(write("second", 2, 16U << 20));
  expect_clean("second");
  const Locations second = locations("second", model_);
  EXPECT_EQ(first.at("b"), second.at("b"));
  EXPECT_EQ(first.at("a").inode, second.at("a").inode);
  EXPECT_THAT(second.at("a").blocks, testing::StartsWith(first.at("a").blocks));
  EXPECT_NE(first.at("a").blocks, second.at("a").blocks);
}

TEST_F(Layers, WhatIsHiddenIsNotOnTheDisk) {
  put("key", "the secret of layer one\n");
  put("gone/key", "the secret in a directory\n");
  add_layer();
  put("key", "");
  remove("gone");
  ASSERT_TRUE(write("disk", 2, 16U << 20));
  expect_clean("disk");
  EXPECT_EQ(system::read_file(image("disk"))->find("secret"), std::string::npos);
}

TEST_F(Layers, ALaterEpochChangesNoInode) {
  for (int i = 0; i < 200; ++i) {
    put("file" + std::to_string(i), "x");
    const std::array<timespec, 2> times = {timespec{1700000000, 0}, timespec{1700000000, 0}};
    const fs::path path = layer() / ("file" + std::to_string(i));
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  }
  ASSERT_TRUE(write("early", 1, 16U << 20));
  ASSERT_TRUE(write("late", 1, 16U << 20, "", 1790086400));
  const std::string early = *system::read_file(image("early"));
  const std::string late = *system::read_file(image("late"));
  int blocks = 0;
  for (std::size_t at = 0; at < early.size(); at += 4096) {
    blocks += early.compare(at, 4096, late, at, 4096) == 0 ? 0 : 1;
  }
  EXPECT_LE(blocks, 2) << "the superblock and the root's inode";
}

TEST_F(Layers, SlotsOutOfUseGiveWayOnASmallDisk) {
  put("large", std::string(20U << 20, 'x'));
  put("stays", "here\n");
  add_layer();
  remove("large");
  put("other", std::string(22U << 20, 'y'));
  ASSERT_TRUE(write("disk", 2, 32U << 20));
  expect_clean("disk");
  expect_shown("disk", model_);
  const std::string first = *system::read_file(image("disk"));
  EXPECT_EQ(first.find("xxxx"), std::string::npos) << "what was removed is still there";
  ASSERT_TRUE(write("disk", 2, 32U << 20));
  EXPECT_TRUE(first == *system::read_file(image("disk"))) << "other bytes the second time";
  add_layer();
  put("more", std::string(12U << 20, 'z'));
  const auto full = write("disk", 3, 32U << 20);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::no_space);
}

TEST_F(Layers, BelowAMountPointTheLayersAboveItHideToo) {
  put("srv/data/old", "hidden by the new srv");
  put("srv/other", "not below the mount point");
  add_layer();
  put_directory("srv");
  put("srv/data/new", "shown");
  ASSERT_TRUE(write("disk", 2, 16U << 20, "srv/data"));
  expect_clean("disk");
  expect_shown("disk", {{"new", model_.at("srv/data/new")}});
  add_layer();
  put_link("srv", "/etc");
  const auto refused = write("disk", 3, 16U << 20, "srv/data");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("/srv/data"));
}

TEST_F(Layers, ManyPiecesNeedATreeOfExtentsOfTwoLevels) {
  put("pieces", "");
  {
    std::ofstream file(layer() / "pieces", std::ios::binary);
    for (int i = 0; i < 1500; ++i) {
      file.seekp(i * 8192);
      file << i;
    }
  }
  model_.at("pieces").content = *system::read_file(layer() / "pieces");
  add_layer();
  put("after", std::string(9000, 'x'));
  ASSERT_TRUE(write("disk", 2, 32U << 20));
  expect_clean("disk");
  expect_shown("disk", model_);
}

}  // namespace
}  // namespace goldmill::image
