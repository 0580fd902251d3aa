// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include <goldmill/store/tar.hpp>

namespace goldmill::store {

namespace {
constexpr std::size_t kBlock = 512;
constexpr std::size_t kBuffer = 1U << 20;
constexpr std::uint64_t kLargestOctal11 = (std::uint64_t{1} << 33) - 1;
constexpr std::uint64_t kLargestOctal7 = (std::uint64_t{1} << 21) - 1;

struct Header {  // POSIX.1-2001, pax: ustar header block
  std::array<char, 100> name{};
  std::array<char, 8> mode{};
  std::array<char, 8> user{};
  std::array<char, 8> group{};
  std::array<char, 12> size{};
  std::array<char, 12> time{};
  std::array<char, 8> checksum{};
  char kind = '0';
  std::array<char, 100> target{};
  std::array<char, 6> magic = {'u', 's', 't', 'a', 'r', '\0'};
  std::array<char, 2> version = {'0', '0'};
  std::array<char, 32> user_name{};
  std::array<char, 32> group_name{};
  std::array<char, 8> major{};
  std::array<char, 8> minor{};
  std::array<char, 155> prefix{};
  std::array<char, 12> unused{};
};
static_assert(sizeof(Header) == kBlock);

/// Zero-filled octal digits and a NUL; a value that does not fit becomes 0 (a pax record has it).
template <std::size_t N>
void put_octal(std::array<char, N>& field, std::uint64_t value) {
  for (std::size_t i = N - 1; i-- > 0; value >>= 3U) {
    field.at(i) = static_cast<char>('0' + (value & 7U));
  }
}

template <std::size_t N>
void put_text(std::array<char, N>& field, std::string_view text) {
  std::copy_n(text.begin(), std::min(N, text.size()), field.begin());
}

bool is_ascii(std::string_view text) {
  return std::all_of(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0 || i + length > text.size()) {
      return false;
    }
    std::uint32_t point = length == 1 ? first : first & (0x7FU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0U) != 0x80U) {
        return false;
      }
      point = (point << 6U) | (next & 0x3FU);
    }
    if ((length == 3 && point < 0x800) || (length == 4 && (point < 0x10000 || point > 0x10FFFF)) ||
        (point >= 0xD800 && point <= 0xDFFF)) {
      return false;
    }
    i += length;
  }
  return true;
}

/// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) {
    length = std::to_string(length).size() + rest;
  }
  std::string record = std::to_string(length);
  record.append(" ").append(key).append("=").append(value).append("\n");
  return record;
}

/// The path in name, or split at a "/" between prefix and name. False when neither holds it.
bool put_path(Header& header, const std::string& path) {
  if (path.size() <= header.name.size()) {
    put_text(header.name, path);
    return is_ascii(path);
  }
  const std::size_t slash = path.rfind('/', header.prefix.size());
  if (slash == std::string::npos || slash == 0 || path.size() - slash - 1 > header.name.size() ||
      slash + 1 == path.size()) {
    put_text(header.name, path);
    return false;
  }
  put_text(header.prefix, std::string_view(path).substr(0, slash));
  put_text(header.name, std::string_view(path).substr(slash + 1));
  return is_ascii(path);
}

void put_checksum(Header& header) {
  header.checksum.fill(' ');
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  unsigned sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    sum += bytes[i];
  }
  (void)std::snprintf(header.checksum.data(), header.checksum.size(), "%06o", sum);
  header.checksum[7] = ' ';
}

std::string_view bytes_of(const Header& header) {
  return {reinterpret_cast<const char*>(&header), kBlock};
}

/// The records for everything that the header could not hold, in a fixed order.
std::string pax_records(const TarEntry& entry,
                        const std::string& path,
                        bool has_path,
                        bool has_target) {
  std::map<std::string, std::string> records;
  if (!has_path) {
    records["path"] = path;
  }
  if (!has_target) {
    records["linkpath"] = entry.target;
  }
  if (entry.size > kLargestOctal11) {
    records["size"] = std::to_string(entry.size);
  }
  if (entry.user > kLargestOctal7) {
    records["uid"] = std::to_string(entry.user);
  }
  if (entry.group > kLargestOctal7) {
    records["gid"] = std::to_string(entry.group);
  }
  if (static_cast<std::uint64_t>(entry.time) > kLargestOctal11) {
    records["mtime"] = std::to_string(entry.time);
  }
  for (const auto& [name, value] : entry.xattrs) {
    records["SCHILY.xattr." + name] = value;
  }
  std::string text;
  if ((!has_path && !is_utf8(path)) || (!has_target && !is_utf8(entry.target))) {
    text = pax_record("hdrcharset", "BINARY");
  }
  for (const auto& [key, value] : records) {
    text += pax_record(key, value);
  }
  return text;
}
}  // namespace

Result<void> TarWriter::flush() {
  if (!buffer_.empty()) {
    TRY(sink_(buffer_));
    buffer_.clear();
  }
  return {};
}

