// SPDX-License-Identifier: GPL-3.0-or-later
// RandomTree: all kinds of files below /srv/random, made and changed at random but the same for
// the same seed; and a description of what is there.
#pragma once

#include <goldmill/system/worker.hpp>

namespace goldmill::build::test {

/// Hand 0: a tree. Request: {"seed": a number, "changes": how many}. Some changes make what is
/// there from before into another kind of file, or take it away.
Result<Json> change_at_random(system::WorkerContext& context);

/// Hand 0: a tree. Request: {"epoch": seconds}. Answer: {"entries": [a line for each]}, in the
/// order of names, with everything that a layer promises to keep: kind, mode, owner, content,
/// target, extended attributes, which names share an inode, and the time of what is no directory,
/// cut to 0..epoch as layers have it.
Result<Json> describe_tree(system::WorkerContext& context);

}  // namespace goldmill::build::test
