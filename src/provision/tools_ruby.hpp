// SPDX-License-Identifier: GPL-3.0-or-later
// ToolsRuby: how the Ruby of a tools tree runs inside an image's tree. Its children are the image's
// own programs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>

#include "tools_tree.hpp"

namespace goldmill::provision {

struct ToolsRuby {
  std::vector<std::string> argv;         ///< to be followed by the script
  std::vector<std::string> environment;  ///< "NAME=value"

  /// `library` is searched before the tools' own. Errors: not_found (no Ruby in the tree).
  static Result<ToolsRuby> find(const std::filesystem::path& tools, const std::string& library);
};

}  // namespace goldmill::provision
