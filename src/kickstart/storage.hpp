// SPDX-License-Identifier: GPL-3.0-or-later
// Storage: part, logvol, raid, volgroup, btrfs -> plain partitions with the same mounts.
#pragma once

#include <string>
#include <vector>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/profile.hpp>
#include <goldmill/kickstart/volumes.hpp>

#include "pools.hpp"

namespace goldmill::kickstart {

bool is_storage(const std::string& command);

class Storage {
 public:
  struct Placement {
    ImportRow::Verdict verdict = ImportRow::Verdict::mapped;
    std::string note = {};
  };

  /// All storage lines of the profile: a size may be known from a line that stands elsewhere.
  explicit Storage(const std::vector<Command>& lines) : pools_(lines) {}

  /// `where` is the line's place.
  Placement place(const Command& line, const Place& where);
  Json disk(Places& places) const { return volumes_.disk(places); }

 private:
  Placement place_volume(const Command& line, const Place& where);
  /// The reason why a line has no file system in a recipe; "" when it has.
  std::string refusal(const Command& line, const std::string& mount) const;
  void choose_size(const Command& line, Volume& volume);
  Room room_of(const Command& line);
  void choose_filesystem(const Command& line, Volume& volume);
  void choose_label(const Command& line, Volume& volume);

  Pools pools_;
  Volumes volumes_;
  std::string note_;  ///< of the line that is placed
};

}  // namespace goldmill::kickstart
