// SPDX-License-Identifier: GPL-3.0-or-later
#include "document.hpp"

#include <algorithm>
#include <array>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <goldmill/base/utf8.hpp>

namespace goldmill::recipe {

const Node* Node::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text == key) {
      return &items[i];
    }
  }
  return nullptr;
}

Node* Node::find(std::string_view key) {
  return const_cast<Node*>(static_cast<const Node*>(this)->find(key));
}

Error error_at(const Position& position, const std::string& message, std::string hint) {
  return Error{ErrorKind::invalid_input, position.text() + ": " + message, std::move(hint)};
}

Error Document::error(const Node& node, const std::string& message, std::string hint) const {
  return error_at(position(node), message, std::move(hint));
}

namespace {

constexpr const char* kNoAliases = "aliases (*name) are not allowed in a recipe";
constexpr const char* kBinaryTag = "tag:yaml.org,2002:binary";
constexpr const char* kNoAliasesHint =
    "write the value again, or declare it once under 'parameters:'";

/// Leaves yaml-cpp's parser; caught in parse_document.
struct Refusal {
  Error error;
};

bool is_control(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return (value < 0x20 && value != '\t' && value != '\n') || value == 0x7F;
}

bool is_core_tag(const std::string& tag) {
  static constexpr std::array<std::string_view, 5> kCore = {"tag:yaml.org,2002:str",
                                                            "tag:yaml.org,2002:int",
                                                            "tag:yaml.org,2002:bool",
                                                            "tag:yaml.org,2002:map",
                                                            "tag:yaml.org,2002:seq"};
  return tag.empty() || tag == "?" || tag == "!" ||
         std::find(kCore.begin(), kCore.end(), tag) != kCore.end();
}

/// yaml-cpp takes the end of the file for a closing quote when a newline stands before it.
bool is_closed(std::string_view text, std::size_t start) {
  const char quote = start < text.size() ? text[start] : 'x';
  if (quote != '"' && quote != '\'') {
    return true;  // a block scalar
  }
  for (std::size_t i = start + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 >= text.size() || text[i + 1] != quote) {
        return true;
      }
      ++i;
    }
  }
  return false;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      refuse(mark,
             "a second YAML document starts here",
             "one file holds one recipe: move this one to a file of its own");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(start(mark, "", anchor, Node::Kind::null));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    refuse(mark, kNoAliases, kNoAliasesHint);
  }

  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = start(mark, tag, anchor, Node::Kind::scalar);
    const auto checked = check_characters(value, {file_, mark.line + 1, mark.column + 1});
    if (!checked) {
      throw Refusal{checked.error()};
    }
    if (tag == "!" && !is_closed(text_, static_cast<std::size_t>(std::max(mark.pos, 0)))) {
      refuse(mark, "this quote is never closed", "close it, or remove it");
    }
    node.text = value;
    node.style =
        tag == "!" || tag == "tag:yaml.org,2002:str" ? Node::Style::quoted : Node::Style::plain;
    if (tag == kBinaryTag) {
      node.style = Node::Style::binary;
    }
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(start(mark, tag, anchor, Node::Kind::list), mark);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(start(mark, tag, anchor, Node::Kind::map), mark);
  }
  void OnMapEnd() override { close(); }

  Node take_root() { return std::move(root_); }

 private:
  [[noreturn]] void refuse(const YAML::Mark& mark,
                           const std::string& message,
                           std::string hint) const {
    throw Refusal{error_at({file_, mark.line + 1, mark.column + 1}, message, std::move(hint))};
  }

  Node start(const YAML::Mark& mark,
             const std::string& tag,
             YAML::anchor_t anchor,
             Node::Kind kind) {
    if (anchor != 0) {
      refuse(mark,
             "anchors (&name) are not allowed in a recipe",
             "write the value where it is needed, or declare it once under 'parameters:'");
    }
    if (!is_core_tag(tag) && !(tag == kBinaryTag && kind == Node::Kind::scalar)) {
      refuse(mark,
             "the tag '" + escape_controls(tag.substr(0, 60)) + "' is not allowed",
             "remove it: the recipe's keys already say what type each value has");
    }
    if (++nodes_ > kNodeLimit) {
      refuse(mark,
             "more than " + std::to_string(kNodeLimit) + " values",
             "a recipe is smaller: put data into files and copy them with 'files:'");
    }
    Node node;
    node.kind = kind;
    node.line = std::max(mark.line, 0) + 1;
    node.column = std::max(mark.column, 0) + 1;
    return node;
  }

  void open(Node node, const YAML::Mark& mark) {
    if (open_.size() >= kNestingLimit) {
      refuse(mark,
             "nested deeper than " + std::to_string(kNestingLimit) + " levels",
             "look for a bracket or an indentation that is not meant");
    }
    open_.push_back(std::move(node));
  }

  void close() {
    Node node = std::move(open_.back());
    open_.pop_back();
    add(std::move(node));
  }

  void add(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Node& parent = open_.back();
    if (node.kind == Node::Kind::null && parent.keys.size() > parent.items.size()) {
      node.line = parent.keys.back().line;  // yaml-cpp names the next thing's place
      node.column = parent.keys.back().column;
    }
    if (parent.kind == Node::Kind::list || parent.keys.size() > parent.items.size()) {
      parent.items.push_back(std::move(node));
      return;
    }
    if (node.kind != Node::Kind::scalar) {
      throw Refusal{error_at({file_, node.line, node.column},
                             "a key must be a word",
                             "write 'key: value'; text with special characters needs quotes")};
    }
    parent.keys.push_back(std::move(node));
  }

  std::string file_;
  std::string_view text_;
  std::vector<Node> open_;
  Node root_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

