// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <tuple>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/image/guest_changes.hpp>
#include <goldmill/store/layer_tree.hpp>

#include "ext4_device.hpp"
#include "ext4_reader.hpp"

namespace goldmill::image {

using system::UniqueFd;

namespace {
constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

/// What stands behind a name says the same, but for contents.
bool says_the_same(const TreeNode& one, const TreeNode& other) {
  const auto of = [](const TreeNode& node) {
    return std::tie(node.mode,
                    node.user,
                    node.group,
                    node.size,
                    node.major,
                    node.minor,
                    node.target,
                    node.attributes);
  };
  return of(one) == of(other);
}

Error cannot(const char* what, const std::string& path) {
  return system_error(std::string("cannot ") + what + " /" + path, errno);
}

/// One file system and the part of the tree that it was made of.
class Comparison {
 public:
  Comparison(const Ext4Reader& disk, const Tree& now, const Tree& before, int tree)
      : disk_(disk), now_(now), before_(before), root_(tree) {}

  Result<void> bring(const std::set<std::string>& left) {
    left_ = left;
    TRY(directory(0, 0, root_, ""));
    if (!says_the_same(now_.nodes[0], before_.nodes[0])) {
      TRY(describe(root_, now_.nodes[0]));
    }
    for (const auto& [first, names] : joined_) {
      TRY(bring_joined(names));
    }
    return {};
  }

 private:
  struct Name {
    std::size_t now = kNobody;
    std::size_t before = kNobody;
    std::string path;
  };

  std::map<std::string, std::size_t> children(const Tree& tree, std::size_t index) const {
    std::map<std::string, std::size_t> named;
    if (index != kNobody) {
      for (const std::size_t child : tree.nodes[index].children) {
        named.emplace(tree.nodes[child].name, child);
      }
    }
    return named;
  }

  Result<void> directory(std::size_t now, std::size_t before, int place, const std::string& path) {
    auto old = children(before_, before);
    for (const std::size_t child : now_.nodes[now].children) {
      const std::string& name = now_.nodes[child].name;
      const auto found = old.find(name);
      const std::size_t known = found == old.end() ? kNobody : found->second;
      old.erase(name);
      TRY(entry({child, known, path + name}, place));
    }
    for (const auto& [name, child] : old) {
      if (!is_left(path + name)) {
        TRY(remove(place, child));
      }
    }
    return {};
  }

  Result<void> entry(const Name& name, int place) {
    const TreeNode& now = now_.nodes[name.now];
    if (is_left(name.path) || S_ISSOCK(now.mode)) {
      return {};
    }
    if (now.whiteout) {
      return Error{ErrorKind::conflict,
                   "/" + name.path + " is a device 0:0, which a layer cannot hold",
                   "remove it in the step"};
    }
    if (S_ISDIR(now.mode)) {
      return subdirectory(name, place);
    }
    const std::size_t first = now.same_as.value_or(name.now);
    if (now_.nodes[first].links > 1) {
      joined_[first].push_back(name);
      return {};
    }
    const bool stays = name.before != kNobody && !is_joined(name.before) &&
                       TRY(is_unchanged(name.now, name.before, place));
    return stays ? Result<void>() : replace(name, place);
  }

  Result<void> subdirectory(const Name& name, int place) {
    const TreeNode& now = now_.nodes[name.now];
    const bool is_there = name.before != kNobody && S_ISDIR(before_.nodes[name.before].mode);
    if (!is_there) {
      if (name.before != kNobody) {
        TRY(remove(place, name.before));
      }
      if (::mkdirat(place, now.name.c_str(), 0700) != 0) {
        return cannot("make", name.path);
      }
    }
    const UniqueFd inside = TRY(open_in_tree(place, now.name, O_RDONLY | O_DIRECTORY));
    const std::size_t before = is_there ? name.before : kNobody;
    TRY(directory(name.now, before, inside.get(), name.path + "/"));
    return is_there && says_the_same(now, before_.nodes[before])
               ? Result<void>()
               : describe(inside.get(), now).context("/" + name.path);
  }

  bool is_left(const std::string& path) const {
    return left_.contains(path) || left_.contains(path.substr(0, path.rfind('/') + 1));
  }

  bool is_joined(std::size_t before) const {
    const TreeNode& node = before_.nodes[before];
    return before_.nodes[node.same_as.value_or(before)].links > 1;
  }

  Result<bool> is_unchanged(std::size_t now, std::size_t before, int place) const {
    const TreeNode& node = now_.nodes[now];
    const TreeNode& known = before_.nodes[before];
    // Of several names only the first one was read whole.
    if (!says_the_same(node, before_.nodes[known.same_as.value_or(before)])) {
      return false;
    }
    return S_ISREG(node.mode) ? has_content(now, known.name, place) : Result<bool>(true);
  }

