// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <goldmill/base/bytes.hpp>
#include <goldmill/image/layout.hpp>

namespace goldmill::image {

using recipe::Firmware;
using recipe::Hardware;

namespace {
constexpr std::uint64_t kAlignment = (1_MiB).value;
constexpr std::uint64_t kBiosBootSize = (1_MiB).value;
constexpr std::uint64_t kEspSize = (64_MiB).value;
constexpr std::uint64_t kSmallestRoot = (64_MiB).value;

constexpr std::array<std::string_view, 5> kRoles = {"bios_boot", "esp", "data", "swap", "root"};
constexpr std::array<std::string_view, 5> kHardware = {"virtio", "nvme", "vmware", "hyperv", "xen"};
constexpr std::array<std::string_view, 2> kFirmware = {"bios", "uefi"};

template <typename Enum, std::size_t kCount>
Result<Enum> enum_of(const std::array<std::string_view, kCount>& names, std::string_view text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    return Error{ErrorKind::invalid_input, "a layout cannot hold '" + std::string(text) + "'"};
  }
  return static_cast<Enum>(found - names.begin());
}

std::uint64_t aligned_up(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

Error bad_disk(std::string message, std::string hint) {
  return Error{ErrorKind::invalid_input, "disk: " + std::move(message), std::move(hint)};
}

Result<void> check_label(const recipe::Partition& wanted) {
  const std::size_t limit = wanted.filesystem == "vfat" ? 11 : 16;
  if (wanted.label.size() > limit) {
    return bad_disk("the label '" + wanted.label + "' is too long",
                    "a label on " + wanted.filesystem + " has at most " + std::to_string(limit) +
                        " characters");
  }
  return {};
}

Result<void> check_mount(const recipe::Partition& wanted) {
  static const std::set<std::string> kInRoot = {"/boot", "/etc", "/usr", "/bin", "/sbin", "/lib"};
  if (kInRoot.contains(wanted.mount) || wanted.mount.starts_with("/boot/")) {
    return bad_disk("'" + wanted.mount + "' cannot be a partition of its own",
                    "the boot loader follows /vmlinuz in the root file system; leave it there");
  }
  return {};
}

/// The recipe's partition that holds "/", or a default one.
recipe::Partition root_of(const recipe::Disk& disk) {
  for (const recipe::Partition& partition : disk.partitions) {
    if (partition.mount == "/") {
      return partition;
    }
  }
  recipe::Partition root;
  root.name = "root";
  root.filesystem = disk.filesystem;
  root.mount = "/";
  return root;
}

LayoutPartition placed(const recipe::Partition& wanted, Role role) {
  LayoutPartition partition;
  partition.role = role;
  partition.name = wanted.name;
  partition.filesystem = wanted.filesystem;
  partition.mount = wanted.mount;
  partition.label = wanted.label.empty() ? wanted.name : wanted.label;
  if (partition.filesystem == "vfat") {  // which has capitals only, whatever is asked for
    std::transform(
        partition.label.begin(), partition.label.end(), partition.label.begin(), [](char c) {
          return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        });
  }
  return partition;
}

/// Appends at the first free aligned place.
void append(Layout& layout, LayoutPartition partition, std::uint64_t size) {
  partition.offset = layout.partitions.empty()
                         ? kAlignment
                         : layout.partitions.back().offset + layout.partitions.back().size;
  partition.size = aligned_up(size);
  layout.partitions.push_back(std::move(partition));
}

Result<void> append_users(Layout& layout, const recipe::Disk& disk) {
  std::set<std::string> mounts = {"/"};
  std::set<std::string> labels = {placed(root_of(disk), Role::root).label, "ESP"};
  for (const recipe::Partition& wanted : disk.partitions) {
    TRY(check_label(wanted));
    if (wanted.mount == "/") {
      continue;
    }
    TRY(check_mount(wanted));
    if (!wanted.size) {
      return bad_disk("partition '" + wanted.name + "' has no size",
                      "only the root file system takes what is left; it is always the last one");
    }
    const bool swap = wanted.filesystem == "swap";
    LayoutPartition partition = placed(wanted, swap ? Role::swap : Role::data);
    if (!swap && !mounts.insert(wanted.mount).second) {
      return bad_disk("'" + wanted.mount + "' is mounted twice", "give each its own mount point");
    }
    if (!labels.insert(partition.label).second) {
      return bad_disk("the label '" + partition.label + "' is used twice",
                      "/etc/fstab finds file systems by label: give each its own");
    }
    append(layout, std::move(partition), wanted.size->value);
  }
  return {};
}
}  // namespace

Result<Layout> Layout::make(const recipe::Disk& disk,
                            const recipe::Os& os,
                            const std::vector<Hardware>& hardware) {
  Layout layout;
  layout.os_family = os.family;
  layout.os_release = os.release;
  layout.architecture = os.architecture;
  layout.firmware = disk.boot;
  layout.hardware = hardware;
  layout.kernel_options = disk.kernel_options;
  layout.size = disk.size.value / kAlignment * kAlignment;
  append(layout, {Role::bios_boot, "bios", "", "", "", 0, 0}, kBiosBootSize);
  append(layout, {Role::esp, "esp", "vfat", "", "ESP", 0, 0}, kEspSize);
  TRY(append_users(layout, disk));
  const recipe::Partition wanted = root_of(disk);
  LayoutPartition root = placed(wanted, Role::root);
  if (root.filesystem != "ext4") {
    return bad_disk("the root file system cannot be '" + root.filesystem + "'", "use ext4");
  }
  if (root.label.empty()) {
    root.label = "root";
  }
  // The last MiB is for the second partition table.
  const std::uint64_t begin = layout.partitions.back().offset + layout.partitions.back().size;
  const std::uint64_t least = begin + kSmallestRoot + kAlignment;
  if (layout.size < least) {
    return bad_disk(to_text(disk.size) + " is too small for its partitions",
                    "set disk.size to at least " + to_text(Bytes{least}));
  }
  append(layout, std::move(root), layout.size - kAlignment - begin);
  return layout;
}

Json Layout::to_json() const {
  Json list = Json::array();
  for (const LayoutPartition& partition : partitions) {
    list.push_back({{"role", kRoles.at(static_cast<std::size_t>(partition.role))},
                    {"name", partition.name},
                    {"filesystem", partition.filesystem},
                    {"mount", partition.mount},
                    {"label", partition.label},
                    {"offset", partition.offset},
                    {"size", partition.size}});
  }
  Json boots = Json::array();
  for (const Firmware entry : firmware) {
    boots.push_back(recipe::name_of(entry));
  }
  Json devices = Json::array();
  for (const Hardware entry : hardware) {
    devices.push_back(recipe::name_of(entry));
  }
  Json json = {{"os", os_family + "/" + os_release},
               {"architecture", architecture},
               {"firmware", boots},
               {"hardware", devices},
               {"size", size},
               {"partitions", list}};
  if (!kernel_options.empty()) {
    json["kernel_options"] = kernel_options;
  }
  return json;
}

namespace {
Result<LayoutPartition> partition_of(const Json& json) {
  LayoutPartition partition;
  partition.role = TRY(enum_of<Role>(kRoles, TRY(string_at(json, "role"))));
  partition.name = TRY(string_at(json, "name"));
  partition.filesystem = TRY(string_at(json, "filesystem"));
  partition.mount = TRY(string_at(json, "mount"));
  partition.label = TRY(string_at(json, "label"));
  const std::int64_t offset = TRY(integer_at(json, "offset"));
  const std::int64_t size = TRY(integer_at(json, "size"));
  if (offset < 0 || size < 0) {
    return Error{ErrorKind::invalid_input, "a partition of the layout has a negative place"};
  }
  partition.offset = static_cast<std::uint64_t>(offset);
  partition.size = static_cast<std::uint64_t>(size);
  return partition;
}

/// Partitions that overlap or leave the disk would let one file system write over another.
Result<void> check_places(const Layout& layout) {
  std::uint64_t end = kAlignment;
  for (const LayoutPartition& partition : layout.partitions) {
    if (partition.offset < end || partition.size > layout.size ||
        partition.offset > layout.size - partition.size) {
      return Error{ErrorKind::invalid_input,
                   "partition '" + partition.name + "' of the layout overlaps or leaves the disk"};
    }
    end = partition.offset + partition.size;
  }
  return {};
}
}  // namespace

Result<Layout> Layout::from_json(const Json& json) {
  Layout layout;
  const std::string os = TRY(string_at(json, "os"));
  const std::size_t slash = os.find('/');
  layout.os_family = os.substr(0, slash);
  layout.os_release = slash == std::string::npos ? "" : os.substr(slash + 1);
  layout.architecture = TRY(string_at(json, "architecture"));
  for (const std::string& entry : find_strings(json, "firmware")) {
    layout.firmware.push_back(TRY(enum_of<Firmware>(kFirmware, entry)));
  }
  for (const std::string& entry : find_strings(json, "hardware")) {
    layout.hardware.push_back(TRY(enum_of<Hardware>(kHardware, entry)));
  }
  layout.kernel_options = find_strings(json, "kernel_options");
  const std::int64_t size = TRY(integer_at(json, "size"));
  layout.size = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0));
  const Json* list = find_value(json, "partitions");
  if (list == nullptr || !list->is_array() || list->size() > 120) {
    return Error{ErrorKind::invalid_input, "the layout has no list of partitions"};
  }
  for (const Json& entry : *list) {
    layout.partitions.push_back(TRY(partition_of(entry)));
  }
  TRY(check_places(layout));
  return layout;
}

