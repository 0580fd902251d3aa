// SPDX-License-Identifier: GPL-3.0-or-later
// Sections of a profile: %packages and %post.
#include <goldmill/kickstart/package_names.hpp>
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/system/process.hpp>

#include "translation.hpp"
#include "words.hpp"

namespace goldmill::kickstart {

namespace {
enum class Architecture : std::uint8_t { any, other };

struct NameParts {
  std::string name;
  Architecture architecture = Architecture::any;
};

/// "glibc.i686": RPM names an architecture behind the name. "python3.11" has none.
NameParts parts_of(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  const std::string end = dot == std::string::npos ? "" : name.substr(dot + 1);
  if (has_word(" x86_64 noarch aarch64 ", end)) {
    return {name.substr(0, dot), Architecture::any};
  }
  if (has_word(" i386 i486 i586 i686 ppc64 ppc64le s390 s390x armv7hl riscv64 ", end)) {
    return {name.substr(0, dot), Architecture::other};
  }
  return {name, Architecture::any};
}

/// One that reads what beginning() writes.
bool is_shell(const std::string& interpreter) {
  return has_word(" sh bash dash ksh zsh ", interpreter.substr(interpreter.rfind('/') + 1));
}

/// Whether the script's failure counts, and where what it says goes. Anaconda makes the log's
/// directory too.
std::string beginning(bool failure_counts, const std::string& log) {
  std::string text = failure_counts
                         ? "# --erroronfail\n"
                         : "trap 'exit 0' EXIT  # without --erroronfail its failure counts for "
                           "nothing\n";
  if (!log.empty()) {
    const std::string directory = log.substr(0, log.rfind('/') + 1);
    if (directory != "/root/" && directory != "/var/log/" && directory != "/tmp/" &&
        directory.size() > 1) {
      text += "mkdir -p " + system::shell_quoted(directory) + "\n";
    }
    text += "exec >" + system::shell_quoted(log) + " 2>&1\n";
  }
  return text;
}

/// The lines of a shell that give the script to another interpreter. Its standard input stays free.
std::string run_by(const std::string& interpreter, const std::string& body) {
  std::string end = "END_OF_SCRIPT";
  while (("\n" + body).find("\n" + end + "\n") != std::string::npos) {
    end += "_";
  }
  std::string command;
  for (const std::string& word : listed(interpreter)) {
    command += system::shell_quoted(word) + " ";
  }
  return "script=$(mktemp)\ncat >\"$script\" <<'" + end + "'\n" + body + end + "\n" + command +
         "\"$script\" && status=0 || status=$?\nrm \"$script\"\nexit $status\n";
}
}  // namespace

void Translation::packages(const Section& section) {
  section.header.has("exclude-weakdeps") || section.header.has("excludeWeakdeps")
      ? mapped(section.header, "recommended packages are left out")
      : changed(section.header,
                "recommended packages are left out, unless the recipe says `recommends: true`");
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
  const std::string name(trimmed(entry.substr(removes ? 1 : 0)));
  if (name.starts_with('@')) {
    return package_group(line, name, removes);
  }
  const auto own = names_.find(name);
  if (own == names_.end() && name.find_first_of("*?[") != std::string::npos) {
    return not_applicable(line,
                          removes ? "a pattern: what is not named is not installed"
                                  : "a pattern, which Debian's archive is not searched for: name "
                                    "the packages here, or in the settings' `package_names`");
  }
  const NameParts parts = own == names_.end() ? parts_of(name) : NameParts{name, Architecture::any};
  if (parts.architecture == Architecture::other) {
    return not_applicable(line, "packages are of the recipe's architecture only");
  }
  const auto bare = names_.find(parts.name);
  const std::string known = bare == names_.end() ? debian_name(parts.name) : bare->second;
  if (known.empty()) {
    return not_applicable(line, "Debian has no such package, or has it in every system");
  }
  if (!is_package_name(known)) {
    return not_applicable(line, "no package of Debian has such a name");
  }
  want(known, removes);
  known == name ? mapped(line) : changed(line, known);
}

/// "@web-server --nodefaults", "@ web-server".
void Translation::package_group(const Command& line, const std::string& entry, bool removes) {
  const std::vector<std::string> words = listed(std::string_view(entry).substr(1));
  if (words.empty()) {
    return not_applicable(line, "it names no group");
  }
  const auto own = names_.find("@" + words.front());
  std::vector<std::string> members;
  if (own != names_.end()) {
    if (!own->second.empty()) {
      members = {own->second};
    }
  } else if (const auto* known = members_of_group(words.front())) {
    members = *known;
  } else {
    return not_applicable(line,
                          removes ? "Debian has no such group, and nothing of it is installed"
                                  : "Debian has no such group: name its packages here, or one "
                                    "package in the settings' `package_names`");
  }
  if (members.empty()) {
    return removes || own != names_.end()
               ? not_applicable(line, "nothing of Debian's stands for the group")
               : changed(line, "a base has it");
  }
  std::string note;
  for (const std::string& member : members) {
    want(member, removes);
    note += (note.empty() ? "" : ", ") + member;
  }
  for (std::size_t at = 1; at < words.size(); ++at) {
    note += "; " + words[at] + ": Debian's counterpart is one whole";
  }
  changed(line, note);
}

void Translation::post(const Section& section) {
  if (section.header.has("nochroot")) {
    return not_applicable(section.header, "there is no installer whose files it could see");
  }
  const std::string given = section.header.value("interpreter");
  const std::string interpreter = given.empty() ? "/bin/bash" : given;
  const bool counts = section.header.has("erroronfail");
  const std::string log =
      section.header.has("log") ? section.header.value("log") : section.header.value("logfile");
  std::string body;
  for (const SectionLine& line : section.lines) {
    body += line.text + "\n";
  }
  while (body.ends_with("\n\n")) {
    body.pop_back();
  }
  const bool shell_reads = is_shell(interpreter);
  std::string script;
  if (!shell_reads && counts && log.empty()) {
    script = "#!" + interpreter + "\n" + body;
  } else if (shell_reads) {
    script = "#!" + interpreter + "\n" + beginning(counts, log) + body;
  } else {
    script = "#!/bin/sh\n" + beginning(counts, log) + run_by(interpreter, body);
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