Position position_of(std::string_view text, std::size_t offset, const std::string& file) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {file,
          static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(offset - start) + 1};
}

/// What yaml-cpp would convert, stop at, or choke on.
Result<void> check_bytes(std::string_view text, const std::string& file) {
  if (text.size() > kRecipeLimit.value) {
    return error_at({file, 1, 1},
                    "larger than " + to_text(kRecipeLimit),
                    "a recipe is smaller: put data into files and copy them with 'files:'");
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return error_at({file, 1, 1}, "this is UTF-16 text", "save the file as UTF-8");
  }
  if (const auto broken = find_invalid_utf8(text)) {
    return error_at(position_of(text, *broken, file), "not UTF-8 text", "save the file as UTF-8");
  }
  // Each bracket costs yaml-cpp a token before the first event can refuse the nesting.
  if (std::count_if(text.begin(), text.end(), [](char letter) {
        return letter == '[' || letter == '{';
      }) > static_cast<std::ptrdiff_t>(kNodeLimit)) {
    return error_at({file, 1, 1},
                    "more than " + std::to_string(kNodeLimit) + " brackets",
                    "a recipe is smaller: put data into files and copy them with 'files:'");
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_end = text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    if (is_control(text[i]) && !line_end) {
      return error_at(position_of(text, i, file),
                      "control character " + escape_controls(text.substr(i, 1)),
                      text[i] == 0 ? "save the file as UTF-8 text" : "remove it");
    }
  }
  return {};
}

bool line_is_indented_by_tab(std::string_view text, int line) {
  std::size_t start = 0;
  for (int i = 0; i < line; ++i) {
    start = text.find('\n', start);
    if (start == std::string_view::npos) {
      return false;
    }
    ++start;
  }
  const std::size_t word = text.find_first_not_of(" \t", start);
  return text.substr(start, word == std::string_view::npos ? word : word - start).find('\t') !=
         std::string_view::npos;
}

Error syntax_error(std::string_view text, const std::string& file, const YAML::Exception& failure) {
  const int line = std::max(failure.mark.line, 0);
  const int column = std::max(failure.mark.column, 0);
  const Position position{file, line + 1, column + 1};
  if (line_is_indented_by_tab(text, line)) {
    return error_at(
        position, "a tab in the indentation", "indent with spaces: YAML allows no tabs");
  }
  if (failure.msg.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR)) {
    return error_at(position, kNoAliases, kNoAliasesHint);
  }
  return error_at(position,
                  "not valid YAML: " + failure.msg,
                  "look at the indentation, brackets and quotes here and just above");
}

}  // namespace

Result<void> check_characters(std::string_view text, const Position& position) {
  if (std::any_of(text.begin(), text.end(), is_control) || find_invalid_utf8(text)) {
    return error_at(position,
                    "text with a control character: '" + escape_controls(text.substr(0, 60)) + "'",
                    "only newlines and tabs are allowed");
  }
  return {};
}

Result<Document> parse_document(std::string_view text, const std::string& file) {
  TRY(check_bytes(text, file));
  if (text.starts_with("\xef\xbb\xbf")) {
    text.remove_prefix(3);
  }
  TreeBuilder builder(file, text);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (Refusal& refusal) {
    return std::move(refusal.error);
  } catch (const YAML::Exception& failure) {
    return syntax_error(text, file, failure);
  } catch (const std::exception& failure) {
    return error_at({file, 1, 1}, std::string("not valid YAML: ") + failure.what());
  }
  return Document{{file}, builder.take_root()};
}

}  // namespace goldmill::recipe
