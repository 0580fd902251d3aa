// SPDX-License-Identifier: GPL-3.0-or-later
// Reader: a validated document -> Recipe. What a table cannot say is checked here: files that
// must exist, names that must be declared, sizes that must fit.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

#include "document.hpp"

namespace goldmill::recipe {

/// What reading needs beside the node: where errors point to, where paths start.
struct Source {
  const Document& document;
  Recipe& recipe;  ///< which learns what plain files it is made of

  /// `text` relative to the directory of the file that `node` stands in; absolute.
  std::filesystem::path resolve(const Node& node, const std::string& text) const;
  /// "; the first is at FILE:LINE:COLUMN".
  std::string elsewhere(const Node& node, const Node& first) const;
  /// As resolve(), for what must exist. Errors: invalid_input at `node`.
  Result<std::filesystem::path> existing_file(const Node& node, const std::string& text) const;
  Result<std::filesystem::path> existing(const Node& node, const std::string& text) const;
  /// The text of such a file, UTF-8, at most 1 MiB.
  Result<std::string> content_of(const Node& node, const std::string& text) const;

 private:
  Result<std::filesystem::path> plain_file(const Node& node, const std::string& text) const;
  void note(const Node& node, const std::string& text, const Digest& digest) const;
};

/// Values of a validated map; an absent key leaves the target as it is.
void read_text(const Node& map, const char* key, std::string& target);
void read_text(const Node& map, const char* key, std::optional<std::string>& target);
void read_boolean(const Node& map, const char* key, bool& target);
std::vector<std::string> texts_of(const Node& list);
Bytes size_of(const Node& node);

Result<Baseline> read_baseline(const Source& source, const Node& node);
Result<Disk> read_disk(const Source& source, const Node& node);
Result<std::vector<PackageRequest>> read_packages(const Source& source, const Node& list);
Result<std::vector<Repository>> read_repositories(const Source& source, const Node& list);
Result<std::vector<std::string>> read_apt_sources(const Source& source, const Node& apt);
Result<std::vector<DebconfAnswer>> read_debconf(const Source& source, const Node& list);
Result<std::vector<Secret>> read_secrets(const Source& source, const Node& list);
Result<std::vector<ProvisionStep>> read_provision(const Source& source,
                                                  const Node& list,
                                                  const std::vector<Secret>& secrets);

/// The whole recipe; `document` is validated and its parameters are replaced.
Result<Recipe> read_recipe(const Document& document);

}  // namespace goldmill::recipe
