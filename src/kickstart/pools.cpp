// SPDX-License-Identifier: GPL-3.0-or-later
#include "pools.hpp"

#include <algorithm>
#include <charconv>

#include <goldmill/kickstart/recipe_words.hpp>

#include "words.hpp"

namespace goldmill::kickstart {

namespace {
constexpr std::uint64_t kMostMib = std::uint64_t{16} << 20U;  // 16 TiB: ext4 with blocks of 4 KiB

/// "RAID1", "raid1" and "1" are one.
std::string level_of(const std::string& text) {
  const std::string level = lowered(text);
  return level.starts_with("raid") ? level.substr(4) : level;
}

/// md(4): what `count` members of at least `least` MiB hold, `sum` together.
std::uint64_t usable(const std::string& level, std::uint64_t count, Room least, Room sum) {
  const auto without = [&](std::uint64_t lost) {
    return count > lost ? (count - lost) * least.mib : 0;
  };
  if (level == "1") {
    return least.mib;
  }
  if (level == "4" || level == "5") {
    return without(1);
  }
  if (level == "6") {
    return without(2);
  }
  return level == "10" ? count * least.mib / 2 : sum.mib;
}

/// The pool that a line of btrfs makes or lies on: by its label, else by where it is mounted.
std::string pool_of(const Command& line) {
  if (!line.has("subvol")) {
    return line.has("label") ? line.value("label") : line.words.front();
  }
  const std::string& parent = line.words.back();
  return parent.starts_with("LABEL=") ? parent.substr(6) : parent;
}
}  // namespace

std::optional<std::uint64_t> mib_of(const std::string& text) {
  const char* const first = text.data() + (text.starts_with('+') ? 1 : 0);
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(first, text.data() + text.size(), value);
  return text.empty() || (parsed.ec == std::errc{} && value <= kMostMib) ? std::optional(value)
                                                                         : std::nullopt;
}

bool is_member_name(const std::string& name) {
  return name.starts_with("pv.") || name.starts_with("raid.") || name.starts_with("btrfs.");
}

Pools::Pools(const std::vector<Command>& lines) {
  for (const char* names : {" part partition ", " raid ", " volgroup ", " btrfs "}) {
    for (const Command& line : lines) {
      if (has_word(names, line.name)) {
        add(line);
      }
    }
  }
}

void Pools::add(const Command& line) {
  const std::string& name = line.words.front();
  if (line.name == "volgroup") {
    rooms_["group " + name] = of_members(line);
  } else if (line.name == "btrfs") {
    if (!line.has("subvol")) {
      rooms_["pool " + pool_of(line)] = of_members(line);
    }
    sharers_[pool_of(line)] += name.starts_with('/') ? 1 : 0;
  } else if (line.name == "raid") {
    rooms_[name] = of_members(line);
  } else {
    rooms_[name] = {mib_of(line.value("size")).value_or(0), line.has("grow")};
  }
}

Room Pools::room(const std::string& name) const {
  const auto found = rooms_.find(name);
  return found == rooms_.end() ? Room{} : found->second;
}

Room Pools::of_members(const Command& line) const {
  Room sum;
  Room least{kMostMib, false};
  for (std::size_t at = 1; at < line.words.size(); ++at) {
    const Room member = room(line.words[at]);
    sum = {sum.mib + member.mib, sum.grows || member.grows};
    least.mib = std::min(least.mib, member.mib);
  }
  const std::uint64_t members = line.words.size() - 1;
  if (members == 0) {
    return sum;
  }
  const std::uint64_t spares = mib_of(line.value("spares")).value_or(0);
  const std::uint64_t count = members - std::min(members, spares);
  const std::string level = level_of(line.value(line.name == "raid" ? "level" : "data"));
  const std::uint64_t mib = line.name == "btrfs" && level == "1"
                                ? sum.mib / 2  // each block is kept twice, on whichever members
                                : usable(level, count, least, sum);
  return {std::min(mib, kMostMib), sum.grows};
}

Room Pools::of_pool(const Command& line) const {
  const std::string pool = pool_of(line);
  const auto sharers = sharers_.find(pool);
  const Room whole = room("pool " + pool);
  const bool is_shared = sharers != sharers_.end() && sharers->second > 1;
  return {is_shared ? whole.mib / sharers->second : whole.mib, whole.grows};
}

}  // namespace goldmill::kickstart
