// SPDX-License-Identifier: GPL-3.0-or-later
// A program that uses everything that the table can say, with a terminal that remembers.
#pragma once

#include <string>
#include <vector>

#include <goldmill/cli/command.hpp>

namespace goldmill::cli {

inline Program sample_program() {
  Program program{
      .name = "goldmill",
      .version = "1.2.3",
      .summary = "a golden-VM-image factory",
      .description = {"From a recipe it builds a slim bootable base image and adapts it into "
                      "variants without starting over."},
      .examples = {{"goldmill build base.yaml", "Builds the image of a recipe."}},
      .environment = {{"GOLDMILL_HOME", "Where images and instances are kept."}}};
  program.commands.push_back(
      {.name = "export",
       .summary = "write an image in a disk format",
       .description = {"Writes IMAGE as one file. It's the same bytes every time; a line that is "
                       "long enough has to be wrapped so that it fits on a terminal of 80 columns.",
                       ".. is no request of roff, nor is \\fB."},
       .arguments = {{.name = "IMAGE",
                      .doc = "NAME, NAME@VERSION or NAME:CHANNEL.",
                      .completes = Completes::images}},
       .options = {{.name = "format",
                    .letter = 'f',
                    .value = "FORMAT",
                    .doc = "What to write.",
                    .choices = {"qcow2", "raw"},
                    .standard = "qcow2"},
                   {.name = "output",
                    .letter = 'o',
                    .value = "FILE",
                    .doc = "Where to write it.",
                    .completes = Completes::files},
                   {.name = "set", .value = "KEY=VALUE", .doc = "A parameter.", .repeatable = true},
                   {.name = "quiet", .letter = 'q', .doc = "Say less."},
                   {.name = "verbose", .letter = 'v', .doc = "Say more."}},
       .examples = {{"goldmill export java -o java.qcow2", "Writes the newest java."},
                    {"goldmill export base -o base.qcow2", ""}},
       .exit_statuses = {{1, "The image lacks a driver that the format needs."}},
       .see_also = {"ssh"},
       .run = [](const Parsed&, Terminal&) { return 0; }});
  program.commands.push_back(
      {.name = "ssh",
       .summary = "run a command on an instance",
       .arguments = {{.name = "INSTANCE", .doc = "Its name.", .completes = Completes::instances},
                     {.name = "WORD", .doc = "The command.", .count = Argument::Count::any}},
       .options_end_after = 1,
       .run = [](const Parsed& parsed, Terminal& terminal) {
         terminal.print_line(parsed.argument(1));
         return 7;
       }});
  program.commands.push_back(
      {.name = "completion",
       .summary = "print a completion script",
       .arguments = {{.name = "SHELL", .doc = "Which shell.", .choices = {"bash", "zsh", "fish"}}},
       .run = [](const Parsed&, Terminal&) { return 0; }});
  program.commands.push_back({.name = "__complete",
                              .summary = "names for completion",
                              .arguments = {{.name = "KIND"}},
                              .hidden = true,
                              .run = [](const Parsed&, Terminal&) { return 0; }});
  return program;
}

struct Recorded {
  std::string out;
  std::string err;
  std::chrono::steady_clock::time_point now = {};

  Terminal terminal(bool tty = false, bool colours = false) {
    return Terminal({.out = [this](std::string_view text) { out += text; },
                     .err = [this](std::string_view text) { err += text; },
                     .out_is_tty = tty,
                     .err_is_tty = tty,
                     .colours = colours,
                     .columns = 80,
                     .now = [this] { return now; }});
  }
};

}  // namespace goldmill::cli
