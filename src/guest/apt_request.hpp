// SPDX-License-Identifier: GPL-3.0-or-later
// What goldmill and its "apt" worker say to each other, as JSON.
#pragma once

#include <filesystem>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/resolver.hpp>

namespace goldmill::guest {

Json to_json(const HostSource& source);
Result<HostSource> host_source_from_json(const Json& json);

Json to_json(const ResolveRequest& request);
/// The recipe's line in front of what is wrong with a name or local file that it asked for.
Error located(const ResolveRequest& request, const std::string& name, Error error);
Result<ResolveRequest> resolve_request_from_json(const Json& json);

Result<std::vector<Source>> sources_from_json(const Json& json);

/// The `work` of the home that a directory such as its `packages` stands in: where libapt, its
/// methods and an unpacked package write meanwhile.
std::filesystem::path work_beside(const std::filesystem::path& directory);

}  // namespace goldmill::guest
