// SPDX-License-Identifier: GPL-3.0-or-later
// Settings: what a site or a user says once for all recipes.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::recipe {

/// The settings files that are there: the machine's /etc/goldmill/settings.yaml first, then the
/// user's goldmill/settings.yaml in the XDG configuration directory. The second adds to the first.
std::vector<std::filesystem::path> settings_files();

/// Names of packages in Fedora and Red Hat -> in Debian, of all these files; the last one counts.
/// Errors: invalid_input, with file:line:column.
Result<std::map<std::string, std::string>> package_names(
    const std::vector<std::filesystem::path>& settings);

}  // namespace goldmill::recipe