  Result<bool> has_content(std::size_t now, const std::string& name, int place) const {
    const UniqueFd file = TRY(open_in_tree(place, name, O_RDONLY | O_NONBLOCK));
    std::string own;
    bool same = true;
    TRY(disk_.content(now, [&](std::string_view piece) -> Result<void> {
      own.resize(same ? piece.size() : 0);
      for (std::size_t done = 0; same && done < piece.size();) {
        const ssize_t count = ::read(file.get(), own.data() + done, piece.size() - done);
        if (count < 0) {
          return cannot("read", name);
        }
        same = count > 0;
        done += static_cast<std::size_t>(count);
      }
      same = same && own == piece;
      return {};
    }));
    return same;
  }

  /// Whatever the tree has there.
  Result<void> remove(int place, std::size_t before) const {
    const TreeNode& node = before_.nodes[before];
    if (!S_ISDIR(node.mode)) {
      return ::unlinkat(place, node.name.c_str(), 0) == 0
                 ? Result<void>()
                 : cannot("remove", before_.path_of(before));
    }
    const UniqueFd inside = TRY(open_in_tree(place, node.name, O_RDONLY | O_DIRECTORY));
    for (const std::size_t child : node.children) {
      TRY(remove(inside.get(), child));
    }
    return ::unlinkat(place, node.name.c_str(), AT_REMOVEDIR) == 0
               ? Result<void>()
               : cannot("remove", before_.path_of(before));
  }

