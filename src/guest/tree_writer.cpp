// SPDX-License-Identifier: GPL-3.0-or-later
#include "tree_writer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <numeric>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "parallel.hpp"

namespace goldmill::guest {

namespace {
/// What a device node of a package is stored as: mknod(2) does not work for guest ids.
constexpr const char* kNodeAttribute = "user.goldmill.node";

std::map<std::string, std::uint32_t> ids_by_name(std::string_view text) {
  std::map<std::string, std::uint32_t> ids;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    const std::size_t name = line.find(':');
    const std::size_t password = name == line.npos ? name : line.find(':', name + 1);
    if (password == line.npos) {
      continue;
    }
    std::uint32_t id = 0;
    const auto [stop, error] =
        std::from_chars(line.data() + password + 1, line.data() + line.size(), id);
    if (error == std::errc{} && id <= 65535) {
      ids.emplace(line.substr(0, name), id);
    }
  }
  return ids;
}

std::uint32_t id_in(const std::map<std::string, std::uint32_t>& ids,
                    const std::string& name,
                    std::uint32_t otherwise) {
  const auto found = ids.find(name);
  return found == ids.end() ? otherwise : found->second;
}

std::array<timespec, 2> times_of(const TarEntry& entry) {
  const timespec time{entry.modified, static_cast<long>(entry.modified_nanoseconds)};
  return {time, time};
}

bool is_kept_attribute(std::string_view name) {
  return name == "security.capability" ||
         (name.starts_with("user.") && !name.starts_with("user.overlay.") &&
          !name.starts_with("user.goldmill."));
}

Error at_place(const GuestPlace& place, const char* what) {
  const int number = errno;
  return system_error(std::string("cannot ") + what + " " + place.path(), number);
}

/// Makes room for a non-directory. Errors: conflict when a directory is there.
Result<void> remove_old(const GuestPlace& place) {
  if (::unlinkat(place.descriptor(), place.name.c_str(), 0) == 0 || errno == ENOENT) {
    return {};
  }
  if (errno == EISDIR || errno == EPERM) {
    return Error{ErrorKind::conflict, place.path() + " is a directory already"};
  }
  return at_place(place, "replace");
}

Result<void> put_content(int file, const TarEntry& entry, const DataSource& data) {
  std::uint64_t written = 0;
  while (const auto piece = TRY(data())) {
    std::string_view rest = piece->bytes;
    std::uint64_t offset = piece->offset;
    while (!rest.empty()) {
      const ssize_t count = ::pwrite(file, rest.data(), rest.size(), static_cast<off_t>(offset));
      if (count < 0 && errno != EINTR) {
        return system_error("cannot write", errno);
      }
      const std::size_t done = count > 0 ? static_cast<std::size_t>(count) : 0;
      rest.remove_prefix(done);
      offset += done;
    }
    written = offset;
  }
  if (written < entry.size && ::ftruncate(file, static_cast<off_t>(entry.size)) != 0) {
    return system_error("cannot write", errno);
  }
  return {};
}
}  // namespace

Result<AccountNames> AccountNames::read(GuestTree& tree) {
  return AccountNames{ids_by_name(TRY(tree.read_or_empty("/etc/passwd"))),
                      ids_by_name(TRY(tree.read_or_empty("/etc/group")))};
}

/// One walk through one package.
class TreeWriter::Unpacking {
 public:
  /// `only`: the paths to place and where; all of them when null.
  Unpacking(TreeWriter& writer, std::size_t package, const std::map<std::string, std::string>* only)
      : writer_(writer),
        package_(package),
        member_(writer.packages_.members()[package]),
        only_(only) {
    for (const Conffile& conffile : member_.conffiles) {
      conffiles_.insert(conffile.path);
    }
  }

  Result<void> take(const TarEntry& entry, const DataSource& data) {
    if (only_ != nullptr) {
      return take_chosen(entry, data);
    }
    writer_.lists_[package_].push_back(entry.path);
    if (entry.path == "/") {
      writer_.claim_directory("/", package_, entry);
      return {};
    }
    TRY(claim_parents(parent_of(entry.path)));
    return entry.kind == TarEntry::Kind::directory ? take_directory(entry)
                                                   : take_other(entry, data);
  }

 private:
  Result<void> take_chosen(const TarEntry& entry, const DataSource& data) {
    const auto chosen = only_->find(entry.path);
    if (chosen == only_->end() || entry.kind == TarEntry::Kind::directory) {
      return {};
    }
    const std::string path = chosen->second + suffix(entry.path);
    written_[entry.path] = path;
    return put(TRY(writer_.tree_.place(path, Missing::create)), entry, data);
  }

