// SPDX-License-Identifier: GPL-3.0-or-later
// Kickstart profile -> recipe, with a word on every line: what it became, or why nothing.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/place.hpp>

namespace goldmill::kickstart {

struct ImportRow {
  enum class Verdict : std::uint8_t {
    mapped,
    changed,         ///< mapped, but not to quite the same: `note` says to what
    not_applicable,  ///< `note` says why
  };
  std::string file;  ///< as given, or as it was included
  int line = 0;
  std::string text;  ///< the line; of a section its header
  Verdict verdict = Verdict::mapped;
  std::string note;
};
const char* name_of(ImportRow::Verdict verdict);

struct ImportRequest {
  std::filesystem::path file;
  std::string os;  ///< "debian/12": what a profile does not say
  /// Names of packages in Fedora and Red Hat -> in Debian; they go before our own table.
  std::map<std::string, std::string> names = {};
};

struct Import {
  Json recipe;                  ///< as a recipe's YAML has it
  std::vector<ImportRow> rows;  ///< one for each command, section and line of packages
  Places places;                ///< of what a line said; without one it is a default
};

/// Follows `%include`, also that of a section. The recipe is named after the file. Errors:
/// not_found; invalid_input with file:line when no edition of the language reads a file, as
/// Problems has them.
Result<Import> import_profile(const ImportRequest& request);

}  // namespace goldmill::kickstart
