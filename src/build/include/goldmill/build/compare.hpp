// SPDX-License-Identifier: GPL-3.0-or-later
// Comparing what two stacks of layers show, and saying which layer each file of a stack is from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::build {

struct TreeChange {
  enum class Kind : std::uint8_t { added, removed, changed };
  Kind kind = Kind::changed;
  std::string path;               ///< "/etc/hosts"
  std::vector<std::string> what;  ///< of a changed one: "type", "mode", "owner", "content", ...
  /// {"type", "mode", "user", "group", "size" of a file, "target" of a link, "device"}; null when
  /// it is not there.
  Json before;
  Json after;
  std::string text;    ///< unified difference of a text file below /etc, or ""
  std::string untold;  ///< why there is no `text` although such a file differs
};

/// "added", "removed", "changed".
const char* name_of(TreeChange::Kind kind);

/// What differs between two trees, layers bottom to top; a layer that both have is read only where
/// others touch it. Times are not compared. In the order of paths.
Result<std::vector<TreeChange>> compare_trees(const std::vector<std::filesystem::path>& before,
                                              const std::vector<std::filesystem::path>& after,
                                              const std::function<bool()>& is_cancelled = {});

/// What lower layers hold and nobody sees: it costs in the store and in transfers.
struct HiddenFiles {
  std::size_t layer = 0;  ///< whose they are, by its place in the stack
  std::uint64_t files = 0;
  Bytes size;
};

/// Calls `on_file` with every path that shows and the place of the layer that it comes from; a
/// directory is of the lowest that has it.
Result<std::vector<HiddenFiles>> attribute_files(
    const std::vector<std::filesystem::path>& layers,
    const std::function<void(const std::string& path, std::size_t layer)>& on_file);

}  // namespace goldmill::build
