// SPDX-License-Identifier: GPL-3.0-or-later
// Claims: what a running build relies on and no image holds yet. Garbage collection leaves it
// alone while the build's process lives.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

/// A claim comes before the look whether its object is there: collecting and claiming are
/// transactions of one catalogue, so what is there after the claim stays.
class Claims {
 public:
  explicit Claims(Session& session) : session_(session) {}
  Claims(const Claims&) = delete;
  ~Claims();

  /// Paths below the home: "trees/HEX".
  Result<void> add(const std::vector<std::string>& objects);

 private:
  Session& session_;
  std::optional<build::WorkDirectory> owner_;  // its lock says that we live
};

/// What commands that run rely on, as of now: a claim counts while its owner's work directory is
/// locked.
Result<std::set<std::string>> living_claims(Session& session);

}  // namespace goldmill::factory
