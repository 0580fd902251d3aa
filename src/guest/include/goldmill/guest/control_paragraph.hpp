// SPDX-License-Identifier: GPL-3.0-or-later
// ControlParagraph: one block of "Field: value" lines, as control and status files hold them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::guest {

/// Fields in the order of the text. A value keeps its continuation lines, joined by newlines,
/// each with its leading white space. Source: deb-control(5), deb822(5).
class ControlParagraph {
 public:
  /// Reads one paragraph. Errors: invalid_input (no colon, a field twice, a control character).
  static Result<ControlParagraph> parse(std::string_view text);

  /// The value, or "" when the field is missing. Names are compared without case.
  std::string_view get(std::string_view name) const;
  /// Replaces the field, or adds it at the end.
  void set(std::string_view name, std::string value);
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// The paragraphs of a status file. Errors: invalid_input.
Result<std::vector<ControlParagraph>> parse_paragraphs(std::string_view text);

}  // namespace goldmill::guest
