// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

#include <goldmill/guest/dpkg_database.hpp>

#include "file_sums.hpp"

namespace goldmill::guest {

namespace {
const std::string kAdmin = "/var/lib/dpkg";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return lines;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos || line[begin] == '#') {
      return words;
    }
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

bool is_trigger_name(std::string_view name) {
  return !name.empty() && name.size() <= 4096 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127; }) &&
         (name.front() == '/' || (name.find('/') == name.npos && name.front() != '.'));
}

std::string interested(const PackageSet::Member& member, bool waits) {
  return member.file_name + (waits ? "" : "/noawait");
}
}  // namespace

Result<std::vector<Diversion>> parse_diversions(std::string_view text) {
  const auto lines = lines_of(text);
  if (lines.size() % 3 != 0) {
    return Error{ErrorKind::invalid_input, "the diversions file ends in the middle of one"};
  }
  std::vector<Diversion> diversions;
  for (std::size_t i = 0; i + 2 < lines.size(); i += 3) {
    if (lines[i].size() < 2 || lines[i + 1].size() < 2 || !lines[i].starts_with('/') ||
        !lines[i + 1].starts_with('/')) {
      return Error{ErrorKind::invalid_input, "a diversion's path is not absolute"};
    }
    const std::string_view owner = lines[i + 2] == ":" ? "" : lines[i + 2];
    diversions.push_back({std::string(lines[i]), std::string(lines[i + 1]), std::string(owner)});
  }
  return diversions;
}

std::vector<std::string> parse_statoverrides(std::string_view text) {
  std::vector<std::string> paths;
  for (const std::string_view line : lines_of(text)) {
    const auto words = words_of(line);
    if (words.size() >= 4) {
      paths.emplace_back(line.substr(static_cast<std::size_t>(words[3].data() - line.data())));
    }
  }
  return paths;
}

std::vector<TriggerInterest> parse_interests(std::string_view triggers) {
  std::vector<TriggerInterest> interests;
  for (const std::string_view line : lines_of(triggers)) {
    const auto words = words_of(line);
    if (words.size() < 2 || !words[0].starts_with("interest") || !is_trigger_name(words[1])) {
      continue;
    }
    interests.push_back({std::string(words[1]), !words[0].ends_with("-noawait")});
  }
  return interests;
}

std::set<std::string> touched_triggers(std::string_view file_triggers,
                                       const std::vector<std::string>& paths) {
  std::set<std::string, std::less<>> names;
  for (const std::string_view line : lines_of(file_triggers)) {
    const auto words = words_of(line);
    if (!words.empty()) {
      names.emplace(words[0]);
    }
  }
  std::set<std::string> touched;
  for (const std::string& path : paths) {
    for (std::string_view at = path; at.size() > 1; at = at.substr(0, at.rfind('/'))) {
      if (names.contains(at)) {
        touched.emplace(at);
      }
    }
  }
  return touched;
}

ControlParagraph status_paragraph(const PackageSet::Member& member) {
  // The order of dpkg's own table of fields; what it does not know follows.
  static constexpr std::array kFieldOrder = {
      "Package",      "Essential",      "Protected",   "Status",     "Priority",
      "Section",      "Installed-Size", "Origin",      "Maintainer", "Bugs",
      "Architecture", "Multi-Arch",     "Source",      "Version",    "Replaces",
      "Provides",     "Depends",        "Pre-Depends", "Recommends", "Suggests",
      "Breaks",       "Conflicts",      "Enhances",    "Conffiles",  "Description"};
  ControlParagraph source = member.deb.control();
  source.set("Status", "install ok unpacked");
  std::string conffiles;
  for (const Conffile& conffile : member.conffiles) {
    conffiles += "\n " + conffile.path + " newconffile";
    conffiles += conffile.remove_on_upgrade ? " remove-on-upgrade" : "";
  }
  source.set("Conffiles", conffiles);
  ControlParagraph sorted;
  for (const char* name : kFieldOrder) {
    if (!source.get(name).empty()) {
      sorted.set(name, std::string(source.get(name)));
    }
  }
  for (const auto& [name, value] : source.fields()) {
    if (!value.empty() && sorted.get(name).empty()) {
      sorted.set(name, value);
    }
  }
  return sorted;
}

