// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include <goldmill/base/utf8.hpp>
#include <goldmill/factory/image_difference.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

using factory::ImageDifference;
using factory::Level;

constexpr std::size_t kMostRows = 40;       // of a level, without --all
constexpr std::size_t kMostTextLines = 12;  // of a file's difference, without --all

/// Levels of --only, each a name or several with commas between; all when it is not given.
Result<std::set<Level>> wanted_levels(const Parsed& parsed) {
  static const std::map<std::string, Level> kLevels = {{"recipe", Level::recipe},
                                                       {"packages", Level::packages},
                                                       {"files", Level::files},
                                                       {"promises", Level::promises}};
  std::set<Level> levels;
  for (const std::string& value : parsed.values("only")) {
    for (std::size_t at = 0; at <= value.size();) {
      const std::size_t end = std::min(value.find(',', at), value.size());
      const auto found = kLevels.find(value.substr(at, end - at));
      if (found == kLevels.end()) {
        return Error{ErrorKind::invalid_input,
                     "--only knows no level '" + value.substr(at, end - at) + "'",
                     "it takes recipe, packages, files, promises, with commas between"};
      }
      levels.insert(found->second);
      at = end + 1;
    }
  }
  return levels.empty() ? factory::DifferenceRequest{}.levels : levels;
}

std::string plain(const Json& value) {
  return value.is_null() ? "-" : value.is_string() ? value.get<std::string>() : value.dump();
}

/// Lists by what they have and have not; other values as they were and are.
std::string change_text(const Json& before, const Json& after) {
  constexpr std::size_t kLongest = 60;
  const auto brief = [](const std::string& text) {
    return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
  };
  if (!before.is_array() && !after.is_array()) {
    return brief(plain(before)) + " -> " + brief(plain(after));
  }
  std::string text;
  const auto add_missing = [&](const Json& from, const Json& other, const char* mark) {
    for (const Json& entry : from.is_array() ? from : Json::array()) {
      if (!other.is_array() || std::find(other.begin(), other.end(), entry) == other.end()) {
        text += (text.empty() ? "" : ", ") + std::string(mark) + brief(plain(entry));
      }
    }
  };
  add_missing(before, after, "-");
  add_missing(after, before, "+");
  return text.empty() ? "in another order" : text;
}

std::string mark_of(const build::TreeChange& change) {
  switch (change.kind) {
    case build::TreeChange::Kind::added:
      return "+";
    case build::TreeChange::Kind::removed:
      return "-";
    case build::TreeChange::Kind::changed:
      break;
  }
  return "~";
}

/// Files that one line stands for: one, or many of a directory.
struct FileGroup {
  const factory::FileDifference* first = nullptr;
  std::string directory;  ///< "" for one file
  std::size_t count = 0;
};

std::vector<FileGroup> each_alone(const std::vector<const factory::FileDifference*>& files) {
  std::vector<FileGroup> groups;
  groups.reserve(files.size());
  for (const factory::FileDifference* file : files) {
    groups.push_back({file, "", 1});
  }
  return groups;
}

/// Joins what came or went with a whole directory, and many of the same kind in one directory. A
/// file whose lines are shown stays alone.
std::vector<FileGroup> by_directory(const std::vector<const factory::FileDifference*>& files) {
  constexpr std::size_t kMany = 6;
  std::set<std::string> whole;  // mark and path of directories that came or went
  std::map<std::string, std::size_t> counts;
  const auto has_lines = [](const build::TreeChange& change) {
    return !change.text.empty() || !change.untold.empty();
  };
  const auto key_of = [](const build::TreeChange& change) {
    return mark_of(change) + change.path.substr(0, change.path.rfind('/'));
  };
  for (const factory::FileDifference* file : files) {
    const build::TreeChange& change = file->change;
    const Json& facts = change.after.is_null() ? change.before : change.after;
    counts[key_of(change)] += has_lines(change) ? 0 : 1;
    if (change.kind != build::TreeChange::Kind::changed && facts["type"] == "directory") {
      whole.insert(mark_of(change) + change.path);
    }
  }
  const auto group_of = [&](const build::TreeChange& change) {
    for (std::size_t end = change.path.find('/', 1);; end = change.path.find('/', end + 1)) {
      const std::string key = mark_of(change) + change.path.substr(0, end);
      if (whole.contains(key)) {
        return key;
      }
      if (end == std::string::npos) {
        break;
      }
    }
    const std::string key = key_of(change);
    const bool alone = has_lines(change) || counts[key] < kMany;
    return alone ? std::string() : key;
  };
  std::vector<FileGroup> groups;
  std::map<std::string, std::size_t> known;
  for (const factory::FileDifference* file : files) {
    const std::string key = group_of(file->change);
    const auto [place, is_new] = known.try_emplace(key, groups.size());
    if (key.empty() || is_new) {
      groups.push_back({file, key.empty() ? "" : key.substr(1), 1});
    } else {
      ++groups[place->second].count;
    }
  }
  return groups;
}

