// SPDX-License-Identifier: GPL-3.0-or-later
// Decompressor: the bytes of a package's member, by the one method that its name says. With
// tar_stream.cpp the only file that knows libarchive; xz and zstd go to their own libraries, whose
// memory libarchive does not bound.
#pragma once

#include <memory>
#include <string_view>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::guest {

class Decompressor {
 public:
  virtual ~Decompressor() = default;

  /// `ending`: "" (stored as it is), ".gz", ".xz", ".zst", ".bz2" or ".lzma". The packed bytes must
  /// outlive it. `memory`: what a dictionary or window may take.
  /// Errors: unavailable (no such method here), no_space.
  static Result<std::unique_ptr<Decompressor>> open(std::string_view packed,
                                                    std::string_view ending,
                                                    Bytes memory);

  /// The next piece, good until the next call; empty at the end.
  /// Errors: corrupt, invalid_input (it asks for more memory).
  virtual Result<std::string_view> next() = 0;
};

}  // namespace goldmill::guest
