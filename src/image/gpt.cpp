// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <cstring>
#include <memory>

#include <libfdisk/libfdisk.h>
#include <unistd.h>

#include <goldmill/image/gpt.hpp>
#include <goldmill/system/file.hpp>

#include "region.hpp"

namespace goldmill::image {

namespace {
constexpr std::uint64_t kSector = 512;

struct FreeContext {
  void operator()(fdisk_context* context) const {
    fdisk_deassign_device(context, 1);  // 1: without syncing
    fdisk_unref_context(context);
  }
};
struct FreePartition {
  void operator()(fdisk_partition* partition) const { fdisk_unref_partition(partition); }
};
using Context = std::unique_ptr<fdisk_context, FreeContext>;
using Partition = std::unique_ptr<fdisk_partition, FreePartition>;

/// libfdisk returns 0 or a negative errno.
Result<void> checked(int code, const char* what) {
  if (code < 0) {
    return system_error(what, -code);
  }
  return {};
}

Result<void> add_partition(fdisk_context* context,
                           const Layout& layout,
                           const LayoutPartition& wanted,
                           const Identity& identity) {
  const std::size_t number = layout.number_of(wanted);
  const Partition partition(fdisk_new_partition());
  fdisk_parttype* type = fdisk_label_get_parttype_from_string(
      fdisk_get_label(context, nullptr), partition_type(wanted, layout.architecture).c_str());
  if (!partition || type == nullptr) {
    return Error{ErrorKind::internal, "libfdisk does not know a partition type"};
  }
  const std::string uuid = identity.uuid("partition " + std::to_string(number)).text();
  fdisk_partition_set_partno(partition.get(), number - 1);
  fdisk_partition_set_start(partition.get(), wanted.offset / kSector);
  fdisk_partition_set_size(partition.get(), wanted.size / kSector);
  fdisk_partition_set_name(partition.get(), wanted.name.c_str());
  fdisk_partition_set_uuid(partition.get(), uuid.c_str());
  fdisk_partition_set_type(partition.get(), type);
  std::size_t given = 0;
  const int code = fdisk_add_partition(context, partition.get(), &given);
  fdisk_unref_parttype(type);
  return checked(code, "cannot add a partition");
}
}  // namespace

Result<void> write_partition_table(int disk, const Layout& layout, const Identity& identity) {
  const Context context(fdisk_new_context());
  fdisk_disable_dialogs(context.get(), 1);
  // Not what the machine's storage prefers: the layout is the same everywhere.
  fdisk_save_user_sector_size(context.get(), kSector, kSector);
  TRY(checked(fdisk_assign_device_by_fd(context.get(), disk, "disk", 0), "cannot use the disk"));
  TRY(checked(fdisk_create_disklabel(context.get(), "gpt"), "cannot make a partition table"));
  TRY(checked(
      fdisk_set_disklabel_id_from_string(context.get(), identity.uuid("disk").text().c_str()),
      "cannot set the disk's identifier"));
  for (const LayoutPartition& partition : layout.partitions) {
    TRY(add_partition(context.get(), layout, partition, identity)
            .context("partition " + partition.name));
  }
  return checked(fdisk_write_disklabel(context.get()), "cannot write the partition table");
}

namespace {
template <typename Number>
void put(std::string& bytes, std::size_t at, Number value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// GRUB_BOOT_MACHINE_KERNEL_SECTOR, _DRIVE_CHECK and the code's end, before the NT magic.
constexpr std::size_t kKernelSector = 0x5c;
constexpr std::size_t kDriveCheck = 0x66;
constexpr std::size_t kCodeEnd = 440;
// The block list at the end of core.img's first sector: start, length, segment.
constexpr std::size_t kBlockList = 0x1f4;
constexpr std::uint16_t kKernelSegment = 0x820;
}  // namespace

Result<void> write_bios_boot(int disk,
                             const Layout& layout,
                             std::string_view boot_image,
                             std::string_view core_image) {
  const LayoutPartition* place = layout.find(Role::bios_boot);
  if (place == nullptr) {
    return Error{ErrorKind::invalid_input, "the layout has no BIOS boot partition"};
  }
  if (boot_image.size() != kSector || core_image.size() <= kSector ||
      core_image.size() > place->size) {
    return Error{ErrorKind::invalid_input,
                 "boot.img or core.img of the guest's GRUB has a size that cannot be right (" +
                     std::to_string(boot_image.size()) + ", " + std::to_string(core_image.size()) +
                     " bytes)"};
  }
  const std::uint64_t first = place->offset / kSector;
  std::string core(core_image);
  core.resize((core.size() + kSector - 1) / kSector * kSector);
  put<std::uint64_t>(core, kBlockList, first + 1);
  put<std::uint16_t>(core, kBlockList + 8, static_cast<std::uint16_t>(core.size() / kSector - 1));
  put<std::uint16_t>(core, kBlockList + 10, kKernelSegment);
  std::string boot(boot_image.substr(0, kCodeEnd));
  put<std::uint64_t>(boot, kKernelSector, first);
  put<std::uint16_t>(boot, kDriveCheck, 0x9090);  // nop, nop: use the drive that BIOS names
  TRY(write_at(disk, 0, boot));
  return write_at(disk, place->offset, core);
}

}  // namespace goldmill::image
