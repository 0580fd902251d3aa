// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/store/layer_tree.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::store {

using system::UniqueFd;

namespace {
constexpr std::string_view kWhiteout = ".wh.";
constexpr const char* kOpaqueEntry = ".wh..wh..opq";
constexpr std::size_t kLongestPath = 4095;
constexpr std::size_t kDeepest = 400;
constexpr std::size_t kPiece = 1U << 20;

/// The entry itself, also when it is a link, for calls that take only paths.
std::string path_by_descriptor(int directory, const std::string& name) {
  return "/proc/self/fd/" + std::to_string(directory) + "/" + name;
}

bool belongs_to_layer(std::string_view name) {
  return name == "security.capability" || name.starts_with("system.posix_acl_") ||
         (name.starts_with("user.") && !name.starts_with("user.overlay.") &&
          name != kNodeAttribute && name != kSharedAttribute);
}

std::optional<std::string> attribute(const std::string& path, const char* name) {
  std::string value(65536, '\0');
  const ssize_t size = ::lgetxattr(path.c_str(), name, value.data(), value.size());
  if (size < 0) {
    return std::nullopt;
  }
  value.resize(static_cast<std::size_t>(size));
  return value;
}

Result<std::vector<std::string>> sorted_names(int directory) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                   [](DIR* open) { return ::closedir(open); });
  if (!stream) {
    return system_error("cannot list a directory", errno);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe)
    names.emplace_back(entry->d_name);
  }
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  std::sort(names.begin(), names.end());
  return names;
}

class LayerWriter {
 public:
  LayerWriter(std::int64_t epoch, const Sink& sink)
      : epoch_(epoch), writer_([this, &sink](std::string_view bytes) {
          hash_.update(bytes);
          return sink ? sink(bytes) : Result<void>();
        }) {}

  Result<void> directory(int descriptor, const std::string& path, std::size_t depth);
  Result<LayerFacts> finish() {
    TRY(writer_.finish());
    return LayerFacts{hash_.finish(), writer_.size(), entries_};
  }

 private:
  Result<void> entry(int parent,
                     const std::string& name,
                     const std::string& path,
                     std::size_t depth);
  Result<void> add(const TarEntry& entry) {
    ++entries_;
    return writer_.add(entry);
  }
  Result<void> file(int parent, const std::string& name, TarEntry entry);
  Result<void> whiteout(const std::string& path, const std::string& name) {
    const std::size_t length = path.size() - name.size();
    // No time: the tree keeps none, and the tar must follow from the tree alone.
    return add({.path = path.substr(0, length) + std::string(kWhiteout) + name});
  }
  /// The first path of the same inode, when it has been written already.
  std::optional<std::string> first_path(const struct stat& status, const std::string& path) {
    if (status.st_nlink < 2) {
      return std::nullopt;
    }
    const auto [place, is_new] = links_.emplace(std::pair(status.st_dev, status.st_ino), path);
    return is_new ? std::nullopt : std::optional(place->second);
  }

  std::int64_t epoch_;
  Sha256 hash_;
  TarWriter writer_;
  std::uint64_t entries_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  std::string piece_;
};

/// "c 5 1" -> a device entry. What a guest wrote there is not trusted to be well formed.
void become_node(TarEntry& entry, const std::string& text) {
  unsigned major = 0;
  unsigned minor = 0;
  char kind = 0;
  char after = 0;
  if (std::sscanf(text.c_str(), "%c %7u %7u%c", &kind, &major, &minor, &after) == 3 &&
      (kind == 'c' || kind == 'b')) {
    entry.kind = kind == 'c' ? EntryKind::character_device : EntryKind::block_device;
    entry.major = major;
    entry.minor = minor;
    entry.size = 0;
  }
}

