// SPDX-License-Identifier: GPL-3.0-or-later
// Relay: standard input and output joined to a socket.
#pragma once

#include <optional>

namespace goldmill::cli {

/// Until the other side ends. With a key that leaves, also until that, or until the input ends;
/// otherwise the other side hears of the input's end and may still answer.
void relay(int socket, std::optional<char> leave = {});

}  // namespace goldmill::cli