  std::string suffix(const std::string& path) const {
    return conffiles_.contains(path) ? ".dpkg-new" : "";
  }

  /// A directory that is only passed through counts as one, or timing could decide.
  Result<void> claim_parents(const std::string& path) {
    if (path == "/" || !seen_.insert(path).second) {
      return {};
    }
    unnamed_ += path.size();
    if (const Bytes limit = member_.deb.limits().unnamed; unnamed_ > limit.value) {
      return Error{ErrorKind::invalid_input,
                   "its paths lead through more than " + to_text(limit) +
                       " of directories that it does not hold",
                   "no honest package is like this: leave it out, or ask where it comes from"};
    }
    TRY(claim_parents(parent_of(path)));
    const GuestPlace place = TRY(writer_.tree_.place(path, Missing::create));
    writer_.claim(place.path(), Claim{package_, Role::directory, path});
    return {};
  }

  Result<void> take_directory(const TarEntry& entry) {
    seen_.insert(entry.path);
    const std::string path = writer_.diverted(entry.path, member_);
    const GuestPlace place = TRY(writer_.tree_.place(path, Missing::create));
    writer_.claim(place.path(), Claim{package_, Role::directory, entry.path});
    const auto directory = TRY(writer_.tree_.make_directory(place));
    writer_.claim_directory(directory->path, package_, entry);
    return {};
  }

