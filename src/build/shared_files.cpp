// SPDX-License-Identifier: GPL-3.0-or-later
#include "shared_files.hpp"

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/store/layer_tree.hpp>

#include "tree_walk.hpp"

namespace goldmill::build {

using system::UniqueFd;

namespace {
constexpr off_t kBig = 256 << 10;  // of an image's bytes, most are in files of this size and more
constexpr const char* kLink = "shared";

class Sharer {
 public:
  Sharer(int work, int trees, std::vector<std::string> others)
      : work_(work), trees_(trees), others_(std::move(others)) {}
  Result<void> directory(int descriptor, const std::string& path, std::size_t depth);

 private:
  Result<bool> share(const PlacedFile& file, const std::string& path);
  Result<bool> link(const PlacedFile& file, const PlacedFile& stored) const;
  std::optional<UniqueFd> directory_in(const std::string& tree, const std::string& path) const;

  int work_;
  int trees_;
  std::vector<std::string> others_;
};

bool is_alone(const PlacedFile& file, const struct stat& status) {
  return status.st_nlink == 1 || is_shared(file.parent, file.name);
}

Result<bool> are_equal(const PlacedFile& one, const PlacedFile& other) {
  struct stat left {};
  struct stat right {};
  if (::fstatat(one.parent, one.name.c_str(), &left, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fstatat(other.parent, other.name.c_str(), &right, AT_SYMLINK_NOFOLLOW) != 0) {
    return false;
  }
  return left.st_mode == right.st_mode && left.st_uid == right.st_uid &&
         left.st_gid == right.st_gid && left.st_size == right.st_size &&
         left.st_mtim.tv_sec == right.st_mtim.tv_sec &&
         left.st_mtim.tv_nsec == right.st_mtim.tv_nsec && is_alone(other, right) &&
         TRY(store::layer_attributes(one.parent, one.name)) ==
             TRY(store::layer_attributes(other.parent, other.name)) &&
         TRY(same_content(one, other));
}

std::optional<UniqueFd> Sharer::directory_in(const std::string& tree,
                                             const std::string& path) const {
  auto at = open_subdirectory(trees_, tree);
  for (std::size_t start = 0; at && start < path.size();) {
    const std::size_t end = path.find('/', start);
    at = open_subdirectory(at->get(), path.substr(start, end - start));
    start = end + 1;
  }
  return at ? std::optional(std::move(*at)) : std::nullopt;
}

/// False where the file system has no more links for it, or the other is just being removed.
Result<bool> Sharer::link(const PlacedFile& file, const PlacedFile& stored) const {
  const std::string path = path_by_descriptor(stored.parent, stored.name);
  if (::lsetxattr(path.c_str(), store::kSharedAttribute, "y", 1, 0) != 0 ||
      ::linkat(stored.parent, stored.name.c_str(), work_, kLink, 0) != 0) {
    return false;
  }
  if (::renameat(work_, kLink, file.parent, file.name.c_str()) != 0) {
    return system_error("cannot link " + file.name, errno);
  }
  return true;
}

/// `path` is the directory's, with a slash at its end.
Result<bool> Sharer::share(const PlacedFile& file, const std::string& path) {
  for (const std::string& tree : others_) {
    const auto parent = directory_in(tree, path);
    if (!parent) {
      continue;
    }
    const PlacedFile stored{parent->get(), file.name};
    if (TRY(are_equal(file, stored)) && TRY(link(file, stored))) {
      return true;
    }
  }
  return false;
}

Result<void> Sharer::directory(int descriptor, const std::string& path, std::size_t depth) {
  TRY(check_depth(path, depth));
  struct stat before {};
  if (::fstat(descriptor, &before) != 0) {
    return system_error("cannot look at " + path, errno);
  }
  bool changed = false;
  for (const std::string& name : TRY(names_in(descriptor))) {
    struct stat status {};
    if (::fstatat(descriptor, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error("cannot look at " + path + name, errno);
    }
    if (S_ISDIR(status.st_mode)) {
      const UniqueFd inside = TRY(open_subdirectory(descriptor, name));
      TRY(directory(inside.get(), path + name + "/", depth + 1));
    } else if (S_ISREG(status.st_mode) && status.st_size >= kBig && status.st_nlink == 1) {
      changed = TRY(share({descriptor, name}, path)) || changed;
    }
  }
  const std::array<timespec, 2> times = {before.st_atim, before.st_mtim};
  if (changed && ::futimens(descriptor, times.data()) != 0) {
    return system_error("cannot set the time of " + path, errno);
  }
  return {};
}
}  // namespace

Result<void> share_big_files(int work, int trees) {
  std::vector<std::string> others = TRY(names_in(trees));
  if (others.empty()) {
    return {};
  }
  const UniqueFd layer = TRY(open_subdirectory(work, "upper"));
  return Sharer(work, trees, std::move(others)).directory(layer.get(), "", 0);
}

}  // namespace goldmill::build
