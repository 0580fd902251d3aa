// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `disk:` and checks that its partitions make a disk.
#include <algorithm>
#include <array>
#include <set>

#include "reader.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace {

/// Partition table, GRUB's partition and the EFI system partition, which the disk writer adds.
constexpr Bytes kBootPartitions = 128_MiB;
constexpr Bytes kSmallestRoot = 256_MiB;
constexpr std::size_t kPartitionLimit = 16;
/// Of the EFI system partition.
constexpr const char* kBootLabel = "ESP";
/// What the machine reads before it mounts anything else.
constexpr std::array<std::string_view, 6> kInRoot = {
    "/boot", "/etc", "/usr", "/bin", "/sbin", "/lib"};

/// Sizes that the disk writer makes a file system of.
struct Range {
  std::string_view filesystem;
  Bytes least;
  Bytes most;
  const char* text;
};
constexpr std::array<Range, 3> kRanges = {{
    // A smaller one has no journal; a larger one's resize inode does not reach all blocks, and no
    // file of a host's ext4 holds it.
    {"ext4", 8_MiB, 16384_GiB, "8MiB to 16TiB"},
    // Pages are counted in 32 bits.
    {"swap", Bytes{1}, 16384_GiB, "up to 16TiB"},
    // FAT32: 65,525 clusters or more; sectors are counted in 32 bits.
    {"vfat", 33_MiB, 2097151_MiB, "33MiB to 2097151MiB"},
}};

Partition read_partition(const Node& node) {
  Partition partition{.name = {}, .size = {}, .filesystem = "ext4", .mount = {}, .label = {}};
  read_text(node, "name", partition.name);
  read_text(node, "filesystem", partition.filesystem);
  read_text(node, "mount", partition.mount);
  partition.label = partition.name.substr(0, 11);
  read_text(node, "label", partition.label);
  if (const Node* size = node.find("size")) {
    partition.size = size_of(*size);
  }
  return partition;
}

const Range& range_of(const std::string& filesystem) {
  const auto found = std::find_if(kRanges.begin(), kRanges.end(), [&](const Range& range) {
    return range.filesystem == filesystem;
  });
  GOLDMILL_ASSERT(found != kRanges.end());
  return *found;
}

Result<void> check_mount(const Document& document, const Node& node, const Partition& partition) {
  const std::string& mount = partition.mount;
  for (const std::string& part : {std::string("/./"), std::string("/../")}) {
    if ((mount + "/").find(part) != std::string::npos) {
      return document.error(
          node, "the partition '" + partition.name + "' is mounted at " + as_quote(mount));
    }
  }
  if (std::find(kInRoot.begin(), kInRoot.end(), mount) != kInRoot.end() ||
      mount.starts_with("/boot/")) {
    return document.error(*node.find("mount"),
                          as_quote(mount) + " cannot be a partition of its own",
                          "the machine needs it before it mounts partitions: leave it in the root");
  }
  return {};
}

Result<void> check_partition(const Document& document,
                             const Node& node,
                             const Partition& partition,
                             bool is_last) {
  const std::string who = "the partition '" + partition.name + "'";
  const bool is_swap = partition.filesystem == "swap";
  if (is_swap != partition.mount.empty()) {
    return document.error(node,
                          who + (is_swap ? " is swap and has a mount point" : " has no 'mount'"),
                          is_swap ? "remove 'mount'" : "add 'mount: /...', or 'filesystem: swap'");
  }
  if ((partition.mount == "/") != is_last) {
    return document.error(node,
                          "the last partition must be the root, mounted at '/'",
                          "move it to the end: it grows with the disk");
  }
  if (is_last && partition.filesystem != "ext4") {
    return document.error(node, "the root partition must be ext4");
  }
  if (!is_last && !partition.size) {
    return document.error(
        node, who + " has no size", "only the last one may omit it: it gets the rest of the disk");
  }
  return check_mount(document, node, partition);
}

Result<void> check_sizes(const Document& document, const Node& node, const Disk& disk) {
  std::uint64_t needed = kBootPartitions.value;
  for (const Partition& partition : disk.partitions) {
    const std::uint64_t size = partition.size.value_or(kSmallestRoot).value;
    if (size > disk.size.value - needed) {
      return document.error(node,
                            "the partitions do not fit on a disk of " + to_text(disk.size),
                            to_text(kBootPartitions) + " are for booting, the root needs " +
                                to_text(kSmallestRoot) + " or more: raise disk.size");
    }
    needed += size;
  }
  return {};
}

/// Which partitions there are already.
struct Taken {
  std::set<std::string> names;
  std::set<std::string> labels = {kBootLabel};
  std::set<std::string> mounts;
};

