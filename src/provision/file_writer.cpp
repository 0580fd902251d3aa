// SPDX-License-Identifier: GPL-3.0-or-later
#include "file_writer.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <map>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/base/utf8.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::provision {

using system::UniqueFd;

namespace {

constexpr Bytes kAccountsLimit = 4_MiB;
constexpr const char* kTemporary = ".goldmill-new";

UniqueFd open_inside(int tree, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, tree, path.c_str(), &how, sizeof how)));
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string leaf_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

/// Names of /etc/passwd or /etc/group with their ids.
Result<std::map<std::string, std::uint32_t>> read_accounts(int tree, const char* path) {
  std::map<std::string, std::uint32_t> ids;
  const UniqueFd file = open_inside(tree, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) {
    return ids;  // an empty tree knows numbers only
  }
  const std::string text = TRY(system::read_all(file.get(), kAccountsLimit).context(path));
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    const std::size_t name = line.find(':');
    const std::size_t password = name == std::string::npos ? name : line.find(':', name + 1);
    std::uint32_t id = 0;
    if (password != std::string::npos &&
        std::from_chars(line.data() + password + 1, line.data() + line.size(), id).ec ==
            std::errc{}) {
      ids.emplace(line.substr(0, name), id);
    }
  }
  return ids;
}

Result<std::uint32_t> id_of(const std::map<std::string, std::uint32_t>& ids,
                            const std::string& name,
                            const char* what) {
  if (const auto found = ids.find(name); found != ids.end()) {
    return found->second;
  }
  std::uint32_t id = 0;
  const char* end = name.data() + name.size();
  const auto [stop, failure] = std::from_chars(name.data(), end, id);
  if (failure == std::errc{} && stop == end) {
    return id;
  }
  std::vector<std::string> names;
  names.reserve(ids.size());
  for (const auto& [known, number] : ids) {
    names.push_back(escape_controls(known));
  }
  const std::string near = nearest(name, names);
  return Error{ErrorKind::not_found,
               std::string("the image has no ") + what + " '" + name + "'",
               near.empty() ? "install the package that makes it first, or write a number"
                            : "did you mean '" + near + "'?"};
}

struct Ownership {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  mode_t mode = 0644;
  std::int64_t epoch = 0;

  mode_t directory_mode() const { return mode | ((mode & 0444U) >> 2U); }
};

class Writer {
 public:
  Writer(int tree, int contents) : tree_(tree), contents_(contents) {}

  Result<void> write(const std::string& top, const Ownership& ownership, const Json& entries) {
    TRY(make_parents(parent_of(top), ownership.epoch));
    for (const Json& entry : entries) {
      const std::string below = TRY(string_at(entry, "path"));
      const std::string type = TRY(string_at(entry, "type"));
      std::string path = top;
      if (!below.empty()) {
        path.append("/").append(below);
      }
      ++written_;
      if (type == "directory") {
        TRY(make_directory(path, ownership, ownership.directory_mode()));
      } else if (type == "link") {
        TRY(make_link(path, ownership, TRY(string_at(entry, "link"))));
      } else {
        const auto size = static_cast<std::uint64_t>(TRY(integer_at(entry, "size")));
        const bool executable = find_bool(entry, "executable").value_or(false);
        const bool in_directory = !below.empty();
        TRY(make_file(path,
                      ownership,
                      executable && in_directory ? ownership.directory_mode() : ownership.mode,
                      size));
      }
    }
    return {};
  }

  std::uint64_t written() const { return written_; }

 private:
  Result<UniqueFd> open_parent(const std::string& path) const {
    UniqueFd parent = open_inside(tree_, parent_of(path), O_RDONLY | O_DIRECTORY);
    if (!parent) {
      return system_error("cannot open " + parent_of(path) + " of the image", errno);
    }
    return parent;
  }

  Result<void> make_parents(const std::string& path, std::int64_t epoch) const {
    if (path == "/") {
      return {};
    }
    TRY(make_parents(parent_of(path), epoch));
    return make_directory(path, Ownership{.epoch = epoch}, 0755);
  }

  /// One that is there already stays as it is.
  Result<void> make_directory(const std::string& path,
                              const Ownership& ownership,
                              mode_t mode) const {
    if (open_inside(tree_, path, O_PATH | O_DIRECTORY)) {
      return {};
    }
    const UniqueFd parent = TRY(open_parent(path));
    const std::string name = leaf_of(path);
    if (::mkdirat(parent.get(), name.c_str(), 0700) != 0) {
      return system_error("cannot make the directory " + path + " of the image", errno);
    }
    const UniqueFd made(
        ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made || ::fchown(made.get(), ownership.user, ownership.group) != 0 ||
        ::fchmod(made.get(), mode) != 0) {
      return system_error("cannot set owner and mode of " + path, errno);
    }
    return {};
  }

