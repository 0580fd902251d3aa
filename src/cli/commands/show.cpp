// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

std::string line_value(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "-" : value.dump();
}

int run_show(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto reference = TRY(store::ImageReference::parse(parsed.argument(0)));
    const store::ImageRecord image = TRY(session.catalogue.find_image(reference));
    Json json = factory::describe_image(session, image);
    if (terminal.json()) {
      for (const char* key : {"packages", "test", "layout", "seal"}) {
        const Json* value = find_value(image.details, key);
        json[std::string(key) + (std::string_view(key) == "packages" ? "_installed" : "")] =
            value == nullptr ? Json() : *value;
      }
      terminal.print_json(json);
      return 0;
    }
    Table facts{{{image.reference()}, {""}}, {}};
    for (const char* key : {"digest",
                            "disk_digest",
                            "os",
                            "architecture",
                            "parent",
                            "packages",
                            "disk_used_bytes",
                            "qcow2_bytes",
                            "qcow2",
                            "recipe_file"}) {
      facts.rows.push_back({key, line_value(json[key])});
    }
    terminal.print_table(facts);
    Table steps{{{"step"}, {"kind"}, {"seconds", Table::Align::right}, {"layer"}}, {}};
    for (const Json& step : json["steps"]) {
      steps.rows.push_back({find_string(step, "name").value_or(""),
                            find_string(step, "kind").value_or(""),
                            seconds_text(step.value("seconds", 0.0)),
                            find_string(step, "layer").value_or("(assets)").substr(0, 19)});
    }
    terminal.print_table(steps);
    return 0;
  });
}

}  // namespace

Command show_command() {
  return {.name = "show",
          .summary = "show one image: lineage, steps, sizes, digests",
          .description = {"Shows what an image version is made of. With --json also its packages, "
                          "disk layout and last test report."},
          .arguments = {{"IMAGE", "NAME or NAME@VERSION", Argument::Count::one, Completes::images}},
          .examples = {{"goldmill show java@2", ""}},
          .see_also = {"list", "explain"},
          .run = run_show};
}

}  // namespace goldmill::cli
