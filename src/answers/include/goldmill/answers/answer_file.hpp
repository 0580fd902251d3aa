// SPDX-License-Identifier: GPL-3.0-or-later
// Answer file: what a recipe says, for a machine that must go through an installer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::answers {

enum class Installer : std::uint8_t {
  kickstart,     ///< Anaconda, of Fedora and Red Hat
  preseed,       ///< debian-installer
  autoinstall,   ///< subiquity, of Ubuntu's servers
  autounattend,  ///< Windows Setup
};
const std::vector<std::string>& installer_names();
/// Errors: invalid_input, with the nearest name.
Result<Installer> find_installer(std::string_view name);

struct AnswerFile {
  std::string text;
  /// What the recipe says and the file does not, each with the reason.
  std::vector<std::string> unsaid;
};

/// `lineage` as of questions(). Passwords are written as hashes only.
AnswerFile write_answers(const std::vector<recipe::Recipe>& lineage, Installer installer);

}  // namespace goldmill::answers
