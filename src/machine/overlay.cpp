// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/machine/overlay.hpp>
#include <goldmill/qcow2/chain.hpp>
#include <goldmill/qcow2/header.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

namespace {
using qcow2::kCluster;

Result<void> write_at(int file, std::string_view content, std::uint64_t offset) {
  while (!content.empty()) {
    const ssize_t count =
        ::pwrite(file, content.data(), content.size(), static_cast<off_t>(offset));
    if (count < 0) {
      return system_error("cannot write", errno);
    }
    content.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

/// Clusters: 0 header, 1 reference-count table, 2 its one block, 3.. the level-1 table.
Result<void> fill(int file, const OverlaySpec& spec) {
  constexpr std::uint64_t kCovered = qcow2::kTableEntries * kCluster;  // by a level-1 entry
  qcow2::Header header;
  header.size = spec.size.value;
  header.level1_entries = static_cast<std::uint32_t>((spec.size.value + kCovered - 1) / kCovered);
  header.level1_table = 3 * kCluster;
  header.refcount_table = kCluster;
  header.backing = spec.backing;
  header.backing_format = spec.backing_format;
  const std::string first = TRY(qcow2::to_bytes(header));
  std::string table;
  qcow2::append(table, 2 * kCluster);
  std::string counts;
  const std::uint64_t clusters = 3 + qcow2::clusters_of(header.level1_entries * 8ULL);
  for (std::uint64_t i = 0; i < clusters; ++i) {
    qcow2::append<std::uint16_t>(counts, 1);
  }
  TRY(write_at(file, first, 0));
  TRY(write_at(file, table, kCluster));
  TRY(write_at(file, counts, 2 * kCluster));
  // The last cluster may be cut short behind the table's entries; a reader sees zeros there.
  const std::uint64_t length = 3 * kCluster + (header.level1_entries * 8ULL + 4095) / 4096 * 4096;
  if (::ftruncate(file, static_cast<off_t>(length)) != 0) {
    return system_error("cannot set the size", errno);
  }
  return {};
}
}  // namespace

Result<void> check_overlay_size(Bytes size) {
  constexpr Bytes kLargest{1ULL << 43U};  // 8 TiB: the level-1 table stays in two clusters
  if (size.value == 0 || size.value % 512 != 0 || size > kLargest) {
    return Error{ErrorKind::invalid_input,
                 "no disk can have " + to_text(size),
                 "choose a multiple of 512 bytes, at most 8 TiB"};
  }
  return {};
}

Result<void> write_overlay(const std::filesystem::path& path, const OverlaySpec& spec) {
  TRY(check_overlay_size(spec.size));
  const auto file = TRY(system::open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  auto filled = fill(file.get(), spec);
  if (!filled) {
    ::unlink(path.c_str());
  }
  return std::move(filled).context(path.string());
}

Result<Bytes> virtual_size(const std::filesystem::path& disk, const std::string& format) {
  const auto file = TRY(system::open_file(disk, O_RDONLY));
  if (format != "raw") {
    return Bytes{TRY(qcow2::read_header(file.get()).context(disk.string())).size};
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return system_error("cannot ask for the size of " + disk.string(), errno);
  }
  return Bytes{static_cast<std::uint64_t>(status.st_size)};
}

Result<ImageDisk> ImageDisk::open(const std::filesystem::path& disk, const std::string& format) {
  ImageDisk opened;
  if (format != "qcow2") {
    opened.files_.push_back(TRY(system::open_file(disk, O_RDONLY)));
    return opened;
  }
  for (qcow2::ChainLink& link : TRY(qcow2::open_chain(disk))) {
    opened.files_.push_back(std::move(link.file));
  }
  return opened;
}

std::vector<int> ImageDisk::files() const {
  std::vector<int> numbers;
  numbers.reserve(files_.size());
  for (const system::UniqueFd& file : files_) {
    numbers.push_back(file.get());
  }
  return numbers;
}

}  // namespace goldmill::machine