Result<void> LayerWriter::file(int parent, const std::string& name, TarEntry entry) {
  if (entry.size == 0) {
    if (const auto node = attribute(path_by_descriptor(parent, name), kNodeAttribute)) {
      become_node(entry, *node);
    }
    return add(entry);
  }
  const UniqueFd open(::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!open) {
    return system_error("cannot open " + entry.path, errno);
  }
  TRY(add(entry));
  piece_.resize(kPiece);
  for (std::uint64_t left = entry.size; left > 0;) {
    const ssize_t count =
        ::read(open.get(), piece_.data(), std::min<std::uint64_t>(left, piece_.size()));
    if (count <= 0) {
      return count == 0 ? Result<void>(Error{ErrorKind::internal, entry.path + " shrank"})
                        : Result<void>(system_error("cannot read " + entry.path, errno));
    }
    TRY(writer_.content({piece_.data(), static_cast<std::size_t>(count)}));
    left -= static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<std::string> link_target(int parent, const std::string& name) {
  std::string target(4096, '\0');
  const ssize_t size = ::readlinkat(parent, name.c_str(), target.data(), target.size());
  if (size < 0) {
    return system_error("cannot read the link " + name, errno);
  }
  target.resize(static_cast<std::size_t>(size));
  return target;
}

Result<void> LayerWriter::entry(int parent,
                                const std::string& name,
                                const std::string& path,
                                std::size_t depth) {
  struct stat status {};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot look at " + path, errno);
  }
  if (S_ISCHR(status.st_mode) && status.st_rdev == 0) {
    return whiteout(path, name);
  }
  if (S_ISSOCK(status.st_mode)) {
    return {};
  }
  TarEntry entry{.path = path,
                 .mode = status.st_mode & 07777U,
                 .user = status.st_uid,
                 .group = status.st_gid,
                 .time = std::clamp<std::int64_t>(status.st_mtim.tv_sec, 0, epoch_)};
  if (!S_ISDIR(status.st_mode)) {
    if (const auto first = first_path(status, path)) {
      entry.kind = EntryKind::hardlink;
      entry.target = *first;
      return add(entry);
    }
  }
  entry.xattrs = TRY(layer_attributes(parent, name));
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      entry.size = static_cast<std::uint64_t>(status.st_size);
      return file(parent, name, std::move(entry));
    case S_IFLNK:
      entry.kind = EntryKind::symlink;
      entry.mode = 0777;
      entry.target = TRY(link_target(parent, name));
      return add(entry);
    case S_IFIFO:
      entry.kind = EntryKind::fifo;
      return add(entry);
    case S_IFDIR: {
      entry.kind = EntryKind::directory;
      TRY(add(entry));
      const UniqueFd open(
          ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!open) {
        return system_error("cannot open " + path, errno);
      }
      if (attribute(path_by_descriptor(parent, name), kOpaqueAttribute) == "y") {
        TRY(add({.path = path + "/" + kOpaqueEntry}));
      }
      return directory(open.get(), path + "/", depth + 1);
    }
    default:
      return Error{ErrorKind::invalid_input, path + " is a device node, which no layer can hold"};
  }
}

Result<void> LayerWriter::directory(int descriptor, const std::string& path, std::size_t depth) {
  if (depth > kDeepest) {
    return Error{
        ErrorKind::invalid_input,
        "directories nested deeper than " + std::to_string(kDeepest) + " at " + path.substr(0, 80)};
  }
  for (const std::string& name : TRY(sorted_names(descriptor))) {
    if (name.starts_with(kWhiteout)) {
      return Error{ErrorKind::invalid_input,
                   "the file " + path + name + " cannot be stored in a layer",
                   "names that begin with .wh. mean deleted files in OCI layers: rename it"};
    }
    if (path.size() + name.size() > kLongestPath) {
      return Error{ErrorKind::invalid_input, "a path longer than 4095 bytes in " + path};
    }
    TRY(entry(descriptor, name, path + name, depth));
  }
  return {};
}
}  // namespace

Result<std::map<std::string, std::string>> layer_attributes(int directory,
                                                            const std::string& name) {
  const std::string path = path_by_descriptor(directory, name);
  std::map<std::string, std::string> found;
  std::string list(65536, '\0');
  const ssize_t size = ::llistxattr(path.c_str(), list.data(), list.size());
  if (size < 0) {
    return errno == ENOTSUP ? Result<std::map<std::string, std::string>>(found)
                            : system_error("cannot list the attributes of " + name, errno);
  }
  for (std::size_t start = 0; start < static_cast<std::size_t>(size);) {
    const std::string key = list.c_str() + start;
    start += key.size() + 1;
    if (!belongs_to_layer(key)) {
      continue;
    }
    if (auto value = attribute(path, key.c_str())) {
      found[key] = *std::move(value);
    }
  }
  return found;
}

Result<LayerFacts> write_layer(int tree, std::int64_t epoch, const Sink& sink) {
  LayerWriter writer(epoch, sink);
  TRY(writer.directory(tree, "", 0));
  return writer.finish();
}

namespace {
/// Compresses one stream, and hashes what comes out.
class Packer {
 public:
  explicit Packer(int file) : archive_(::archive_write_new()), file_(file) {}
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  ~Packer() { ::archive_write_free(archive_); }

