// SPDX-License-Identifier: GPL-3.0-or-later
// The process that keeps a Lan: see lan.hpp.
#pragma once

#include <goldmill/system/worker.hpp>

namespace goldmill::launch {

constexpr std::string_view kLanWorker = "launch_lan";
constexpr const char* kLanBridge = "lan";
/// The keeper's own, and what all of the network begin with; RFC 2544: never routed.
constexpr const char* kLanAddress = "198.18.0.1";
constexpr const char* kLanPrefix = "198.18.";

/// Hand 0: the listening socket.
system::WorkerEntry lan_worker();

}  // namespace goldmill::launch
