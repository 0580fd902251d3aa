// SPDX-License-Identifier: GPL-3.0-or-later
// Machine: everything that a recipe and its ancestors ask for, in the terms of installers.
#pragma once

#include <string>
#include <vector>

#include <goldmill/recipe/recipe.hpp>

namespace goldmill::answers {

struct Script {
  std::string interpreter;  ///< "/bin/sh", "/usr/bin/python3"
  std::string text;         ///< without its #! line; ends with a newline
};

struct Volume {
  std::string mount;  ///< "" for swap
  std::string filesystem;
  std::string label;
  std::uint64_t mib = 0;
  bool is_root = false;
};

struct Machine {
  recipe::Recipe merged;
  std::vector<std::string> install;
  std::vector<std::string> remove;
  std::vector<recipe::DebconfAnswer> debconf;
  std::vector<Script> scripts;  ///< in order
  std::vector<Volume> volumes;  ///< the root last, with what the others leave
  std::vector<std::string> unsaid;

  const recipe::Baseline& baseline() const { return merged.baseline; }
  std::vector<std::string> kernel_options() const;
  bool has(recipe::Firmware firmware) const;
};

/// As questions(): base first. What no installer can be told is in `unsaid`.
Machine whole_machine(const std::vector<recipe::Recipe>& lineage);

/// A user who has no password and may use sudo is not asked for one.
std::string sudo_script(const recipe::User& user);
/// The keys of a user who has an account already.
std::string keys_script(const recipe::User& user);

/// Words with `between` between them.
std::string joined(const std::vector<std::string>& words, const std::string& between);

}  // namespace goldmill::answers
