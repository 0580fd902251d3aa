// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/exporter/exporter.hpp>
#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const exporter::Format& format : exporter::formats()) {
    names.emplace_back(format.name);
  }
  return names;
}

std::string format_list() {
  std::string text = "Formats:";
  for (const exporter::Format& format : exporter::formats()) {
    text += " " + std::string(format.name) + " (" + std::string(format.summary) + ");";
  }
  text.back() = '.';
  return text;
}

int run_export(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    factory::ExportRequest request{parsed.argument(0),
                                   parsed.value("format").value_or("qcow2"),
                                   parsed.value("output").value_or(""),
                                   TRY(parsed.pairs("option"))};
    const exporter::Format* format = TRY(exporter::find_format(request.format));
    if (request.output.empty()) {
      const auto reference = TRY(store::ImageReference::parse(request.image));
      request.output = reference.name + std::string(format->extension);
    }
    TRY(factory::export_image(session, request));
    terminal.progress().finish();
    const auto size = std::filesystem::file_size(request.output);
    if (terminal.json()) {
      terminal.print_json({{"image", request.image},
                           {"format", request.format},
                           {"file", std::filesystem::absolute(request.output).string()},
                           {"bytes", size}});
    } else {
      terminal.print_line(request.output.string() + "  " + to_text(Bytes{size}));
    }
    return 0;
  });
}

}  // namespace

Command export_command() {
  return {.name = "export",
          .summary = "write an image in a format for some hypervisor",
          .description =
              {"Assembles the disk from the image's layers, checks it against the digest that was "
               "recorded when it was built, and writes it. The file appears whole or not at all.",
               format_list()},
          .arguments = {{"IMAGE", "NAME or NAME@VERSION", Argument::Count::one, Completes::images}},
          .options = {{.name = "format",
                       .letter = 'F',
                       .value = "FORMAT",
                       .doc = "What to write.",
                       .choices = format_names(),
                       .standard = "qcow2"},
                      {.name = "output",
                       .letter = 'o',
                       .value = "FILE",
                       .doc = "Where to write it.",
                       .standard = "the image's name here",
                       .completes = Completes::files},
                      {.name = "option",
                       .value = "NAME=VALUE",
                       .doc = "A setting of the format.",
                       .repeatable = true}},
          .examples = {{"goldmill export java --format vmdk -o java.vmdk", ""},
                       {"goldmill export base -F raw -o /dev/shm/base.raw", ""}},
          .see_also = {"build", "launch"},
          .run = run_export};
}

}  // namespace goldmill::cli
