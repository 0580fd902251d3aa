// SPDX-License-Identifier: GPL-3.0-or-later
// Late command: what the installer's shell does to the new system below /target, as scripts that
// run in the image.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace goldmill::preseed {

struct LateCommand {
  std::vector<std::string> scripts;   ///< in order; none when nothing of it can run in the image
  std::vector<std::string> packages;  ///< of apt-install
  std::vector<std::string> left_out;  ///< commands that only the installer could run
};

LateCommand read_late_command(std::string_view text);

}  // namespace goldmill::preseed
