// SPDX-License-Identifier: GPL-3.0-or-later
// Talk between prove and its network worker: one byte at a time, with a descriptor when there is
// one. The worker says: 'n' + its network namespace (open the tap for me), 't' + the tap, 'r'
// (ready: start the machine). prove answers 'y' to 'n', and then sends the guest's facts as JSON
// up to the end of the stream.
#pragma once

#include <chrono>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::prove {

struct Message {
  char kind = 0;
  system::UniqueFd descriptor;
};

Result<void> send_message(int socket, char kind, int descriptor = -1);
/// Errors: unavailable (the other side has gone), cancelled (time).
Result<Message> receive_message(int socket, std::chrono::milliseconds limit);

}  // namespace goldmill::prove
