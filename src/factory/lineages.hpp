// SPDX-License-Identifier: GPL-3.0-or-later
// Lineages: the recipes that one build is about, each once, parents before what stands on them.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/recipe/recipe.hpp>
#include <goldmill/store/catalogue.hpp>

#include "image_build.hpp"

namespace goldmill::factory {

class Lineages {
 public:
  struct Member {
    recipe::Recipe own;
    /// Index of the member that it stands on; nothing for a base, and where the parent is said by
    /// version or channel or has no recipe here: then the store must have it.
    std::optional<std::size_t> parent;
  };

  /// Reads the recipes of a request with their ancestors.
  /// Errors: those of recipes; two recipes of one name; parameters for several recipes.
  static Result<Lineages> read(const BuildRequest& request);

  const std::vector<Member>& members() const { return members_; }

  /// Said before packages are resolved and fetched: what can no build end well for.
  Result<void> check_possible() const;

 private:
  Result<void> add(std::vector<recipe::Recipe> lineage);
  Result<std::size_t> add(recipe::Recipe own, std::optional<std::size_t> parent);

  std::vector<Member> members_;
};

/// The image that a variant is built on. Errors: not_found.
Result<store::ImageRecord> stored_parent(Session& session, const recipe::Recipe& own);

/// A recipe and its ancestors, base first; one that has no recipe there by its image in the store.
/// Errors: those of recipes; not_found (neither recipe nor image).
Result<std::vector<recipe::Recipe>> whole_lineage(Session& session, const BuildRequest& request);

/// A recipe with its parent's image: `built` when this build made or found it, else the one in
/// the store.
Result<Subject> subject_of(Session& session,
                           const recipe::Recipe& own,
                           const std::optional<store::ImageRecord>& built);

}  // namespace goldmill::factory
