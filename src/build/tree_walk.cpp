// SPDX-License-Identifier: GPL-3.0-or-later
#include "tree_walk.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/store/layer_tree.hpp>

namespace goldmill::build {

using system::UniqueFd;

Result<std::vector<std::string>> names_in(int directory) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, void (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                    [](DIR* open) { (void)::closedir(open); });
  if (!stream) {
    return system_error("cannot list a directory", errno);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<UniqueFd> open_subdirectory(int parent, const std::string& name) {
  UniqueFd open(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!open) {
    return system_error("cannot open the directory " + name, errno);
  }
  return open;
}

Result<void> check_depth(const std::string& path, std::size_t depth) {
  constexpr std::size_t kDeepest = 400;  // each level holds two descriptors
  if (depth > kDeepest) {
    return Error{ErrorKind::invalid_input,
                 "directories nested deeper than " + std::to_string(kDeepest) + " at /" +
                     path.substr(0, 80)};
  }
  return {};
}

std::string path_by_descriptor(int directory, const std::string& name) {
  return "/proc/self/fd/" + std::to_string(directory) + "/" + name;
}

bool is_opaque(int parent, const std::string& name) {
  char value = 0;
  return ::lgetxattr(
             path_by_descriptor(parent, name).c_str(), store::kOpaqueAttribute, &value, 1) == 1 &&
         value == 'y';
}

bool is_shared(int parent, const std::string& name) {
  return ::lgetxattr(
             path_by_descriptor(parent, name).c_str(), store::kSharedAttribute, nullptr, 0) >= 0;
}

std::string target_of(int parent, const std::string& name) {
  std::array<char, 4096> target{};
  const ssize_t size = ::readlinkat(parent, name.c_str(), target.data(), target.size());
  return {target.data(), size < 0 ? 0 : static_cast<std::size_t>(size)};
}

Result<bool> same_content(const PlacedFile& one, const PlacedFile& other) {
  constexpr std::size_t kPiece = 1U << 18;
  const auto open = [](const PlacedFile& file) {
    return UniqueFd(
        ::openat(file.parent, file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  };
  const UniqueFd left = open(one);
  const UniqueFd right = open(other);
  if (!left || !right) {
    return system_error("cannot compare " + one.name, errno);
  }
  std::string left_piece(kPiece, '\0');
  std::string right_piece(kPiece, '\0');
  while (true) {
    const ssize_t count = ::read(left.get(), left_piece.data(), kPiece);
    if (count < 0 || ::read(right.get(), right_piece.data(), kPiece) != count) {
      return false;
    }
    if (count == 0) {
      return true;
    }
    const auto length = static_cast<std::size_t>(count);
    if (left_piece.compare(0, length, right_piece, 0, length) != 0) {
      return false;
    }
  }
}

bool holds_text(int parent, const std::string& name, std::string_view text) {
  if (text.empty()) {
    return false;
  }
  const UniqueFd file(
      ::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  std::string start(4096, '\0');
  const ssize_t count = file ? ::read(file.get(), start.data(), start.size()) : -1;
  start.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return start.find(text) != std::string::npos;
}

}  // namespace goldmill::build
