// SPDX-License-Identifier: GPL-3.0-or-later
// TreeListing: a tree as lines that two trees can be compared by.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace goldmill::guest::test_parts {

/// Path -> "type mode owner:group target-or-digest attributes". Owners are names of the tree's
/// own passwd and group; `first_id` is what its ids are shifted by. Mount points are not entered.
std::map<std::string, std::string> list_tree(const std::filesystem::path& root,
                                             std::uint32_t first_id);

/// "path: A | B" for each path that differs, "-" standing for a missing one.
std::vector<std::string> differences(const std::map<std::string, std::string>& a,
                                     const std::map<std::string, std::string>& b);

}  // namespace goldmill::guest::test_parts
