// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cctype>

#include <goldmill/guest/package_relation.hpp>

namespace goldmill::guest {

namespace {
bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

/// deb-version(7): '~' before the end, the end before letters, letters before the rest.
int order_of(char letter) {
  if (is_digit(letter)) {
    return 0;
  }
  if (std::isalpha(static_cast<unsigned char>(letter)) != 0) {
    return letter;
  }
  return letter == '~' ? -1 : static_cast<unsigned char>(letter) + 256;
}

int compare_part(std::string_view a, std::string_view b) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    while ((i < a.size() && !is_digit(a[i])) || (j < b.size() && !is_digit(b[j]))) {
      const int left = i < a.size() ? order_of(a[i]) : 0;
      const int right = j < b.size() ? order_of(b[j]) : 0;
      if (left != right) {
        return left - right;
      }
      ++i;
      ++j;
    }
    while (i < a.size() && a[i] == '0') {
      ++i;
    }
    while (j < b.size() && b[j] == '0') {
      ++j;
    }
    int first_difference = 0;
    while (i < a.size() && is_digit(a[i]) && j < b.size() && is_digit(b[j])) {
      first_difference = first_difference != 0 ? first_difference : a[i] - b[j];
      ++i;
      ++j;
    }
    if (i < a.size() && is_digit(a[i])) {
      return 1;
    }
    if (j < b.size() && is_digit(b[j])) {
      return -1;
    }
    if (first_difference != 0) {
      return first_difference;
    }
  }
  return 0;
}

struct Version {
  std::string_view epoch = "0";
  std::string_view upstream;
  std::string_view revision;
  explicit Version(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon != std::string_view::npos) {
      epoch = text.substr(0, colon);
      text.remove_prefix(colon + 1);
    }
    const std::size_t dash = text.rfind('-');
    upstream = text.substr(0, dash);
    if (dash != std::string_view::npos) {
      revision = text.substr(dash + 1);
    }
  }
};

std::string_view without_blanks(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\n'; };
  while (!text.empty() && space(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && space(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(without_blanks(text.substr(0, end)));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

PackageRelation parse_one(std::string_view text) {
  PackageRelation relation;
  const std::size_t open = text.find('(');
  std::string_view name = without_blanks(text.substr(0, open));
  relation.name = name.substr(0, name.find(':'));
  if (open != std::string_view::npos) {
    std::string_view inside = text.substr(open + 1);
    inside = without_blanks(inside.substr(0, inside.find(')')));
    const std::size_t end = std::min(inside.find_first_not_of("<>="), inside.size());
    relation.operation = inside.substr(0, end);
    relation.version = without_blanks(inside.substr(end));
  }
  return relation;
}
}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  const Version left(a);
  const Version right(b);
  const int epoch = compare_part(left.epoch, right.epoch);
  if (epoch != 0) {
    return epoch;
  }
  const int upstream = compare_part(left.upstream, right.upstream);
  return upstream != 0 ? upstream : compare_part(left.revision, right.revision);
}

bool PackageRelation::accepts(std::string_view other_version) const {
  if (operation.empty()) {
    return true;
  }
  const int order = compare_versions(other_version, version);
  if (operation == "<<") {
    return order < 0;
  }
  if (operation == "<=" || operation == "<") {
    return order <= 0;
  }
  if (operation == "=") {
    return order == 0;
  }
  return operation == ">>" ? order > 0 : order >= 0;
}

std::vector<std::vector<PackageRelation>> parse_relations(std::string_view field) {
  std::vector<std::vector<PackageRelation>> parts;
  for (const std::string_view part : split(field, ',')) {
    std::vector<PackageRelation> alternatives;
    for (const std::string_view one : split(part, '|')) {
      if (!one.empty()) {
        alternatives.push_back(parse_one(one));
      }
    }
    if (!alternatives.empty()) {
      parts.push_back(std::move(alternatives));
    }
  }
  return parts;
}

}  // namespace goldmill::guest
