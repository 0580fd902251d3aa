// SPDX-License-Identifier: GPL-3.0-or-later
// Passwords of answer files: recipes hold hashes only, and no weak ones.
#pragma once

#include <string>

namespace goldmill::kickstart {

/// SHA-512 of crypt(5). The salt comes from name and password, so that a recipe repeats; to try a
/// password against it takes as long as against the hash itself.
std::string hashed_password(const std::string& name, const std::string& password);

/// One that a recipe takes: MD5 and DES are broken within hours.
bool is_strong_hash(const std::string& text);

}  // namespace goldmill::kickstart
