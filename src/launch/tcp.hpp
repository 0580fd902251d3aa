// SPDX-License-Identifier: GPL-3.0-or-later
// TCP connections to instances.
#pragma once

#include <cstdint>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::launch {

inline constexpr std::uint16_t kSshPort = 22;

/// Connects this socket, or, where it is none, one of this network namespace. Errors: unavailable.
Result<system::UniqueFd> connect_tcp(system::UniqueFd socket,
                                     const std::string& address,
                                     std::uint16_t port);

}  // namespace goldmill::launch
