// SPDX-License-Identifier: GPL-3.0-or-later
// Check: is every object of the store there and what it was? Repairs what can be had again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

/// The object of findings about what the catalogue says.
inline constexpr const char* kCatalogue = "catalogue.db";

struct CheckFinding {
  enum class Kind : std::uint8_t {
    damaged,  ///< there, and not what it was
    missing,  ///< needed, and not there
    unknown,  ///< there, and nothing needs it; harmless, gc frees it
  };
  Kind kind = Kind::damaged;
  std::string object;               ///< path below the home: "trees/HEX"
  std::string why = {};             ///< what differs
  std::vector<std::string> images;  ///< that stand on it
  /// How it was repaired, or after a failed attempt why not; "" without an attempt.
  std::string outcome = {};
  bool repaired = false;
};

struct CheckReport {
  std::vector<CheckFinding> findings;
  std::map<std::string, std::size_t> checked;  ///< "layers": 12
  std::size_t without_digest = 0;              ///< objects from before their digest was recorded
  /// Nothing is damaged or missing, or all of it was repaired.
  bool is_sound() const;
  Json to_json() const;
};

/// May run beside builds and launches. With `repair`, damaged and missing objects are made again:
/// from packed layers, from other objects, or by running steps of recipes that are still there.
/// Errors: conflict while another repair runs.
Result<CheckReport> check_store(Session& session, bool repair);

const char* name_of(CheckFinding::Kind kind);

}  // namespace goldmill::factory
