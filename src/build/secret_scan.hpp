// SPDX-License-Identifier: GPL-3.0-or-later
// Recognises secrets in the content of files.
#pragma once

#include <string_view>

namespace goldmill::build {

/// Documentation and test suites hold example keys.
bool may_hold_secrets(std::string_view path);

/// A PEM or OpenSSH private key: the armour on a line of its own with a key's text below. A
/// program that merely knows the armour's words has none.
bool has_private_key(std::string_view content);

}  // namespace goldmill::build
