// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <goldmill/kickstart/volumes.hpp>

namespace goldmill::kickstart {

namespace {
constexpr std::uint64_t kLeastMib = 4096;      // what a recipe's disk has by itself
constexpr std::uint64_t kBootMib = 256;        // for the boot partitions that are added
constexpr std::uint64_t kLeastRootMib = 2048;  // for a root that only says --grow

constexpr std::size_t kLongestName = 36;  // in a recipe
constexpr std::size_t kLongestLabel = 11;

std::string name_of_mount(const std::string& mount) {
  if (mount == "/") {
    return "root";
  }
  std::string name = mount.substr(1);
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

/// Cut to `longest`, and with a number where another has it already.
std::string distinct(const std::string& wanted, std::size_t longest, std::set<std::string>& taken) {
  std::string name = wanted.substr(0, longest);
  for (int number = 2; !taken.insert(name).second; ++number) {
    const std::string end = std::to_string(number);
    name = wanted.substr(0, longest - end.size()) + end;
  }
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

bool Volumes::has_label(const std::string& label, const std::string& mount) const {
  return !label.empty() && std::any_of(volumes_.begin(), volumes_.end(), [&](const Volume& other) {
    return other.label == label && (other.mount != mount || mount == "swap");
  });
}

Json Volumes::partitions(const std::vector<Volume>& volumes) {
  std::set<std::string> names;
  std::set<std::string> labels;
  for (const Volume& volume : volumes) {
    labels.insert(volume.label);
  }
  Json list = Json::array();
  for (const Volume& volume : volumes) {
    const bool is_swap = volume.filesystem == "swap";
    Json entry = {{"filesystem", volume.filesystem}};
    const std::string name =
        distinct(is_swap ? "swap" : name_of_mount(volume.mount), kLongestName, names);
    entry["name"] = name;
    const std::string own = name.substr(0, kLongestLabel);  // what a recipe labels it with
    const std::string label =
        volume.label.empty() ? distinct(own, kLongestLabel, labels) : volume.label;
    if (label != own) {
      entry["label"] = label;
    }
    if (!is_swap) {
      entry["mount"] = volume.mount;
    }
    if (volume.mount != "/") {
      entry["size"] = std::to_string(volume.mib) + "MiB";
    }
    list.push_back(std::move(entry));
  }
  return list;
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
    volumes.push_back({"/", "ext4", "", 0, volumes.front().place});
  }
  std::uint64_t sum = kBootMib;
  for (Volume& volume : volumes) {
    volume.mib = std::max(volume.mib, volume.mount == "/" ? kLeastRootMib : kLeastVolumeMib);
    sum += volume.mib;
  }
  const std::uint64_t size = std::max(kLeastMib, (sum + 1023) / 1024 * 1024);
  disk["size"] = std::to_string(size / 1024) + "GiB";
  places["disk.size"] = volumes.front().place;
  for (std::size_t index = 0; index < volumes.size(); ++index) {
    places[entry_path("disk.partitions", index)] = volumes[index].place;
  }
  if (volumes.size() > 1 || !volumes[0].label.empty()) {
    disk["partitions"] = partitions(volumes);
  }
  return disk;
}

}  // namespace goldmill::kickstart
