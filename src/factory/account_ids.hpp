// SPDX-License-Identifier: GPL-3.0-or-later
// Account ids: which user and group has which, in an image and in its lock. Data outlives images:
// an account that gets another id with a new base loses what it owns.
#pragma once

#include <string>
#include <string_view>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::factory {

/// {"users": {name: id}, "groups": {name: id}} of /etc/passwd and /etc/group.
Json account_ids(std::string_view passwd, std::string_view group);

/// Those that the parent does not have so; a parent of null has none.
Json own_account_ids(const Json& all, const Json& parent);

/// That no account of `locked` has another id in `all`; one that is gone is no matter. Errors:
/// conflict, naming it; `lock` is the name of the file to remove where ids may change.
Result<void> check_account_ids(const Json& locked, const Json& all, const std::string& lock);

}  // namespace goldmill::factory