  Result<void> open(Compression compression) {
    const bool gzip = compression == Compression::gzip;
    if (::archive_write_set_format_raw(archive_) != ARCHIVE_OK ||
        (gzip ? ::archive_write_add_filter_gzip(archive_)
              : ::archive_write_add_filter_zstd(archive_)) != ARCHIVE_OK ||
        (gzip &&
         ::archive_write_set_filter_option(archive_, "gzip", "timestamp", nullptr) != ARCHIVE_OK) ||
        ::archive_write_set_bytes_in_last_block(archive_, 1) != ARCHIVE_OK ||  // no padding
        ::archive_write_open(archive_, this, nullptr, &Packer::take, nullptr) != ARCHIVE_OK) {
      return failure();
    }
    const std::unique_ptr<archive_entry, decltype(&::archive_entry_free)> entry(
        ::archive_entry_new(), &::archive_entry_free);
    ::archive_entry_set_filetype(entry.get(), AE_IFREG);
    return ::archive_write_header(archive_, entry.get()) == ARCHIVE_OK ? Result<void>() : failure();
  }
  Result<void> add(std::string_view bytes) {
    return ::archive_write_data(archive_, bytes.data(), bytes.size()) ==
                   static_cast<la_ssize_t>(bytes.size())
               ? Result<void>()
               : failure();
  }
  Result<PackedLayer> finish(const LayerFacts& facts) {
    if (::archive_write_close(archive_) != ARCHIVE_OK) {
      return failure();
    }
    return PackedLayer{facts, hash_.finish(), size_};
  }

 private:
  static la_ssize_t take(archive* /*archive*/, void* self, const void* data, std::size_t size) {
    auto& packer = *static_cast<Packer*>(self);
    const std::string_view bytes(static_cast<const char*>(data), size);
    packer.written_ = system::write_all(packer.file_, bytes);
    packer.hash_.update(bytes);
    packer.size_ += size;
    return packer.written_ ? static_cast<la_ssize_t>(size) : -1;
  }
  Error failure() const {
    if (!written_) {
      return written_.error();
    }
    const char* why = ::archive_error_string(archive_);
    return {ErrorKind::internal,
            std::string("cannot compress the layer: ") + (why == nullptr ? "no reason" : why)};
  }

  archive* archive_;
  int file_;
  Result<void> written_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
};
}  // namespace

Result<PackedLayer> pack_layer(int tree, Compression compression, int output) {
  Packer packer(output);
  TRY(packer.open(compression));
  const LayerFacts facts =
      TRY(write_layer(tree, std::numeric_limits<std::int64_t>::max(), [&](std::string_view bytes) {
        return packer.add(bytes);
      }));
  return packer.finish(facts);
}

namespace {
/// Decompresses what layers may be compressed with (OCI image spec, media-types.md), once, and
/// hashes the tar that comes out. libarchive's other methods would run programs of the machine.
class Unpacked {
 public:
  explicit Unpacked(int file) : archive_(::archive_read_new()), file_(file) {}
  Unpacked(const Unpacked&) = delete;
  Unpacked& operator=(const Unpacked&) = delete;
  ~Unpacked() { ::archive_read_free(archive_); }

  Result<void> open() {
    ::archive_read_support_filter_gzip(archive_);
    ::archive_read_support_filter_zstd(archive_);
    ::archive_read_support_format_raw(archive_);
    ::archive_read_support_format_empty(archive_);
    archive_entry* entry = nullptr;
    if (::archive_read_open_fd(archive_, file_, kPiece) != ARCHIVE_OK ||
        ::archive_read_next_header(archive_, &entry) != ARCHIVE_OK) {
      return failure();
    }
    constexpr int kOneAndTheFile = 2;
    if (::archive_filter_count(archive_) > kOneAndTheFile) {
      return Error{ErrorKind::invalid_input,
                   "the layer is compressed more than once",
                   "no tool makes such layers: take it from where you trust"};
    }
    return {};
  }
  Result<std::size_t> read(std::span<char> buffer) {
    const la_ssize_t count = ::archive_read_data(archive_, buffer.data(), buffer.size());
    if (count < 0) {
      return failure();
    }
    hash_.update(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    size_ += static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }
  /// Reads what stands after the tar's end, which the digest covers too.
  Result<LayerFacts> finish() {
    std::string rest(kPiece, '\0');
    while (TRY(read(rest)) > 0) {
    }
    return LayerFacts{hash_.finish(), size_, 0};
  }

 private:
  Error failure() const {
    const char* why = ::archive_error_string(archive_);
    return {ErrorKind::corrupt,
            std::string("cannot decompress the layer: ") + (why == nullptr ? "it is empty" : why)};
  }

  archive* archive_;
  int file_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
};

Error refused(const std::string& path, const std::string& why) {
  return {ErrorKind::invalid_input, "the layer's entry '" + path + "' is refused: " + why};
}

/// "./a/b/" -> "a/b"; "" for the root. Errors: invalid_input for what could lead elsewhere.
Result<std::string> clean_path(const std::string& path) {
  std::string clean;
  std::size_t depth = 0;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string part = path.substr(start, end - start);
    start = end + 1;
    if (part == ".." || (part.empty() && end == 0 && !path.empty())) {
      return refused(path, "it leads out of the tree");
    }
    if (!part.empty() && part != ".") {
      clean += (clean.empty() ? "" : "/") + part;
      ++depth;
    }
  }
  if (depth > kDeepest) {
    return refused(path.substr(0, 80), "it leads through too many directories");
  }
  if (path.find('\0') != std::string::npos || clean.size() > kLongestPath) {
    return refused(path.substr(0, 80), "no file can have this name");
  }
  return clean;
}

class LayerReader {
 public:
  explicit LayerReader(int tree) : tree_(tree) {}

