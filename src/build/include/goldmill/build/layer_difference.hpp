// SPDX-License-Identifier: GPL-3.0-or-later
// Where two layers that should be the same differ, down to the first byte of each file, and why
// that is likely so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>

namespace goldmill::build {

/// One path of which the two layers say different things.
struct LayerDifference {
  /// "missing": only one has it.
  enum class Kind : std::uint8_t { missing, type, content, mode, owner, target, attributes, time };
  Kind kind = Kind::content;
  std::string path;  ///< "/etc/hosts"
  /// Content: of the first byte that differs.
  std::optional<std::uint64_t> offset = {};
  /// Content: bytes from `lead` before the offset on, at most kExcerpt. Otherwise the value in
  /// words, "" where the path is not there.
  std::string first = {};
  std::string second = {};
  std::size_t lead = 0;
  std::string start = {};   ///< content: how the first one's file begins
  bool same_lines = false;  ///< content: both hold the same lines, in another order
};

/// The kind in one word.
const char* name_of(LayerDifference::Kind kind);

struct LayerComparison {
  std::vector<LayerDifference> differences;  ///< by path, at most kMostDifferences
  std::uint64_t count = 0;                   ///< all of them
};

inline constexpr std::size_t kExcerpt = 192;
inline constexpr std::size_t kMostDifferences = 200;

/// Compares two trees (of layers, or of assets) by what their canonical tars hold.
Result<LayerComparison> compare_layers(const std::filesystem::path& first,
                                       const std::filesystem::path& second,
                                       std::int64_t epoch);

/// What was not the same when the two layers were made; the causes that can be told from bytes.
struct Surroundings {
  std::vector<std::int64_t> times = {};      ///< when each build ran, seconds since 1970
  std::vector<std::string> host_names = {};  ///< of the machine, in each
  std::vector<std::string> cores = {};       ///< how many, in each
  std::vector<std::string> words = {};       ///< time zone and locale of the second
};

/// Why a path likely differs, and what helps; "" when nothing known fits.
std::string likely_cause(const LayerDifference& difference, const Surroundings& surroundings);

}  // namespace goldmill::build