Result<std::vector<ControlParagraph>> DpkgDatabase::status() const {
  return parse_paragraphs(TRY(tree_.read_or_empty(kAdmin + "/status")));
}

Result<std::vector<Diversion>> DpkgDatabase::diversions() const {
  return parse_diversions(TRY(tree_.read_or_empty(kAdmin + "/diversions")));
}

Result<std::vector<std::string>> DpkgDatabase::statoverrides() const {
  return parse_statoverrides(TRY(tree_.read_or_empty(kAdmin + "/statoverride")));
}

Result<bool> DpkgDatabase::excludes_paths() const {
  std::vector<std::string> files = {"/etc/dpkg/dpkg.cfg"};
  for (const std::string& name : TRY(tree_.names("/etc/dpkg/dpkg.cfg.d"))) {
    files.push_back("/etc/dpkg/dpkg.cfg.d/" + name);
  }
  for (const std::string& file : files) {
    for (const std::string_view line : lines_of(TRY(tree_.read_or_empty(file)))) {
      const auto words = words_of(line);
      if (!words.empty() && words[0].starts_with("path-exclude")) {
        return true;
      }
    }
  }
  return false;
}

Result<void> DpkgDatabase::add(const PackageSet& packages, std::string_view native) {
  for (const char* directory : {"info", "triggers", "updates", "parts", "alternatives"}) {
    TRY(tree_.directory(kAdmin + "/" + directory, Missing::create));
  }
  std::string status = TRY(tree_.read_or_empty(kAdmin + "/status"));
  std::vector<const PackageSet::Member*> sorted;
  for (const PackageSet::Member& member : packages.members()) {
    TRY(add_control_files(member).context(member.wanted.name));
    if (member.deb.control_file("preinst") != nullptr) {
      TRY(stage_control_files(member).context(member.wanted.name));
    }
    sorted.push_back(&member);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::pair(a->wanted.name, a->wanted.architecture) <
           std::pair(b->wanted.name, b->wanted.architecture);
  });
  for (const PackageSet::Member* member : sorted) {
    status += status_paragraph(*member).text() + "\n";
  }
  TRY(tree_.write(kAdmin + "/status", status));
  TRY(tree_.write(kAdmin + "/info/format", "1\n"));
  TRY(add_interests(packages));
  return add_architectures(packages, native);
}

Result<void> DpkgDatabase::add_control_files(const PackageSet::Member& member) {
  for (const ControlFile& file : member.deb.control_files()) {
    if (file.name == "list") {
      return Error{ErrorKind::invalid_input, "control.tar holds a file named 'list'"};
    }
    const std::string path = kAdmin + "/info/" + member.file_name + "." + file.name;
    TRY(tree_.write(path, file.content, file.mode & 0777U));
    const GuestPlace place = TRY(tree_.place(path));
    const std::array<timespec, 2> times = {timespec{file.modified, 0}, timespec{file.modified, 0}};
    if (::utimensat(place.descriptor(), place.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) !=
        0) {
      return system_error("cannot set the time of " + path, errno);
    }
  }
  if (member.deb.control_file("md5sums") == nullptr) {
    TRY(tree_.write(kAdmin + "/info/" + member.file_name + ".md5sums", TRY(file_sums(member))));
  }
  return {};
}

Result<void> DpkgDatabase::stage_control_files(const PackageSet::Member& member) {
  const std::string staged = std::string(kStagedControl) + "/" + member.file_name;
  TRY(tree_.directory(staged, Missing::create));
  TRY(tree_.write(staged + "/control", member.deb.control().text()));
  for (const ControlFile& file : member.deb.control_files()) {
    TRY(tree_.write(staged + "/" + file.name, file.content, file.mode & 0777U));
  }
  return {};
}

