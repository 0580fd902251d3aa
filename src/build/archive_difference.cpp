// SPDX-License-Identifier: GPL-3.0-or-later
#include "archive_difference.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include <goldmill/store/layer_tree.hpp>

namespace goldmill::build {

using store::EntryKind;
using store::TarEntry;
using store::TarReader;
using Kind = LayerDifference::Kind;

namespace {
constexpr std::size_t kLead = 64;
constexpr std::size_t kStart = 16;
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

/// Sorts as the canonical tar does: by names, a deleted file where it would stand itself.
std::string order_of(std::string_view path) {
  std::string key;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    std::string_view name = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (name == kOpaque) {
      name = {};
    } else if (name.starts_with(kWhiteout)) {
      name.remove_prefix(kWhiteout.size());
    }
    key += name;
    key += '\0';
  }
  return key;
}

bool is_whiteout_path(std::string_view path) {
  return path.substr(path.rfind('/') + 1).starts_with(kWhiteout);
}

bool is_file(const TarEntry& entry) {
  return entry.kind == EntryKind::file && !is_whiteout_path(entry.path);
}

std::string type_in_words(const TarEntry& entry) {
  if (is_whiteout_path(entry.path)) {
    return "deleted";
  }
  switch (entry.kind) {
    case EntryKind::file:
      return "file";
    case EntryKind::hardlink:
      return "hard link";
    case EntryKind::symlink:
      return "link";
    case EntryKind::directory:
      return "directory";
    case EntryKind::fifo:
      return "fifo";
    default:
      return "device";
  }
}

std::string octal(std::uint32_t mode) {
  std::array<char, 16> text{};
  (void)std::snprintf(text.data(), text.size(), "%04o", mode);
  return text.data();
}

std::string attributes_in_words(const TarEntry& entry) {
  std::string text;
  for (const auto& [name, value] : entry.xattrs) {
    text += (text.empty() ? "" : " ") + name + "=" + value.substr(0, kExcerpt);
  }
  return text;
}

/// What beside the content differs first.
std::optional<LayerDifference> header_difference(const TarEntry& first, const TarEntry& second) {
  const auto differ = [&](Kind kind, std::string one, std::string other) {
    LayerDifference difference;
    difference.kind = kind;
    difference.first = std::move(one);
    difference.second = std::move(other);
    return difference;
  };
  const auto owner = [](const TarEntry& entry) {
    return std::to_string(entry.user) + ":" + std::to_string(entry.group);
  };
  if (first.kind != second.kind || is_whiteout_path(first.path) != is_whiteout_path(second.path)) {
    return differ(Kind::type, type_in_words(first), type_in_words(second));
  }
  if (first.mode != second.mode) {
    return differ(Kind::mode, octal(first.mode), octal(second.mode));
  }
  if (owner(first) != owner(second)) {
    return differ(Kind::owner, owner(first), owner(second));
  }
  if (first.target != second.target) {
    return differ(Kind::target, first.target, second.target);
  }
  if (first.xattrs != second.xattrs || first.major != second.major || first.minor != second.minor) {
    return differ(Kind::attributes, attributes_in_words(first), attributes_in_words(second));
  }
  if (first.time != second.time) {
    return differ(Kind::time, std::to_string(first.time), std::to_string(second.time));
  }
  return std::nullopt;
}

/// A sum over the lines of a file that does not depend on their order.
class LineSum {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) {
      if (byte == '\n') {
        end();
      } else {
        line_ = (line_ ^ static_cast<unsigned char>(byte)) * kPrime;
      }
    }
  }
  /// Nothing may be added after it.
  std::uint64_t value() {
    end();
    return sum_;
  }

 private:
  static constexpr std::uint64_t kPrime = 0x100000001b3;
  static constexpr std::uint64_t kBasis = 0xcbf29ce484222325;
  void end() {
    sum_ += line_ == kBasis ? 0 : line_ * line_;
    line_ = kBasis;
  }
  std::uint64_t line_ = kBasis;
  std::uint64_t sum_ = 0;
};

/// One side of the comparison.
struct ArchiveSide {
  explicit ArchiveSide(store::Source source) : reader(std::move(source)) {}

  Result<void> next() {
    entry = TRY(reader.next());
    order = entry ? order_of(entry->path) : "";
    lines = {};
    rest = {};
    return {};
  }
  /// Fetches the next piece when there is nothing left of the last; empty at the end.
  Result<std::string_view> piece() {
    if (rest.empty()) {
      rest = TRY(reader.content());
      lines.add(rest);
    }
    return rest;
  }

