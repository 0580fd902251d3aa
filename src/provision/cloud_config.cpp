// SPDX-License-Identifier: GPL-3.0-or-later
#include "provisioner.hpp"

namespace goldmill::provision {

std::unique_ptr<Provisioner> make_cloud_config() {
  return make_unavailable("cloud_config");
}

}  // namespace goldmill::provision
