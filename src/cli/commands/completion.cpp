// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/cli/help.hpp>
#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int print_completion(const Parsed& parsed, Terminal& terminal) {
  const auto script = completion_script(goldmill_program(), parsed.argument(0));
  if (!script) {
    return terminal.fail(script.error());
  }
  terminal.print(*script);
  return 0;
}

int print_man_page(const Parsed& /*parsed*/, Terminal& terminal) {
  terminal.print(man_page(goldmill_program(), GOLDMILL_DATE));
  return 0;
}

/// What shells ask for names. Silent when there is nothing to say: a shell shows no errors.
int print_names(const Parsed& parsed, Terminal& terminal) {
  TerminalObserver observer(terminal);
  auto session = factory::Session::open(observer);
  if (!session) {
    return 0;
  }
  if (parsed.argument(0) == "images") {
    const auto images = session->catalogue.images();
    for (const store::ImageRecord& image : images ? *images : std::vector<store::ImageRecord>()) {
      terminal.print_line(image.name);
      terminal.print_line(image.reference());
    }
  } else if (parsed.argument(0) == "instances") {
    const auto instances = launch::list(session->home.root());
    for (const launch::Instance& instance :
         instances ? *instances : std::vector<launch::Instance>()) {
      terminal.print_line(instance.name);
    }
  }
  return 0;
}

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .summary = "print the completion script of a shell",
          .description = {"For bash: source <(goldmill completion bash)"},
          .arguments = {{"SHELL",
                         "which shell",
                         Argument::Count::one,
                         Completes::nothing,
                         {"bash", "zsh", "fish"}}},
          .examples = {{"goldmill completion bash > /etc/bash_completion.d/goldmill", ""}},
          .answers_json = false,
          .run = print_completion};
}

Command man_command() {
  return {.name = "man",
          .summary = "print the man page",
          .description = {"The page is made from the same table as --help."},
          .examples = {{"goldmill man | man -l -", ""}},
          .answers_json = false,
          .run = print_man_page};
}

Command complete_command() {
  return {.name = "__complete",
          .summary = "names for shell completion",
          .arguments = {{"WHAT", "images or instances", Argument::Count::one}},
          .answers_json = false,
          .hidden = true,
          .run = print_names};
}

}  // namespace goldmill::cli