  Result<void> put_in_place(int parent, const std::string& path) const {
    if (::renameat(parent, kTemporary, parent, leaf_of(path).c_str()) == 0) {
      return {};
    }
    const int number = errno;
    ::unlinkat(parent, kTemporary, 0);
    if (number == EISDIR || number == ENOTEMPTY || number == EEXIST) {
      return Error{ErrorKind::conflict,
                   path + " is a directory of the image, not a file",
                   "choose another target"};
    }
    return system_error("cannot write " + path + " of the image", number);
  }

  Result<void> make_link(const std::string& path,
                         const Ownership& ownership,
                         const std::string& target) const {
    const UniqueFd parent = TRY(open_parent(path));
    ::unlinkat(parent.get(), kTemporary, 0);
    const std::array<timespec, 2> times = {{{ownership.epoch, 0}, {ownership.epoch, 0}}};
    if (::symlinkat(target.c_str(), parent.get(), kTemporary) != 0 ||
        ::fchownat(
            parent.get(), kTemporary, ownership.user, ownership.group, AT_SYMLINK_NOFOLLOW) != 0 ||
        ::utimensat(parent.get(), kTemporary, times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error("cannot make the link " + path + " of the image", errno);
    }
    return put_in_place(parent.get(), path);
  }

  Result<void> make_file(const std::string& path,
                         const Ownership& ownership,
                         mode_t mode,
                         std::uint64_t size) {
    const UniqueFd parent = TRY(open_parent(path));
    ::unlinkat(parent.get(), kTemporary, 0);
    const UniqueFd file(::openat(
        parent.get(), kTemporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) {
      return system_error("cannot write " + path + " of the image", errno);
    }
    TRY(copy_content(file.get(), size).context(path));
    const std::array<timespec, 2> times = {{{ownership.epoch, 0}, {ownership.epoch, 0}}};
    // The mode comes last: a change of owner takes setuid bits away.
    if (::fchown(file.get(), ownership.user, ownership.group) != 0 ||
        ::fchmod(file.get(), mode) != 0 || ::futimens(file.get(), times.data()) != 0) {
      return system_error("cannot set owner and mode of " + path, errno);
    }
    return put_in_place(parent.get(), path);
  }

  Result<void> copy_content(int file, std::uint64_t size) {
    std::vector<char> piece(1 << 17);
    while (size > 0) {
      const std::size_t wanted = std::min<std::uint64_t>(size, piece.size());
      const ssize_t count = ::pread(contents_, piece.data(), wanted, offset_);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count <= 0) {
        return Error{ErrorKind::internal, "the contents to copy end too early"};
      }
      TRY(system::write_all(file, {piece.data(), static_cast<std::size_t>(count)}));
      offset_ += count;
      size -= static_cast<std::uint64_t>(count);
    }
    return {};
  }

  int tree_;
  int contents_;
  off_t offset_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace

Result<Json> write_files(const Json& request, int tree, int contents) {
  const auto users = TRY(read_accounts(tree, "/etc/passwd"));
  const auto groups = TRY(read_accounts(tree, "/etc/group"));
  Writer writer(tree, contents);
  const Json* files = find_value(request, "files");
  if (files == nullptr) {
    return Error{ErrorKind::internal, "no files to write"};
  }
  for (const Json& file : *files) {
    const std::string target = TRY(string_at(file, "target"));
    Ownership ownership;
    ownership.user =
        TRY(id_of(users, TRY(string_at(file, "owner")), "user").context("for " + target));
    ownership.group =
        TRY(id_of(groups, TRY(string_at(file, "group")), "group").context("for " + target));
    ownership.mode = static_cast<mode_t>(TRY(integer_at(file, "mode")));
    ownership.epoch = TRY(integer_at(request, "epoch"));
    const Json* entries = find_value(file, "entries");
    if (entries == nullptr) {
      return Error{ErrorKind::internal, "nothing to write to " + target};
    }
    TRY(writer.write(target, ownership, *entries));
  }
  return Json{{"written", writer.written()}};
}

Result<Json> write_files(system::WorkerContext& context) {
  ::umask(0);
  return write_files(context.request(), context.hand(0), context.hand(1));
}

}  // namespace goldmill::provision
