// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/base/bytes.hpp>
#include <goldmill/factory/image_jobs.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

std::string text_at(const Json& object, const char* key) {
  return find_string(object, key).value_or("-");
}

std::string bytes_at(const Json& object, const char* key) {
  const auto bytes = find_integer(object, key);
  return bytes ? to_text(Bytes{static_cast<std::uint64_t>(*bytes)}) : "-";
}

std::string test_text(const Json& image) {
  const auto tested = find_bool(image, "tested");
  return !tested ? "not yet" : *tested ? "passed" : "FAILED";
}

/// "base@1 <- java@1": what stands on what.
std::string lineage_text(const Json& story) {
  std::string text;
  for (const std::string& image : find_strings(story, "lineage")) {
    text = image + (text.empty() ? "" : " <- " + text);
  }
  return text;
}

/// "183, 27 beside base@1's: ca-certificates, ca-certificates-java, ... and 21 more".
std::string packages_text(const Json& story) {
  constexpr std::size_t kMost = 6;
  const auto own = find_strings(story, "own_packages");
  std::string text = story["packages"].dump();
  if (story["parent"].is_null()) {
    return text;
  }
  text += ", " + std::to_string(own.size()) + " beside " + text_at(story, "parent") + "'s";
  for (std::size_t index = 0; index < std::min(kMost, own.size()); ++index) {
    text += (index == 0 ? ": " : ", ") + own[index];
  }
  return text + (own.size() > kMost ? " and " + std::to_string(own.size() - kMost) + " more" : "");
}

/// A disk that stands on another one is no use alone.
std::string stored_text(const Json& story) {
  std::string text = bytes_at(story, "stored_bytes");
  if (!story["backing"].empty()) {
    text += " on " + text_at(story, "parent") + "'s";
  }
  return text + "  " + text_at(story, "qcow2");
}

void show_facts(const Json& story, Terminal& terminal) {
  Table facts{{{text_at(story, "name") + "@" + story["version"].dump()}, {""}}, {}};
  facts.rows = {
      {"lineage", lineage_text(story)},
      {"os", text_at(story, "os") + " " + text_at(story, "architecture")},
      {"packages", packages_text(story)},
      {"disk used", bytes_at(story, "disk_used_bytes")},
      {"qcow2", bytes_at(story, "qcow2_bytes")},
      {"in the store", stored_text(story)},
      {"layers",
       bytes_at(story, "layer_bytes") + (story["parent"].is_null()
                                             ? ""
                                             : ", " + bytes_at(story, "shared_bytes") +
                                                   " of them " + text_at(story, "parent") + "'s")},
      {"tested", test_text(story)},
      {"recipe", text_at(story, "recipe_file")},
      {"digest", text_at(story, "digest")},
      {"disk digest", text_at(story, "disk_digest")}};
  terminal.print_table(facts);
}

void show_steps(const Json& story, Terminal& terminal) {
  using Align = Table::Align;
  Table table{{{"step"},
               {"of"},
               {"seconds", Align::right},
               {"layer", Align::right},
               {"layer's digest"},
               {"key"}},
              {}};
  for (const Json& step : story["all_steps"]) {
    table.rows.push_back({text_at(step, "name"),
                          text_at(step, "image"),
                          seconds_text(step.value("seconds", 0.0)),
                          bytes_at(step, "bytes"),
                          find_string(step, "layer").value_or("(assets)").substr(0, 19),
                          text_at(step, "key").substr(0, 19)});
  }
  terminal.print("\n");
  terminal.print_table(table);
}

/// "web.pp:12", or "-" for what no file says.
std::string place_text(const Json& row) {
  const auto line = find_integer(row, "line");
  return text_at(row, "file") + (line ? ":" + std::to_string(*line) : "");
}

std::string events_text(const Json& row) {
  std::string text;
  const Json* events = find_value(row, "events");
  for (const Json& event : events == nullptr ? Json::array() : *events) {
    text += (text.empty() ? "" : "; ") + text_at(event, "message");
  }
  return text;
}

/// What did something, in the order of the report; the others are counted.
void show_report(const Json& report, Terminal& terminal) {
  Table table{{{"resource"}, {"status"}, {"where"}, {"what"}}, {}};
  std::size_t unchanged = 0;
  for (const Json& row : report["resources"]) {
    if (text_at(row, "status") == "unchanged") {
      ++unchanged;
      continue;
    }
    table.rows.push_back(
        {text_at(row, "resource"), text_at(row, "status"), place_text(row), events_text(row)});
  }
  terminal.print_line(text_at(report, "image") + ", " + text_at(report, "step") + " (" +
                      text_at(report, "tool") + " " + text_at(report, "version") + ")");
  terminal.print_table(table);
  terminal.print_line(std::to_string(unchanged) + " more were right already");
  for (const Json& message : report["messages"]) {
    terminal.print_line(text_at(message, "level") + ": " + place_text(message) + ": " +
                        text_at(message, "message"));
  }
  for (const std::string& unit : find_strings(report, "services")) {
    terminal.print_line("service " + unit + ": has to run on instances, `goldmill test` looks");
  }
}

/// Of one tool, or of all when it is "".
Result<int> show_reports(factory::Session& session,
                         const store::ImageRecord& image,
                         std::string_view tool,
                         Terminal& terminal) {
  const Json answer = TRY(factory::tell_reports(session, image, tool));
  if (terminal.json()) {
    terminal.print_json(answer);
    return 0;
  }
  if (answer["reports"].empty()) {
    terminal.print_line("no step of " + image.reference() + " ran " +
                        (tool.empty() ? "Puppet or Ansible" : std::string(tool)));
  }
  for (const Json& report : answer["reports"]) {
    show_report(report, terminal);
  }
  return 0;
}

int run_show(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto reference = TRY(store::ImageReference::parse(parsed.argument(0)));
    const store::ImageRecord image = TRY(session.catalogue.find_image(reference));
    if (parsed.has("puppet") || parsed.has("reports")) {
      return show_reports(session, image, parsed.has("reports") ? "" : "Puppet", terminal);
    }
    Json story = TRY(factory::tell_image(session, image));
    if (!terminal.json()) {
      show_facts(story, terminal);
      show_steps(story, terminal);
      return 0;
    }
    for (const char* key : {"packages", "test", "layout", "seal"}) {
      const Json* value = find_value(image.details, key);
      story[std::string(key) + (std::string_view(key) == "packages" ? "_installed" : "")] =
          value == nullptr ? Json() : *value;
    }
    terminal.print_json(story);
    return 0;
  });
}

}  // namespace

Command show_command() {
  return {
      .name = "show",
      .summary = "show one image: lineage, steps, sizes, digests",
      .description =
          {"Shows what an image version is made of: what it stands on, which packages it has "
           "beside its parent's, each step from the base on with the time that it took, and "
           "the layer that it made. With --json also all packages, the disk layout and the "
           "last test report.",
           "Layers take their size in the store; those of the parent are there once for all "
           "that stand on it."},
      .arguments = {{"IMAGE",
                     "NAME, NAME@VERSION or NAME:CHANNEL",
                     Argument::Count::one,
                     Completes::images}},
      .options = {{.name = "reports",
                   .doc = "Shows instead what Puppet and Ansible did, by resource and task, "
                          "while the image was built, and which services have to run on its "
                          "instances."},
                  {.name = "puppet", .doc = "The same of Puppet only."}},
      .examples = {{"goldmill show java@2", ""},
                   {"goldmill show web --reports", "each resource and task, with file and line"}},
      .see_also = {"list", "size", "diff", "explain"},
      .run = run_show};
}

}  // namespace goldmill::cli
