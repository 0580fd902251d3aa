// SPDX-License-Identifier: GPL-3.0-or-later
// Tree: the names and metadata of one layer's tree in a fixed order, with what a guest means by
// them: placeholders are device nodes, namespace marks are gone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::image {

struct TreeNode {
  std::string name;
  std::size_t parent = 0;  ///< index; the root's is itself
  mode_t mode = 0;
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::int64_t mtime = 0;    ///< whole seconds: a layer's archive keeps no more
  std::uint64_t size = 0;    ///< of a regular file
  std::uint64_t stored = 0;  ///< what of it is no hole, rounded up to blocks
  std::uint32_t major = 0;   ///< of a device
  std::uint32_t minor = 0;
  std::uint32_t links = 1;  ///< names in this tree; for a directory 2 + subdirectories
  std::string target;       ///< of a symbolic link
  std::vector<std::pair<std::string, std::string>> attributes;  ///< sorted by name
  std::vector<std::size_t> children;                            ///< sorted by name (bytes)
  std::optional<std::size_t> same_as;                           ///< the first name of the same file
  bool whiteout = false;  ///< nothing: hides what lower layers have there
  bool opaque = false;    ///< of a directory: hides what lower layers have in it
};

/// Nodes in the order of a walk that takes each directory's names sorted; [0] is the root.
struct Tree {
  std::vector<TreeNode> nodes;

  std::string path_of(std::size_t index) const;
};

/// Reads everything but contents. Never follows a link. `hollow`: paths ("var/lib") whose content
/// is left out. Errors: invalid_input for a tree that is deeper than 200 directories.
Result<Tree> read_tree(int directory, const std::vector<std::string>& hollow = {});

/// Whether an extended attribute means something inside the guest.
bool is_guest_attribute(std::string_view name);

/// Opens what lies at a relative path, through no link at all.
Result<system::UniqueFd> open_in_tree(int directory, const std::string& path, int flags);

}  // namespace goldmill::image
