// SPDX-License-Identifier: GPL-3.0-or-later
// RunReport: what one run of a tool (Puppet, Ansible) did to each resource or task, as its driver
// writes it, and whether that is acceptable.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::provision {

/// What people are told when a tool's run cannot be accepted.
struct ReportWords {
  std::string_view tool;     ///< "Puppet"
  std::string_view refused;  ///< what was found before anything was done
  std::string_view refused_hint;
  std::string_view again_hint;  ///< how a second run is kept from changing things
};

struct RunReport {
  std::string version;
  Json resources = Json::array();  ///< [{"resource", "file", "line", "status", "events"}]
  Json messages = Json::array();   ///< [{"level", "message", "file", "line"}], warnings and worse
  std::vector<std::string> services;  ///< units that have to be active on instances

  /// `shown` maps path prefixes inside the sandbox to what people know the files as.
  /// Errors: tool_failed, when the tool failed: each resource with file:line and reason;
  /// invalid_input, when the driver refused to begin.
  static Result<RunReport> read(std::string_view answer,
                                const std::map<std::string, std::string>& shown,
                                const ReportWords& words);

  /// Of a second run. Errors: tool_failed, naming the resources that are not idempotent.
  Result<void> check_unchanged(const ReportWords& words) const;

  Json to_json() const;
};

}  // namespace goldmill::provision
