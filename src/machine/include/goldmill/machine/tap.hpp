// SPDX-License-Identifier: GPL-3.0-or-later
// Tap: a machine's network cable as a device of this host. It goes when its last descriptor does.
// And what it is plugged into: devices of this thread's network namespace.
#pragma once

#include <functional>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

struct Tap {
  system::UniqueFd file;
  std::string device;
};

enum class Offload : bool { no, yes };

/// A tap device of this thread's network namespace; a name with %d gets a number. With offload a
/// guest leaves checksums and segments to the host; one that goes on from a saved state must have
/// what the saved one had. Errors: unavailable.
Result<Tap> open_tap(const std::string& name, Offload offload);

Result<void> set_up(const std::string& device);
/// "198.18.0.1", "255.255.255.0"
Result<void> set_address(const std::string& device,
                         const std::string& address,
                         const std::string& netmask);
Result<void> make_bridge(const std::string& name);

/// A tap device that is a port of this bridge and up. Errors: invalid_input (no such bridge, with
/// a suggestion), unavailable (we may not).
Result<Tap> open_tap_on(const std::string& bridge);

/// What `open` opens in another network namespace (an open file): a thread enters it and ends
/// there. Where only root may open /dev/net/tun, root does that for a namespace of other ids.
Result<Tap> open_tap_in(int network, const std::function<Result<Tap>()>& open);

}  // namespace goldmill::machine
