// SPDX-License-Identifier: GPL-3.0-or-later
#include "run_report.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include <goldmill/base/utf8.hpp>

namespace goldmill::provision {

namespace {

constexpr std::size_t kMostNamed = 10;

std::string shown_path(std::string path, const std::map<std::string, std::string>& shown) {
  // The longest prefix that fits comes last.
  for (auto entry = shown.rbegin(); entry != shown.rend(); ++entry) {
    if (path.starts_with(entry->first)) {
      return entry->second + path.substr(entry->first.size());
    }
  }
  return path;
}

/// The paths of the sandbox in whatever a tool says become people's own.
std::string shown_text(std::string text, const std::map<std::string, std::string>& shown) {
  for (auto entry = shown.rbegin(); entry != shown.rend(); ++entry) {
    const auto& [prefix, name] = *entry;
    for (std::size_t at = text.find(prefix); at != std::string::npos;
         at = text.find(prefix, at + name.size())) {
      text.replace(at, prefix.size(), name);
    }
  }
  return escape_controls(text);
}

/// "web.pp:12: ", or "" where nothing says where.
std::string place_of(const Json& row) {
  const auto file = find_string(row, "file");
  const auto line = find_integer(row, "line");
  return file ? *file + (line ? ":" + std::to_string(*line) : "") + ": " : "";
}

std::string first_event(const Json& row) {
  const Json* events = find_value(row, "events");
  return events == nullptr || events->empty()
             ? std::string()
             : ": " + find_string(events->front(), "message").value_or("");
}

/// One per line, the first ones.
class Lines {
 public:
  void add(const std::string& line) {
    if (++count_ <= kMostNamed) {
      text_ += "\n  " + line;
    }
  }
  bool empty() const { return count_ == 0; }
  std::string text() const {
    return count_ <= kMostNamed
               ? text_
               : text_ + "\n  and " + std::to_string(count_ - kMostNamed) + " more";
  }

 private:
  std::size_t count_ = 0;
  std::string text_;
};

/// Of a resource that fails Puppet tells what went wrong, that again with the exception's words,
/// and that it failed, which holds the first and says where: only the last is of use.
bool is_told_better(const Json& message, const std::vector<Json>& failures) {
  const std::string words = find_string(message, "message").value_or("");
  const std::string first_line = words.substr(0, words.find("\\n"));  // as shown_text() has it
  return place_of(message).empty() && !first_line.empty() &&
         std::any_of(failures.begin(), failures.end(), [&](const Json& other) {
           return !place_of(other).empty() &&
                  find_string(other, "message").value_or("").find(first_line) != std::string::npos;
         });
}

std::string failures_of(const RunReport& report) {
  std::vector<Json> failures;
  std::copy_if(report.messages.begin(),
               report.messages.end(),
               std::back_inserter(failures),
               [](const Json& message) { return find_string(message, "level") != "warning"; });
  Lines lines;
  for (const Json& failure : failures) {
    if (!is_told_better(failure, failures)) {
      lines.add(place_of(failure) + find_string(failure, "message").value_or(""));
    }
  }
  for (const Json& row : report.resources) {
    if (lines.empty() && find_string(row, "status") == "failed") {
      lines.add(place_of(row) + find_string(row, "resource").value_or("") + first_event(row));
    }
  }
  return lines.text();
}

Json shown_rows(const Json* rows, const std::map<std::string, std::string>& shown) {
  Json made = rows != nullptr && rows->is_array() ? *rows : Json::array();
  for (Json& row : made) {
    if (const auto file = find_string(row, "file")) {
      row["file"] = shown_path(*file, shown);
    }
    if (const auto message = find_string(row, "message")) {
      row["message"] = shown_text(*message, shown);
    }
    if (const Json* events = find_value(row, "events")) {
      row["events"] = shown_rows(events, shown);
    }
  }
  return made;
}

}  // namespace

Result<RunReport> RunReport::read(std::string_view answer,
                                  const std::map<std::string, std::string>& shown,
                                  const ReportWords& words) {
  const std::string tool(words.tool);
  const Json json = TRY(parse_json(answer, tool + "'s report"));
  if (!json.is_object()) {
    return Error{ErrorKind::tool_failed, tool + "'s report is not one"};
  }
  if (const auto refused = find_strings(json, "refused"); !refused.empty()) {
    Lines lines;
    for (const std::string& word : refused) {
      lines.add(shown_text(word, shown));
    }
    return Error{ErrorKind::invalid_input,
                 std::string(words.refused) + lines.text(),
                 std::string(words.refused_hint)};
  }
  RunReport report;
  report.version = find_string(json, "version").value_or("");
  report.services = find_strings(json, "services");
  report.resources = shown_rows(find_value(json, "resources"), shown);
  report.messages = shown_rows(find_value(json, "messages"), shown);
  // As `puppet apply --detailed-exitcodes` has it, and the other drivers after it: 0 nothing to do,
  // 2 changes; 1, 4, 6 failures.
  const std::int64_t status = TRY(integer_at(json, "status"));
  if (status != 0 && status != 2) {
    return Error{ErrorKind::tool_failed, tool + " failed:" + failures_of(report)};
  }
  return report;
}

Result<void> RunReport::check_unchanged(const ReportWords& words) const {
  Lines lines;
  for (const Json& row : resources) {
    if (find_string(row, "status") == "changed") {
      lines.add(place_of(row) + find_string(row, "resource").value_or("") + first_event(row));
    }
  }
  if (lines.empty()) {
    return {};
  }
  return Error{ErrorKind::tool_failed,
               "a second run changed something again:" + lines.text(),
               std::string(words.again_hint) + "; else each run gives another image"};
}

Json RunReport::to_json() const {
  return {{"version", version},
          {"resources", resources},
          {"messages", messages},
          {"services", services}};
}

}  // namespace goldmill::provision
