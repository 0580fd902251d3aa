// SPDX-License-Identifier: GPL-3.0-or-later
#include "late_command.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <goldmill/base/base64.hpp>
#include <goldmill/base/utf8.hpp>

namespace goldmill::preseed {

namespace {

/// A command and what stands behind it: ";", "&&", "||", "&" or "".
struct Piece {
  std::string text;
  std::string separator;
};

std::string_view trimmed_text(std::string_view text) {
  constexpr const char* kSpaces = " \t\r\n";
  const std::size_t start = text.find_first_not_of(kSpaces);
  if (start == std::string_view::npos) {
    return {};
  }
  return text.substr(start, text.find_last_not_of(kSpaces) - start + 1);
}

/// Where a quotation or substitution that begins at `at` ends; the text's end when it does not.
std::size_t end_of_group(std::string_view text, std::size_t at) {
  const char begin = text[at];
  if (begin == '\\') {
    return std::min(at + 2, text.size());
  }
  if (begin == '\'') {
    const std::size_t end = text.find('\'', at + 1);
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  if (begin == '"' || begin == '`') {
    for (std::size_t i = at + 1; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == begin) {
        return i + 1;
      }
    }
    return text.size();
  }
  std::size_t depth = 0;  // "$(" with what is in it
  for (std::size_t i = at; i < text.size(); ++i) {
    depth += text[i] == '(' ? 1 : 0;
    if (text[i] == ')' && --depth == 0) {
      return i + 1;
    }
  }
  return text.size();
}

bool begins_group(std::string_view text, std::size_t at) {
  return std::string_view("\\'\"`").find(text[at]) != std::string_view::npos ||
         text.substr(at).starts_with("$(");
}

std::vector<Piece> pieces_of(std::string_view text) {
  std::vector<Piece> pieces;
  std::size_t start = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (begins_group(text, at)) {
      at = end_of_group(text, text[at] == '$' ? at + 1 : at);
      continue;
    }
    std::string separator;
    if (text.substr(at).starts_with("&&") || text.substr(at).starts_with("||")) {
      separator = text.substr(at, 2);
    } else if (text[at] == ';' || text[at] == '\n') {
      separator = ";";
    } else if (text[at] == '&' && (at == 0 || text[at - 1] != '>') &&
               (at + 1 >= text.size() || text[at + 1] != '>')) {
      separator = "&";
    }
    if (separator.empty()) {
      ++at;
      continue;
    }
    pieces.push_back({std::string(trimmed_text(text.substr(start, at - start))), separator});
    at += separator.size();
    start = at;
  }
  pieces.push_back({std::string(trimmed_text(text.substr(start))), ""});
  std::erase_if(pieces, [](const Piece& piece) { return piece.text.empty(); });
  return pieces;
}

std::string first_word(std::string_view text) {
  return std::string(text.substr(0, std::min(text.find_first_of(" \t\n"), text.size())));
}

std::string without_first_word(std::string_view text) {
  return std::string(trimmed_text(text.substr(first_word(text).size())));
}

std::string with_paths_of_image(const std::string& text) {
  constexpr std::string_view kTarget = "/target";
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t found = text.find(kTarget, at);
    const std::size_t end = found == std::string::npos ? text.size() : found + kTarget.size();
    const bool begins = found != std::string::npos &&
                        (found == 0 || std::string_view(" \t\"'=><(`").find(text[found - 1]) !=
                                           std::string_view::npos);
    const bool ends = end >= text.size() ||
                      std::string_view("/ \t\"';)`").find(text[end]) != std::string_view::npos;
    result.append(text, at, (found == std::string::npos ? text.size() : found) - at);
    if (found != std::string::npos) {
      if (!begins || !ends) {
        result += kTarget;
      } else if (end >= text.size() || text[end] != '/') {
        result += "/";
      }
    }
    at = end;
  }
  return result;
}

/// Whether a file outside of the new system is named: only the installer has it.
bool names_own_file(std::string_view text) {
  for (std::size_t at = text.find('/'); at != std::string_view::npos; at = text.find('/', at + 1)) {
    const bool begins =
        at > 0 && std::string_view(" \t\"'=><").find(text[at - 1]) != std::string_view::npos;
    const std::string_view path = text.substr(at);
    if (begins && !path.starts_with("/target") && !path.starts_with("/dev/null")) {
      return true;
    }
  }
  return false;
}

bool is_plain_tool(const std::string& word) {
  static constexpr std::array<std::string_view, 13> kTools = {"cat",
                                                              "chmod",
                                                              "chown",
                                                              "cp",
                                                              "echo",
                                                              "install",
                                                              "ln",
                                                              "mkdir",
                                                              "mv",
                                                              "printf",
                                                              "rm",
                                                              "sed",
                                                              "touch"};
  return std::find(kTools.begin(), kTools.end(), word) != kTools.end();
}

/// Shell that is more than a list of commands: which of it runs where cannot be told apart.
bool is_compound(std::string_view text) {
  static constexpr std::array<std::string_view, 14> kWords = {"if",
                                                              "then",
                                                              "else",
                                                              "elif",
                                                              "fi",
                                                              "for",
                                                              "while",
                                                              "until",
                                                              "do",
                                                              "done",
                                                              "case",
                                                              "esac",
                                                              "{",
                                                              "}"};
  const std::string word = first_word(text);
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end() || text.starts_with('(');
}

