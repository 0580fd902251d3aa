// SPDX-License-Identifier: GPL-3.0-or-later
// Parameters: ${name} in a recipe's values, with defaults of its own and values of the caller.
#pragma once

#include <map>
#include <set>
#include <string>

#include <goldmill/base/result.hpp>

#include "document.hpp"

namespace goldmill::recipe {

/// The recipe's `parameters:` with the values of `set` in place of their defaults. Names that
/// were used are added to `used`. Errors: invalid_input.
Result<std::map<std::string, std::string>> read_parameters(
    const Document& document,
    const std::map<std::string, std::string>& set,
    std::set<std::string>& used);

/// Replaces ${name} in every value but those of `parameters:`; "$${" becomes "${".
/// Errors: invalid_input for a name that is not declared, or when the text grows too large.
Result<void> substitute(Document& document, const std::map<std::string, std::string>& parameters);

}  // namespace goldmill::recipe
