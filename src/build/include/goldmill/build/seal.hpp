// SPDX-License-Identifier: GPL-3.0-or-later
// Seal: identity and residue that must not be in a layer, as one table of rules. Each step's
// changes are sealed before they become a layer; a finished image is only checked.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::build {

enum class SealAction : std::uint8_t {
  remove,   ///< taken out of the changes; what a lower layer has shows again
  empty,    ///< cut to zero bytes, since the file must exist
  check,    ///< only reported: it may be meant, or no rule can repair it
  declare,  ///< only reported, and only where no step that declares its files wrote it
};

struct SealRule {
  std::string_view name;
  SealAction action;
  std::string_view what;
  std::string_view why;
  std::string_view source;
  /// Paths below "/", without it. `*` matches within one name, a final `/**` everything below
  /// the directory but not the directory itself.
  std::span<const std::string_view> paths;
  /// A file that holds this text is harmless (a mark that asks for a new identity).
  std::string_view unless_it_holds = {};
};

std::span<const SealRule> seal_rules();

/// Does the pattern of a rule match this path (relative, no "/" in front)?
bool matches(std::string_view pattern, std::string_view path);

struct Finding {
  std::string rule;
  std::string path;
  std::size_t layer = 0;  ///< index into the layers given
};

/// The first rule that names the path, or nullptr. Links are residue only below a `/**`:
/// elsewhere they are a decision, as a rule masked by a link to /dev/null.
const SealRule* rule_for(std::string_view path, bool is_link);

struct ImageLayer {
  std::filesystem::path tree;
  bool declared = false;  ///< by a step whose files the recipe says, unlike a script's
};

/// Looks for everything that the rules name, and for private keys, in every layer (bottom to
/// top); `allowed` are paths (without "/" in front) that the recipe itself made. Empty means
/// sealed. Whiteouts and, for rules that empty, empty files are fine.
Result<std::vector<Finding>> check_image(const std::vector<ImageLayer>& layers,
                                         const std::vector<std::string>& allowed);

}  // namespace goldmill::build
