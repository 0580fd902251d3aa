// SPDX-License-Identifier: GPL-3.0-or-later
// ToolsTree: what a tree of tools has for running its programs inside an image's tree: its own
// loader and libraries, so that the image needs neither.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::provision {

/// Where the tools tree is shown in the image's.
inline constexpr const char* kToolsPlace = "/run/goldmill/tools";

struct ToolsTree {
  std::string native;             ///< directory of the architecture's libraries, as shown
  std::vector<std::string> argv;  ///< to be followed by a program of the tree

  /// Errors: not_found (there is no loader: what `needs` it is named).
  static Result<ToolsTree> find(const std::filesystem::path& tools, const std::string& needs);
};

/// The first name in the directory that fits, or "".
std::string find_name(const std::filesystem::path& directory,
                      const std::function<bool(const std::string&)>& fits);

/// "a:b".
std::string joined_paths(const std::vector<std::string>& paths);

}  // namespace goldmill::provision
