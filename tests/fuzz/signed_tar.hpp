// SPDX-License-Identifier: GPL-3.0-or-later
// For fuzzers of tars: a mutation would otherwise end at the checksum of the header it is in.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace goldmill::fuzz {

/// With the right checksum in everything that looks like a tar header.
inline std::string signed_tar(std::string_view bytes) {
  constexpr std::size_t kMagic = 257;
  constexpr std::size_t kChecksum = 148;
  std::string tar(bytes);
  for (std::size_t at = tar.find("ustar"); at != std::string::npos;
       at = tar.find("ustar", at + 1)) {
    if (at < kMagic || at - kMagic + 512 > tar.size()) {
      continue;
    }
    char* const header = tar.data() + at - kMagic;
    unsigned sum = 8 * ' ';
    for (std::size_t i = 0; i < 512; ++i) {
      const bool is_counted = i < kChecksum || i >= kChecksum + 8;
      sum += is_counted ? static_cast<unsigned char>(header[i]) : 0;
    }
    (void)std::snprintf(header + kChecksum, 8, "%06o", sum & 0777777U);
  }
  return tar;
}

}  // namespace goldmill::fuzz
