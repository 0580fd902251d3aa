// SPDX-License-Identifier: GPL-3.0-or-later
// What a program inside a sandbox may ask the kernel for: capabilities, system calls, resources.
#pragma once

#include <vector>

#include <linux/filter.h>

#include <goldmill/base/result.hpp>

namespace goldmill::build {

/// Made before fork: after it, only system calls are allowed.
struct Confinement {
  std::vector<sock_filter> filter;
  int processes = 0;
};

Result<Confinement> make_confinement(int processes);

/// Only system calls. False leaves the reason in errno.
bool confine_this_process(const Confinement& confinement);

}  // namespace goldmill::build