class DifferenceView {
 public:
  DifferenceView(const ImageDifference& difference, bool all, Terminal& terminal)
      : difference_(difference), all_(all), terminal_(terminal) {}

  void show() {
    for (const Level level : difference_.levels) {
      switch (level) {
        case Level::recipe:
          show_settings("recipe", difference_.recipe);
          break;
        case Level::packages:
          show_packages();
          break;
        case Level::files:
          show_files();
          break;
        case Level::promises:
          show_settings("promises", difference_.promises);
          break;
      }
    }
    if (difference_.is_empty()) {
      terminal_.print_line(difference_.before + " and " + difference_.after + " do not differ.");
    }
    for (const std::string& note : difference_.notes) {
      terminal_.note(note);
    }
  }

 private:
  void title(const std::string& text) {
    terminal_.print(terminal_.styled(text, Style::bold) + "\n");
  }

  /// Rows without a title above them, cut unless all are wanted.
  void rows(const std::vector<std::vector<std::string>>& rows, std::size_t columns) {
    Table table{std::vector<Table::Column>(columns), {}};
    for (const auto& row : rows) {
      if (!all_ && table.rows.size() == kMostRows) {
        break;
      }
      table.rows.push_back(row);
      table.rows.back().front().insert(0, "  ");
    }
    const std::string text = to_text(table);
    terminal_.print(text.substr(text.find('\n') + 1));
    if (table.rows.size() < rows.size()) {
      terminal_.print_line("  and " + std::to_string(rows.size() - table.rows.size()) +
                           " more (--all shows them)");
    }
  }

  void show_settings(const char* level, const std::vector<factory::SettingDifference>& settings) {
    if (settings.empty()) {
      return;
    }
    title(level);
    std::vector<std::vector<std::string>> lines;
    for (const factory::SettingDifference& setting : settings) {
      if (setting.text.empty()) {
        lines.push_back({setting.path, change_text(setting.before, setting.after)});
      }
    }
    rows(lines, 2);
    for (const factory::SettingDifference& setting : settings) {
      if (!setting.text.empty()) {
        terminal_.print_line("  " + setting.path);
        show_text(setting.text);
      }
    }
  }

  void show_packages() {
    const auto& packages = difference_.packages;
    if (packages.empty()) {
      return;
    }
    std::map<std::string, std::size_t> counts;
    std::vector<std::vector<std::string>> lines;
    for (const factory::PackageDifference& package : packages) {
      const std::string change = package.change();
      ++counts[change];
      const std::string mark = change == "added" ? "+" : change == "removed" ? "-" : "~";
      const std::string arrow = change == "downgraded" ? " -> (older) " : " -> ";
      lines.push_back({mark + " " + package.name,
                       package.before + (mark == "~" ? arrow : "") + package.after,
                       package.files == 0 ? "" : std::to_string(package.files) + " files"});
    }
    std::string text;
    for (const auto& [change, count] : counts) {
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + change;
    }
    title("packages: " + text);
    rows(lines, 3);
  }

  void show_files() {
    std::vector<const factory::FileDifference*> own;
    for (const factory::FileDifference& file : difference_.files) {
      if (all_ || !file.follows) {
        own.push_back(&file);
      }
    }
    if (difference_.files.empty()) {
      return;
    }
    const std::size_t folded = difference_.files.size() - own.size();
    title("files: " + std::to_string(own.size()) +
          (folded == 0 ? "" : ", and " + std::to_string(folded) + " that follow from packages"));
    std::size_t shown = 0;
    std::size_t left = own.size();
    for (const FileGroup& group : all_ ? each_alone(own) : by_directory(own)) {
      if (!all_ && shown++ == kMostRows) {
        terminal_.print_line("  and " + std::to_string(left) + " more (--all shows them)");
        break;
      }
      left -= group.count;
      if (group.count == 1) {
        show_file(*group.first);
      } else {
        terminal_.print_line("  " + mark_of(group.first->change) + " " + group.directory + "/  " +
                             std::to_string(group.count) + " files");
      }
    }
  }

