// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::recipe {

std::string Position::text() const {
  return file + (line == 0 ? "" : ":" + std::to_string(line)) +
         (column == 0 ? "" : ":" + std::to_string(column));
}

std::string without_user_info(std::string uri) {
  const std::size_t host = uri.find("://");
  const std::size_t at = uri.find('@');
  if (host != std::string::npos && at != std::string::npos && at < uri.find('/', host + 3)) {
    uri.erase(host + 3, at - host - 2);
  }
  return uri;
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
