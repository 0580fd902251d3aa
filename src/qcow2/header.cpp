// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <string_view>

#include <unistd.h>

#include <goldmill/qcow2/header.hpp>

namespace goldmill::qcow2 {

namespace {
constexpr std::uint32_t kMagic = 0x514649fb;  // "QFI\xfb"
constexpr std::uint32_t kLength = 112;
constexpr std::uint32_t kBackingFormat = 0xe2792aca;  // an extension of the header
constexpr std::uint64_t kCompressionFeature = 1ULL << 3U;
constexpr std::size_t kLongestName = 1023;

/// The extensions, with the one that ends them.
std::string extensions_of(const Header& header) {
  std::string bytes;
  if (!header.backing.empty()) {
    append(bytes, kBackingFormat);
    append(bytes, static_cast<std::uint32_t>(header.backing_format.size()));
    bytes += header.backing_format;
    bytes.resize((bytes.size() + 7) / 8 * 8, '\0');
  }
  append<std::uint64_t>(bytes, 0);
  return bytes;
}

/// At most `size` bytes at an offset; fewer at the end of the file.
Result<std::string> read_at(int file, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  const ssize_t count = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (count < 0) {
    return system_error("cannot read a qcow2 header", errno);
  }
  bytes.resize(static_cast<std::size_t>(count));
  return bytes;
}
}  // namespace

Result<std::string> to_bytes(const Header& header) {
  if (header.backing.size() > kLongestName || header.backing_format.size() > 15) {
    return Error{ErrorKind::invalid_input, "the image's path is too long: " + header.backing};
  }
  const std::string extensions = extensions_of(header);
  const bool backed = !header.backing.empty();
  const bool zstd = header.compression == Compression::zstd;
  std::string bytes;
  append(bytes, kMagic);
  append<std::uint32_t>(bytes, 3);
  append<std::uint64_t>(bytes, backed ? kLength + extensions.size() : 0);
  append(bytes, static_cast<std::uint32_t>(header.backing.size()));
  append<std::uint32_t>(bytes, kClusterBits);
  append(bytes, header.size);
  append<std::uint32_t>(bytes, 0);  // not encrypted
  append(bytes, header.level1_entries);
  append(bytes, header.level1_table);
  append(bytes, header.refcount_table);
  append(bytes, header.refcount_table_clusters);
  append<std::uint32_t>(bytes, 0);  // no snapshots
  append<std::uint64_t>(bytes, 0);
  append<std::uint64_t>(bytes, zstd ? kCompressionFeature : 0);
  append<std::uint64_t>(bytes, 0);  // compatible features
  append<std::uint64_t>(bytes, 0);  // auto-clear features
  append<std::uint32_t>(bytes, 4);  // reference counts of 16 bits
  append(bytes, kLength);
  bytes += static_cast<char>(header.compression);
  bytes.resize(kLength, '\0');
  return bytes + extensions + header.backing;
}

Result<Header> read_header(int file) {
  const std::string bytes = TRY(read_at(file, 0, kLength));
  if (bytes.size() < 72 || number_at<std::uint32_t>(bytes, 0) != kMagic) {
    return Error{ErrorKind::invalid_input, "it is not a qcow2 file"};
  }
  Header header;
  header.size = number_at<std::uint64_t>(bytes, 24);
  header.level1_entries = number_at<std::uint32_t>(bytes, 36);
  header.level1_table = number_at<std::uint64_t>(bytes, 40);
  header.refcount_table = number_at<std::uint64_t>(bytes, 48);
  header.refcount_table_clusters = number_at<std::uint32_t>(bytes, 56);
  header.compression =
      bytes.size() > 104 && bytes[104] == 1 ? Compression::zstd : Compression::zlib;
  const auto name_length = number_at<std::uint32_t>(bytes, 16);
  const auto name_at = number_at<std::uint64_t>(bytes, 8);
  if (name_at == 0) {
    return header;
  }
  if (name_length > kLongestName || name_at > kCluster) {
    return Error{ErrorKind::invalid_input, "its qcow2 header is damaged"};
  }
  header.backing = TRY(read_at(file, name_at, name_length));
  return header.backing.size() == name_length
             ? Result<Header>(std::move(header))
             : Error{ErrorKind::invalid_input, "its qcow2 header is cut short"};
}

}  // namespace goldmill::qcow2