  Result<void> take_other(const TarEntry& entry, const DataSource& data) {
    const std::string path = writer_.diverted(entry.path, member_) + suffix(entry.path);
    const GuestPlace place = TRY(writer_.tree_.place(path, Missing::create));
    written_[entry.path] = path;
    const bool is_link = entry.kind == TarEntry::Kind::symlink;
    if (is_link && writer_.known_.links.contains(place.path())) {
      const auto times = times_of(entry);
      ::utimensat(place.descriptor(), place.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
      return {};
    }
    const Role role = is_link ? Role::link : Role::other;
    if (!writer_.claim(place.path(), Claim{package_, role, entry.path})) {
      return {};
    }
    writer_.tree_.note_created(place);
    return put(place, entry, data);
  }

  Result<void> put(const GuestPlace& place, const TarEntry& entry, const DataSource& data) {
    switch (entry.kind) {
      case TarEntry::Kind::symlink:
        return put_symlink(place, entry);
      case TarEntry::Kind::hardlink:
        return put_hardlink(place, entry);
      case TarEntry::Kind::fifo:
        TRY(remove_old(place));
        if (::mkfifoat(place.descriptor(), place.name.c_str(), 0600) != 0) {
          return at_place(place, "make the pipe");
        }
        return put_attributes_of_fifo(place, entry);
      default:
        return put_file(place, entry, data);
    }
  }

  Result<void> put_attributes_of_fifo(const GuestPlace& place, const TarEntry& entry) const {
    const auto times = times_of(entry);
    if (::fchownat(place.descriptor(),
                   place.name.c_str(),
                   user(entry),
                   group(entry),
                   AT_SYMLINK_NOFOLLOW) != 0 ||
        ::fchmodat(place.descriptor(), place.name.c_str(), entry.mode, 0) != 0 ||
        ::utimensat(place.descriptor(), place.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) !=
            0) {
      return at_place(place, "set the owner of");
    }
    return {};
  }

  Result<void> put_symlink(const GuestPlace& place, const TarEntry& entry) const {
    if (::symlinkat(entry.target.c_str(), place.descriptor(), place.name.c_str()) != 0) {
      struct stat status {};
      if (errno != EEXIST ||
          ::fstatat(place.descriptor(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return at_place(place, "make the link");
      }
      if (S_ISDIR(status.st_mode)) {
        return {};  // dpkg leaves a directory alone where a package has a link
      }
      TRY(remove_old(place));
      if (::symlinkat(entry.target.c_str(), place.descriptor(), place.name.c_str()) != 0) {
        return at_place(place, "make the link");
      }
    }
    const auto times = times_of(entry);
    if (::fchownat(place.descriptor(),
                   place.name.c_str(),
                   user(entry),
                   group(entry),
                   AT_SYMLINK_NOFOLLOW) != 0 ||
        ::utimensat(place.descriptor(), place.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) !=
            0) {
      return at_place(place, "set the owner of");
    }
    return {};
  }

  Result<void> put_hardlink(const GuestPlace& place, const TarEntry& entry) {
    const auto target = written_.find(entry.target);
    if (target == written_.end() && only_ == nullptr) {
      return Error{
          ErrorKind::invalid_input,
          "a hard link to " + entry.target + ", which the package does not hold before it"};
    }
    const GuestPlace from =
        TRY(writer_.tree_.place(target == written_.end() ? entry.target : target->second));
    {
      const std::lock_guard guard(writer_.mutex_);
      writer_.hardlinks_.emplace_back(place.path(), from.path());
    }
    TRY(remove_old(place));
    if (::linkat(from.descriptor(), from.name.c_str(), place.descriptor(), place.name.c_str(), 0) !=
        0) {
      return at_place(place, "make the hard link");
    }
    return {};
  }

  Result<void> put_file(const GuestPlace& place, const TarEntry& entry, const DataSource& data) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    system::UniqueFd file(::openat(place.descriptor(), place.name.c_str(), kFlags, 0600));
    if (!file && errno == EEXIST) {
      TRY(remove_old(place));
      file = system::UniqueFd(::openat(place.descriptor(), place.name.c_str(), kFlags, 0600));
    }
    if (!file) {
      return at_place(place, "write");
    }
    if (entry.kind == TarEntry::Kind::file) {
      TRY(put_content(file.get(), entry, data));
    } else {
      TRY(mark_as_node(file.get(), entry));
    }
    // chown clears setuid bits and capabilities, so it comes first.
    if (::fchown(file.get(), user(entry), group(entry)) != 0 ||
        ::fchmod(file.get(), entry.mode) != 0) {
      return at_place(place, "set the owner and mode of");
    }
    for (const auto& [name, value] : entry.attributes) {
      if (is_kept_attribute(name) &&
          ::fsetxattr(file.get(), name.c_str(), value.data(), value.size(), 0) != 0) {
        return at_place(place, "set an attribute of");
      }
    }
    const auto times = times_of(entry);
    if (::futimens(file.get(), times.data()) != 0) {
      return at_place(place, "set the time of");
    }
    return {};
  }

  static Result<void> mark_as_node(int file, const TarEntry& entry) {
    const std::string node = (entry.kind == TarEntry::Kind::block_device ? "b " : "c ") +
                             std::to_string(entry.device_major) + " " +
                             std::to_string(entry.device_minor);
    if (::fsetxattr(file, kNodeAttribute, node.data(), node.size(), 0) != 0) {
      return system_error("cannot note a device node", errno);
    }
    return {};
  }

  uid_t user(const TarEntry& entry) const {
    return id_in(writer_.known_.accounts.users, entry.user_name, entry.user);
  }
  gid_t group(const TarEntry& entry) const {
    return id_in(writer_.known_.accounts.groups, entry.group_name, entry.group);
  }

  friend class TreeWriter;
  TreeWriter& writer_;
  std::size_t package_;
  const PackageSet::Member& member_;
  const std::map<std::string, std::string>* only_;
  std::set<std::string> conffiles_;
  std::set<std::string> seen_;
  std::uint64_t unnamed_ = 0;
  std::map<std::string, std::string> written_;  // the entry's path -> where it is
};

TreeWriter::TreeWriter(GuestTree& tree, const PackageSet& packages, Known known)
    : tree_(tree), packages_(packages), known_(std::move(known)) {}

Result<void> TreeWriter::write_all(Order order) {
  claims_.clear();
  directories_.clear();
  hardlinks_.clear();
  lists_.assign(packages_.members().size(), {});
  std::vector<std::size_t> sequence = packages_.largest_first();
  if (order == Order::serial) {
    std::iota(sequence.begin(), sequence.end(), 0);
  }
  const unsigned threads = order == Order::serial ? 1 : usable_processors();
  TRY(for_each_parallel(sequence, threads, [this](std::size_t i) { return write_package(i); }));
  if (order == Order::parallel) {
    TRY(find_order_conflicts());
  }
  return remove_contested();
}

Result<void> TreeWriter::write_package(std::size_t index) {
  const PackageSet::Member& member = packages_.members()[index];
  Unpacking unpacking(*this, index, nullptr);
  return member.deb
      .visit([&](const TarEntry& entry, const DataSource& data) {
        return unpacking.take(entry, data);
      })
      .context(member.wanted.name);
}

Result<void> TreeWriter::write_some(std::size_t package,
                                    const std::map<std::string, std::string>& paths) {
  const PackageSet::Member& member = packages_.members()[package];
  Unpacking unpacking(*this, package, &paths);
  return member.deb
      .visit([&](const TarEntry& entry, const DataSource& data) {
        return unpacking.take(entry, data);
      })
      .context(member.wanted.name);
}

bool TreeWriter::claim(const std::string& place, Claim claim) {
  const std::lock_guard guard(mutex_);
  auto& claims = claims_[place];
  const bool is_first = std::all_of(claims.begin(), claims.end(), [&](const Claim& other) {
    return other.package == claim.package || other.role == Role::directory;
  });
  const bool is_known = std::any_of(claims.begin(), claims.end(), [&](const Claim& other) {
    return other.package == claim.package && other.role == claim.role && other.path == claim.path;
  });
  if (!is_known) {
    claims.push_back(std::move(claim));
  }
  return is_first;
}

void TreeWriter::claim_directory(const std::string& place,
                                 std::size_t package,
                                 const TarEntry& entry) {
  const std::lock_guard guard(mutex_);
  const auto found = directories_.find(place);
  if (found == directories_.end() || package < found->second.package) {
    TarEntry kept = entry;
    kept.attributes.clear();  // directories get none, and they may be large
    directories_.insert_or_assign(place, DirectoryClaim{package, std::move(kept)});
  }
}

bool TreeWriter::is_claimed_directory(const std::string& place) const {
  return directories_.contains(place);
}

std::string TreeWriter::diverted(const std::string& path, const PackageSet::Member& member) const {
  for (const Diversion& diversion : known_.diversions) {
    if (diversion.from == path && diversion.package != member.wanted.name) {
      return diversion.to;
    }
  }
  return path;
}

Result<void> TreeWriter::find_order_conflicts() const {
  for (const auto& [place, claims] : claims_) {
    const auto is_directory = [](const Claim& claim) { return claim.role == Role::directory; };
    const bool has_directory = std::any_of(claims.begin(), claims.end(), is_directory);
    const bool has_other = !std::all_of(claims.begin(), claims.end(), is_directory);
    if (has_directory && has_other && !known_.links.contains(place)) {
      return Error{ErrorKind::conflict, place + " is a directory in one package only"};
    }
  }
  return {};
}

std::set<std::string> TreeWriter::contested_places() const {
  std::set<std::string> places;
  for (const auto& [place, claims] : claims_) {
    std::set<std::size_t> packages;
    for (const Claim& claim : claims) {
      if (claim.role != Role::directory) {
        packages.insert(claim.package);
      }
    }
    if (packages.size() > 1) {
      places.insert(place);
    }
  }
  for (const auto& [link, target] : hardlinks_) {
    if (places.contains(target)) {
      places.insert(link);
    }
  }
  return places;
}

Result<void> TreeWriter::remove_contested() {
  for (const std::string& place : contested_places()) {
    TRY(tree_.remove_file(place));
  }
  return {};
}

std::vector<ContestedPath> TreeWriter::contested() const {
  std::vector<ContestedPath> all;
  for (const std::string& place : contested_places()) {
    ContestedPath contested{place, {}};
    for (const Claim& claim : claims_.at(place)) {
      if (claim.role != Role::directory) {
        contested.claims.push_back({claim.package, claim.path});
      }
    }
    std::sort(contested.claims.begin(),
              contested.claims.end(),
              [](const PathClaim& a, const PathClaim& b) {
                return std::pair(a.package, a.path) < std::pair(b.package, b.path);
              });
    all.push_back(std::move(contested));
  }
  return all;
}

Result<void> TreeWriter::finish_directories() {
  for (const std::string& path : tree_.created()) {
    const auto status = TRY(tree_.look(path));
    if (!status || !S_ISDIR(status->st_mode)) {
      continue;
    }
    const auto directory = TRY(tree_.directory(path));
    const int descriptor = directory->descriptor.get();
    const auto claim = directories_.find(path);
    if (claim == directories_.end()) {
      ::fchmod(descriptor, 0755);
      continue;
    }
    const TarEntry& entry = claim->second.entry;
    const auto times = times_of(entry);
    if (::fchown(descriptor,
                 id_in(known_.accounts.users, entry.user_name, entry.user),
                 id_in(known_.accounts.groups, entry.group_name, entry.group)) != 0 ||
        ::fchmod(descriptor, entry.mode) != 0 || ::futimens(descriptor, times.data()) != 0) {
      return system_error("cannot set the owner and mode of " + path, errno);
    }
  }
  return {};
}

}  // namespace goldmill::guest
