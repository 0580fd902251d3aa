// SPDX-License-Identifier: GPL-3.0-or-later
// Volumes: the file systems that an answer file asks for, as a recipe's `disk:`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/kickstart/place.hpp>

namespace goldmill::kickstart {

inline constexpr std::uint64_t kLeastVolumeMib = 64;

struct Volume {
  std::string mount;       ///< absolute path, or "swap"
  std::string filesystem;  ///< "ext4", "swap", "vfat"
  std::string label;
  std::uint64_t mib = 0;
  Place place = {};
};

class Volumes {
 public:
  /// Whether it takes the place of an earlier one with the same mount.
  bool add(const Volume& volume);
  /// Whether one with another mount has it; "" is none.
  bool has_label(const std::string& label, const std::string& mount) const;
  std::size_t size() const { return volumes_.size(); }
  /// {"size", "partitions"} for a recipe's `disk:`; empty without volumes. The root comes last,
  /// since it grows with the disk. One root alone needs no list. Names in the partition table, and
  /// labels where none is said, come from the mounts; each is there once. `places` gets where the
  /// volumes were said.
  Json disk(Places& places) const;

 private:
  static Json partitions(const std::vector<Volume>& volumes);

  std::vector<Volume> volumes_;
  std::map<std::string, std::size_t> by_mount_;
};

}  // namespace goldmill::kickstart
