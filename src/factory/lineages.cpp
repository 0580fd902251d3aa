// SPDX-License-Identifier: GPL-3.0-or-later
#include "lineages.hpp"

#include <filesystem>
#include <set>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/guest/foreign_programs.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/settings.hpp>
#include <goldmill/store/reference.hpp>
#include <goldmill/system/worker.hpp>

#include "image_recipe.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

bool is_pinned(const recipe::Recipe& own) {
  const auto reference = store::ImageReference::parse(own.from);
  return reference && (reference->version > 0 || !reference->channel.empty());
}

/// What `from:` could have meant: images, and recipes beside this one.
Result<std::vector<std::string>> possible_parents(Session& session, const recipe::Recipe& own) {
  std::set<std::string> names;
  for (const store::ImageRecord& image : TRY(session.catalogue.images())) {
    names.insert(image.name);
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(own.file.parent_path(), ignored)) {
    if (entry.path().extension() == ".yaml" && entry.path() != own.file) {
      names.insert(entry.path().stem());
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace

Result<store::ImageRecord> stored_parent(Session& session, const recipe::Recipe& own) {
  auto image = session.catalogue.find_image(TRY(store::ImageReference::parse(own.from)));
  if (!image && image.error().kind == ErrorKind::not_found) {
    return Error{ErrorKind::not_found,
                 own.origin.text() + ": there is neither an image " + own.from +
                     " nor a recipe of that name beside " + own.file.filename().string(),
                 "build it first, or put its recipe into the same directory; " +
                     did_you_mean(own.from, TRY(possible_parents(session, own)))};
  }
  return image;
}

Result<std::vector<recipe::Recipe>> whole_lineage(Session& session, const BuildRequest& request) {
  recipe::Lineage lineage = TRY(recipe::load_lineage(
      request.recipes.front(), {request.set, request.os, recipe::settings_files()}));
  if (!lineage.missing_parent.empty()) {
    const store::ImageRecord image = TRY(stored_parent(session, lineage.recipes.front()));
    recipe::Recipe parent = TRY(recipe_of(image));
    parent.name = image.reference();
    lineage.recipes.insert(lineage.recipes.begin(), std::move(parent));
  }
  return std::move(lineage.recipes);
}

Result<Lineages> Lineages::read(const BuildRequest& request) {
  if (request.recipes.size() > 1 && !request.set.empty()) {
    return Error{ErrorKind::invalid_input,
                 "--set goes with one recipe",
                 "build the recipe that has the parameter by itself"};
  }
  Lineages lineages;
  const recipe::LoadOptions options{request.set, request.os, recipe::settings_files()};
  for (const auto& file : request.recipes) {
    TRY(lineages.add(TRY(recipe::load_lineage(file, options)).recipes));
  }
  return lineages;
}

/// Nothing before a pinned parent is looked at: that image is in the store.
Result<void> Lineages::add(std::vector<recipe::Recipe> lineage) {
  std::optional<std::size_t> parent;
  std::size_t first = 0;
  for (std::size_t index = 1; index < lineage.size(); ++index) {
    first = is_pinned(lineage[index]) ? index : first;
  }
  for (std::size_t index = first; index < lineage.size(); ++index) {
    parent = TRY(add(std::move(lineage[index]), parent));
  }
  return {};
}

Result<std::size_t> Lineages::add(recipe::Recipe own, std::optional<std::size_t> parent) {
  for (std::size_t index = 0; index < members_.size(); ++index) {
    const recipe::Recipe& known = members_[index].own;
    if (known.file == own.file) {
      return index;
    }
    if (known.name == own.name) {
      return Error{
          ErrorKind::invalid_input,
          known.file.string() + " and " + own.file.string() + " both make the image " + own.name,
          "build them one after the other, or give one another name"};
    }
  }
  members_.push_back({std::move(own), parent});
  return members_.size() - 1;
}

Result<void> Lineages::check_possible() const {
  for (const Member& member : members_) {
    if (member.own.os) {
      TRY(guest::check_programs_run(member.own.os->architecture).context(member.own.name));
    }
  }
  TRY(system::GuestIds::find());
  return {};
}

Result<Subject> subject_of(Session& session,
                           const recipe::Recipe& own,
                           const std::optional<store::ImageRecord>& built) {
  if (own.from.empty()) {
    return Subject{own, recipe::merged({own}), std::nullopt};
  }
  const auto image = built ? *built : TRY(stored_parent(session, own));
  const recipe::Recipe parent = TRY(recipe_of(image));
  const recipe::Recipe whole = recipe::with_enforced(own, parent);
  return Subject{whole, recipe::merged({parent, whole}), ParentImage{image, parent}};
}

}  // namespace goldmill::factory