  Result<void> replace(const Name& name, int place) const {
    if (name.before != kNobody) {
      TRY(remove(place, name.before));
    }
    const TreeNode& node = now_.nodes[name.now];
    if (S_ISLNK(node.mode)) {
      return make_link(name, place);
    }
    if (S_ISFIFO(node.mode) && ::mkfifoat(place, node.name.c_str(), 0600) != 0) {
      return cannot("make", name.path);
    }
    const int flags = S_ISFIFO(node.mode) ? O_RDWR | O_NONBLOCK : O_WRONLY | O_CREAT | O_EXCL;
    const UniqueFd file(::openat(place, node.name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) {
      return cannot("make", name.path);
    }
    if (S_ISREG(node.mode)) {
      TRY(copy(name.now, file.get()).context("/" + name.path));
    } else if (!S_ISFIFO(node.mode)) {
      TRY(mark_device(node, file.get()));
    }
    return describe(file.get(), node).context("/" + name.path);
  }

  Result<void> make_link(const Name& name, int place) const {
    const TreeNode& node = now_.nodes[name.now];
    const std::array<timespec, 2> times = {timespec{node.mtime, 0}, timespec{node.mtime, 0}};
    const bool made =
        ::symlinkat(node.target.c_str(), place, node.name.c_str()) == 0 &&
        ::fchownat(place, node.name.c_str(), node.user, node.group, AT_SYMLINK_NOFOLLOW) == 0 &&
        ::utimensat(place, node.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0;
    return made ? Result<void>() : cannot("make the link", name.path);
  }

  /// mknod(2) does not work here: see store/layer_tree.hpp.
  static Result<void> mark_device(const TreeNode& node, int file) {
    const std::string text = std::string(S_ISCHR(node.mode) ? "c " : "b ") +
                             std::to_string(node.major) + " " + std::to_string(node.minor);
    return ::fsetxattr(file, store::kNodeAttribute, text.data(), text.size(), 0) == 0
               ? Result<void>()
               : cannot("mark the device", node.name);
  }

  Result<void> copy(std::size_t now, int file) const {
    off_t at = 0;
    TRY(disk_.content(now, [&](std::string_view piece) -> Result<void> {
      for (std::size_t start = 0; start < piece.size(); start += kExt4Block) {
        const std::string_view block = piece.substr(start, kExt4Block);
        const off_t place = at + static_cast<off_t>(start);
        if (!is_zero(block.data(), block.size()) &&
            ::pwrite(file, block.data(), block.size(), place) !=
                static_cast<ssize_t>(block.size())) {
          return cannot("write", now_.path_of(now));
        }
      }
      at += static_cast<off_t>(piece.size());
      return {};
    }));
    return ::ftruncate(file, at) == 0 ? Result<void>() : cannot("write", now_.path_of(now));
  }

  /// Owner, mode, attributes and time, in this order: each of them would take back a later one.
  static Result<void> describe(int file, const TreeNode& node) {
    const std::array<timespec, 2> times = {timespec{node.mtime, 0}, timespec{node.mtime, 0}};
    if (::fchown(file, node.user, node.group) != 0 || ::fchmod(file, node.mode & 07777) != 0) {
      return system_error("cannot give it its owner", errno);
    }
    TRY(set_attributes(file, node));
    return ::futimens(file, times.data()) == 0 ? Result<void>()
                                               : system_error("cannot set its time", errno);
  }

  static Result<void> set_attributes(int file, const TreeNode& node) {
    std::string names(65536, '\0');
    const ssize_t length = ::flistxattr(file, names.data(), names.size());
    for (std::size_t at = 0; length > 0 && at < static_cast<std::size_t>(length);) {
      const std::string name = names.c_str() + at;
      at += name.size() + 1;
      if (is_guest_attribute(name)) {  // a directory's default list came with it
        (void)::fremovexattr(file, name.c_str());
      }
    }
    for (const auto& [name, value] : node.attributes) {
      if (::fsetxattr(file, name.c_str(), value.data(), value.size(), 0) != 0) {
        return system_error("cannot give it the attribute " + name, errno);
      }
    }
    return {};
  }

  /// All names of one file: when one of them is not as before, all are made anew.
  Result<void> bring_joined(const std::vector<Name>& names) {
    bool stays = true;
    std::set<std::size_t> known;
    for (const Name& name : names) {
      stays = stays && name.before != kNobody;
      if (stays) {
        known.insert(before_.nodes[name.before].same_as.value_or(name.before));
      }
    }
    const auto parent = TRY(parent_of(names.front()));
    stays = stays && known.size() == 1 && before_.nodes[*known.begin()].links == names.size() &&
            TRY(is_unchanged(names.front().now, names.front().before, parent.get()));
    if (stays) {
      return {};
    }
    TRY(replace(names.front(), parent.get()));
    for (std::size_t index = 1; index < names.size(); ++index) {
      const UniqueFd place = TRY(parent_of(names[index]));
      if (names[index].before != kNobody) {
        TRY(remove(place.get(), names[index].before));
      }
      if (::linkat(parent.get(),
                   now_.nodes[names.front().now].name.c_str(),
                   place.get(),
                   now_.nodes[names[index].now].name.c_str(),
                   0) != 0) {
        return cannot("link", names[index].path);
      }
    }
    return {};
  }

  Result<UniqueFd> parent_of(const Name& name) const {
    const std::size_t slash = name.path.rfind('/');
    return open_in_tree(root_,
                        slash == std::string::npos ? "." : name.path.substr(0, slash),
                        O_RDONLY | O_DIRECTORY);
  }

  const Ext4Reader& disk_;
  const Tree& now_;
  const Tree& before_;
  int root_;
  std::set<std::string> left_;
  std::map<std::size_t, std::vector<Name>> joined_;
};

/// Mount points of other file systems below this one's.
std::vector<std::string> mounts_below(const Layout& layout, const LayoutPartition& partition) {
  std::vector<std::string> hollow;
  const std::string prefix = partition.mount == "/" ? "/" : partition.mount + "/";
  for (const LayoutPartition& other : layout.partitions) {
    if (&other != &partition && other.mount.starts_with(prefix)) {
      hollow.push_back(other.mount.substr(prefix.size()));
    }
  }
  return hollow;
}
}  // namespace

Result<void> take_guest_changes(int disk,
                                const Layout& layout,
                                const std::vector<std::string>& left,
                                int tree) {
  for (const LayoutPartition& partition : layout.partitions) {
    if (partition.filesystem != "ext4" || partition.mount.empty()) {
      continue;
    }
    const std::string top = partition.mount == "/" ? "." : partition.mount.substr(1);
    const std::vector<std::string> hollow = mounts_below(layout, partition);
    std::set<std::string> alone(hollow.begin(), hollow.end());
    for (const std::string& path : left) {
      const std::string prefix = top == "." ? "" : top + "/";
      if (path.starts_with(prefix)) {
        alone.insert(path.substr(prefix.size()));
      }
    }
    const UniqueFd place = TRY(open_in_tree(tree, top, O_RDONLY | O_DIRECTORY));
    Ext4Reader reader = TRY(Ext4Reader::open(disk, partition.offset));
    const Tree now = TRY(reader.read(hollow));
    const Tree before = TRY(read_tree(place.get(), hollow));
    TRY(Comparison(reader, now, before, place.get())
            .bring(alone)
            .context("partition '" + partition.name + "'"));
  }
  return {};
}

Result<Json> changes_worker(system::WorkerContext& context) {
  const Json* layout = find_value(context.request(), "layout");
  TRY(take_guest_changes(context.hand(1),
                         TRY(Layout::from_json(layout == nullptr ? Json() : *layout)),
                         find_strings(context.request(), "left"),
                         context.hand(0)));
  return Json::object();
}

}  // namespace goldmill::image
