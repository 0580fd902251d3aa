// SPDX-License-Identifier: GPL-3.0-or-later
// The network of one machine: a tap device in a network namespace that nothing else reaches.
#pragma once

#include <string>

#include <goldmill/base/result.hpp>

namespace goldmill::prove {

constexpr const char* kHostAddress = "198.18.0.1";  // RFC 2544: never routed

/// Gives the device its address and sets it and the loopback device up.
Result<void> configure_network(const std::string& name);

}  // namespace goldmill::prove
