// SPDX-License-Identifier: GPL-3.0-or-later
// vhd: dynamic, with its exact size kept, for Azure and older Hyper-V. Written by qemu-img; the
// time and the random identifier in its two footers are then replaced.
#include <cerrno>
#include <cstring>

#include <sys/stat.h>

#include "formats.hpp"
#include "qemu_img.hpp"
#include "raw_disk.hpp"

namespace goldmill::exporter {

namespace {
// Source: Microsoft, Virtual Hard Disk Image Format Specification, "Hard Disk Footer Format".
constexpr std::size_t kFooter = 512;
constexpr std::size_t kTime = 24;
constexpr std::size_t kChecksum = 64;
constexpr std::size_t kIdentifier = 68;

/// The complement of the sum of all bytes but the checksum's own, big-endian.
void set_checksum(std::string& footer) {
  std::uint32_t sum = 0;
  std::memset(footer.data() + kChecksum, 0, 4);
  for (const char byte : footer) {
    sum += static_cast<unsigned char>(byte);
  }
  sum = ~sum;
  for (std::size_t i = 0; i < 4; ++i) {
    footer[kChecksum + i] = static_cast<char>(static_cast<std::uint8_t>(sum >> (24 - 8 * i)));
  }
}

Result<void> rewrite_footer(const Job& job, std::uint64_t offset) {
  std::string footer = TRY(output_bytes(job, offset, kFooter));
  if (footer.substr(0, 8) != "conectix") {
    return Error{ErrorKind::tool_failed, "qemu-img wrote a VHD of an unknown shape"};
  }
  std::memset(footer.data() + kTime, 0, 4);
  footer.replace(kIdentifier, 16, TRY(stable_bytes(job, "vhd", 16)));
  set_checksum(footer);
  return write_at(job.output, offset, footer.data(), footer.size());
}

Result<void> write_vhd(const Job& job) {
  TRY(convert_by_qemu_img(job, "vpc", {"subformat=dynamic", "force_size=on"}));
  struct stat status {};
  if (::fstat(job.output, &status) != 0) {
    return system_error("cannot measure the artifact", errno);
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < 2 * kFooter) {
    return Error{ErrorKind::tool_failed, "qemu-img wrote a VHD of an unknown shape"};
  }
  TRY(rewrite_footer(job, 0));
  return rewrite_footer(job, size - kFooter);
}
}  // namespace

Format vhd_format() {
  return {"vhd",
          "dynamic disk for Azure and older Hyper-V",
          ".vhd",
          recipe::Hardware::hyperv,
          {},
          write_vhd};
}

}  // namespace goldmill::exporter
