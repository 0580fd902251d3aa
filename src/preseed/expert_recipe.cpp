// SPDX-License-Identifier: GPL-3.0-or-later
#include "expert_recipe.hpp"

#include <charconv>

namespace goldmill::preseed {

namespace {

constexpr std::size_t kMostPartitions = 64;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  constexpr const char* kSpaces = " \t\r\n\v\f";
  while ((at = text.find_first_not_of(kSpaces, at)) != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(kSpaces, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

Error wrong(const std::string& what) {
  return Error{ErrorKind::invalid_input,
               "the expert recipe: " + what,
               "a partition is LEAST PRIORITY MOST FILESYSTEM NAME{ VALUE }... and ends with '.'"};
}

class Parser {
 public:
  explicit Parser(std::string_view text) : words_(words_of(text)) {}

  Result<ExpertRecipe> run() {
    ExpertRecipe recipe;
    TRY(read_name(recipe));
    while (at_ < words_.size()) {
      if (recipe.partitions.size() >= kMostPartitions) {
        return wrong("more than " + std::to_string(kMostPartitions) + " partitions");
      }
      recipe.partitions.push_back(TRY(read_partition()));
    }
    if (recipe.partitions.empty()) {
      return wrong("it has no partition");
    }
    return recipe;
  }

 private:
  std::string word() const { return at_ < words_.size() ? words_[at_] : ""; }
  std::string place() const {
    return at_ < words_.size() ? "at '" + words_[at_].substr(0, 60) + "'" : "at its end";
  }

  /// "boot-root ::", "boot-root::", "My scheme ::"; some have none.
  Result<void> read_name(ExpertRecipe& recipe) {
    std::size_t end = 0;
    while (end < words_.size() && words_[end] != "." && !words_[end].ends_with("::")) {
      ++end;
    }
    if (end == words_.size() || words_[end] == ".") {
      return {};
    }
    for (; at_ <= end; ++at_) {
      std::string part = words_[at_];
      if (at_ == end) {
        part.resize(part.size() - 2);
      }
      recipe.name += (recipe.name.empty() || part.empty() ? "" : " ") + part;
    }
    return {};
  }

  Result<std::uint64_t> read_size(bool& of_memory) {
    const std::string text = word();
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data(), end, value);
    const bool percent = failure == std::errc{} && stop + 1 == end && *stop == '%';
    if (failure != std::errc{} || (stop != end && !percent) || value > 1'000'000'000'000) {
      return wrong("a size is missing " + place());
    }
    of_memory = of_memory || percent;
    ++at_;
    return value;
  }

  Result<WantedPartition> read_partition() {
    WantedPartition partition;
    partition.least = TRY(read_size(partition.of_memory));
    partition.priority = TRY(read_size(partition.of_memory));
    if (word() == "-1") {
      ++at_;
    } else {
      partition.most = TRY(read_size(partition.of_memory));
    }
    partition.filesystem = word();
    if (partition.filesystem.empty() || partition.filesystem == "." ||
        partition.filesystem.find('{') != std::string::npos) {
      return wrong("a file system is missing " + place());
    }
    ++at_;
    while (word() != ".") {
      TRY(read_specifier(partition));
    }
    ++at_;
    return partition;
  }

  /// `name{ value }`; the braces are words, or stick to others: `format{ }`, `method{ swap}`.
  Result<void> read_specifier(WantedPartition& partition) {
    if (at_ >= words_.size()) {
      return wrong("the last partition does not end with '.'");
    }
    const std::string head = word();
    const std::size_t brace = head.find('{');
    if (brace == std::string::npos || brace == 0) {
      return wrong("a specifier NAME{ VALUE } is missing " + place());
    }
    const std::string name = head.substr(0, brace);
    std::string value;
    std::string piece = head.substr(brace + 1);
    while (!piece.ends_with('}')) {
      value += (value.empty() || piece.empty() ? "" : " ") + piece;
      if (++at_ >= words_.size() || word() == ".") {
        return wrong("'" + name + "{' is not closed");
      }
      piece = word();
    }
    piece.pop_back();
    value += (value.empty() || piece.empty() ? "" : " ") + piece;
    ++at_;
    partition.specifiers[name] = value;
    return {};
  }

  std::vector<std::string> words_;
  std::size_t at_ = 0;
};

}  // namespace

std::string WantedPartition::specifier(const std::string& name) const {
  const auto found = specifiers.find(name);
  return found == specifiers.end() ? "" : found->second;
}

Result<ExpertRecipe> parse_expert_recipe(std::string_view text) {
  return Parser(text).run();
}

}  // namespace goldmill::preseed
