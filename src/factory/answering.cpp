// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/answering.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/settings.hpp>
#include <goldmill/store/reference.hpp>

#include "image_recipe.hpp"
#include "lineages.hpp"

namespace goldmill::factory {

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

Result<std::vector<answers::Question>> questions(Session& session, const BuildRequest& request) {
  return answers::questions(TRY(whole_lineage(session, request)));
}

Result<answers::AnswerFile> answer_file(Session& session,
                                        const BuildRequest& request,
                                        answers::Installer installer) {
  return answers::write_answers(TRY(whole_lineage(session, request)), installer);
}

}  // namespace goldmill::factory