  Result<void> take(TarReader& reader, const TarEntry& entry);
  /// Directories get their times last: filling them changes these.
  Result<void> finish();
  std::uint64_t entries() const { return entries_; }

 private:
  Result<UniqueFd> directory_at(const std::string& path);
  Result<void> make(TarReader& reader, const TarEntry& entry, int parent, const std::string& name);
  Result<void> make_file(TarReader& reader, int parent, const std::string& name);
  Result<void> make_directory(int parent, const std::string& name);
  Result<void> make_hardlink(const TarEntry& entry, int parent, const std::string& name);
  Result<void> describe(const TarEntry& entry, int parent, const std::string& name);
  Result<bool> take_whiteout(int parent, const std::string& name);

  int tree_;
  std::uint64_t entries_ = 0;
  std::vector<std::pair<std::string, std::int64_t>> directories_;
};

/// Opens a directory of the tree; no component may be a link.
Result<UniqueFd> LayerReader::directory_at(const std::string& path) {
  struct open_how how {};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const std::string where = path.empty() ? "." : path;
  UniqueFd open(static_cast<int>(::syscall(SYS_openat2, tree_, where.c_str(), &how, sizeof how)));
  if (open) {
    return open;
  }
  if (errno != ENOENT) {
    return refused(path, "a part of its path is not a directory");
  }
  // Archives of others may leave parents out.
  const std::size_t slash = path.rfind('/');
  const UniqueFd parent =
      TRY(directory_at(slash == std::string::npos ? "" : path.substr(0, slash)));
  TRY(make_directory(parent.get(), path.substr(slash == std::string::npos ? 0 : slash + 1)));
  UniqueFd made(static_cast<int>(::syscall(SYS_openat2, tree_, where.c_str(), &how, sizeof how)));
  return made ? Result<UniqueFd>(std::move(made)) : system_error("cannot make " + path, errno);
}

Result<void> LayerReader::make_directory(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0755) == 0) {
    return {};
  }
  struct stat status {};
  if (errno == EEXIST && ::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISDIR(status.st_mode)) {
    return {};
  }
  return system_error("cannot make the directory " + name, errno);
}

Result<void> LayerReader::make_file(TarReader& reader, int parent, const std::string& name) {
  const UniqueFd file(
      ::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) {
    return system_error("cannot make " + name, errno);
  }
  for (std::string_view piece = TRY(reader.content()); !piece.empty();
       piece = TRY(reader.content())) {
    TRY(system::write_all(file.get(), piece));
  }
  return {};
}

Result<void> LayerReader::make_hardlink(const TarEntry& entry,
                                        int parent,
                                        const std::string& name) {
  const std::string target = TRY(clean_path(entry.target));
  const std::size_t slash = target.rfind('/');
  const UniqueFd from =
      TRY(directory_at(slash == std::string::npos ? "" : target.substr(0, slash)));
  const std::string from_name = target.substr(slash == std::string::npos ? 0 : slash + 1);
  if (::linkat(from.get(), from_name.c_str(), parent, name.c_str(), 0) != 0) {
    return refused(entry.path, "its link target '" + target + "' is not in the layer before it");
  }
  return {};
}

