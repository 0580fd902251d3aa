// SPDX-License-Identifier: GPL-3.0-or-later
#include "provisioner.hpp"

namespace goldmill::provision {

std::unique_ptr<Provisioner> make_packages() {
  return make_unavailable("packages");
}

}  // namespace goldmill::provision
