// SPDX-License-Identifier: GPL-3.0-or-later
// cloud-init's user-data -> recipe, with a word on every key: what it became, or why nothing.
#pragma once

#include <string_view>

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/import.hpp>

#include "document.hpp"

namespace goldmill::recipe {

/// By its first line: "#cloud-config".
bool is_cloud_config(std::string_view text);

/// By its first line, "## template: jinja" in cloud-init's manner: it is filled in on each
/// instance.
bool is_template(std::string_view text);

/// Errors: invalid_input for a template, whose words nobody knows before an instance runs.
Result<void> refuse_template(std::string_view text, const Position& start);

/// Of a "#cloud-config" document. Errors: not_found; invalid_input with file:line:column.
Result<kickstart::Import> import_user_data(const kickstart::ImportRequest& request);

}  // namespace goldmill::recipe
