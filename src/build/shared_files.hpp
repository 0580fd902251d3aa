// SPDX-License-Identifier: GPL-3.0-or-later
// Big files are stored once, however many layers hold them: two layers that have the same file at
// the same path have one inode. Only at the same path, since two layers of one image never show
// it twice: nothing in a guest becomes the hard link of something else.
#pragma once

#include <goldmill/base/result.hpp>

namespace goldmill::build {

/// Replaces each big file of WORK/upper by a link to the equal one of a tree in `trees`, when there
/// is one: equal in bytes, owner, mode, time and attributes. The layer's tar stays the same.
/// Another who stores a layer meanwhile waits.
Result<void> share_big_files(int work, int trees);

}  // namespace goldmill::build
