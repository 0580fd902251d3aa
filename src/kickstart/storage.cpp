// SPDX-License-Identifier: GPL-3.0-or-later
// Disks of a profile: part, logvol, raid, btrfs -> plain partitions with the same mounts.
#include <algorithm>
#include <charconv>

#include "translation.hpp"

namespace goldmill::kickstart {

namespace {
std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// What the firmware starts from, and what only holds other volumes.
bool is_boot_part(const std::string& mount) {
  return mount == "biosboot" || mount == "prepboot" || mount == "/boot/efi" || mount == "appleboot";
}
bool is_container(const std::string& mount) {
  return mount.starts_with("pv.") || mount.starts_with("raid.") || mount.starts_with("btrfs.");
}
}  // namespace

void Translation::part(const Command& command) {
  const std::string& mount = command.words.front();
  if (is_boot_part(mount) || command.value("fstype") == "efi" ||
      command.value("fstype") == "biosboot") {
    return mapped(command, "the boot partitions are always added");
  }
  if (is_container(mount)) {
    return changed(command, "what lies on it becomes partitions");
  }
  volume(command, mount, "");
}

void Translation::logvol(const Command& command) {
  if (command.has("thinpool")) {
    return changed(command, "its volumes become partitions");
  }
  volume(command, command.words.front(), "a partition instead of a logical volume");
}

void Translation::raid(const Command& command) {
  is_container(command.words.front())
      ? changed(command, "what lies on it becomes partitions")
      : volume(
            command, command.words.front(), "a partition: the host's storage is what is redundant");
}

void Translation::btrfs(const Command& command) {
  if (command.words.front() == "none") {
    return changed(command, "what lies on it becomes partitions");
  }
  volume(command, command.words.front(), "a partition with ext4 instead of btrfs");
}

void Translation::volume(const Command& command, const std::string& mount, std::string change) {
  const auto add = [&change](const std::string& more) {
    change += (change.empty() ? "" : "; ") + more;
  };
  Volume volume;
  volume.mount = mount;
  volume.mib = number(command.value("size"));
  volume.grows = command.has("grow") || command.has("percent");
  volume.label = command.value("label");
  volume.filesystem = "ext4";
  volume.place = here_;
  const std::string filesystem = command.value("fstype");
  if (mount == "swap" || filesystem == "swap") {
    volume.filesystem = "swap";
    volume.mount = "swap";
  } else if (!mount.starts_with('/')) {
    return not_applicable(command, "it is mounted nowhere");
  } else if (filesystem == "tmpfs") {
    return not_applicable(command, "a tmpfs takes no disk; systemd mounts /tmp so with tmp.mount");
  } else if (mount == "/boot") {
    return changed(command, "/boot is a directory of the root file system");
  } else if (filesystem == "vfat" && mount != "/") {
    volume.filesystem = "vfat";
  } else if (!filesystem.empty() && filesystem != "ext4" && command.name != "btrfs") {
    add("ext4 instead of " + filesystem);
  }
  for (const char* option : {"encrypted", "fsoptions", "mkfsoptions"}) {
    if (command.has(option)) {
      add(std::string("--") + option + " is not taken over");
    }
  }
  if (volumes_.add(volume)) {
    add("it replaces an earlier line");
  }
  change.empty() ? mapped(command) : changed(command, change);
}

void Translation::finish_disk() {
  const Json disk = volumes_.disk(places_);
  for (const auto& [key, value] : disk.items()) {
    recipe_["disk"][key] = value;
  }
}

}  // namespace goldmill::kickstart