Result<void> LayerReader::describe(const TarEntry& entry, int parent, const std::string& name) {
  const std::string path = path_by_descriptor(parent, name);
  // In this order: a change of owner clears setuid bits and capabilities.
  if (::fchownat(parent, name.c_str(), entry.user, entry.group, AT_SYMLINK_NOFOLLOW) != 0 ||
      (entry.kind != EntryKind::symlink &&
       ::fchmodat(parent, name.c_str(), entry.mode & 07777U, 0) != 0)) {
    return system_error("cannot set the owner and mode of " + entry.path, errno);
  }
  for (const auto& [key, value] : entry.xattrs) {
    if (belongs_to_layer(key) &&
        ::lsetxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0) != 0) {
      return system_error("cannot set the attribute " + key + " of " + entry.path, errno);
    }
  }
  if (entry.kind == EntryKind::character_device || entry.kind == EntryKind::block_device) {
    const std::string node = std::string(entry.kind == EntryKind::character_device ? "c" : "b") +
                             " " + std::to_string(entry.major) + " " + std::to_string(entry.minor);
    if (::lsetxattr(path.c_str(), kNodeAttribute, node.data(), node.size(), 0) != 0) {
      return system_error("cannot note the device " + entry.path, errno);
    }
  }
  const std::array<timespec, 2> times = {timespec{entry.time, 0}, timespec{entry.time, 0}};
  if (::utimensat(parent, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot set the time of " + entry.path, errno);
  }
  return {};
}

Result<void> LayerReader::make(TarReader& reader,
                               const TarEntry& entry,
                               int parent,
                               const std::string& name) {
  switch (entry.kind) {
    case EntryKind::file:
    case EntryKind::character_device:
    case EntryKind::block_device:
      return make_file(reader, parent, name);
    case EntryKind::directory:
      return make_directory(parent, name);
    case EntryKind::hardlink:
      return make_hardlink(entry, parent, name);
    case EntryKind::symlink:
      return ::symlinkat(entry.target.c_str(), parent, name.c_str()) == 0
                 ? Result<void>()
                 : system_error("cannot make the link " + entry.path, errno);
    case EntryKind::fifo:
      return ::mkfifoat(parent, name.c_str(), 0600) == 0
                 ? Result<void>()
                 : system_error("cannot make the pipe " + entry.path, errno);
  }
  return refused(entry.path, "its type is unknown");
}

Result<bool> LayerReader::take_whiteout(int parent, const std::string& name) {
  if (!name.starts_with(kWhiteout)) {
    return false;
  }
  if (name == kOpaqueEntry) {
    if (::fsetxattr(parent, kOpaqueAttribute, "y", 1, 0) != 0) {
      return system_error("cannot make a directory opaque", errno);
    }
    return true;
  }
  const std::string hidden = name.substr(kWhiteout.size());
  if (hidden.empty() || hidden == "." || hidden == ".." || hidden.starts_with(kWhiteout)) {
    return refused(name, "it hides nothing that a layer can hold");
  }
  if (::mknodat(parent, hidden.c_str(), S_IFCHR | 0600, 0) != 0) {
    return system_error("cannot make the whiteout of " + hidden, errno);
  }
  return true;
}

Result<void> LayerReader::take(TarReader& reader, const TarEntry& entry) {
  ++entries_;
  const std::string path = TRY(clean_path(entry.path));
  if (path.empty()) {
    return {};
  }
  const std::size_t slash = path.rfind('/');
  const UniqueFd parent =
      TRY(directory_at(slash == std::string::npos ? "" : path.substr(0, slash)));
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  if (TRY(take_whiteout(parent.get(), name))) {
    return {};
  }
  if (entry.kind != EntryKind::directory) {
    (void)::unlinkat(parent.get(), name.c_str(), 0);  // the later of two entries counts
  }
  TRY(make(reader, entry, parent.get(), name));
  if (entry.kind == EntryKind::directory) {
    directories_.emplace_back(path, entry.time);
  }
  return entry.kind == EntryKind::hardlink ? Result<void>() : describe(entry, parent.get(), name);
}

Result<void> LayerReader::finish() {
  for (auto entry = directories_.rbegin(); entry != directories_.rend(); ++entry) {
    const UniqueFd directory = TRY(directory_at(entry->first));
    const std::array<timespec, 2> times = {timespec{entry->second, 0}, timespec{entry->second, 0}};
    if (::futimens(directory.get(), times.data()) != 0) {
      return system_error("cannot set the time of " + entry->first, errno);
    }
  }
  return {};
}
}  // namespace

Result<LayerFacts> read_layer(int archive, int tree) {
  Unpacked unpacked(archive);
  TRY(unpacked.open());
  TarReader reader([&](std::span<char> buffer) { return unpacked.read(buffer); });
  LayerReader layer(tree);
  for (auto entry = TRY(reader.next()); entry; entry = TRY(reader.next())) {
    TRY(layer.take(reader, *entry));
  }
  TRY(layer.finish());
  LayerFacts facts = TRY(unpacked.finish());
  facts.entries = layer.entries();
  return facts;
}

}  // namespace goldmill::store
