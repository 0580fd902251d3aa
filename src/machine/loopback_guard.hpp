// SPDX-License-Identifier: GPL-3.0-or-later
// What QEMU loads first where it does the network itself: see preload/loopback_guard.cpp.
#pragma once

#include <string_view>

namespace goldmill::machine {

/// A shared object.
std::string_view loopback_guard();

}  // namespace goldmill::machine
