// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/image/tree.hpp>
#include <goldmill/store/layer_tree.hpp>

namespace goldmill::image {

using system::UniqueFd;

namespace {
constexpr std::size_t kDeepest = 200;  // one open descriptor for each
constexpr std::string_view kCapability = "security.capability";
constexpr std::string_view kNode = store::kNodeAttribute;
constexpr std::string_view kOpaque = store::kOpaqueAttribute;

using Attributes = std::vector<std::pair<std::string, std::string>>;

/// struct vfs_ns_cap_data (linux/capability.h): revision 3 appends a root id to revision 2.
std::string plain_capability(std::string value) {
  constexpr std::size_t kRevision3 = 24;
  constexpr std::size_t kRevision2 = 20;
  if (value.size() == kRevision3 && value[3] == 3) {
    value.resize(kRevision2);
    value[3] = 2;
  }
  return value;
}

Result<Attributes> attributes_of(int file) {
  std::string names(1024, '\0');
  ssize_t length = 0;
  while ((length = ::flistxattr(file, names.data(), names.size())) < 0) {
    if (errno == ENOTSUP) {
      return Attributes{};
    }
    if (errno != ERANGE || names.size() > (1U << 20)) {
      return system_error("cannot list extended attributes", errno);
    }
    names.resize(names.size() * 4);
  }
  Attributes found;
  std::string value(65536, '\0');
  for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
    const std::string name(names.c_str() + at);
    at += name.size() + 1;
    if (!is_guest_attribute(name) && name != kNode && name != kOpaque) {
      continue;
    }
    const ssize_t size = ::fgetxattr(file, name.c_str(), value.data(), value.size());
    if (size < 0) {
      return system_error("cannot read the extended attribute " + name, errno);
    }
    std::string content(value.data(), static_cast<std::size_t>(size));
    found.emplace_back(name, name == kCapability ? plain_capability(content) : content);
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// "c MAJOR MINOR" or "b MAJOR MINOR": a device that could not be made in the sandbox.
Result<void> become_device(TreeNode& node, std::string_view text) {
  const std::size_t space = text.find(' ', 2);
  const bool shaped = text.size() >= 5 && (text[0] == 'c' || text[0] == 'b') && text[1] == ' ' &&
                      space != std::string_view::npos;
  bool good = shaped;
  if (shaped) {
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data() + 2, text.data() + space, node.major);
    const auto second = std::from_chars(text.data() + space + 1, end, node.minor);
    good = first.ec == std::errc{} && second.ec == std::errc{} && second.ptr == end &&
           first.ptr == text.data() + space;
  }
  if (!good) {
    return Error{ErrorKind::invalid_input, "the device placeholder has no valid numbers"};
  }
  node.mode = (node.mode & 07777) | (text[0] == 'c' ? S_IFCHR : S_IFBLK);
  node.size = 0;
  node.stored = 0;
  return {};
}

class Reader {
 public:
  explicit Reader(const std::vector<std::string>& hollow) : hollow_(hollow) {}

  Result<Tree> run(int directory) {
    // A duplicate would share its position with the caller's.
    const UniqueFd root(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    if (!root || ::fstat(root.get(), &status) != 0) {
      return system_error("cannot read the tree", errno);
    }
    tree_.nodes.push_back(node_of(status));
    TRY(take_attributes(root.get(), 0));
    TRY(read_directory(root.get(), 0, 0));
    return std::move(tree_);
  }

 private:
  static TreeNode node_of(const struct stat& status) {
    TreeNode node;
    node.mode = status.st_mode;
    node.user = status.st_uid;
    node.group = status.st_gid;
    node.mtime = status.st_mtim.tv_sec;
    if (S_ISREG(status.st_mode)) {
      constexpr std::uint64_t kBlockSize = 4096;
      node.size = static_cast<std::uint64_t>(status.st_size);
      const auto stored = static_cast<std::uint64_t>(status.st_blocks) * 512 + kBlockSize;
      node.stored = std::min(stored, node.size);
    } else if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
      node.major = ::major(status.st_rdev);
      node.minor = ::minor(status.st_rdev);
      node.whiteout = S_ISCHR(status.st_mode) && status.st_rdev == 0;
    } else if (S_ISDIR(status.st_mode)) {
      node.links = 2;
    }
    return node;
  }

