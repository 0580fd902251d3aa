// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage.hpp"

#include <algorithm>

#include <goldmill/kickstart/recipe_words.hpp>

namespace goldmill::kickstart {

namespace {
using Verdict = ImportRow::Verdict;

constexpr std::uint64_t kStandardMib = 1024;  // where the profile leaves it to the machine
constexpr std::size_t kMostPartitions = 16;   // of a recipe

/// What the firmware starts from.
bool is_boot_part(const Command& line) {
  const std::string& mount = line.words.front();
  const std::string filesystem = line.value("fstype");
  return mount == "biosboot" || mount == "prepboot" || mount == "/boot/efi" ||
         mount == "appleboot" || filesystem == "efi" || filesystem == "biosboot";
}

bool is_swap(const Command& line) {
  return line.words.front() == "swap" || line.value("fstype") == "swap";
}

/// "/srv/" is "/srv".
std::string mount_of(const Command& line) {
  std::string mount = is_swap(line) ? "swap" : line.words.front();
  while (mount.size() > 1 && mount.ends_with('/')) {
    mount.pop_back();
  }
  return mount;
}

std::string in_mib(std::uint64_t mib) {
  return std::to_string(mib) + "MiB";
}

/// What a partition of a recipe is not.
std::string kind_of(const Command& line) {
  return line.name == "logvol"  ? "a partition instead of a logical volume"
         : line.name == "raid"  ? "a partition: the host's storage is what is redundant"
         : line.name == "btrfs" ? "a partition with ext4 instead of btrfs"
                                : "";
}
}  // namespace

bool is_storage(const std::string& command) {
  return has_word(" part partition logvol raid btrfs volgroup ", command);
}

Storage::Placement Storage::place(const Command& line, const Place& where) {
  const std::string& mount = line.words.front();
  if (line.name.starts_with("part") && is_boot_part(line)) {
    return {Verdict::mapped, "the boot partitions are always added"};
  }
  if (!mib_of(line.value("size"))) {
    return {Verdict::not_applicable, "no file system has a size of " + line.value("size") + "MiB"};
  }
  if (line.name == "volgroup" || line.has("thinpool")) {
    return {Verdict::changed,
            line.has("thinpool") ? "its volumes become partitions"
                                 : "its logical volumes become partitions"};
  }
  if (is_member_name(mount) || (line.name == "btrfs" && mount == "none")) {
    return {Verdict::changed, "what lies on it becomes partitions"};
  }
  return place_volume(line, where);
}

std::string Storage::refusal(const Command& line, const std::string& mount) const {
  if (mount != "swap" && !mount.starts_with('/')) {
    return "it is mounted nowhere";
  }
  if (mount != "swap" && line.value("fstype") == "tmpfs") {
    return "a tmpfs takes no disk; systemd mounts /tmp so with tmp.mount";
  }
  if (mount != "swap" && !is_mount_point(mount)) {
    return "a recipe mounts at paths of letters, digits, '.', '-' and '_', at most 8 deep";
  }
  return mount == "/" || volumes_.size() + 1 < kMostPartitions  // one place is the root's
             ? ""
             : "a recipe's disk has at most 16 partitions";
}

Storage::Placement Storage::place_volume(const Command& line, const Place& where) {
  Volume volume;
  volume.mount = mount_of(line);
  volume.place = where;
  if (std::string why = refusal(line, volume.mount); !why.empty()) {
    return {Verdict::not_applicable, std::move(why)};
  }
  note_ = kind_of(line);
  if (volume.mount == "/boot") {
    return {Verdict::changed, "/boot is a directory of the root file system"};
  }
  choose_filesystem(line, volume);
  choose_size(line, volume);
  choose_label(line, volume);
  if (volumes_.add(volume)) {
    add_note(note_, "it replaces an earlier line");
  }
  return {note_.empty() ? Verdict::mapped : Verdict::changed, note_};
}

void Storage::choose_filesystem(const Command& line, Volume& volume) {
  const std::string filesystem = line.value("fstype");
  volume.filesystem = "ext4";
  if (volume.mount == "swap") {
    volume.filesystem = "swap";
  } else if (filesystem == "vfat" && volume.mount != "/") {
    volume.filesystem = "vfat";
  } else if (!filesystem.empty() && filesystem != "ext4" && line.name != "btrfs") {
    add_note(note_, "ext4 instead of " + filesystem);
  }
}

/// What the line and those that it lies on say; a size that comes from others is noted.
Room Storage::room_of(const Command& line) {
  Room room{mib_of(line.value("size")).value_or(0), line.has("grow")};
  const char* from = nullptr;
  if (line.has("percent")) {
    const std::uint64_t percent =
        std::min<std::uint64_t>(mib_of(line.value("percent")).value_or(0), 100);
    const Room group = pools_.of_group(line.value("vgname"));
    room = {group.mib * percent / 100, room.grows || group.grows};
    from = "its part of the volume group";
  } else if (line.name == "raid") {
    room = pools_.of_members(line);
    from = "what its members hold";
  } else if (line.name == "btrfs") {
    room = pools_.of_pool(line);
    from = "its share of the pool";
  }
  if (from != nullptr && room.mib >= kLeastVolumeMib) {
    add_note(note_, in_mib(room.mib) + ", " + from);
  }
  return room;
}

/// Only a recipe's root, which is the last on the disk, grows.
void Storage::choose_size(const Command& line, Volume& volume) {
  const Room room = room_of(line);
  volume.mib = room.mib;
  if (volume.mount == "/") {
    if (!room.grows) {
      add_note(note_, "it takes what the other partitions leave of the disk");
    }
  } else if (room.grows) {
    const std::uint64_t most = mib_of(line.value("maxsize")).value_or(0);
    volume.mib = std::max(room.mib, most > 0 ? std::min(most, kStandardMib) : kStandardMib);
    add_note(note_, in_mib(volume.mib) + ": only the root grows with the disk");
  } else if (line.has("recommended") || line.has("hibernation")) {
    volume.mib = kStandardMib;
    add_note(note_, in_mib(volume.mib) + ": the memory of the machine is not known");
  } else if (room.mib == 0) {
    volume.mib = kStandardMib;
    add_note(note_, in_mib(volume.mib) + ": the profile does not say its size");
  } else if (room.mib < kLeastVolumeMib) {
    volume.mib = kLeastVolumeMib;
    add_note(note_, in_mib(volume.mib) + " at least");
  }
}

void Storage::choose_label(const Command& line, Volume& volume) {
  const std::string given = line.value("label");
  volume.label = fitting_label(given);
  if (volumes_.has_label(volume.label, volume.mount)) {
    volume.label.clear();
  }
  if (volume.label != given) {
    add_note(note_,
             volume.label.empty() ? "the label '" + given + "' is not taken over"
                                  : "the label '" + volume.label + "'");
  }
}

}  // namespace goldmill::kickstart
