// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/explanation.hpp>
#include <goldmill/guest/baseline_step.hpp>
#include <goldmill/guest/debian_family.hpp>
#include <goldmill/guest/security_policy.hpp>
#include <goldmill/image/layout.hpp>
#include <goldmill/recipe/load.hpp>

#include "lineages.hpp"

namespace goldmill::factory {

namespace {

Json section(const std::string& title, const std::vector<std::string>& lines) {
  return {{"title", title}, {"lines", lines}};
}

std::vector<std::string> policy_lines() {
  std::vector<std::string> lines;
  for (const guest::PolicyRule& rule : guest::standard_policy()) {
    const bool is_module = rule.kind == guest::PolicyRule::Kind::module_off;
    lines.push_back((is_module ? "never loads module " : "") + std::string(rule.setting) + ": " +
                    std::string(rule.why) + " (" + std::string(rule.source) + ")");
  }
  return lines;
}

std::vector<std::string> disk_lines(const image::Layout& layout) {
  std::vector<std::string> lines = {to_text(Bytes{layout.size}) + " in all"};
  for (const image::LayoutPartition& part : layout.partitions) {
    lines.push_back(part.name + ": " + to_text(Bytes{part.size}) +
                    (part.filesystem.empty() ? "" : " " + part.filesystem) +
                    (part.mount.empty() ? "" : " on " + part.mount));
  }
  return lines;
}

std::vector<std::string> promise_lines(const recipe::Promises& promises) {
  std::vector<std::string> lines = {"reaches multi-user, no failed unit, address by DHCP",
                                    "exactly the named ports answer; no password login"};
  for (const std::string& command : promises.commands) {
    lines.push_back("`" + command + "` succeeds");
  }
  for (const std::string& service : promises.services) {
    lines.push_back(service + " is active");
  }
  for (const std::string& port : promises.ports) {
    lines.push_back("port " + port + " answers");
  }
  if (promises.disk_used) {
    lines.push_back("at most " + to_text(*promises.disk_used) + " of the disk used");
  }
  if (promises.image_size) {
    lines.push_back("a compressed image of at most " + to_text(*promises.image_size));
  }
  if (promises.boot_seconds) {
    lines.push_back("up within " + std::to_string(*promises.boot_seconds) + " s");
  }
  return lines;
}

/// What each part said, by the keys that stand in it.
std::vector<std::string> part_lines(const std::vector<recipe::Recipe>& lineage) {
  std::vector<std::string> lines;
  for (const recipe::Recipe& recipe : lineage) {
    for (const recipe::PartUse& part : recipe.parts) {
      std::string line = part.file + ", " + (part.enforced ? "enforced by " : "included at ") +
                         part.included.text();
      for (const auto& [name, value] : part.parameters) {
        line += ", " + name + "=" + value;
      }
      lines.push_back(std::move(line));
      for (const auto& [key, position] : recipe.origins) {
        if (position.file == part.file) {
          lines.push_back("  " + key + " at " + position.text());
        }
      }
    }
  }
  return lines;
}

Result<std::vector<std::string>> package_lines(const Session& session,
                                               const recipe::Recipe& own,
                                               const recipe::Recipe& merged,
                                               const recipe::Recipe* parent) {
  const auto family = TRY(guest::DebianFamily::open(*merged.os, {.home = session.home.root()}));
  const Json wishes = TRY(family.wishes({own, merged, parent}));
  std::vector<std::string> lines;
  for (const Json& entry : wishes["install"]) {
    const auto version = find_string(entry, "version").value_or("");
    lines.push_back(find_string(entry, "name").value_or("") +
                    (version.empty() ? "" : " = " + version) +
                    find_string(entry, "file").value_or(""));
  }
  for (const std::string& name : find_strings(wishes, "remove")) {
    lines.push_back("not " + name);
  }
  return lines;
}

}  // namespace

Result<Json> explain(Session& session, const BuildRequest& request) {
  const auto lineage = TRY(whole_lineage(session, request));
  const recipe::Recipe& own = lineage.back();
  const recipe::Recipe merged = recipe::merged(lineage);
  std::optional<recipe::Recipe> parent;
  if (lineage.size() > 1) {
    parent = recipe::merged({lineage.begin(), lineage.end() - 1});
  }
  const auto layout =
      TRY(image::Layout::make(merged.disk.value_or(recipe::Disk{}), *merged.os, merged.hardware));
  Json sections = Json::array();
  sections.push_back(section(own.name + " on " + merged.os->family + "/" + merged.os->release,
                             guest::explain_baseline(merged)));
  if (merged.baseline.security.value_or("standard") == "standard") {
    sections.push_back(section("Security policy 'standard'", policy_lines()));
  }
  sections.push_back(
      section("Packages asked for (their dependencies come with them)",
              TRY(package_lines(session, own, merged, parent ? &*parent : nullptr))));
  sections.push_back(section("Disk", disk_lines(layout)));
  sections.push_back(section("What `goldmill test` checks", promise_lines(merged.promises)));
  if (const auto lines = part_lines(lineage); !lines.empty()) {
    sections.push_back(section("Parts", lines));
  }
  return Json{{"recipe", own.name}, {"sections", std::move(sections)}};
}

}  // namespace goldmill::factory
