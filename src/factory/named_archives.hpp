// SPDX-License-Identifier: GPL-3.0-or-later
// Named archives: those that an image's recipe says under `repositories:`, beside the system's own.
#pragma once

#include <string>
#include <vector>

#include <goldmill/recipe/recipe.hpp>
#include <goldmill/store/catalogue.hpp>

namespace goldmill::factory {

struct NamedArchives {
  std::vector<recipe::Repository> repositories;
  /// Of those that cannot be asked: which, and why.
  std::vector<std::string> lost;
};

/// Of an image and others of its line. An image keeps neither the keys of archives nor what opens
/// them: its recipe's file tells that, as long as it names them.
NamedArchives named_archives(const std::vector<store::ImageRecord>& line);

}  // namespace goldmill::factory