Result<void> check_distinct(const Document& document,
                            const Node& node,
                            const Partition& partition,
                            Taken& taken) {
  if (!taken.names.insert(partition.name).second) {
    return document.error(*node.find("name"),
                          "two partitions are named '" + partition.name + "'",
                          "give each a name of its own");
  }
  if (!taken.labels.insert(partition.label).second) {
    const Node* label = node.find("label");
    const bool is_boot = partition.label == kBootLabel;
    return document.error(label == nullptr ? node : *label,
                          "the label '" + partition.label +
                              (is_boot ? "' is the boot partition's" : "' is used twice"),
                          "file systems are found by label: give each its own, by default it is "
                          "the start of the name");
  }
  if (!partition.mount.empty() && !taken.mounts.insert(partition.mount).second) {
    return document.error(node, "two partitions are mounted at " + as_quote(partition.mount));
  }
  return {};
}

Result<void> read_partitions(const Source& source, const Node& list, Disk& disk) {
  const Document& document = source.document;
  if (list.items.empty() || list.items.size() > kPartitionLimit) {
    return document.error(list,
                          "'disk.partitions' has " + std::to_string(list.items.size()) + " entries",
                          "write 1 to 16, or remove it to have one root file system");
  }
  Taken taken;
  for (const Node& item : list.items) {
    Partition partition = read_partition(item);
    TRY(check_partition(document, item, partition, &item == &list.items.back()));
    TRY(check_distinct(document, item, partition, taken));
    disk.partitions.push_back(std::move(partition));
  }
  return check_sizes(document, list, disk);
}

/// What fits on the disk, but is too little or too much for a file system. The root has the rest.
Result<void> check_ranges(const Document& document, const Node& node, const Disk& disk) {
  std::uint64_t rest = disk.size.value;
  for (std::size_t at = 0; at + 1 < disk.partitions.size(); ++at) {
    const Partition& partition = disk.partitions[at];
    const Range& range = range_of(partition.filesystem);
    const bool is_small = *partition.size < range.least;
    if (is_small || *partition.size > range.most) {
      return document.error(*node.find("partitions")->items[at].find("size"),
                            "the partition '" + partition.name + "' is too " +
                                (is_small ? "small" : "large") + " for " + partition.filesystem,
                            std::string("it can have ") + range.text);
    }
    rest -= partition.size->value;
  }
  if (rest > range_of("ext4").most.value + kBootPartitions.value) {
    return document.error(
        *node.find("size"),
        "a disk of " + to_text(disk.size) + " is too large",
        "its root would have " + to_text(Bytes{rest}) + ", and an ext4 has at most 16TiB");
  }
  return {};
}

}  // namespace

Result<Disk> read_disk(const Source& source, const Node& node) {
  Disk disk;
  if (const Node* size = node.find("size")) {
    disk.size = size_of(*size);
    if (disk.size < kBootPartitions ||
        disk.size.value - kBootPartitions.value < kSmallestRoot.value) {
      return source.document.error(
          *size, "a disk of " + to_text(disk.size) + " is too small", "the smallest is 384MiB");
    }
  }
  read_text(node, "filesystem", disk.filesystem);
  if (const Node* boot = node.find("boot")) {
    disk.boot.clear();
    for (const Node& item : boot->items) {
      const Firmware firmware = item.text == "bios" ? Firmware::bios : Firmware::uefi;
      if (std::find(disk.boot.begin(), disk.boot.end(), firmware) != disk.boot.end()) {
        return source.document.error(item, as_quote(item.text) + " is there twice", "keep one");
      }
      disk.boot.push_back(firmware);
    }
    if (disk.boot.empty()) {
      return source.document.error(*boot, "'disk.boot' is empty", "write bios, uefi or both");
    }
  }
  if (const Node* options = node.find("kernel_options")) {
    disk.kernel_options = texts_of(*options);
    for (const Node& option : options->items) {
      if (option.text.starts_with("root=")) {
        return source.document.error(option,
                                     as_quote(option.text) + " is not the recipe's to say",
                                     "leave it out: the disk's own root is the kernel's");
      }
    }
  }
  if (const Node* list = node.find("partitions")) {
    if (const Node* filesystem = node.find("filesystem")) {
      return source.document.error(*filesystem,
                                   "'disk' has both 'filesystem' and 'partitions'",
                                   "each partition names its own file system");
    }
    TRY(read_partitions(source, *list, disk));
  }
  TRY(check_ranges(source.document, node, disk));
  return disk;
}

}  // namespace goldmill::recipe
