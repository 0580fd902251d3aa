// SPDX-License-Identifier: GPL-3.0-or-later
// Ed25519 key pairs (RFC 8032): as much of it as making an SSH host key takes.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace goldmill::agent {

/// The public key that belongs to a private one (a seed of 32 random bytes).
std::array<std::uint8_t, 32> ed25519_public_key(const std::array<std::uint8_t, 32>& seed);

std::array<std::uint8_t, 64> sha512(std::span<const std::uint8_t> message);

}  // namespace goldmill::agent
