// SPDX-License-Identifier: GPL-3.0-or-later
#include "grow.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "files.hpp"
#include "text.hpp"

// From the kernel's fs/ext4/ext4.h; no header of user space has it.
#define GOLDMILL_EXT4_IOC_RESIZE_FS _IOW('f', 16, std::uint64_t)

namespace goldmill::agent {
namespace {

Result<std::uint64_t> read_number(const std::string& path) {
  const std::string text = TRY(read_file(path, 64));
  const auto number = parse_number(trimmed(text));
  if (!number) {
    return Error{ErrorKind::corrupt, path + " holds no number"};
  }
  return *number;
}

Result<std::string> read_link(const std::string& path) {
  char target[512];
  const ssize_t length = readlink(path.c_str(), target, sizeof(target));
  if (length <= 0) {
    return system_error("reading the link " + path, errno);
  }
  return std::string(target, static_cast<std::size_t>(length));
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Result<std::string> read_head(int disk) {
  std::string head(kGptHead, '\0');
  const ssize_t count = pread(disk, head.data(), head.size(), 0);
  if (count != static_cast<ssize_t>(head.size())) {
    return system_error("reading the partition table", count < 0 ? errno : EIO);
  }
  return head;
}

Result<void> write_table(int disk, const GptGrowth& growth) {
  for (const auto& [offset, bytes] : growth.writes) {
    if (pwrite(disk, bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
            static_cast<ssize_t>(bytes.size()) ||
        fsync(disk) != 0) {
      return system_error("writing the partition table", errno);
    }
  }
  return {};
}

Result<void> tell_kernel(int disk, const DiskGeometry& geometry, std::uint64_t size) {
  blkpg_partition partition{};
  partition.start = static_cast<long long>(geometry.partition_start);
  partition.length = static_cast<long long>(size);
  partition.pno = geometry.partition;
  blkpg_ioctl_arg request{};
  request.op = BLKPG_RESIZE_PARTITION;
  request.datalen = sizeof(partition);
  request.data = &partition;
  if (ioctl(disk, BLKPG, &request) != 0) {
    return system_error("telling the kernel the partition's new size", errno);
  }
  return {};
}

Result<void> grow_partition(const RootDisk& root) {
  const Descriptor disk(open(root.disk.c_str(), O_RDWR | O_CLOEXEC));
  if (!disk) {
    return system_error("opening " + root.disk, errno);
  }
  DiskGeometry geometry = root.geometry;
  int block_size = 0;
  if (ioctl(disk.get(), BLKSSZGET, &block_size) != 0) {
    return system_error("asking for the block size of " + root.disk, errno);
  }
  geometry.block_size = static_cast<std::uint32_t>(block_size);
  const std::string head = TRY(read_head(disk.get()));
  const auto growth = TRY(plan_gpt_growth(head, geometry));
  if (!growth) {
    return {};
  }
  TRY(write_table(disk.get(), *growth));
  return tell_kernel(disk.get(), geometry, growth->partition_size);
}

/// The kernel does nothing when the file system has this size already, and never shrinks.
Result<void> grow_file_system(const std::string& partition) {
  struct statfs status {};
  if (statfs("/", &status) != 0 || status.f_type != EXT4_SUPER_MAGIC) {
    return {};
  }
  const Descriptor device(open(partition.c_str(), O_RDONLY | O_CLOEXEC));
  std::uint64_t size = 0;
  if (!device || ioctl(device.get(), BLKGETSIZE64, &size) != 0) {
    return system_error("asking for the size of " + partition, errno);
  }
  const Descriptor root(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::uint64_t blocks = size / static_cast<std::uint64_t>(status.f_bsize);
  if (!root || ioctl(root.get(), GOLDMILL_EXT4_IOC_RESIZE_FS, &blocks) != 0) {
    return system_error("growing the root file system", errno);
  }
  return {};
}

}  // namespace

std::string root_device(std::string_view mountinfo) {
  std::string device;
  for (const std::string_view line : lines_of(mountinfo)) {
    const auto fields = split(line, ' ');
    if (fields.size() > 4 && fields[3] == "/" && fields[4] == "/") {
      device = fields[2];  // the last one lies on top
    }
  }
  return device;
}

Result<RootDisk> find_root_disk() {
  const std::string mounts = TRY(read_file("/proc/self/mountinfo", std::size_t{1} << 20U));
  const std::string device = root_device(mounts);
  const std::string sysfs = "/sys/dev/block/" + device;
  const std::string link = TRY(read_link(sysfs));  // ../../devices/.../block/vda/vda3
  RootDisk root;
  root.geometry.partition = static_cast<int>(TRY(read_number(sysfs + "/partition")));
  root.geometry.partition_start = TRY(read_number(sysfs + "/start")) * 512;
  root.geometry.disk_size = TRY(read_number(sysfs + "/../size")) * 512;
  root.partition = "/dev/" + last_part(link);
  root.disk = "/dev/" + last_part(link.substr(0, link.rfind('/')));
  return root;
}

Result<void> grow_root_disk() {
  const auto root = find_root_disk();
  if (!root) {
    return {};  // root on a whole disk, on RAID or in memory: not ours to grow
  }
  // After a power cut between the two the file system may be behind its partition.
  const Result<void> partition = grow_partition(root.value());
  Result<void> file_system = grow_file_system(root.value().partition);
  TRY(partition);
  return file_system;
}

}  // namespace goldmill::agent
