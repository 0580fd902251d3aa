// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `disk:` and checks that its partitions make a disk.
#include <set>

#include "reader.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace {

/// Partition table, GRUB's partition and the EFI system partition, which the disk writer adds.
constexpr Bytes kBootPartitions = 128_MiB;
constexpr Bytes kSmallestRoot = 256_MiB;
constexpr std::size_t kPartitionLimit = 16;

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
  for (const std::string& part : {std::string("/./"), std::string("/../")}) {
    if ((partition.mount + "/").find(part) != std::string::npos) {
      return document.error(node, who + " is mounted at " + as_quote(partition.mount));
    }
  }
  return {};
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

Result<void> read_partitions(const Source& source, const Node& list, Disk& disk) {
  const Document& document = source.document;
  if (list.items.empty() || list.items.size() > kPartitionLimit) {
    return document.error(list,
                          "'disk.partitions' has " + std::to_string(list.items.size()) + " entries",
                          "write 1 to 16, or remove it to have one root file system");
  }
  std::set<std::string> names;
  std::set<std::string> labels;
  std::set<std::string> mounts;
  for (const Node& item : list.items) {
    Partition partition = read_partition(item);
    TRY(check_partition(document, item, partition, &item == &list.items.back()));
    if (!names.insert(partition.name).second || !labels.insert(partition.label).second) {
      return document.error(item,
                            "two partitions are named '" + partition.name + "' or labelled '" +
                                partition.label + "'");
    }
    if (!partition.mount.empty() && !mounts.insert(partition.mount).second) {
      return document.error(item, "two partitions are mounted at " + as_quote(partition.mount));
    }
    disk.partitions.push_back(std::move(partition));
  }
  return check_sizes(document, list, disk);
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
      disk.boot.push_back(item.text == "bios" ? Firmware::bios : Firmware::uefi);
    }
    if (disk.boot.empty()) {
      return source.document.error(*boot, "'disk.boot' is empty", "write bios, uefi or both");
    }
  }
  if (const Node* options = node.find("kernel_options")) {
    disk.kernel_options = texts_of(*options);
  }
  if (const Node* list = node.find("partitions")) {
    if (const Node* filesystem = node.find("filesystem")) {
      return source.document.error(*filesystem,
                                   "'disk' has both 'filesystem' and 'partitions'",
                                   "each partition names its own file system");
    }
    TRY(read_partitions(source, *list, disk));
  }
  return disk;
}

}  // namespace goldmill::recipe