  TarReader reader;
  std::optional<TarEntry> entry;
  std::string order;
  std::string_view rest;
  LineSum lines;
};

class Comparison {
 public:
  Comparison(store::Source first, store::Source second)
      : first_(std::move(first)), second_(std::move(second)) {}

  Result<LayerComparison> run() {
    TRY(first_.next());
    TRY(second_.next());
    while (first_.entry || second_.entry) {
      const int order = !first_.entry    ? 1
                        : !second_.entry ? -1
                                         : first_.order.compare(second_.order);
      if (order == 0) {
        TRY(compare());
      } else {
        report_missing(order < 0);
      }
      TRY(order <= 0 ? first_.next() : Result<void>());
      TRY(order >= 0 ? second_.next() : Result<void>());
    }
    return std::move(found_);
  }

 private:
  void report(LayerDifference difference, const TarEntry& entry) {
    ++found_.count;
    if (found_.differences.size() < kMostDifferences) {
      difference.path = "/" + entry.path;
      found_.differences.push_back(std::move(difference));
    }
  }

  void report_missing(bool in_second) {
    const TarEntry& entry = in_second ? *first_.entry : *second_.entry;
    LayerDifference difference;
    difference.kind = Kind::missing;
    (in_second ? difference.first : difference.second) = type_in_words(entry);
    report(std::move(difference), entry);
  }

  Result<void> compare() {
    if (is_file(*first_.entry) && is_file(*second_.entry)) {
      if (auto difference = TRY(compare_content())) {
        report(*std::move(difference), *first_.entry);
        return {};
      }
    }
    if (auto difference = header_difference(*first_.entry, *second_.entry)) {
      report(*std::move(difference), *first_.entry);
    }
    return {};
  }

  Result<std::optional<LayerDifference>> compare_content() {
    LayerDifference difference;
    std::string lead;
    std::uint64_t offset = 0;
    while (true) {
      const std::string_view one = TRY(first_.piece());
      const std::string_view other = TRY(second_.piece());
      const std::size_t length = std::min(one.size(), other.size());
      const auto [at, ignored] = std::mismatch(one.begin(), one.begin() + length, other.begin());
      const auto same = static_cast<std::size_t>(at - one.begin());
      if (difference.start.size() < kStart) {
        difference.start += one.substr(0, kStart - difference.start.size());
      }
      lead += one.substr(same > kLead ? same - kLead : 0, std::min(same, kLead));
      lead.erase(0, lead.size() > kLead ? lead.size() - kLead : 0);
      offset += same;
      first_.rest.remove_prefix(same);
      second_.rest.remove_prefix(same);
      if (same < length || one.empty() || other.empty()) {
        break;
      }
    }
    if (first_.rest.empty() && second_.rest.empty()) {
      return std::optional<LayerDifference>();
    }
    difference.offset = offset;
    difference.lead = lead.size();
    difference.first = lead + TRY(excerpt(first_, kExcerpt - lead.size()));
    difference.second = lead + TRY(excerpt(second_, kExcerpt - lead.size()));
    difference.same_lines = first_.lines.value() == second_.lines.value();
    return std::optional(std::move(difference));
  }

  /// The next bytes; what follows is read, too.
  static Result<std::string> excerpt(ArchiveSide& side, std::size_t size) {
    std::string bytes;
    for (std::string_view piece = TRY(side.piece()); !piece.empty(); piece = TRY(side.piece())) {
      bytes += piece.substr(0, size - bytes.size());
      side.rest = {};
    }
    return bytes;
  }

  ArchiveSide first_;
  ArchiveSide second_;
  LayerComparison found_;
};
}  // namespace

const char* name_of(LayerDifference::Kind kind) {
  switch (kind) {
    case Kind::missing:
      return "missing";
    case Kind::type:
      return "type";
    case Kind::content:
      return "content";
    case Kind::mode:
      return "mode";
    case Kind::owner:
      return "owner";
    case Kind::target:
      return "target";
    case Kind::attributes:
      return "attributes";
    case Kind::time:
      return "time";
  }
  return "";
}

Result<LayerComparison> compare_archives(store::Source first, store::Source second) {
  return Comparison(std::move(first), std::move(second)).run();
}

}  // namespace goldmill::build
