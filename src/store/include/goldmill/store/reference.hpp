// SPDX-License-Identifier: GPL-3.0-or-later
// ImageReference: how the command line and `from:` name an image: NAME[@VERSION|:CHANNEL].
#pragma once

#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

namespace goldmill::store {

struct ImageReference {
  std::string name;
  int version = 0;      ///< 0: not said; the newest is meant
  std::string channel;  ///< "": not said

  /// Errors: invalid_input.
  static Result<ImageReference> parse(std::string_view text);
  std::string text() const;
};

}  // namespace goldmill::store
