// SPDX-License-Identifier: GPL-3.0-or-later
// MetadataSource: an identity from a cloud's metadata service at 169.254.169.254.
// Sources: Amazon EC2 User Guide "Instance metadata"; OpenStack Nova "Metadata service".
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include <goldmill/base/result.hpp>

#include "cloud.hpp"
#include "http.hpp"
#include "identity.hpp"

namespace goldmill::agent {

/// Brings a reply of at most this many bytes of body.
using Fetch = std::function<Result<HttpReply>(const HttpRequest& request, std::size_t most_body)>;
/// Where what happens is written down.
using Log = std::function<void(std::string_view about, std::string_view message)>;

/// The identity that a cloud's service tells; nullopt when the service is not there or is not
/// that cloud's. EC2 is asked with a session token (IMDSv2) or not at all.
std::optional<Identity> ask_cloud(Cloud cloud, const Fetch& fetch, const Log& log);

/// Asks over each interface in turn what the recipe lists and the firmware names; nullopt at
/// once where that is none, and after 20 s in any case.
std::optional<Identity> read_metadata_source(const Log& log);

}  // namespace goldmill::agent
