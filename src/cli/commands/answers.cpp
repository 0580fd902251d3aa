// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/answering.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_answers(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const std::string name = parsed.value("as").value_or("");
    if (name.empty()) {
      return Error{ErrorKind::invalid_input,
                   "for which installer is not said",
                   "say it: --as kickstart, preseed, autoinstall or autounattend"};
    }
    const answers::Installer installer = TRY(answers::find_installer(name));
    const answers::AnswerFile file =
        TRY(factory::answer_file(session, TRY(build_request(parsed)), installer));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json({{"as", name}, {"text", file.text}, {"unsaid", file.unsaid}});
      return 0;
    }
    terminal.print(file.text);
    for (const std::string& entry : file.unsaid) {
      terminal.note("not said: " + entry);
    }
    return 0;
  });
}

}  // namespace

Command answers_command() {
  return {.name = "answers",
          .summary = "write a recipe as an installer's answer file",
          .description =
              {"Writes to standard output what a recipe and its ancestors say, for a machine "
               "that must go through an installer: kickstart (Anaconda), preseed (Debian's "
               "installer), autoinstall (Ubuntu's subiquity) or autounattend (Windows).",
               "What that file has no words for is said on standard error, each with its "
               "reason. Passwords are written as hashes only. `goldmill import` reads "
               "kickstart and preseed files back."},
          .arguments = {recipe_argument()},
          .options = {{.name = "as",
                       .value = "INSTALLER",
                       .doc = "Which one reads the file.",
                       .choices = answers::installer_names()},
                      set_option(),
                      os_option()},
          .examples = {{"goldmill answers java.yaml --as preseed > java.preseed", ""},
                       {"goldmill answers java.yaml --as kickstart > java.ks", ""}},
          .see_also = {"import", "questions"},
          .run = run_answers};
}

}  // namespace goldmill::cli
