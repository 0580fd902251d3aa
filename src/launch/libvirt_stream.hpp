// SPDX-License-Identifier: GPL-3.0-or-later
// A stream of libvirt's (a guest's port or console, perhaps on another host) as a socket.
#pragma once

#include <functional>

#include <libvirt/libvirt.h>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::launch {

/// Starts libvirt's event loop in a thread of its own, once; before the first connection, which it
/// keeps alive.
void start_libvirt_events();

/// What libvirt said last in this thread, in front of which stands `what`.
Error libvirt_error(const std::string& what);

/// `open` connects the stream that it is given; what is then written to the socket goes into it,
/// and the other way round, until either is closed. Errors: `open`'s, said by libvirt.
Result<system::UniqueFd> stream_as_socket(virConnectPtr connection,
                                          const std::function<int(virStreamPtr)>& open);

}  // namespace goldmill::launch
