// SPDX-License-Identifier: GPL-3.0-or-later
// Package versions and relations: "libc6 (>= 2.36) | libc6.1" and what it matches.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace goldmill::guest {

/// Negative, zero or positive, as strcmp. Source: deb-version(7).
int compare_versions(std::string_view a, std::string_view b);

/// One alternative of a relation.
struct PackageRelation {
  std::string name;            ///< without an architecture qualifier
  std::string operation = {};  ///< "", "<<", "<=", "=", ">=", ">>"
  std::string version = {};
  bool accepts(std::string_view other_version) const;
};

/// The alternatives that one comma-separated part names, part by part. What cannot be read is
/// left out: dpkg judges the field itself.
std::vector<std::vector<PackageRelation>> parse_relations(std::string_view field);

}  // namespace goldmill::guest
