// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::recipe {

std::string Position::text() const {
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

const char* name_of(Hardware hardware) {
  switch (hardware) {
    case Hardware::virtio:
      return "virtio";
    case Hardware::nvme:
      return "nvme";
    case Hardware::vmware:
      return "vmware";
    case Hardware::hyperv:
      return "hyperv";
    case Hardware::xen:
      return "xen";
  }
  return "virtio";
}

const char* name_of(Firmware firmware) {
  return firmware == Firmware::bios ? "bios" : "uefi";
}

}  // namespace goldmill::recipe
