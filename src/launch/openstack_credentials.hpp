// SPDX-License-Identifier: GPL-3.0-or-later
// CloudCredentials: how a cloud is entered, from the places where OpenStack's users keep it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::launch {

/// The name of the cloud that OS_* variables describe.
inline constexpr const char* kCloudOfEnvironment = "environment";

struct CloudCredentials {
  std::string cloud;                  ///< its name in clouds.yaml, or kCloudOfEnvironment
  std::string auth_url;               ///< Keystone's, with its version
  std::string region;                 ///< "": the only one
  std::string interface = "public";   ///< or "internal", "admin"
  std::filesystem::path authorities;  ///< certificates to trust; "": the system's
  Json login;  ///< secret: the body of Keystone's POST /auth/tokens; stays in memory
};

/// A variable's value; tests have an environment of their own.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

/// Of the cloud with this name in clouds.yaml (with secure.yaml beside it), which is looked for
/// where OpenStack's own client does: $OS_CLIENT_CONFIG_FILE, the working directory,
/// ~/.config/openstack, /etc/openstack. Without a name: of $OS_CLOUD, of the OS_* variables, of a
/// file's only cloud. Errors: not_found (no such cloud, no credentials at all), invalid_input (what
/// is missing).
Result<CloudCredentials> cloud_credentials(const std::string& cloud,
                                           const Environment& environment);

}  // namespace goldmill::launch
