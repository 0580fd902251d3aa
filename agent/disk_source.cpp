// SPDX-License-Identifier: GPL-3.0-or-later
#include "disk_source.hpp"

#include <string>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cloud_files.hpp"
#include "files.hpp"

namespace goldmill::agent {
namespace {

constexpr const char* kMountPoint = "/run/goldmill/source";
constexpr int kMostDevices = 256;

std::string label_of(const std::string& device) {
  const Descriptor file(open(device.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  std::string start(kLabelBytes, '\0');
  const ssize_t count = file ? pread(file.get(), start.data(), start.size(), 0) : 0;
  start.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return file_system_label(start);
}

void read_no_cloud(int directory, Identity& identity) {
  const auto meta_data = read_beneath(directory, "meta-data", kMostUserData);
  if (meta_data) {
    read_meta_data(meta_data.value(), identity);
  }
  auto user_data = read_beneath(directory, "user-data", kMostUserData);
  if (user_data) {
    read_cloud_config(user_data.value(), identity);
    identity.user_data = std::move(user_data).value();
  }
}

void read_config_drive(int directory, Identity& identity) {
  const auto meta_data = read_beneath(directory, "openstack/latest/meta_data.json", kMostUserData);
  if (meta_data) {
    read_openstack_meta_data(meta_data.value(), identity);
  }
  auto user_data = read_beneath(directory, "openstack/latest/user_data", kMostUserData);
  if (user_data) {
    read_cloud_config(user_data.value(), identity);
    identity.user_data = std::move(user_data).value();
  }
}

std::optional<Identity> read_device(const std::string& device, const std::string& label) {
  constexpr unsigned long kFlags = MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC;
  if (!make_directory(kMountPoint, 0700) ||
      (mount(device.c_str(), kMountPoint, "iso9660", kFlags, nullptr) != 0 &&
       mount(device.c_str(), kMountPoint, "vfat", kFlags, nullptr) != 0)) {
    return std::nullopt;
  }
  Identity identity;
  identity.source = label;
  {
    const Descriptor directory(open(kMountPoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (label == "cidata") {
      read_no_cloud(directory.get(), identity);
    } else {
      read_config_drive(directory.get(), identity);
    }
  }
  umount2(kMountPoint, MNT_DETACH);
  rmdir(kMountPoint);
  return identity;
}

bool may_hold_identity(const std::string& name) {
  return !name.starts_with(".") && !name.starts_with("loop") && !name.starts_with("ram") &&
         !name.starts_with("dm-") && !name.starts_with("md") && !name.starts_with("zram") &&
         !name.starts_with("fd");
}

}  // namespace

std::optional<Identity> read_disk_source() {
  DIR* directory = opendir("/sys/class/block");
  if (directory == nullptr) {
    return std::nullopt;
  }
  std::optional<Identity> identity;
  for (int count = 0; !identity && count < kMostDevices; ++count) {
    const dirent* entry = readdir(directory);
    if (entry == nullptr) {
      break;
    }
    const std::string name(entry->d_name);
    if (may_hold_identity(name)) {
      const std::string label = label_of("/dev/" + name);
      if (label == "cidata" || label == "config-2") {
        identity = read_device("/dev/" + name, label);
      }
    }
  }
  closedir(directory);
  return identity;
}

}  // namespace goldmill::agent