Result<void> TarWriter::put(std::string_view bytes) {
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBuffer) {
    TRY(flush());
  }
  if (bytes.size() >= kBuffer) {
    return sink_(bytes);
  }
  buffer_.append(bytes);
  return {};
}

Result<void> TarWriter::pad() {
  static constexpr std::array<char, kBlock> kZeros{};
  const std::size_t over = size_ % kBlock;
  return over == 0 ? Result<void>() : put({kZeros.data(), kBlock - over});
}

Result<void> TarWriter::add(const TarEntry& entry) {
  GOLDMILL_ASSERT(expected_ == 0);
  Header header;
  const std::string path = entry.kind == EntryKind::directory ? entry.path + "/" : entry.path;
  const bool has_path = put_path(header, path);
  const bool has_target = entry.target.size() <= header.target.size() && is_ascii(entry.target);
  put_text(header.target, entry.target);
  put_octal(header.mode, entry.mode & 07777U);
  put_octal(header.user, entry.user > kLargestOctal7 ? 0 : entry.user);
  put_octal(header.group, entry.group > kLargestOctal7 ? 0 : entry.group);
  put_octal(header.size, entry.size > kLargestOctal11 ? 0 : entry.size);
  const auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(entry.time, 0));
  put_octal(header.time, time > kLargestOctal11 ? 0 : time);
  header.kind = static_cast<char>(entry.kind);
  put_octal(header.major, entry.major);
  put_octal(header.minor, entry.minor);
  put_checksum(header);

  const std::string records = pax_records(entry, path, has_path, has_target);
  if (!records.empty()) {
    Header pax;
    put_text(pax.name, "PaxHeaders/entry");
    put_octal(pax.mode, 0644);
    put_octal(pax.user, 0);
    put_octal(pax.group, 0);
    put_octal(pax.size, records.size());
    put_octal(pax.time, 0);
    pax.kind = 'x';
    put_octal(pax.major, 0);
    put_octal(pax.minor, 0);
    put_checksum(pax);
    TRY(put(bytes_of(pax)));
    TRY(put(records));
    TRY(pad());
  }
  TRY(put(bytes_of(header)));
  expected_ = entry.kind == EntryKind::file ? entry.size : 0;
  return {};
}

Result<void> TarWriter::content(std::string_view bytes) {
  if (bytes.size() > expected_) {
    return Error{ErrorKind::internal, "a tar entry with more content than it announced"};
  }
  TRY(put(bytes));
  expected_ -= bytes.size();
  return expected_ == 0 ? pad() : Result<void>();
}

Result<void> TarWriter::finish() {
  GOLDMILL_ASSERT(expected_ == 0);
  static constexpr std::array<char, 2 * kBlock> kEnd{};
  TRY(put({kEnd.data(), kEnd.size()}));
  return flush();
}

namespace {
constexpr std::uint64_t kLargestExtension = 1U << 20;
constexpr int kMostExtensions = 16;  // before one entry; real archives have three

Error damaged(const std::string& what) {
  return Error{
      ErrorKind::corrupt, "the tar archive is damaged: " + what, "fetch or build the layer again"};
}

/// Octal digits, or GNU's base 256 for values that octal cannot hold.
template <std::size_t N>
Result<std::uint64_t> number(const std::array<char, N>& field) {
  std::uint64_t value = 0;
  if ((static_cast<unsigned char>(field[0]) & 0x80U) != 0) {
    for (std::size_t i = 1; i < N; ++i) {
      if (value >> 55U != 0) {
        return damaged("a number is too large");
      }
      value = value << 8U | static_cast<unsigned char>(field.at(i));
    }
    return value;
  }
  for (const char digit : field) {
    if (digit >= '0' && digit <= '7') {
      value = value << 3U | static_cast<unsigned>(digit - '0');
    } else if (digit != ' ' && digit != '\0') {
      return damaged("a number is not octal");
    }
  }
  return value;
}

template <std::size_t N>
std::string text(const std::array<char, N>& field) {
  return {field.data(), ::strnlen(field.data(), N)};
}

/// "LENGTH KEY=VALUE\n"...
Result<std::map<std::string, std::string>> parse_records(std::string_view rest) {
  std::map<std::string, std::string> records;
  while (!rest.empty()) {
    std::size_t length = 0;
    std::size_t i = 0;
    for (; i < rest.size() && i < 8 && rest[i] >= '0' && rest[i] <= '9'; ++i) {
      length = length * 10 + static_cast<std::size_t>(rest[i] - '0');
    }
    if (i >= rest.size() || rest[i] != ' ' || length <= i + 1 || length > rest.size() ||
        rest[length - 1] != '\n') {
      return damaged("a pax record is not well formed");
    }
    const std::string_view record = rest.substr(i + 1, length - i - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) {
      return damaged("a pax record has no value");
    }
    records[std::string(record.substr(0, equals))] = record.substr(equals + 1);
    rest.remove_prefix(length);
  }
  return records;
}

Result<std::uint64_t> decimal(const std::string& digits) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  // Fractions of seconds are cut off.
  if (failure != std::errc() || (end != digits.data() + digits.size() && *end != '.')) {
    return damaged("a pax number is not decimal");
  }
  return value;
}