  static Result<std::vector<std::string>> names_in(int directory) {
    UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) {
      return system_error("cannot open a directory", errno);
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
    if (!stream) {
      return system_error("cannot list a directory", errno);
    }
    (void)own.release();
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe)
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        names.emplace_back(name);
      }
    }
    if (errno != 0) {
      return system_error("cannot list a directory", errno);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  bool is_hollow(std::size_t index) const {
    return !hollow_.empty() &&
           std::find(hollow_.begin(), hollow_.end(), tree_.path_of(index)) != hollow_.end();
  }

  Result<void> read_directory(int directory, std::size_t index, std::size_t depth) {
    if (depth > kDeepest) {
      return Error{ErrorKind::invalid_input,
                   "directories are nested deeper than " + std::to_string(kDeepest) + ": " +
                       tree_.path_of(index).substr(0, 200)};
    }
    if (index != 0 && is_hollow(index)) {
      return {};
    }
    const std::vector<std::string> names = TRY(names_in(directory).context(tree_.path_of(index)));
    for (const std::string& name : names) {
      TRY(read_entry(directory, name, index, depth));
    }
    return {};
  }

  Result<void> read_entry(int directory,
                          const std::string& name,
                          std::size_t parent,
                          std::size_t depth) {
    struct stat status {};
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error("cannot read " + tree_.path_of(parent) + "/" + name, errno);
    }
    const std::size_t index = tree_.nodes.size();
    TreeNode node = node_of(status);
    node.name = name;
    node.parent = parent;
    tree_.nodes.push_back(std::move(node));
    tree_.nodes[parent].children.push_back(index);
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1 && joined(status, index)) {
      return {};
    }
    if (S_ISLNK(status.st_mode)) {
      return read_target(directory, index);
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
      return {};
    }
    const UniqueFd file(
        ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) {
      return system_error("cannot open " + tree_.path_of(index), errno);
    }
    TRY(take_attributes(file.get(), index).context(tree_.path_of(index)));
    if (S_ISDIR(status.st_mode)) {
      ++tree_.nodes[parent].links;
      return read_directory(file.get(), index, depth + 1);
    }
    return {};
  }

  /// Whether the file was met before under another name; then it becomes a link to that.
  bool joined(const struct stat& status, std::size_t index) {
    const auto [place, is_new] = first_names_.try_emplace({status.st_dev, status.st_ino}, index);
    if (is_new) {
      return false;
    }
    tree_.nodes[index].same_as = place->second;
    ++tree_.nodes[place->second].links;
    return true;
  }

  Result<void> read_target(int directory, std::size_t index) {
    TreeNode& node = tree_.nodes[index];
    std::string target(4096, '\0');
    const ssize_t length = ::readlinkat(directory, node.name.c_str(), target.data(), target.size());
    if (length < 0 || static_cast<std::size_t>(length) >= target.size()) {
      return system_error("cannot read the link " + tree_.path_of(index), errno);
    }
    target.resize(static_cast<std::size_t>(length));
    node.target = std::move(target);
    return {};
  }

  Result<void> take_attributes(int file, std::size_t index) {
    TreeNode& node = tree_.nodes[index];
    node.attributes = TRY(attributes_of(file));
    node.opaque = take_mark(node, kOpaque) == "y" && S_ISDIR(node.mode);
    const auto placeholder = take_mark(node, kNode);
    if (placeholder && S_ISREG(node.mode)) {
      TRY(become_device(node, *placeholder));
    }
    return {};
  }

  /// What the store notes about a file is no attribute of the guest's.
  static std::optional<std::string> take_mark(TreeNode& node, std::string_view name) {
    const auto found = std::find_if(node.attributes.begin(),
                                    node.attributes.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    if (found == node.attributes.end()) {
      return std::nullopt;
    }
    std::string value = std::move(found->second);
    node.attributes.erase(found);
    return value;
  }

  const std::vector<std::string>& hollow_;
  Tree tree_;
  std::map<std::pair<dev_t, ino_t>, std::size_t> first_names_;
};
}  // namespace

// A label of this machine's SELinux means nothing there.
bool is_guest_attribute(std::string_view name) {
  if (name.starts_with("user.")) {
    return !name.starts_with("user.overlay.") && !name.starts_with("user.goldmill.");
  }
  return name == kCapability || name == "system.posix_acl_access" ||
         name == "system.posix_acl_default";
}

std::string Tree::path_of(std::size_t index) const {
  if (index == 0) {
    return "";
  }
  const TreeNode& node = nodes[index];
  return node.parent == 0 ? node.name : path_of(node.parent) + "/" + node.name;
}

Result<Tree> read_tree(int directory, const std::vector<std::string>& hollow) {
  return Reader(hollow).run(directory);
}

Result<UniqueFd> open_in_tree(int directory, const std::string& path, int flags) {
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(flags | O_NOFOLLOW | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd file(
      static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how)));
  if (!file) {
    return system_error("cannot open " + path + " of the tree", errno);
  }
  return file;
}

}  // namespace goldmill::image
