// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

std::string size_text(const Json& image, const char* key) {
  const auto bytes = find_integer(image, key);
  return bytes ? to_text(Bytes{static_cast<std::uint64_t>(*bytes)}) : "";
}

std::string tested_text(const Json& image) {
  const auto tested = find_bool(image, "tested");
  return !tested ? "not yet" : (*tested ? "passed" : "FAILED");
}

int run_list(const Parsed& /*parsed*/, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    Json images = Json::array();
    for (const store::ImageRecord& image : TRY(session.catalogue.images())) {
      images.push_back(factory::describe_image(session, image));
    }
    Json damaged = Json::array();
    for (const store::DamagedImage& image : TRY(session.catalogue.damaged_images())) {
      damaged.push_back({{"name", image.name}, {"version", image.version}, {"why", image.why}});
      terminal.warn("what the catalogue says of " + image.reference() + " is damaged (" +
                    image.why + "): goldmill check --repair");
    }
    if (terminal.json()) {
      terminal.print_json({{"images", std::move(images)}, {"damaged", std::move(damaged)}});
      return 0;
    }
    if (images.empty() && damaged.empty()) {
      terminal.print_line("No images yet. Build one: goldmill build RECIPE.yaml");
      return 0;
    }
    using Align = Table::Align;
    Table table{{{"image"},
                 {"os"},
                 {"on"},
                 {"packages", Align::right},
                 {"disk used", Align::right},
                 {"qcow2", Align::right},
                 {"tested"}},
                {}};
    for (const Json& image : images) {
      table.rows.push_back(
          {image["name"].get<std::string>() + "@" + std::to_string(image["version"].get<int>()),
           find_string(image, "os").value_or(""),
           find_string(image, "parent").value_or(""),
           std::to_string(image["packages"].get<std::size_t>()),
           size_text(image, "disk_used_bytes"),
           size_text(image, "qcow2_bytes"),
           tested_text(image)});
    }
    terminal.print_table(table);
    return 0;
  });
}

}  // namespace

Command list_command() {
  return {.name = "list",
          .summary = "list the images in the store",
          .description = {"Lists every version of every image: what it stands on, how large it is, "
                          "and whether it kept its promises when it was last tested."},
          .examples = {{"goldmill list", ""}},
          .see_also = {"show", "rm"},
          .run = run_list};
}

}  // namespace goldmill::cli
