// SPDX-License-Identifier: GPL-3.0-or-later
// OpensshKey: an Ed25519 host key in the files that OpenSSH reads.
// Source: OpenSSH PROTOCOL.key (openssh-key-v1); RFC 8709 for the public line.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace goldmill::agent {

struct OpensshKey {
  std::string private_file;  ///< the whole file, unencrypted
  std::string public_line;   ///< "ssh-ed25519 AAAA...", no comment, no LF
};

/// `check` are 4 random bytes that the format wants twice.
OpensshKey make_openssh_key(const std::array<std::uint8_t, 32>& seed,
                            const std::array<std::uint8_t, 4>& check);

}  // namespace goldmill::agent
