// SPDX-License-Identifier: GPL-3.0-or-later
// Messages between processes of this program: one byte on a Unix socket that says what it is, with
// a descriptor when there is one.
#pragma once

#include <chrono>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::system {

struct Message {
  char kind = 0;
  UniqueFd descriptor;
};

Result<void> send_message(int socket, char kind, int descriptor = -1);
/// Errors: unavailable (the other side has gone), cancelled (time).
Result<Message> receive_message(int socket, std::chrono::milliseconds limit);

}  // namespace goldmill::system
