// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/utf8.hpp>
#include <goldmill/preseed/preseed.hpp>

namespace goldmill::preseed {

namespace {

bool is_space(char letter) {
  return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

std::string_view without_spaces(std::string_view text) {
  while (!text.empty() && is_space(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_space(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

/// The lines of a file, joined where a backslash ends one. debconf joins before it looks for
/// comments, so that a comment may go on too.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool next() {
    if (rest_.empty()) {
      return false;
    }
    number_ = following_;
    first_ = take();
    joined_ = first_;
    while (joined_.ends_with('\\') && !rest_.empty()) {
      joined_.pop_back();
      joined_ += take();
    }
    return true;
  }

  int number() const { return number_; }
  const std::string& first() const { return first_; }
  const std::string& joined() const { return joined_; }

 private:
  std::string take() {
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++following_;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    return std::string(line);
  }

  std::string_view rest_;
  int following_ = 1;
  int number_ = 0;
  std::string first_;
  std::string joined_;
};

std::string_view take_word(std::string_view& text) {
  text = text.substr(std::min(
      static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_space) - text.begin()),
      text.size()));
  const auto end = std::find_if(text.begin(), text.end(), is_space);
  const auto size = static_cast<std::size_t>(end - text.begin());
  const std::string_view word = text.substr(0, size);
  text.remove_prefix(size);
  return word;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char letter) {
    const auto value = static_cast<unsigned char>(letter);
    return (value < 0x20 && value != '\t') || value == 0x7F;
  });
}
}  // namespace

bool is_type(std::string_view word) {
  static constexpr std::array<std::string_view, 10> kTypes = {"select",
                                                              "boolean",
                                                              "string",
                                                              "multiselect",
                                                              "note",
                                                              "password",
                                                              "text",
                                                              "title",
                                                              "error",
                                                              "entropy"};
  return std::find(kTypes.begin(), kTypes.end(), word) != kTypes.end();
}

Reading read_preseed(std::string_view text) {
  if (text.size() > kLargestFile) {
    return {{}, {{1, "larger than " + to_text(Bytes{kLargestFile})}}};
  }
  Reading reading;
  kickstart::Problems problems;
  if (text.starts_with("\xef\xbb\xbf")) {
    text.remove_prefix(3);
  }
  Lines lines(text);
  while (lines.next()) {
    std::string_view rest = without_spaces(lines.joined());
    if (rest.empty() || rest.starts_with('#')) {
      continue;
    }
    if (find_invalid_utf8(rest) || has_control(rest)) {
      problems.add(lines.number(), "not UTF-8 text without control characters");
      continue;
    }
    Answer answer{lines.number(), std::string(without_spaces(lines.first())), {}, {}, {}, {}};
    answer.owner = take_word(rest);
    answer.question = take_word(rest);
    answer.type = take_word(rest);
    answer.value = without_spaces(rest);
    if (answer.type.empty()) {
      problems.add(lines.number(),
                   "an answer is OWNER QUESTION TYPE VALUE, not '" + answer.text + "'");
      continue;
    }
    reading.answers.push_back(std::move(answer));
  }
  if (reading.answers.empty() && problems.empty()) {
    problems.add(1, "no line answers a question");
  }
  reading.problems = problems.list();
  return reading;
}

}  // namespace goldmill::preseed
