// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <goldmill/guest/guest_tree.hpp>

namespace goldmill::guest {

namespace {
constexpr int kLinkDepth = 40;  // as the kernel's own limit
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::string path_below(const std::string& directory, std::string_view name) {
  return (directory == "/" ? "" : directory) + "/" + std::string(name);
}

/// Raises the limit of open files as far as allowed; the share of it that may be kept.
std::size_t kept_directories() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 256;
  }
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return std::clamp<std::size_t>(limit.rlim_max / 2, 64, 20000);
}

Result<std::string> read_link(int directory, const std::string& name) {
  std::array<char, PATH_MAX> text{};
  const ssize_t length = ::readlinkat(directory, name.c_str(), text.data(), text.size());
  if (length < 0) {
    return system_error("cannot read the link " + name, errno);
  }
  return std::string(text.data(), static_cast<std::size_t>(length));
}
}  // namespace

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::string last_part_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

namespace {
/// Paths also come from files that the guest's programs wrote, as dpkg's diversions do: from the
/// root's descriptor ".." would lead to what is around the tree.
Result<void> check_name(const std::string& name, const std::string& path) {
  if (name.empty() || name == "." || name == "..") {
    return Error{ErrorKind::invalid_input, "'" + path.substr(0, 200) + "' is no path of a tree"};
  }
  return {};
}
}  // namespace

std::string GuestPlace::path() const {
  return path_below(directory->path, name);
}

GuestTree::GuestTree(int root)
    : root_(std::make_shared<GuestDirectory>(
          GuestDirectory{system::UniqueFd(::openat(root, ".", kOpenDirectory)), "/"})),
      kept_limit_(kept_directories()) {}

GuestTree::Directory GuestTree::remembered(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  const auto found = kept_.find(path);
  return found == kept_.end() ? nullptr : found->second;
}

void GuestTree::remember(const std::string& path, const Directory& directory) {
  const std::lock_guard guard(mutex_);
  if (kept_.size() >= kept_limit_) {
    kept_.clear();  // those in use live on with their users
  }
  kept_[path] = directory;
}

Result<std::shared_ptr<const GuestDirectory>> GuestTree::directory(const std::string& path,
                                                                   Missing missing) {
  return find(path, missing, 0);
}

Result<GuestTree::Directory> GuestTree::find(const std::string& path, Missing missing, int depth) {
  if (path == "/") {
    return root_;
  }
  if (Directory known = remembered(path)) {
    return known;
  }
  const std::string name = last_part_of(path);
  TRY(check_name(path.starts_with('/') ? name : "", path));
  const Directory parent = TRY(find(parent_of(path), missing, depth));
  Directory found = TRY(enter(parent, name, missing, depth));
  remember(path, found);
  return found;
}

Result<GuestTree::Directory> GuestTree::enter(const Directory& parent,
                                              const std::string& name,
                                              Missing missing,
                                              int depth) {
  const std::string path = path_below(parent->path, name);
  const int base = parent->descriptor.get();
  for (int attempt = 0; attempt < 2; ++attempt) {
    system::UniqueFd opened(::openat(base, name.c_str(), kOpenDirectory));
    if (opened) {
      return Directory(std::make_shared<GuestDirectory>(GuestDirectory{std::move(opened), path}));
    }
    if (errno == ENOENT && missing == Missing::create) {
      if (::mkdirat(base, name.c_str(), 0755) == 0) {
        note_created(GuestPlace{parent, name});
      } else if (errno != EEXIST) {
        return system_error("cannot make " + path, errno);
      }
      continue;
    }
    if (errno == ELOOP || errno == ENOTDIR) {
      return follow(parent, name, depth);
    }
    return system_error("cannot open the directory " + path, errno);
  }
  return Error{ErrorKind::not_found, "the directory " + path + " went away"};
}

Result<GuestTree::Directory> GuestTree::follow(const Directory& parent,
                                               const std::string& name,
                                               int depth) {
  const std::string path = path_below(parent->path, name);
  auto text = read_link(parent->descriptor.get(), name);
  if (!text) {
    return Error{ErrorKind::conflict, path + " is not a directory"};
  }
  if (depth >= kLinkDepth) {
    return Error{ErrorKind::conflict, path + " is a link that leads round in circles"};
  }
  std::string at = text->starts_with('/') ? "/" : parent->path;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    if (part == "..") {
      at = parent_of(at);
    } else if (!part.empty() && part != ".") {
      at = TRY(find(path_below(at, part), Missing::fail, depth + 1))->path;
    }
  }
  return find(at, Missing::fail, depth + 1);
}

Result<GuestPlace> GuestTree::place(const std::string& path, Missing missing) {
  std::string name = last_part_of(path);
  TRY(check_name(path.starts_with('/') ? name : "", path));
  auto parent = TRY(directory(parent_of(path), missing));
  return GuestPlace{std::move(parent), std::move(name)};
}

