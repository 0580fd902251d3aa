// SPDX-License-Identifier: GPL-3.0-or-later
// Writers: one per installer. Each adds to Machine::unsaid what its language has no words for.
#pragma once

#include <string>

#include <goldmill/answers/answer_file.hpp>

#include "machine.hpp"

namespace goldmill::answers {

std::string write_kickstart(Machine& machine);
std::string write_preseed(Machine& machine);
std::string write_autoinstall(Machine& machine);
std::string write_autounattend(Machine& machine);

}  // namespace goldmill::answers
