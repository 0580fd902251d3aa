// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/answering.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

/// "base.yaml:6:13, of a parent", or why the default is safe.
std::string origin_of(const answers::Question& question) {
  using Source = answers::Question::Source;
  switch (question.source) {
    case Source::standard:
      return "default" + (question.why.empty() ? "" : ": " + question.why);
    case Source::fixed:
      return "always" + (question.why.empty() ? "" : ": " + question.why);
    case Source::recipe:
    case Source::profile:
      return question.where;
    case Source::part:
      return question.where + ", a part";
    case Source::enforced:
      return question.where + ", enforced";
    case Source::parent:
      return question.where + ", of a parent";
  }
  return question.where;
}

void show(const std::vector<answers::Question>& questions, Terminal& terminal) {
  Table table{{{"question"}, {"answer"}, {"from"}}, {}};
  std::string topic;
  for (const answers::Question& question : questions) {
    if (question.topic != topic) {
      topic = question.topic;
      table.rows.push_back({terminal.styled(topic, Style::bold), "", ""});
    }
    table.rows.push_back({"  " + question.question, question.answer, origin_of(question)});
  }
  terminal.print_table(table);
}

int run_questions(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto questions = TRY(factory::questions(session, TRY(build_request(parsed))));
    terminal.progress().finish();
    if (!terminal.json()) {
      show(questions, terminal);
      return 0;
    }
    Json list = Json::array();
    for (const answers::Question& question : questions) {
      list.push_back(to_json(question));
    }
    terminal.print_json({{"questions", std::move(list)}});
    return 0;
  });
}

}  // namespace

Command questions_command() {
  return {
      .name = "questions",
      .summary = "list what an installer would ask, with a recipe's answers",
      .description = {"Lists every question of an installer (language, time zone, accounts, disk, "
                      "packages, ...) with the answer that the recipe gives, and where that comes "
                      "from: file, line and column in the recipe, in a part, in a parent's recipe, "
                      "or the default with the reason why it is safe. No question is left open."},
      .arguments = {recipe_argument()},
      .options = {set_option(), os_option()},
      .examples = {{"goldmill questions examples/java.yaml", ""},
                   {"goldmill questions web.ks --os debian/12", "of a Kickstart profile"}},
      .see_also = {"explain", "import"},
      .run = run_questions};
}

}  // namespace goldmill::cli
