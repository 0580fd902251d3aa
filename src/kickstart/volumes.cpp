// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/kickstart/volumes.hpp>

namespace goldmill::kickstart {

namespace {
constexpr std::uint64_t kLeastMib = 4096;      // what a recipe's disk has by itself
constexpr std::uint64_t kBootMib = 256;        // for the boot partitions that are added
constexpr std::uint64_t kLeastRootMib = 2048;  // for a root that only says --grow

std::string name_of_mount(const std::string& mount) {
  if (mount == "/") {
    return "root";
  }
  std::string name = mount.substr(1);
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}
}  // namespace

bool Volumes::add(const Volume& volume) {
  if (volume.mount != "swap") {
    const auto [known, is_new] = by_mount_.try_emplace(volume.mount, volumes_.size());
    if (!is_new) {
      volumes_[known->second] = volume;
      return true;
    }
  }
  volumes_.push_back(volume);
  return false;
}

Json Volumes::disk(Places& places) const {
  Json disk = Json::object();
  if (volumes_.empty()) {
    return disk;
  }
  std::vector<Volume> volumes = volumes_;
  std::stable_partition(
      volumes.begin(), volumes.end(), [](const Volume& volume) { return volume.mount != "/"; });
  if (volumes.back().mount != "/") {
    volumes.push_back({"/", "ext4", "", 0, true, volumes.front().place});
  }
  std::uint64_t sum = kBootMib;
  Json list = Json::array();
  int swaps = 0;
  for (const Volume& volume : volumes) {
    const bool is_root = volume.mount == "/";
    const bool is_swap = volume.filesystem == "swap";
    const std::uint64_t mib = std::max(volume.mib, is_root ? kLeastRootMib : std::uint64_t{64});
    sum += mib;
    Json entry = {{"filesystem", volume.filesystem}};
    entry["name"] = !is_swap       ? name_of_mount(volume.mount)
                    : swaps++ == 0 ? "swap"
                                   : "swap" + std::to_string(swaps);
    if (!is_swap) {
      entry["mount"] = volume.mount;
    }
    if (!volume.label.empty()) {
      entry["label"] = volume.label;
    }
    if (!is_root) {
      entry["size"] = std::to_string(mib) + "MiB";
    }
    places[entry_path("disk.partitions", list.size())] = volume.place;
    list.push_back(std::move(entry));
  }
  const std::uint64_t size = std::max(kLeastMib, (sum + 1023) / 1024 * 1024);
  disk["size"] = std::to_string(size / 1024) + "GiB";
  places["disk.size"] = volumes.front().place;
  if (list.size() > 1 || list[0].contains("label")) {
    disk["partitions"] = std::move(list);
  }
  return disk;
}

}  // namespace goldmill::kickstart