Result<void> DpkgDatabase::add_interests(const PackageSet& packages) {
  std::string files = TRY(tree_.read_or_empty(kAdmin + "/triggers/File"));
  std::map<std::string, std::string> named;
  for (const PackageSet::Member& member : packages.members()) {
    const ControlFile* triggers = member.deb.control_file("triggers");
    if (triggers == nullptr) {
      continue;
    }
    for (const TriggerInterest& interest : parse_interests(triggers->content)) {
      const std::string who = interested(member, interest.waits);
      if (interest.name.starts_with('/')) {
        files += interest.name + " " + who + "\n";
        continue;
      }
      if (!named.contains(interest.name)) {
        named[interest.name] = TRY(tree_.read_or_empty(kAdmin + "/triggers/" + interest.name));
      }
      named[interest.name] += who + "\n";
    }
  }
  TRY(tree_.write(kAdmin + "/triggers/File", files));
  for (const auto& [name, content] : named) {
    TRY(tree_.write(kAdmin + "/triggers/" + name, content));
  }
  const std::string pending = kAdmin + "/triggers/Unincorp";
  return TRY(tree_.look(pending)) ? Result<void>() : tree_.write(pending, "");
}

Result<void> DpkgDatabase::add_architectures(const PackageSet& packages, std::string_view native) {
  const std::string path = kAdmin + "/arch";
  const std::string old = TRY(tree_.read_or_empty(path));
  std::string list = old.empty() ? std::string(native) + "\n" : old;
  bool has_foreign = false;
  for (const PackageSet::Member& member : packages.members()) {
    const std::string& architecture = member.wanted.architecture;
    const auto known = lines_of(list);
    if (architecture != "all" &&
        std::find(known.begin(), known.end(), architecture) == known.end()) {
      list += architecture + "\n";
      has_foreign = true;
    }
  }
  return has_foreign ? tree_.write(path, list) : Result<void>();
}

Result<void> DpkgDatabase::mark(const PackageSet& packages,
                                std::string_view native,
                                const std::vector<std::string>& manual,
                                const std::vector<std::string>& removed) {
  const std::string path = "/var/lib/apt/extended_states";
  const std::string before = TRY(tree_.read_or_empty(path));
  std::set<std::pair<std::string, std::string>> automatic;
  for (const ControlParagraph& state : TRY(parse_paragraphs(before))) {
    if (state.get("Auto-Installed") == "1") {
      automatic.emplace(state.get("Package"), state.get("Architecture"));
    }
  }
  for (const PackageSet::Member& member : packages.members()) {
    const std::string architecture =
        member.wanted.architecture == "all" ? std::string(native) : member.wanted.architecture;
    if (member.wanted.automatic) {
      automatic.emplace(member.wanted.name, architecture);
    }
  }
  std::erase_if(automatic, [&](const auto& entry) {
    const auto has = [](const auto& list, const std::string& name) {
      return std::find(list.begin(), list.end(), name) != list.end();
    };
    return has(manual, entry.first) || has(removed, entry.first + ":" + entry.second);
  });
  std::string states;
  for (const auto& [name, architecture] : automatic) {
    states += "Package: " + name + "\nArchitecture: " + architecture + "\nAuto-Installed: 1\n\n";
  }
  return states == before ? Result<void>() : tree_.write(path, states);
}

Result<void> DpkgDatabase::write_list(const PackageSet::Member& member,
                                      const std::vector<std::string>& paths) {
  std::string list;
  for (const std::string& path : paths) {
    list += (path == "/" ? "/." : path) + "\n";
  }
  return tree_.write(kAdmin + "/info/" + member.file_name + ".list", list);
}

Result<std::vector<std::string>> DpkgDatabase::read_list(const PackageSet::Member& member) const {
  const std::string text = TRY(tree_.read(kAdmin + "/info/" + member.file_name + ".list"));
  std::vector<std::string> paths;
  for (const std::string_view line : lines_of(text)) {
    paths.emplace_back(line == "/." ? "/" : line);
  }
  return paths;
}

Result<void> DpkgDatabase::activate(const std::set<std::string>& triggers) {
  if (triggers.empty()) {
    return {};
  }
  std::string pending = TRY(tree_.read_or_empty(kAdmin + "/triggers/Unincorp"));
  for (const std::string& name : triggers) {
    pending += name + " -\n";
  }
  return tree_.write(kAdmin + "/triggers/Unincorp", pending);
}

}  // namespace goldmill::guest
