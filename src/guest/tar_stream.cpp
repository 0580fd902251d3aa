// SPDX-License-Identifier: GPL-3.0-or-later
#include "tar_stream.hpp"

#include <algorithm>
#include <memory>

#include <archive.h>
#include <archive_entry.h>

namespace goldmill::guest {

namespace {
struct FreeArchive {
  void operator()(archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, FreeArchive>;

Error reading_failed(archive* reader) {
  const char* text = ::archive_error_string(reader);
  return Error{
      ErrorKind::corrupt,
      std::string("the archive cannot be read: ") + (text != nullptr ? text : "truncated")};
}

Result<Reader> open_reader(std::string_view bytes) {
  Reader reader(::archive_read_new());
  if (reader == nullptr) {
    return Error{ErrorKind::no_space, "no memory for an archive reader"};
  }
  ::archive_read_support_format_tar(reader.get());
  ::archive_read_support_filter_gzip(reader.get());
  ::archive_read_support_filter_xz(reader.get());
  ::archive_read_support_filter_zstd(reader.get());
  ::archive_read_support_filter_bzip2(reader.get());
  ::archive_read_support_filter_lzma(reader.get());
  // Names are bytes: a conversion would depend on the locale.
  ::archive_read_set_options(reader.get(), "hdrcharset=BINARY");
  if (::archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return reading_failed(reader.get());
  }
  return reader;
}

std::string text_of(const char* text) {
  return text == nullptr ? "" : text;
}

Result<TarEntry::Kind> kind_of(archive_entry* raw) {
  if (::archive_entry_hardlink(raw) != nullptr) {
    return TarEntry::Kind::hardlink;
  }
  switch (::archive_entry_filetype(raw)) {
    case AE_IFREG:
      return TarEntry::Kind::file;
    case AE_IFDIR:
      return TarEntry::Kind::directory;
    case AE_IFLNK:
      return TarEntry::Kind::symlink;
    case AE_IFIFO:
      return TarEntry::Kind::fifo;
    case AE_IFCHR:
      return TarEntry::Kind::character_device;
    case AE_IFBLK:
      return TarEntry::Kind::block_device;
    default:
      return Error{ErrorKind::invalid_input, "an entry of a type that no package may hold"};
  }
}

Result<std::uint32_t> id_of(std::int64_t id, const char* what) {
  if (id < 0 || id > 65535) {
    return Error{ErrorKind::invalid_input,
                 std::string(what) + " " + std::to_string(id) + " is outside 0..65535"};
  }
  return static_cast<std::uint32_t>(id);
}

void read_attributes(archive_entry* raw, TarEntry& entry) {
  ::archive_entry_xattr_reset(raw);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (::archive_entry_xattr_next(raw, &name, &value, &size) == ARCHIVE_OK) {
    if (name != nullptr && value != nullptr && size <= 65536 && entry.attributes.size() < 64) {
      entry.attributes.emplace_back(name, std::string(static_cast<const char*>(value), size));
    }
  }
}

Result<TarEntry> read_entry(archive_entry* raw, const DebLimits& limits) {
  TarEntry entry;
  entry.path = TRY(clean_member_path(text_of(::archive_entry_pathname(raw)), limits.path_length));
  entry.kind = TRY(kind_of(raw));
  entry.mode = ::archive_entry_perm(raw) & 07777U;
  entry.user = TRY(id_of(::archive_entry_uid(raw), "user id"));
  entry.group = TRY(id_of(::archive_entry_gid(raw), "group id"));
  entry.user_name = text_of(::archive_entry_uname(raw));
  entry.group_name = text_of(::archive_entry_gname(raw));
  entry.modified = ::archive_entry_mtime(raw);
  entry.modified_nanoseconds = static_cast<std::uint32_t>(::archive_entry_mtime_nsec(raw));
  if (entry.kind == TarEntry::Kind::hardlink) {
    entry.target =
        TRY(clean_member_path(text_of(::archive_entry_hardlink(raw)), limits.path_length));
  } else if (entry.kind == TarEntry::Kind::symlink) {
    entry.target = text_of(::archive_entry_symlink(raw));
    if (entry.target.empty() || entry.target.size() > limits.path_length) {
      return Error{ErrorKind::invalid_input, "a link's target is empty or too long"};
    }
  } else if (entry.kind == TarEntry::Kind::file) {
    entry.size = static_cast<std::uint64_t>(std::max<std::int64_t>(::archive_entry_size(raw), 0));
  }
  entry.device_major = static_cast<std::uint32_t>(::archive_entry_rdevmajor(raw));
  entry.device_minor = static_cast<std::uint32_t>(::archive_entry_rdevminor(raw));
  read_attributes(raw, entry);
  return entry;
}

/// Counts what came out, so that a small archive cannot fill the disk.
class Budget {
 public:
  Budget(const DebLimits& limits, std::uint64_t packed)
      : left_(std::max(limits.unpacked.value, packed * limits.expansion)) {}
  Result<void> spend(std::uint64_t count) {
    if (count > left_) {
      return Error{ErrorKind::invalid_input,
                   "the package unpacks to more than its limit",
                   "a package that grows a hundredfold is a bomb or damaged"};
    }
    left_ -= count;
    return {};
  }

 private:
  std::uint64_t left_;
};

Result<std::optional<DataPiece>> next_piece(archive* reader,
                                            const TarEntry& entry,
                                            Budget& budget) {
  const void* block = nullptr;
  std::size_t size = 0;
  std::int64_t offset = 0;
  const int status = ::archive_read_data_block(reader, &block, &size, &offset);
  if (status == ARCHIVE_EOF) {
    return std::optional<DataPiece>{};
  }
  if (status != ARCHIVE_OK) {
    return reading_failed(reader);
  }
  TRY(budget.spend(size));
  if (offset < 0 || static_cast<std::uint64_t>(offset) + size > entry.size) {
    return Error{ErrorKind::corrupt, "content beyond the size of " + entry.path};
  }
  return std::optional(
      DataPiece{{static_cast<const char*>(block), size}, static_cast<std::uint64_t>(offset)});
}
}  // namespace

Result<void> visit_tar(
    std::string_view bytes,
    const DebLimits& limits,
    const std::function<Result<void>(const TarEntry&, const DataSource&)>& visitor) {
  const Reader reader = TRY(open_reader(bytes));
  Budget budget(limits, bytes.size());
  std::size_t entries = 0;
  while (true) {
    archive_entry* raw = nullptr;
    const int status = ::archive_read_next_header(reader.get(), &raw);
    if (status == ARCHIVE_EOF) {
      return {};
    }
    if (status != ARCHIVE_OK) {
      return reading_failed(reader.get());
    }
    if (++entries > limits.entries) {
      return Error{ErrorKind::invalid_input,
                   "more than " + std::to_string(limits.entries) + " entries"};
    }
    const TarEntry entry = TRY(read_entry(raw, limits));
    TRY(budget.spend(512));
    const DataSource data = [&] { return next_piece(reader.get(), entry, budget); };
    TRY(visitor(entry, data).context(entry.path));
    // What the visitor left unread counts too: skipping it decompresses it.
    while (entry.kind == TarEntry::Kind::file && TRY(next_piece(reader.get(), entry, budget))) {
    }
  }
}

}  // namespace goldmill::guest
