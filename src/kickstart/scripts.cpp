// SPDX-License-Identifier: GPL-3.0-or-later
// Sections of a profile: %packages and %post.
#include <goldmill/kickstart/package_names.hpp>
#include <goldmill/kickstart/recipe_words.hpp>

#include "translation.hpp"
#include "words.hpp"

namespace goldmill::kickstart {

void Translation::packages(const Section& section) {
  std::string options;
  for (const auto& [option, values] : section.header.options) {
    options += (options.empty() ? "--" : ", --") + option;
  }
  options.empty()
      ? mapped(section.header)
      : changed(section.header,
                options + ": recommended packages and documentation are left out anyway");
  for (const SectionLine& line : section.lines) {
    const std::string_view text = line.text;
    const std::string_view entry = trimmed(text.substr(0, text.find('#')));
    if (!entry.empty()) {
      here_ = {line.file.empty() ? here_.file : line.file, line.line};
      package({line.line, std::string(entry), "", {}, {}}, entry);
    }
  }
}

/// The last word on a package counts.
void Translation::want(const std::string& name, bool removes) {
  packages_[name] = {wanted_++, removes, here_};
}

void Translation::finish_packages() {
  std::map<std::size_t, std::string> in_order;
  for (const auto& [name, wanted] : packages_) {
    in_order[wanted.number] = name;
  }
  std::vector<std::string> list;
  for (const auto& [number, name] : in_order) {
    const Wanted& wanted = packages_[name];
    places_[entry_path("packages", list.size())] = wanted.place;
    list.push_back((wanted.removes ? "-" : "") + name);
  }
  put(recipe_, "packages", list);
}

void Translation::package(const Command& line, std::string_view entry) {
  const bool removes = entry.starts_with('-');
  const std::string_view name = trimmed(entry.substr(removes ? 1 : 0));
  if (name.starts_with('@')) {
    const std::string group(trimmed(name.substr(1)));
    const auto* members = members_of_group(group);
    if (removes || members == nullptr) {
      return not_applicable(line, "Debian has no such group; name its packages");
    }
    for (const std::string& member : *members) {
      want(member, false);
    }
    return changed(line, members->empty() ? "a base has it" : "its packages by Debian's names");
  }
  if (name.find_first_of("*?[") != std::string_view::npos) {
    return not_applicable(line, "a pattern: name the packages");
  }
  const auto own = names_.find(std::string(name));
  const std::string known = own == names_.end() ? debian_name(std::string(name)) : own->second;
  if (known.empty()) {
    return not_applicable(line, "Debian has no such package, or has it in every system");
  }
  if (!is_package_name(known)) {
    return not_applicable(line, "no package of Debian has such a name");
  }
  want(known, removes);
  known == name ? mapped(line) : changed(line, known);
}

void Translation::post(const Section& section) {
  if (section.header.has("nochroot")) {
    return not_applicable(section.header, "there is no installer whose files it could see");
  }
  const std::string interpreter = section.header.value("interpreter");
  const bool is_shell = interpreter.empty() || interpreter.ends_with("sh");
  std::string script = "#!" + (interpreter.empty() ? "/bin/bash" : interpreter) + "\n";
  if (is_shell && section.header.has("erroronfail")) {
    script += "# --erroronfail\n";
  } else if (is_shell) {
    script += "trap 'exit 0' EXIT  # without --erroronfail its failure counts for nothing\n";
  }
  const std::string log =
      section.header.has("log") ? section.header.value("log") : section.header.value("logfile");
  if (is_shell && !log.empty()) {
    script += "exec >'" + log + "' 2>&1\n";
  }
  for (const SectionLine& line : section.lines) {
    script += line.text + "\n";
  }
  while (script.ends_with("\n\n")) {
    script.pop_back();
  }
  steps_.push_back({shell(script, true), here_});
  changed(section.header,
          "a step that runs in the image and reaches the network; commands as Debian has them");
}

Json Translation::shell(const std::string& script, bool network) {
  Json step = {{"script", without_parameters(script)}};
  if (network) {
    step["network"] = true;
  }
  return {{"shell", std::move(step)}};
}

void Translation::finish_steps() {
  Json list = Json::array();
  for (Step& step : steps_) {
    places_[entry_path("provision", list.size())] = std::move(step.place);
    list.push_back(std::move(step.json));
  }
  put(recipe_, "provision", std::move(list));
}

}  // namespace goldmill::kickstart
