// SPDX-License-Identifier: GPL-3.0-or-later
// vhdx: dynamic, for Hyper-V. Written by qemu-img; its random identifiers are then replaced and
// its log, which is empty once the file is closed, is cleared of old entries.
#include <cerrno>
#include <cstring>

#include <fcntl.h>

#include "formats.hpp"
#include "qemu_img.hpp"
#include "raw_disk.hpp"

namespace goldmill::exporter {

namespace {
// Source: Microsoft, MS-VHDX 2.2 (headers, region table) and 2.6 (metadata).
constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kRegionTable = 192 * kKiB;
constexpr std::size_t kHeader = 4096;
constexpr std::size_t kTable = 64 * kKiB;
// The GUIDs as they lie in the file.
constexpr std::string_view kMetadataRegion(
    "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e", 16);
constexpr std::string_view kPage83(
    "\xab\x12\xca\xbe\xe6\xb2\x23\x45\x93\xef\xc3\x09\xe0\x00\xc7\x46", 16);

Error unknown_shape() {
  return Error{ErrorKind::tool_failed, "qemu-img wrote a VHDX of an unknown shape"};
}

template <typename Number>
Number get(std::string_view bytes, std::size_t at) {
  Number value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0);
    }
  }
  return ~crc;
}

Result<void> clear_log(const Job& job, std::string_view header) {
  const auto length = get<std::uint32_t>(header, 68);
  const auto offset = get<std::uint64_t>(header, 72);
  const bool used = header.substr(48, 16).find_first_not_of('\0') != std::string_view::npos;
  if (used || offset % (kKiB * kKiB) != 0 || length > (64U << 20) || offset == 0) {
    return unknown_shape();
  }
  const std::string zeros(length, '\0');
  return write_at(job.output, offset, zeros.data(), zeros.size());
}

/// The header with the higher number is the valid one; qemu-img starts from a random one.
Result<void> rewrite_header(const Job& job, std::uint64_t offset, std::uint64_t sequence) {
  std::string header = TRY(output_bytes(job, offset, kHeader));
  if (header.substr(0, 4) != "head") {
    return unknown_shape();
  }
  std::memcpy(header.data() + 8, &sequence, sizeof sequence);
  header.replace(16, 16, TRY(stable_bytes(job, "vhdx file", 16)));
  header.replace(32, 16, TRY(stable_bytes(job, "vhdx data", 16)));
  std::memset(header.data() + 4, 0, 4);
  const std::uint32_t checksum = crc32c(header);
  std::memcpy(header.data() + 4, &checksum, sizeof checksum);
  TRY(write_at(job.output, offset, header.data(), header.size()));
  return clear_log(job, header);
}

/// Where the entry with that GUID says that its content lies; both tables have entries of 32
/// bytes that begin with a GUID.
Result<std::size_t> find_entry(std::string_view table, std::size_t first, std::string_view guid) {
  for (std::size_t at = first; at + 32 <= table.size(); at += 32) {
    if (table.substr(at, 16) == guid) {
      return at;
    }
  }
  return unknown_shape();
}

Result<void> rewrite_identifier(const Job& job) {
  const std::string regions = TRY(output_bytes(job, kRegionTable, kTable));
  const std::size_t region = TRY(find_entry(regions, 16, kMetadataRegion));
  const auto begin = get<std::uint64_t>(regions, region + 16);
  const std::string metadata = TRY(output_bytes(job, begin, kTable));
  const std::size_t item = TRY(find_entry(metadata, 32, kPage83));
  const auto offset = get<std::uint32_t>(metadata, item + 16);
  const std::string identifier = TRY(stable_bytes(job, "vhdx disk", 16));
  return write_at(job.output, begin + offset, identifier.data(), identifier.size());
}

Result<void> write_vhdx(const Job& job) {
  TRY(convert_by_qemu_img(job, "vhdx", {"subformat=dynamic"}));
  const std::string first = TRY(output_bytes(job, 64 * kKiB, kHeader));
  const std::string second = TRY(output_bytes(job, 128 * kKiB, kHeader));
  const bool first_is_newer = get<std::uint64_t>(first, 8) > get<std::uint64_t>(second, 8);
  TRY(rewrite_header(job, 64 * kKiB, first_is_newer ? 2 : 1));
  TRY(rewrite_header(job, 128 * kKiB, first_is_newer ? 1 : 2));
  return rewrite_identifier(job);
}
}  // namespace

Format vhdx_format() {
  return {"vhdx", "dynamic disk for Hyper-V", ".vhdx", recipe::Hardware::hyperv, {}, write_vhdx};
}

}  // namespace goldmill::exporter
