// SPDX-License-Identifier: GPL-3.0-or-later
// StandInDoor: a PackageDoor without an archive behind it.
#pragma once

#include <string>

#include <goldmill/plan/package_door.hpp>

namespace goldmill::provision {

class StandInDoor final : public plan::PackageDoor {
 public:
  Result<void> open(plan::Execution& execution) override {
    if (!failure.empty()) {
      return Error{ErrorKind::unavailable, failure};
    }
    execution.environment.emplace_back("APT_CONFIG=/door");
    return {};
  }
  Result<Json> close(plan::Sandbox& /*sandbox*/) override { return came; }

  Json came = Json::array();  ///< what close() gives
  std::string failure = {};   ///< of open()
};

}  // namespace goldmill::provision
