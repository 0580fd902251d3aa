// SPDX-License-Identifier: GPL-3.0-or-later
// Questions: what an installer would ask, with what a recipe answers and where that comes from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::answers {

struct Question {
  enum class Source : std::uint8_t {
    recipe,
    profile,   ///< an installer's answer file in place of the recipe, or --os beside it
    part,      ///< which the recipe or an ancestor includes
    enforced,  ///< a part that the site's settings enforce
    parent,    ///< an ancestor's recipe or image
    standard,  ///< nobody said it
    fixed,     ///< no recipe can say it
  };
  std::string topic;     ///< "Accounts"
  std::string question;  ///< "root's password"
  std::string key;       ///< of a recipe: "baseline.root"; "" when `fixed`
  std::string answer;
  Source source = Source::standard;
  std::string where;  ///< "base.yaml:9:9", "image base@3"; "" for what nobody said
  std::string why;    ///< why that is a safe answer, where nobody gave it
};
const char* name_of(Question::Source source);

/// Every question, in the order in which installers ask. `lineage` has the base first and is not
/// empty; an ancestor that is known by its image only has no origins, and its `file` is "".
std::vector<Question> questions(const std::vector<recipe::Recipe>& lineage);

/// {"topic", "question", "key", "answer", "source", "where", "why"}; null for what is "".
Json to_json(const Question& question);

}  // namespace goldmill::answers
