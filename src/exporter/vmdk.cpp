// SPDX-License-Identifier: GPL-3.0-or-later
// vmdk: streamOptimized, as OVA files and vSphere imports take it. Written by qemu-img; its
// random content identifier and its idea of the file's name are then replaced.
#include <cstring>

#include "formats.hpp"
#include "qemu_img.hpp"
#include "raw_disk.hpp"

namespace goldmill::exporter {

namespace {
constexpr std::uint64_t kSector = 512;

/// Replaces what stands between `before` and `after`; false when that is not there.
bool replace_between(std::string& text,
                     std::string_view before,
                     std::string_view after,
                     std::string_view value) {
  const std::size_t at = text.find(before);
  if (at == std::string::npos) {
    return false;
  }
  const std::size_t begin = at + before.size();
  const std::size_t end = text.find(after, begin);
  if (end == std::string::npos) {
    return false;
  }
  text.replace(begin, end - begin, value);
  return true;
}

std::string hexadecimal(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

/// The name stands in a quoted string of the descriptor.
std::string printable(std::string name) {
  for (char& letter : name) {
    if (letter == '"' || static_cast<unsigned char>(letter) < ' ') {
      letter = '_';
    }
  }
  return name.substr(0, 255);
}

/// Source: VMware, Virtual Disk Format 1.1: the header's fields 28..43 say where the embedded
/// descriptor lies, in sectors.
Result<void> rewrite_descriptor(const Job& job) {
  const std::string header = TRY(output_bytes(job, 0, kSector));
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::memcpy(&offset, header.data() + 28, sizeof offset);
  std::memcpy(&length, header.data() + 36, sizeof length);
  if (header.substr(0, 4) != "KDMV" || offset == 0 || length == 0 || length > 2048) {
    return Error{ErrorKind::tool_failed, "qemu-img wrote a VMDK of an unknown shape"};
  }
  std::string text = TRY(output_bytes(job, offset * kSector, length * kSector));
  text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
  const std::string number = hexadecimal(TRY(stable_bytes(job, "vmdk", 4)));
  const bool known = replace_between(text, "\nCID=", "\n", number) &&
                     replace_between(text, " SPARSE \"", "\"", printable(job.file_name));
  if (!known || text.size() > length * kSector) {
    return Error{ErrorKind::tool_failed, "qemu-img wrote a VMDK descriptor of an unknown shape"};
  }
  text.resize(length * kSector);
  return write_at(job.output, offset * kSector, text.data(), text.size());
}

Result<void> write_vmdk(const Job& job) {
  TRY(convert_by_qemu_img(job, "vmdk", {"subformat=streamOptimized", "adapter_type=lsilogic"}));
  return rewrite_descriptor(job);
}
}  // namespace

Format vmdk_format() {
  return {"vmdk", "compressed disk for VMware", ".vmdk", recipe::Hardware::vmware, {}, write_vmdk};
}

}  // namespace goldmill::exporter
