// SPDX-License-Identifier: GPL-3.0-or-later
#include "tar_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <optional>

#include <archive.h>
#include <archive_entry.h>

#include "decompressor.hpp"

namespace goldmill::guest {

namespace {
constexpr std::size_t kLongestAccount = 32;  // ustar's field, and useradd's own limit

struct FreeArchive {
  void operator()(archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, FreeArchive>;

const char* const kNoHonestPackage =
    "no honest package is like this: leave it out, or ask where it comes from";

Error beyond(std::string what) {
  return Error{ErrorKind::invalid_input, std::move(what), kNoHonestPackage};
}

/// What libarchive draws the tar from. Every byte is counted here, also those that it skips, so
/// that a small archive can fill neither the disk nor the memory nor take for ever.
class TarSource {
 public:
  TarSource(Decompressor& decompressor, const DebLimits& limits, std::uint64_t packed)
      : decompressor_(decompressor),
        limits_(limits),
        most_(std::max(limits.unpacked.value, packed * limits.expansion)) {}

  Result<void> open(archive* reader) {
    reader_ = reader;
    return ::archive_read_open(reader, this, nullptr, &TarSource::read, nullptr) == ARCHIVE_OK
               ? Result<void>()
               : failure();
  }
  /// From here on only the headers of the next entry are read.
  void begin_header() { header_left_ = limits_.header.value; }
  void end_header() { header_left_.reset(); }

  /// A file counts with the size that it says: holes cost a layer as much as bytes.
  Result<void> announce(std::uint64_t size) {
    if (size > most_ - announced_) {
      return too_large();
    }
    announced_ += size;
    return {};
  }
  /// Why libarchive failed: our own reason where it was ours.
  Error failure() const {
    if (failure_) {
      return *failure_;
    }
    const char* text = ::archive_error_string(reader_);
    return Error{
        ErrorKind::corrupt,
        std::string("the archive cannot be read: ") + (text != nullptr ? text : "truncated"),
        "the package is damaged where it comes from: take it from another archive"};
  }

 private:
  static la_ssize_t read(archive* reader, void* self, const void** bytes) {
    auto& source = *static_cast<TarSource*>(self);
    try {
      auto piece = source.next();
      if (piece) {
        *bytes = piece->data();
        return static_cast<la_ssize_t>(piece->size());
      }
      source.failure_ = std::move(piece).error();
    } catch (const std::exception& failure) {  // must not fly through libarchive
      source.failure_ = Error{ErrorKind::no_space, failure.what()};
    }
    ::archive_set_error(reader, EIO, "its source failed");
    return -1;
  }

  Result<std::string_view> next() {
    const std::string_view piece = TRY(decompressor_.next());
    given_ += piece.size();
    if (given_ > most_) {
      return too_large();
    }
    if (header_left_) {
      if (piece.size() > *header_left_) {
        return beyond("an entry describes itself in more than " + to_text(limits_.header));
      }
      *header_left_ -= piece.size();
    }
    return piece;
  }

  Error too_large() const {
    return beyond("the package unpacks to more than " + to_text(Bytes{most_}) +
                  ", the most for its size");
  }

  Decompressor& decompressor_;
  const DebLimits& limits_;
  archive* reader_ = nullptr;
  std::uint64_t most_;
  std::uint64_t given_ = 0;
  std::uint64_t announced_ = 0;
  std::optional<std::uint64_t> header_left_;
  std::optional<Error> failure_;
};

Result<Reader> make_reader() {
  Reader reader(::archive_read_new());
  if (reader == nullptr) {
    return Error{ErrorKind::no_space, "no memory for an archive reader"};
  }
  // And no filters: what the member holds is decompressed once, by the method in its name.
  ::archive_read_support_format_tar(reader.get());
  // Names are bytes: a conversion would depend on the locale.
  ::archive_read_set_options(reader.get(), "hdrcharset=BINARY");
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

Result<std::string> owner_name(const char* name) {
  std::string text = text_of(name);
  if (text.size() > kLongestAccount) {
    return beyond("the name of an entry's owner is longer than 32 bytes");
  }
  return text;
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
  entry.path = TRY(clean_member_path(text_of(::archive_entry_pathname(raw)), limits));
  entry.kind = TRY(kind_of(raw));
  entry.mode = ::archive_entry_perm(raw) & 07777U;
  entry.user = TRY(id_of(::archive_entry_uid(raw), "user id"));
  entry.group = TRY(id_of(::archive_entry_gid(raw), "group id"));
  entry.user_name = TRY(owner_name(::archive_entry_uname(raw)));
  entry.group_name = TRY(owner_name(::archive_entry_gname(raw)));
  entry.modified = ::archive_entry_mtime(raw);
  entry.modified_nanoseconds = static_cast<std::uint32_t>(::archive_entry_mtime_nsec(raw));
  if (entry.kind == TarEntry::Kind::hardlink) {
    entry.target = TRY(clean_member_path(text_of(::archive_entry_hardlink(raw)), limits));
  } else if (entry.kind == TarEntry::Kind::symlink) {
    entry.target = text_of(::archive_entry_symlink(raw));
    if (entry.target.empty() || entry.target.size() > limits.path_length) {
      return beyond("the target of the link " + entry.path + " is empty or too long");
    }
  } else if (entry.kind == TarEntry::Kind::file) {
    entry.size = static_cast<std::uint64_t>(std::max<std::int64_t>(::archive_entry_size(raw), 0));
  }
  entry.device_major = static_cast<std::uint32_t>(::archive_entry_rdevmajor(raw));
  entry.device_minor = static_cast<std::uint32_t>(::archive_entry_rdevminor(raw));
  read_attributes(raw, entry);
  return entry;
}

/// One walk through the archive.
class TarWalk {
 public:
  TarWalk(archive* reader, TarSource& source, const DebLimits& limits)
      : reader_(reader), source_(source), limits_(limits) {}

  /// False at the end.
  Result<bool> next(TarEntry& entry) {
    archive_entry* raw = nullptr;
    source_.begin_header();
    const int status = ::archive_read_next_header(reader_, &raw);
    source_.end_header();
    if (status == ARCHIVE_EOF) {
      return false;
    }
    if (status != ARCHIVE_OK) {
      return source_.failure();
    }
    if (++entries_ > limits_.entries) {
      return beyond("more than " + std::to_string(limits_.entries) + " entries");
    }
    entry = TRY(read_entry(raw, limits_));
    names_ += entry.path.size() + entry.target.size();
    if (names_ > limits_.names.value) {
      return beyond("more than " + to_text(limits_.names) + " of names");
    }
    TRY(source_.announce(entry.size));
    return true;
  }

  Result<std::optional<DataPiece>> piece(const TarEntry& entry) {
    const void* block = nullptr;
    std::size_t size = 0;
    std::int64_t offset = 0;
    const int status = ::archive_read_data_block(reader_, &block, &size, &offset);
    if (status == ARCHIVE_EOF) {
      return std::optional<DataPiece>{};
    }
    if (status != ARCHIVE_OK) {
      return source_.failure();
    }
    if (offset < 0 || static_cast<std::uint64_t>(offset) > entry.size ||
        size > entry.size - static_cast<std::uint64_t>(offset)) {
      return Error{ErrorKind::corrupt, "content beyond the size of " + entry.path};
    }
    return std::optional(
        DataPiece{{static_cast<const char*>(block), size}, static_cast<std::uint64_t>(offset)});
  }

  /// Before the next header, which has a limit of its own.
  Result<void> skip_content() {
    return ::archive_read_data_skip(reader_) == ARCHIVE_OK ? Result<void>() : source_.failure();
  }

 private:
  archive* reader_;
  TarSource& source_;
  const DebLimits& limits_;
  std::size_t entries_ = 0;
  std::uint64_t names_ = 0;
};
}  // namespace

Result<void> visit_tar(
    const PackedTar& tar,
    const DebLimits& limits,
    const std::function<Result<void>(const TarEntry&, const DataSource&)>& visitor) {
  const auto decompressor = TRY(Decompressor::open(tar.bytes, tar.ending, limits.memory));
  TarSource source(*decompressor, limits, tar.bytes.size());
  const Reader reader = TRY(make_reader());
  TRY(source.open(reader.get()));
  TarWalk walk(reader.get(), source, limits);
  TarEntry entry;
  while (TRY(walk.next(entry))) {
    TRY(visitor(entry, [&] { return walk.piece(entry); }).context(entry.path));
    TRY(walk.skip_content());
  }
  return {};
}

}  // namespace goldmill::guest