bool Layout::has(Firmware wanted) const {
  return std::find(firmware.begin(), firmware.end(), wanted) != firmware.end();
}

bool Layout::has(Hardware wanted) const {
  return std::find(hardware.begin(), hardware.end(), wanted) != hardware.end();
}

const LayoutPartition* Layout::find(Role role) const {
  const auto found =
      std::find_if(partitions.begin(), partitions.end(), [role](const LayoutPartition& partition) {
        return partition.role == role;
      });
  return found == partitions.end() ? nullptr : &*found;
}

std::size_t Layout::number_of(const LayoutPartition& partition) const {
  GOLDMILL_ASSERT(&partition >= partitions.data() &&
                  &partition < partitions.data() + partitions.size());
  return static_cast<std::size_t>(&partition - partitions.data()) + 1;
}

std::string partition_type(const LayoutPartition& partition, std::string_view architecture) {
  switch (partition.role) {
    case Role::bios_boot:
      return "21686148-6449-6E6F-744E-656564454649";
    case Role::esp:
      return "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
    case Role::swap:
      return "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F";
    case Role::root:
      return architecture == "arm64" ? "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"
                                     : "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
    case Role::data:
      break;
  }
  static const std::map<std::string, std::string> kByMount = {
      {"/home", "933AC7E1-2EB4-4F13-B844-0E14E2AEF915"},
      {"/srv", "3B8F8425-20E0-4F3B-907F-1A25A76F98E8"},
      {"/var", "4D21B016-B534-45C2-A9FB-5C16E091FD2D"},
      {"/var/tmp", "7EC6F557-3BC5-4ACA-B293-16EF5DF639D1"}};
  const auto found = kByMount.find(partition.mount);
  return found == kByMount.end() ? "0FC63DAF-8483-4772-8E79-3D69D8477DE4" : found->second;
}

std::string fstab_text(const Layout& layout) {
  std::string text = "# Written when the image was made; file systems are found by label.\n";
  for (const LayoutPartition& partition : layout.partitions) {
    if (partition.role == Role::swap) {
      text += "LABEL=" + partition.label + " none swap sw 0 0\n";
    } else if (!partition.mount.empty()) {
      const bool root = partition.role == Role::root;
      text += "LABEL=" + partition.label + " " + partition.mount + " " + partition.filesystem +
              (root ? " defaults,errors=remount-ro 0 1\n" : " defaults 0 2\n");
    }
  }
  return text;
}

}  // namespace goldmill::image
