// SPDX-License-Identifier: GPL-3.0-or-later
// JSON values and the one text form that digests are computed over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <goldmill/base/result.hpp>

namespace goldmill {

/// Objects keep their keys sorted by bytes, which makes dump() canonical.
using Json = nlohmann::json;

/// The canonical form: keys sorted, no white space, UTF-8, no floating-point numbers (asserted:
/// their text differs between libraries). Bytes that are not UTF-8 become U+FFFD.
std::string canonical(const Json& value);

/// Reads JSON from a text of ours or a stranger's; `what` names it in the error.
/// Errors: invalid_input.
Result<Json> parse_json(std::string_view text, std::string_view what);

/// Typed reads that never throw. A missing key or another type is nullopt.
std::optional<std::string> find_string(const Json& object, std::string_view key);
std::optional<std::int64_t> find_integer(const Json& object, std::string_view key);
std::optional<bool> find_bool(const Json& object, std::string_view key);
/// The list at `key`, or an empty one.
std::vector<std::string> find_strings(const Json& object, std::string_view key);
/// The value at `key`, or nullptr.
const Json* find_value(const Json& object, std::string_view key);

/// As find_string, for what must be there. Errors: invalid_input, naming the key.
Result<std::string> string_at(const Json& object, std::string_view key);
Result<std::int64_t> integer_at(const Json& object, std::string_view key);

}  // namespace goldmill
