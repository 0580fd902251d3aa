// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/machine/overlay.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

namespace {
constexpr std::uint64_t kClusterBits = 16;
constexpr std::uint64_t kCluster = 1U << kClusterBits;
constexpr std::uint32_t kMagic = 0x514649fb;  // "QFI\xfb"
constexpr std::uint32_t kHeaderLength = 104;

/// Big-endian numbers one after the other.
class Fields {
 public:
  Fields& u32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes_.push_back(static_cast<char>(value >> static_cast<unsigned>(shift)));
    }
    return *this;
  }
  Fields& u64(std::uint64_t value) {
    return u32(static_cast<std::uint32_t>(value >> 32U)).u32(static_cast<std::uint32_t>(value));
  }
  Fields& u16(std::uint16_t value) {
    bytes_.push_back(static_cast<char>(value >> 8U));
    bytes_.push_back(static_cast<char>(value));
    return *this;
  }
  Fields& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  Fields& pad_to(std::size_t multiple) {
    bytes_.resize((bytes_.size() + multiple - 1) / multiple * multiple, '\0');
    return *this;
  }
  std::size_t size() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::uint64_t read_u64(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

/// Clusters: 0 header, 1 reference-count table, 2 its one block, 3.. the level-1 table.
std::string header_cluster(const OverlaySpec& spec, std::uint32_t level1_entries) {
  constexpr std::uint32_t kBackingFormatExtension = 0xe2792aca;
  Fields tail;
  tail.u32(kBackingFormatExtension)
      .u32(static_cast<std::uint32_t>(spec.backing_format.size()))
      .text(spec.backing_format)
      .pad_to(8)
      .u32(0)
      .u32(0);
  Fields header;
  header.u32(kMagic)
      .u32(3)
      .u64(kHeaderLength + tail.size())
      .u32(static_cast<std::uint32_t>(spec.backing.size()))
      .u32(kClusterBits)
      .u64(spec.size.value)
      .u32(0)  // no encryption
      .u32(level1_entries)
      .u64(3 * kCluster)
      .u64(kCluster)
      .u32(1)  // clusters of the reference-count table
      .u32(0)  // no snapshots
      .u64(0)
      .u64(0)  // incompatible features
      .u64(0)  // compatible features
      .u64(0)  // auto-clear features
      .u32(4)  // reference counts of 16 bits
      .u32(kHeaderLength);
  return header.bytes() + tail.bytes() + spec.backing;
}

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

Result<void> fill(int file, const OverlaySpec& spec) {
  // A level-1 entry covers one level-2 table: 8192 clusters of 64 KiB.
  constexpr std::uint64_t kCovered = kCluster / 8 * kCluster;
  const auto entries = static_cast<std::uint32_t>((spec.size.value + kCovered - 1) / kCovered);
  const std::uint64_t clusters = 3 + (entries * 8ULL + kCluster - 1) / kCluster;
  Fields table;
  table.u64(2 * kCluster);
  Fields counts;
  for (std::uint64_t i = 0; i < clusters; ++i) {
    counts.u16(1);
  }
  TRY(write_at(file, header_cluster(spec, entries), 0));
  TRY(write_at(file, table.bytes(), kCluster));
  TRY(write_at(file, counts.bytes(), 2 * kCluster));
  // The last cluster may be cut short behind the table's entries; a reader sees zeros there.
  const std::uint64_t length = 3 * kCluster + (entries * 8ULL + 4095) / 4096 * 4096;
  if (::ftruncate(file, static_cast<off_t>(length)) != 0) {
    return system_error("cannot set the size", errno);
  }
  return {};
}
}  // namespace

Result<void> write_overlay(const std::filesystem::path& path, const OverlaySpec& spec) {
  constexpr Bytes kLargest{1ULL << 43U};  // 8 TiB: the level-1 table stays in two clusters
  if (spec.backing.size() > 1023 || spec.backing_format.size() > 15) {
    return Error{ErrorKind::invalid_input, "the image's path is too long: " + spec.backing};
  }
  if (spec.size.value == 0 || spec.size.value % 512 != 0 || spec.size > kLargest) {
    return Error{ErrorKind::invalid_input,
                 "no disk can have " + to_text(spec.size),
                 "choose a multiple of 512 bytes, at most 8 TiB"};
  }
  const auto file = TRY(system::open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  auto filled = fill(file.get(), spec);
  if (!filled) {
    ::unlink(path.c_str());
  }
  return std::move(filled).context(path.string());
}

Result<Bytes> virtual_size(const std::filesystem::path& disk, const std::string& format) {
  const auto file = TRY(system::open_file(disk, O_RDONLY));
  if (format == "raw") {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) {
      return system_error("cannot ask for the size of " + disk.string(), errno);
    }
    return Bytes{static_cast<std::uint64_t>(status.st_size)};
  }
  std::array<char, 32> header{};
  const ssize_t count = ::pread(file.get(), header.data(), header.size(), 0);
  const std::string_view bytes(header.data(), header.size());
  if (count != static_cast<ssize_t>(header.size()) || read_u64(bytes, 0) >> 32U != kMagic) {
    return Error{ErrorKind::invalid_input, disk.string() + " is not a qcow2 file"};
  }
  return Bytes{read_u64(bytes, 24)};
}

}  // namespace goldmill::machine
