// SPDX-License-Identifier: GPL-3.0-or-later
// Answering: what a recipe, with everything that it stands on, says to an installer's questions.
#pragma once

#include <vector>

#include <goldmill/answers/answer_file.hpp>
#include <goldmill/answers/questions.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

/// Errors: those of recipes; not_found (neither the parent's recipe nor its image).
Result<std::vector<answers::Question>> questions(Session& session, const BuildRequest& request);

Result<answers::AnswerFile> answer_file(Session& session,
                                        const BuildRequest& request,
                                        answers::Installer installer);

}  // namespace goldmill::factory
