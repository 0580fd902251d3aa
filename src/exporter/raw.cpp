// SPDX-License-Identifier: GPL-3.0-or-later
// raw: the disk as it is; shares its blocks where the file system can, and keeps its holes.
#include <algorithm>
#include <cerrno>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "formats.hpp"
#include "raw_disk.hpp"

namespace goldmill::exporter {

namespace {
constexpr std::uint64_t kPiece = 8U << 20;

Result<void> copy_piece(const RawDisk& disk, int output, std::uint64_t at, std::uint64_t size) {
  std::string piece(size, '\0');
  TRY(disk.read(at, piece.data(), piece.size()));
  constexpr std::size_t kMost = 64U << 10;
  for (std::size_t done = 0; done < piece.size(); done += kMost) {
    const std::size_t grain = std::min(kMost, piece.size() - done);
    if (!is_zero(piece.data() + done, grain)) {
      TRY(write_at(output, at + done, piece.data() + done, grain));
    }
  }
  return {};
}

Result<void> write_raw(const Job& job) {
  const RawDisk disk = TRY(RawDisk::open(job.source.disk));
  if (::ioctl(job.output, FICLONE, disk.descriptor()) == 0) {
    return {};
  }
  if (::ftruncate(job.output, static_cast<off_t>(disk.size())) != 0) {
    return system_error("cannot size the artifact", errno);
  }
  for (const Extent& extent : TRY(disk.data())) {
    for (std::uint64_t at = extent.begin; at < extent.end; at += kPiece) {
      TRY(check_cancelled(job.progress));
      TRY(copy_piece(disk, job.output, at, std::min(kPiece, extent.end - at)));
      if (job.progress.show) {
        job.progress.show(at, disk.size());
      }
    }
  }
  return {};
}
}  // namespace

Format raw_format() {
  return {"raw", "the disk itself, sparse", ".raw", std::nullopt, {}, write_raw};
}

}  // namespace goldmill::exporter