/// Text without what is quoted, in which redirections are.
std::string unquoted(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (begins_group(text, at)) {
      at = end_of_group(text, text[at] == '$' ? at + 1 : at);
      result += 'q';
    } else {
      result += text[at++];
    }
  }
  return result;
}

/// A script as `goldmill answers` carries it in one line.
std::optional<std::string> carried_script(std::string_view text) {
  constexpr std::string_view kBegin = "in-target sh -c 'f=$(mktemp); echo ";
  constexpr std::string_view kMiddle = " | base64 -d >$f; ";
  constexpr std::string_view kEnd = " $f; s=$?; rm -f $f; exit $s'";
  const std::size_t middle = text.find(kMiddle);
  if (!text.starts_with(kBegin) || !text.ends_with(kEnd) || middle == std::string_view::npos ||
      middle + kMiddle.size() + kEnd.size() > text.size()) {
    return std::nullopt;
  }
  const auto script = decode_base64(text.substr(kBegin.size(), middle - kBegin.size()));
  const std::size_t start = middle + kMiddle.size();
  const std::string interpreter(text.substr(start, text.size() - kEnd.size() - start));
  const bool is_text = script && !find_invalid_utf8(*script) &&
                       std::none_of(script->begin(), script->end(), [](char letter) {
                         const auto value = static_cast<unsigned char>(letter);
                         return (value < 0x20 && value != '\t' && value != '\n') || value == 0x7F;
                       });
  if (!is_text) {
    return std::nullopt;
  }
  constexpr std::string_view kPlain = "set -e\n";  // which a recipe's script has by itself
  return interpreter == "/bin/sh" && script->starts_with(kPlain)
             ? script->substr(kPlain.size())
             : "#!" + interpreter + "\n" + *script;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : pieces_(pieces_of(text)), text_(text) {}

  LateCommand run() {
    if (std::any_of(pieces_.begin(), pieces_.end(), [](const Piece& piece) {
          return is_compound(piece.text);
        })) {
      return {{}, {}, {std::string(trimmed_text(text_))}};
    }
    for (const Piece& piece : pieces_) {
      read(piece);
    }
    end_script();
    return std::move(command_);
  }

 private:
  void end_script() {
    if (!lines_.empty()) {
      command_.scripts.push_back("#!/bin/sh\n" + lines_ + "\n");
    }
    lines_.clear();
    before_.clear();
  }

  /// "" when it cannot run in the image.
  std::string in_image(std::string text) {
    std::string word = first_word(text);
    if (word == "log-output") {  // log-output -t TAG COMMAND...
      text = without_first_word(text);
      while (text.starts_with('-')) {
        const bool has_value = first_word(text) == "-t";
        text = without_first_word(text);
        text = has_value ? without_first_word(text) : text;
      }
      word = first_word(text);
    }
    if (word == "in-target" || word == "chroot") {
      text = without_first_word(text);
      while (word == "in-target" && text.starts_with("--")) {
        text = without_first_word(text);
      }
      if (word == "chroot") {
        const std::string root = first_word(text);
        if (root != "/target" && root != "/target/") {
          return "";
        }
        text = without_first_word(text);
      }
      return with_paths_of_image(without_other_in_targets(text));
    }
    const bool writes = word == "echo" || word == "printf";
    const std::string seen = writes ? unquoted(text) : text;
    const bool in_target = text.find("/target") != std::string::npos;
    if (!is_plain_tool(word) || !in_target || names_own_file(seen) ||
        unquoted(text).find('|') != std::string::npos) {
      return "";
    }
    return with_paths_of_image(text);
  }

  /// `in-target a | in-target b`
  static std::string without_other_in_targets(std::string text) {
    for (const std::string_view again : {"| in-target ", "| chroot /target "}) {
      for (std::size_t at = 0; (at = text.find(again, at)) != std::string::npos;) {
        text.replace(at, again.size(), "| ");
      }
    }
    return text;
  }

  void read(const Piece& piece) {
    const std::string word = first_word(piece.text);
    if (word == "true" || word == ":" || word == "sync") {
      return;
    }
    if (word == "apt-install") {
      std::string rest = without_first_word(piece.text);
      while (!rest.empty()) {
        if (!rest.starts_with('-')) {
          command_.packages.push_back(first_word(rest));
        }
        rest = without_first_word(rest);
      }
      return;
    }
    if (const auto whole = carried_script(piece.text)) {
      end_script();
      command_.scripts.push_back(*whole);
      return;
    }
    const std::string line = in_image(piece.text);
    if (line.empty()) {
      command_.left_out.push_back(piece.text);
      // As if it had succeeded.
      before_ = before_ == "&&" && piece.separator == "&&" ? "&&" : ";";
      return;
    }
    const bool goes_on = before_ == "&&" || before_ == "||";
    lines_ += (lines_.empty() ? "" : goes_on ? " " + before_ + " " : "\n") + line;
    before_ = piece.separator;
  }

  std::vector<Piece> pieces_;
  std::string_view text_;
  std::string lines_;
  std::string before_;  ///< the separator in front of the next command
  LateCommand command_;
};

}  // namespace

LateCommand read_late_command(std::string_view text) {
  return Reader(text).run();
}

}  // namespace goldmill::preseed
