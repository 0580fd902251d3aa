// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/answering.hpp>

#include "lineages.hpp"

namespace goldmill::factory {

Result<std::vector<answers::Question>> questions(Session& session, const BuildRequest& request) {
  return answers::questions(TRY(whole_lineage(session, request)));
}

Result<answers::AnswerFile> answer_file(Session& session,
                                        const BuildRequest& request,
                                        answers::Installer installer) {
  return answers::write_answers(TRY(whole_lineage(session, request)), installer);
}

}  // namespace goldmill::factory
