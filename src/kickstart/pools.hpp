// SPDX-License-Identifier: GPL-3.0-or-later
// Pools: what only holds other volumes, and how large it is: partitions for LVM, RAID and btrfs,
// arrays, volume groups, pools of btrfs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/kickstart/profile.hpp>

namespace goldmill::kickstart {

/// A size in MiB; when it grows, then at least that much.
struct Room {
  std::uint64_t mib = 0;
  bool grows = false;
};

/// The number in an option; nullopt: it is negative, or larger than any file system.
std::optional<std::uint64_t> mib_of(const std::string& text);

/// What is named like that holds other volumes: "pv.1".
bool is_member_name(const std::string& name);

class Pools {
 public:
  /// Every storage line of the profile, in any order.
  explicit Pools(const std::vector<Command>& lines);

  /// What a line's members hold together.
  Room of_members(const Command& line) const;
  Room of_group(const std::string& name) const { return room("group " + name); }
  /// The equal share that a line of btrfs has of its pool.
  Room of_pool(const Command& line) const;

 private:
  void add(const Command& line);
  Room room(const std::string& name) const;

  std::map<std::string, Room> rooms_;
  std::map<std::string, std::uint64_t> sharers_;  ///< how many are mounted of a pool
};

}  // namespace goldmill::kickstart
