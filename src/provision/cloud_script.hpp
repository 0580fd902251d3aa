// SPDX-License-Identifier: GPL-3.0-or-later
// CloudScript: what a cloud-config asks for, as shell scripts for the image's tree.
#pragma once

#include <string>

#include <goldmill/base/json.hpp>

namespace goldmill::provision {

/// `config` as recipe::CloudConfigStep has it; the contents of its files stand at
/// ROOM/file-NUMBER, its certificates at ROOM/certificate-NUMBER. "" when there is nothing to do.
std::string cloud_script_before_packages(const Json& config, const std::string& room);
std::string cloud_script_after_packages(const Json& config, const std::string& room);

}  // namespace goldmill::provision