/// An id or device number: one that is cut to 32 bits would be another, as 2^32 would be root.
Result<std::uint32_t> small(std::uint64_t value) {
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    return damaged("an id is larger than 32 bits");
  }
  return static_cast<std::uint32_t>(value);
}

Result<void> apply_records(TarEntry& entry, const std::map<std::string, std::string>& records) {
  constexpr std::string_view kAttribute = "SCHILY.xattr.";
  for (const auto& [key, value] : records) {
    if (key == "path") {
      entry.path = value;
    } else if (key == "linkpath") {
      entry.target = value;
    } else if (key == "size") {
      entry.size = TRY(decimal(value));
    } else if (key == "uid") {
      entry.user = TRY(small(TRY(decimal(value))));
    } else if (key == "gid") {
      entry.group = TRY(small(TRY(decimal(value))));
    } else if (key == "mtime") {
      entry.time = value.starts_with('-') ? 0 : static_cast<std::int64_t>(TRY(decimal(value)));
    } else if (key.starts_with(kAttribute)) {
      entry.xattrs[key.substr(kAttribute.size())] = value;
    }
  }
  return {};
}

Result<TarEntry> entry_of(const Header& header) {
  TarEntry entry;
  entry.path = text(header.name);
  if (header.magic[5] == '\0' && header.prefix[0] != '\0') {
    entry.path = text(header.prefix) + "/" + entry.path;
  }
  entry.kind =
      static_cast<EntryKind>(header.kind == '\0' || header.kind == '7' ? '0' : header.kind);
  entry.mode = static_cast<std::uint32_t>(TRY(number(header.mode))) & 07777U;
  entry.user = TRY(small(TRY(number(header.user))));
  entry.group = TRY(small(TRY(number(header.group))));
  entry.size = TRY(number(header.size));
  entry.time = static_cast<std::int64_t>(TRY(number(header.time)));
  entry.target = text(header.target);
  entry.major = TRY(small(TRY(number(header.major))));
  entry.minor = TRY(small(TRY(number(header.minor))));
  return entry;
}

Result<Header> checked_header(const std::string& block) {
  Header header;
  std::memcpy(&header, block.data(), kBlock);
  const std::uint64_t said = TRY(number(header.checksum));
  Header again = header;
  again.checksum.fill(' ');
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    sum += reinterpret_cast<const unsigned char*>(&again)[i];
  }
  if (sum != said) {
    return damaged("a header's checksum is wrong");
  }
  return header;
}
}  // namespace

/// False at the end of the source when nothing was read.
Result<bool> TarReader::fill(std::size_t size) {
  block_.resize(size);
  for (std::size_t have = 0; have < size;) {
    const std::size_t count = TRY(source_({block_.data() + have, size - have}));
    if (count == 0) {
      if (have == 0) {
        return false;
      }
      return damaged("it ends early");
    }
    have += count;
  }
  return true;
}

Result<void> TarReader::skip_content() {
  while (left_ > 0) {
    (void)TRY(content());
  }
  if (padding_ > 0) {
    const auto size = static_cast<std::size_t>(std::exchange(padding_, 0));
    if (!TRY(fill(size))) {
      return damaged("it ends early");
    }
  }
  return {};
}

Result<std::string_view> TarReader::content() {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, kBuffer));
  if (size > 0 && !TRY(fill(size))) {
    return damaged("it ends early");
  }
  left_ -= size;
  return std::string_view(block_).substr(0, size);
}

Result<std::string> TarReader::extension(std::uint64_t size) {
  if (size > kLargestExtension) {
    return damaged("an extended header is longer than 1 MiB");
  }
  left_ = size;
  padding_ = (kBlock - size % kBlock) % kBlock;
  std::string value(TRY(content()));
  TRY(skip_content());
  return value;
}

Result<std::optional<TarEntry>> TarReader::next() {
  std::map<std::string, std::string> records;
  for (int extensions = 0; extensions <= kMostExtensions; ++extensions) {
    TRY(skip_content());
    if (!TRY(fill(kBlock)) || block_.find_first_not_of('\0') == std::string::npos) {
      return std::optional<TarEntry>();
    }
    const Header header = TRY(checked_header(block_));
    TarEntry entry = TRY(entry_of(header));
    if (header.kind == 'x') {
      records.merge(TRY(parse_records(TRY(extension(entry.size)))));
      continue;
    }
    if (header.kind == 'L' || header.kind == 'K') {
      std::string name = TRY(extension(entry.size));
      name.resize(std::min(name.size(), name.find('\0')));
      records[header.kind == 'L' ? "path" : "linkpath"] = std::move(name);
      continue;
    }
    if (header.kind == 'g') {
      (void)TRY(extension(entry.size));
      continue;
    }
    TRY(apply_records(entry, records));
    left_ = entry.kind == EntryKind::file ? entry.size : 0;
    padding_ = (kBlock - left_ % kBlock) % kBlock;
    return std::optional(std::move(entry));
  }
  return damaged("an entry has more than 16 extended headers");
}

}  // namespace goldmill::store
