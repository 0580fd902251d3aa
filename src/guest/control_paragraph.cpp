// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <strings.h>

#include <goldmill/guest/control_paragraph.hpp>

namespace goldmill::guest {

namespace {
/// dpkg knows 40 fields. Each is compared with all others, so their number must have an end.
constexpr std::size_t kMostFields = 500;

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

bool is_blank(std::string_view line) {
  return trimmed(line).empty();
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}
}  // namespace

Result<ControlParagraph> ControlParagraph::parse(std::string_view text) {
  ControlParagraph paragraph;
  if (text.find('\0') != std::string_view::npos) {
    return Error{ErrorKind::invalid_input, "a control paragraph holds a NUL byte"};
  }
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (is_blank(line)) {
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t') {
      if (paragraph.fields_.empty()) {
        return Error{ErrorKind::invalid_input, "a control paragraph starts with a continuation"};
      }
      std::string& value = paragraph.fields_.back().second;
      value += '\n';
      value += line;
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      return Error{ErrorKind::invalid_input,
                   "a control line has no field name: '" + std::string(line.substr(0, 80)) + "'"};
    }
    const std::string_view name = trimmed(line.substr(0, colon));
    const auto same = [name](const auto& field) { return same_name(field.first, name); };
    if (std::any_of(paragraph.fields_.begin(), paragraph.fields_.end(), same)) {
      return Error{ErrorKind::invalid_input, "field '" + std::string(name) + "' stands twice"};
    }
    if (paragraph.fields_.size() == kMostFields) {
      return Error{ErrorKind::invalid_input,
                   "a control paragraph has more than " + std::to_string(kMostFields) + " fields"};
    }
    paragraph.fields_.emplace_back(name, trimmed(line.substr(colon + 1)));
  }
  return paragraph;
}

std::string_view ControlParagraph::get(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (same_name(field, name)) {
      return value;
    }
  }
  return {};
}

void ControlParagraph::set(std::string_view name, std::string value) {
  for (auto& [field, old] : fields_) {
    if (same_name(field, name)) {
      old = std::move(value);
      return;
    }
  }
  fields_.emplace_back(name, std::move(value));
}

std::string ControlParagraph::text() const {
  std::string text;
  for (const auto& [name, value] : fields_) {
    text += name;
    text += value.starts_with('\n') || value.empty() ? ":" : ": ";
    text += value;
    text += '\n';
  }
  return text;
}

Result<std::vector<ControlParagraph>> parse_paragraphs(std::string_view text) {
  std::vector<ControlParagraph> paragraphs;
  while (!text.empty()) {
    std::string_view rest = text;
    std::size_t length = 0;
    while (!rest.empty()) {
      const std::string_view line = take_line(rest);
      if (is_blank(line)) {
        break;
      }
      length = static_cast<std::size_t>(line.data() + line.size() - text.data());
    }
    if (length > 0) {
      paragraphs.push_back(TRY(ControlParagraph::parse(text.substr(0, length))));
    }
    text = rest;
  }
  return paragraphs;
}

}  // namespace goldmill::guest
