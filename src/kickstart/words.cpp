// SPDX-License-Identifier: GPL-3.0-or-later
#include "words.hpp"

#include <algorithm>
#include <optional>

namespace goldmill::kickstart {

namespace {
constexpr std::string_view kSpace = " \t\r\n";

class Splitter {
 public:
  explicit Splitter(std::string_view line) : line_(line) {}

  Result<std::vector<std::string>> run() {
    while (at_ < line_.size()) {
      const char next = line_[at_++];
      if (next == '#') {
        break;
      }
      if (kSpace.find(next) != std::string_view::npos) {
        end_word();
      } else if (next == '\'' || next == '"') {
        TRY(quotation(next));
      } else if (next == '\\') {
        TRY(escaped());
      } else {
        word() += next;
      }
    }
    end_word();
    return std::move(words_);
  }

 private:
  std::string& word() {
    if (!word_) {
      word_.emplace();
    }
    return *word_;
  }
  void end_word() {
    if (word_) {
      words_.push_back(*std::move(word_));
      word_.reset();
    }
  }
  Result<void> escaped() {
    if (at_ == line_.size()) {
      return Error{ErrorKind::invalid_input, "nothing stands behind the last backslash"};
    }
    word() += line_[at_++];
    return {};
  }
  /// In double quotes a backslash stands for itself but before a quote and a backslash.
  Result<void> quotation(char quote) {
    for (word(); at_ < line_.size(); ++at_) {
      const char next = line_[at_];
      if (next == quote) {
        ++at_;
        return {};
      }
      const bool escapes = quote == '"' && next == '\\' && at_ + 1 < line_.size() &&
                           (line_[at_ + 1] == '"' || line_[at_ + 1] == '\\');
      at_ += escapes ? 1 : 0;
      *word_ += line_[at_];
    }
    return Error{ErrorKind::invalid_input, "a quotation is not closed on this line"};
  }

  std::string_view line_;
  std::size_t at_ = 0;
  std::optional<std::string> word_;
  std::vector<std::string> words_;
};
}  // namespace

Result<std::vector<std::string>> split_words(std::string_view line) {
  return Splitter(line).run();
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char letter) {
    return static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
  });
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const std::size_t first = text.find_first_not_of(kBlank);
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string_view first_word(std::string_view line) {
  return line.substr(0, std::min(line.find_first_of(" \t"), line.size()));
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace goldmill::kickstart