Result<std::optional<struct stat>> GuestTree::look(const std::string& path) {
  std::optional<struct stat> nothing;
  if (path == "/") {
    struct stat status {};
    ::fstat(root_->descriptor.get(), &status);
    return std::optional(status);
  }
  auto found = place(path);
  if (!found) {
    const bool missing =
        found.error().kind == ErrorKind::not_found || found.error().kind == ErrorKind::conflict;
    return missing ? Result<std::optional<struct stat>>(nothing) : std::move(found).error();
  }
  struct stat status {};
  if (::fstatat(found->descriptor(), found->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Result<std::optional<struct stat>>(nothing)
                           : system_error("cannot look at " + path, errno);
  }
  return std::optional(status);
}

Result<std::string> GuestTree::read(const std::string& path, Bytes limit) {
  std::string at = path;
  for (int depth = 0; depth < kLinkDepth; ++depth) {
    const GuestPlace found = TRY(place(at));
    const auto link = read_link(found.descriptor(), found.name);
    if (!link) {
      const system::UniqueFd file(::openat(
          found.descriptor(), found.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
      struct stat status {};
      if (!file || ::fstat(file.get(), &status) != 0) {
        return system_error("cannot open " + path, errno);
      }
      if (!S_ISREG(status.st_mode)) {
        return Error{ErrorKind::invalid_input, path + " is no regular file"};
      }
      return system::read_all(file.get(), limit).context(path);
    }
    // Its last part is looked up again, so only the directory before it is resolved here.
    std::string next = link->starts_with('/') ? "" : found.directory->path;
    std::string_view rest = *link;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('/'), rest.size());
      const std::string_view part = rest.substr(0, end);
      rest.remove_prefix(std::min(rest.size(), end + 1));
      if (part == "..") {
        next = parent_of(TRY(directory(next.empty() ? "/" : next))->path);
      } else if (!part.empty() && part != ".") {
        next = path_below(next.empty() ? "/" : next, part);
      }
    }
    if (next.size() < 2) {
      break;
    }
    at = next;
  }
  return Error{ErrorKind::invalid_input, path + " is a link that leads to no file"};
}

Result<std::string> GuestTree::read_or_empty(const std::string& path) {
  auto content = read(path);
  if (!content && content.error().kind == ErrorKind::not_found) {
    return std::string();
  }
  return content;
}

Result<void> GuestTree::write(const std::string& path, std::string_view content, mode_t mode) {
  const GuestPlace target = TRY(place(path, Missing::create));
  const std::string temporary = target.name + ".goldmill-new";
  ::unlinkat(target.descriptor(), temporary.c_str(), 0);
  const system::UniqueFd file(::openat(target.descriptor(),
                                       temporary.c_str(),
                                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                       0600));
  if (!file) {
    return system_error("cannot write " + path, errno);
  }
  TRY(system::write_all(file.get(), content).context(path));
  if (::fchmod(file.get(), mode) != 0 ||
      ::renameat(
          target.descriptor(), temporary.c_str(), target.descriptor(), target.name.c_str()) != 0) {
    return system_error("cannot write " + path, errno);
  }
  return {};
}

Result<std::vector<std::string>> GuestTree::names(const std::string& path) {
  std::vector<std::string> names;
  auto opened = directory(path);
  if (!opened) {
    return opened.error().kind == ErrorKind::not_found
               ? Result<std::vector<std::string>>(std::move(names))
               : std::move(opened).error();
  }
  DIR* stream = ::fdopendir(::openat((*opened)->descriptor.get(), ".", kOpenDirectory));
  if (stream == nullptr) {
    return system_error("cannot list " + path, errno);
  }
  while (const dirent* entry = ::readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") {
      names.push_back(name);
    }
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> GuestTree::remove_file(const std::string& path) {
  const GuestPlace target = TRY(place(path));
  if (::unlinkat(target.descriptor(), target.name.c_str(), 0) != 0 && errno != ENOENT) {
    return system_error("cannot remove " + path, errno);
  }
  return {};
}

Result<std::shared_ptr<const GuestDirectory>> GuestTree::make_directory(const GuestPlace& place) {
  const std::string path = place.path();
  if (Directory known = remembered(path)) {
    return known;
  }
  Directory found = TRY(enter(place.directory, place.name, Missing::create, 0));
  remember(path, found);
  return found;
}

void GuestTree::note_created(const GuestPlace& place) {
  const std::lock_guard guard(mutex_);
  created_.push_back(place.path());
}

std::vector<std::string> GuestTree::created() const {
  const std::lock_guard guard(mutex_);
  return created_;
}

Result<void> GuestTree::undo() {
  std::vector<std::string> all;
  {
    const std::lock_guard guard(mutex_);
    all.swap(created_);
    kept_.clear();
  }
  std::sort(all.begin(), all.end());  // a directory before what is in it
  all.erase(std::unique(all.begin(), all.end()), all.end());
  for (auto path = all.rbegin(); path != all.rend(); ++path) {
    const GuestPlace target = TRY(place(*path));
    if (::unlinkat(target.descriptor(), target.name.c_str(), 0) != 0 &&
        (errno != EISDIR ||
         ::unlinkat(target.descriptor(), target.name.c_str(), AT_REMOVEDIR) != 0) &&
        errno != ENOENT) {
      return system_error("cannot remove " + *path, errno);
    }
  }
  {
    const std::lock_guard guard(mutex_);
    kept_.clear();
  }
  return {};
}

}  // namespace goldmill::guest
