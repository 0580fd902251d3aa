// SPDX-License-Identifier: GPL-3.0-or-later
// ToolsPython: how the Python of a tools tree runs inside an image's tree: by a script that is
// shown there, so that others can be told to start it. Nothing of it is in its children's
// environment: those are the image's own programs.
#pragma once

#include <filesystem>
#include <string>

#include <goldmill/base/result.hpp>

namespace goldmill::provision {

/// The text of the script. Compiled modules are kept in `cache`, a directory of the sandbox.
/// Errors: not_found (no Python in the tree).
Result<std::string> tools_python_script(const std::filesystem::path& tools,
                                        const std::string& cache);

}  // namespace goldmill::provision
