// SPDX-License-Identifier: GPL-3.0-or-later
// The canonical tar: one byte sequence for one tree, so that a layer's name (the SHA-256 of it)
// never depends on a library's version. POSIX.1-2001 ustar; pax records only where ustar cannot
// hold a value. Read back by any tar.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

namespace goldmill::store {

/// Takes the bytes in order.
using Sink = std::function<Result<void>(std::string_view)>;

enum class EntryKind : char {  // the values are ustar's typeflags
  file = '0',
  hardlink = '1',
  symlink = '2',
  character_device = '3',
  block_device = '4',
  directory = '5',
  fifo = '6',
};

struct TarEntry {
  std::string path;  ///< relative, without "./" and final "/"; any bytes but NUL
  EntryKind kind = EntryKind::file;
  std::uint32_t mode = 0644;  ///< permission bits with setuid, setgid and sticky
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::uint64_t size = 0;   ///< of a file's content
  std::int64_t time = 0;    ///< modification, seconds since 1970, not negative
  std::string target = {};  ///< of a symlink, or the first path of a hardlink
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::map<std::string, std::string> xattrs = {};
};

/// add(), then exactly `size` bytes in content() calls, for each entry; finish() once.
class TarWriter {
 public:
  explicit TarWriter(Sink sink) : sink_(std::move(sink)) {}

  Result<void> add(const TarEntry& entry);
  Result<void> content(std::string_view bytes);
  Result<void> finish();
  /// Bytes given to the sink, or to come from the buffer.
  std::uint64_t size() const { return size_; }

 private:
  Result<void> put(std::string_view bytes);
  Result<void> pad();
  Result<void> flush();

  Sink sink_;
  std::string buffer_;
  std::uint64_t size_ = 0;
  std::uint64_t expected_ = 0;  // content of the current entry that has not come yet
};

/// Fills the buffer as far as it can; 0 means the end.
using Source = std::function<Result<std::size_t>(std::span<char>)>;

/// Reads ustar, pax and GNU's long names. A stranger's bytes: every length is bounded.
/// Errors: corrupt, or the source's own.
class TarReader {
 public:
  explicit TarReader(Source source) : source_(std::move(source)) {}

  /// The next entry, nullopt at the end. What is left of the last one's content is skipped.
  Result<std::optional<TarEntry>> next();
  /// The next piece of the current file's content; empty when it is complete.
  Result<std::string_view> content();

 private:
  Result<bool> fill(std::size_t size);
  Result<std::string> extension(std::uint64_t size);
  Result<void> skip_content();

  Source source_;
  std::string block_;
  std::uint64_t left_ = 0;     // content of the current entry
  std::uint64_t padding_ = 0;  // after it
};

}  // namespace goldmill::store
