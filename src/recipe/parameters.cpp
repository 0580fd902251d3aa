// SPDX-License-Identifier: GPL-3.0-or-later
#include "parameters.hpp"

#include <algorithm>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/base/utf8.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

namespace {

/// Text after substitution; many uses of a long value must not fill the memory.
constexpr Bytes kExpandedLimit = 4_MiB;
constexpr std::size_t kValueLimit = 4096;

std::vector<std::string> names_of(const std::map<std::string, std::string>& parameters) {
  std::vector<std::string> names;
  names.reserve(parameters.size());
  for (const auto& [name, value] : parameters) {
    names.push_back(name);
  }
  return names;
}

class Substitution {
 public:
  Substitution(const Document& document, const std::map<std::string, std::string>& parameters)
      : document_(document), parameters_(parameters) {}

  Result<void> walk(Node& node) {
    if (node.kind == Node::Kind::scalar && node.text.find("${") != std::string::npos) {
      return replace(node);
    }
    for (Node& item : node.items) {
      TRY(walk(item));
    }
    return {};
  }

 private:
  Result<void> replace(Node& node) {
    const std::string& text = node.text;
    std::string result;
    std::size_t at = 0;
    while (at < text.size()) {
      const std::size_t dollar = text.find("${", at);
      if (dollar == std::string::npos) {
        result.append(text, at);
        break;
      }
      if (dollar > at && text[dollar - 1] == '$') {
        result.append(text, at, dollar - at - 1).append("${");
        at = dollar + 2;
        continue;
      }
      result.append(text, at, dollar - at);
      const std::size_t end = text.find('}', dollar);
      result += TRY(value_of(node, text.substr(dollar, end - dollar)));
      at = end + 1;
    }
    expanded_ += result.size();
    if (expanded_ > kExpandedLimit.value) {
      return document_.error(node,
                             "parameters make the recipe larger than " + to_text(kExpandedLimit));
    }
    node.text = std::move(result);
    if (node.style == Node::Style::plain) {
      node.style = Node::Style::substituted;
    }
    return {};
  }

  /// `use` is "${name" without its end.
  Result<std::string> value_of(const Node& node, const std::string& use) {
    const std::string name = use.substr(2);
    const auto found = parameters_.find(name);
    if (found != parameters_.end()) {
      return found->second;
    }
    const bool is_name =
        name.size() < 64 && !name.empty() &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    std::string hint = "declare it under 'parameters:', or write $${ for ${ itself";
    if (is_name && !parameters_.empty()) {
      hint = did_you_mean(name, names_of(parameters_)) + "; $${ stands for ${ itself";
    }
    return document_.error(node, "there is no parameter " + as_quote(name), hint);
  }

  const Document& document_;
  const std::map<std::string, std::string>& parameters_;
  std::uint64_t expanded_ = 0;
};

Result<void> check_value(const Position& position,
                         const std::string& name,
                         const std::string& value) {
  const bool has_control = std::any_of(value.begin(), value.end(), [](char byte) {
    const auto code = static_cast<unsigned char>(byte);
    return (code < 0x20 && code != '\n' && code != '\t') || code == 0x7F;
  });
  if (value.size() > kValueLimit || has_control || find_invalid_utf8(value)) {
    return error_at(position,
                    "the value of the parameter '" + name + "' is not text of at most " +
                        to_text(Bytes{kValueLimit}));
  }
  return {};
}

}  // namespace

Result<std::map<std::string, std::string>> read_parameters(
    const Document& document,
    const std::map<std::string, std::string>& set,
    std::set<std::string>& used) {
  const Field& field = parameters_field();
  std::map<std::string, std::string> parameters;
  const Node* declared = document.root.find(field.key);
  if (declared == nullptr) {
    return parameters;
  }
  TRY(validate(document, *declared, field.value, field.key));
  for (std::size_t i = 0; i < declared->keys.size(); ++i) {
    const std::string& name = declared->keys[i].text;
    const auto given = set.find(name);
    const std::string& value = given == set.end() ? declared->items[i].text : given->second;
    TRY(check_value(document.position(declared->keys[i]), name, value));
    parameters[name] = value;
    if (given != set.end()) {
      used.insert(name);
    }
  }
  return parameters;
}

Result<void> substitute(Document& document, const std::map<std::string, std::string>& parameters) {
  Substitution substitution(document, parameters);
  Node& root = document.root;
  for (std::size_t i = 0; i < root.items.size(); ++i) {
    if (root.keys.empty() || root.keys[i].text != parameters_field().key) {
      TRY(substitution.walk(root.items[i]));
    }
  }
  return {};
}

}  // namespace goldmill::recipe
