// SPDX-License-Identifier: GPL-3.0-or-later
// Held files: what a copy of a settled guest gets written while hundreds start at once lies in
// memory first, mounted over its place; the first write to a disk costs a guest under emulation
// more than all the rest. On the disk there is nothing meanwhile that two copies could share.
#pragma once

#include <goldmill/base/result.hpp>

namespace goldmill::agent {

/// Mounts machine-id, host name, hosts, SSH host key and authorized keys from memory.
Result<void> hold_files();

/// Puts them on the disk as they are now, durably, and takes the mounts away: readers see the same
/// before and after. Nothing happens when nothing is held.
Result<void> store_held_files();

}  // namespace goldmill::agent