  void show_file(const factory::FileDifference& file) {
    const build::TreeChange& change = file.change;
    std::string line = "  " + mark_of(change) + " " + change.path + detail_of(change);
    line += file.package.empty() ? "" : "  (" + file.package + ")";
    line += change.untold.empty() ? "" : "  (" + change.untold + ")";
    terminal_.print_line(line);
    show_text(change.text);
  }

  static std::string mode_text(const Json& facts) {
    std::array<char, 16> text{};
    (void)std::snprintf(text.data(),
                        text.size(),
                        "%04o",
                        static_cast<unsigned>(find_integer(facts, "mode").value_or(0)));
    return text.data();
  }

  static std::string detail_of(const build::TreeChange& change) {
    const Json& facts = change.after.is_null() ? change.before : change.after;
    if (change.kind != build::TreeChange::Kind::changed) {
      const std::string type = find_string(facts, "type").value_or("");
      const auto target = find_string(facts, "target");
      return target ? " -> " + *target : type == "directory" ? "/" : "";
    }
    std::string text;
    for (const std::string& what : change.what) {
      text += (text.empty() ? "  " : ", ") + what;
      const auto pair = [&](const std::string& before, const std::string& after) {
        text += " " + before + " -> " + after;
      };
      const auto owner = [](const Json& side) {
        return plain(side["user"]) + ":" + plain(side["group"]);
      };
      if (what == "mode") {
        pair(mode_text(change.before), mode_text(change.after));
      } else if (what == "owner") {
        pair(owner(change.before), owner(change.after));
      } else if (what == "target" || what == "type" || what == "device") {
        pair(plain(change.before[what]), plain(change.after[what]));
      }
    }
    return text;
  }

  void show_text(std::string_view text) {
    std::size_t shown = 0;
    while (!text.empty()) {
      if (!all_ && shown++ == kMostTextLines) {
        terminal_.print_line("      ... (--all shows the rest)");
        return;
      }
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      const Style style = line.starts_with('+')   ? Style::green
                          : line.starts_with('-') ? Style::red
                                                  : Style::faint;
      terminal_.print("      " + terminal_.styled(escape_controls(line), style) + "\n");
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  const ImageDifference& difference_;
  bool all_;
  Terminal& terminal_;
};

int run_diff(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto levels = TRY(wanted_levels(parsed));
    const auto difference =
        TRY(factory::compare_images(session, {parsed.argument(0), parsed.argument(1), levels}));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(difference.to_json());
    } else {
      DifferenceView(difference, parsed.has("all"), terminal).show();
    }
    return difference.is_empty() ? 0 : 1;
  });
}

}  // namespace

Command diff_command() {
  return {
      .name = "diff",
      .summary = "say what differs between two images: recipe, packages, files, promises",
      .description =
          {"Compares two image versions at four levels. Recipe: settings, by their path in the "
           "recipe with all that it inherits. Packages: added, removed, upgraded, downgraded. "
           "Files: type, mode, owner, content, target of a link, attributes, with the lines that "
           "differ of text files below /etc. Promises: those that differ and, when both images "
           "were tested, those that only one keeps.",
           "Files of a package that differs are counted with it, as are the notes of dpkg and the "
           "linker about it; what is listed is what else differs. The content of a file that not "
           "everybody may read in the guest is never shown. Times are not compared."},
      .arguments =
          {{"A", "NAME, NAME@VERSION or NAME:CHANNEL", Argument::Count::one, Completes::images},
           {"B", "the same", Argument::Count::one, Completes::images}},
      .options = {{.name = "only",
                   .value = "LEVEL,...",
                   .doc = "Compares only these: recipe, packages, files, promises.",
                   .repeatable = true},
                  {.name = "all", .doc = "Shows every file and every line."}},
      .examples = {{"goldmill diff base java", "what the variant adds"},
                   {"goldmill diff java@2 java@3", "what a rebuild changed"},
                   {"goldmill diff java:stable java:dev --only packages", ""}},
      .exit_statuses = {{1, "the images differ"}},
      .see_also = {"show", "size", "plan"},
      .run = run_diff};
}

}  // namespace goldmill::cli
