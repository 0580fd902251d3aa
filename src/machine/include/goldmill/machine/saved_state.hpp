// SPDX-License-Identifier: GPL-3.0-or-later
// Saved state: a stopped machine as two files, from which any number of machines go on: the guest's
// memory, and what its devices knew. Memory is a MemoryFile; a machine that goes on maps it
// privately, so that it moves few bytes and shares what it does not write.
#pragma once

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/machine/qmp.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

/// Memory for a MemoryFile, all zeros; nothing is allocated before it is written.
Result<system::UniqueFd> make_memory(Bytes size);

/// Stops the guest and writes what its devices know. The memory file then holds its memory.
/// Errors: tool_failed with QEMU's words.
Result<void> save_state(Qmp& control, int file);

/// In a machine with MachineSpec::resumes, whose memory file is what was saved with it. The guest
/// stays stopped. Errors: tool_failed with QEMU's words (another machine, another QEMU).
Result<void> load_state(Qmp& control, int file);

/// Plugs the cable of the machine's only network card in or out.
Result<void> set_link(Qmp& control, bool up);

/// Writes the pages that are not zero to a sparse file, and gives the digest that
/// load_memory() demands.
Result<Digest> store_memory(int memory, int file);

/// The stored memory, sealed: no process can change it any more, also not a QEMU that a guest has
/// taken over. Errors: corrupt, when it is not what was stored; unavailable (no memory).
Result<system::UniqueFd> load_memory(int file, const Digest& digest);

}  // namespace goldmill::machine
