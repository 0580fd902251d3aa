// SPDX-License-Identifier: GPL-3.0-or-later
// Expert recipe: how Debian's installer is told to partition a disk.
// Source: devel/partman-auto-recipe.txt of debian-installer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::preseed {

/// Sizes are in MB; of memory in percent where `of_memory`.
struct WantedPartition {
  std::uint64_t least = 0;
  std::uint64_t priority = 0;
  std::optional<std::uint64_t> most;  ///< nothing: it grows without end
  bool of_memory = false;             ///< one of them is a share of the machine's memory
  std::string filesystem;             ///< "ext4", "linux-swap", "free", "$default_filesystem"
  /// `mountpoint{ / }`; an internal one such as `$primary{ }` keeps its dollar.
  std::map<std::string, std::string> specifiers;

  std::string specifier(const std::string& name) const;
};

struct ExpertRecipe {
  std::string name;
  std::vector<WantedPartition> partitions;
};

/// Errors: invalid_input, with the word at which it is wrong.
Result<ExpertRecipe> parse_expert_recipe(std::string_view text);

}  // namespace goldmill::preseed
