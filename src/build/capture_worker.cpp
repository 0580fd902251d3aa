// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of capture_layer() and commit_layer(): works on the overlay's upper directory.
#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/build/seal.hpp>
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/system/file.hpp>

#include "layer_workers.hpp"
#include "mounts.hpp"
#include "shared_files.hpp"
#include "tree_walk.hpp"

namespace goldmill::build {

using system::UniqueFd;

namespace {
constexpr std::size_t kMostReported = 1000;

// ---- seal ----

class Sealer {
 public:
  Result<void> directory(int descriptor, const std::string& path, std::size_t depth);
  const std::vector<std::string>& report() const { return report_; }

 private:
  Result<void> entry(int parent,
                     const std::string& name,
                     const std::string& path,
                     std::size_t depth);
  Result<void> apply(const SealRule& rule,
                     int parent,
                     const std::string& name,
                     const std::string& path);
  std::vector<std::string> report_;
};

Result<void> Sealer::apply(const SealRule& rule,
                           int parent,
                           const std::string& name,
                           const std::string& path) {
  if (rule.action == SealAction::check || rule.action == SealAction::declare ||
      holds_text(parent, name, rule.unless_it_holds)) {
    return {};
  }
  if (rule.action == SealAction::empty) {
    struct stat status {};
    if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode) || status.st_size == 0) {
      return {};
    }
    const UniqueFd file(
        ::openat(parent, name.c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC));
    if (!file) {
      return system_error("cannot empty " + path, errno);
    }
  } else if (::unlinkat(parent, name.c_str(), 0) != 0) {
    return system_error("cannot remove " + path, errno);
  }
  if (report_.size() < kMostReported) {
    report_.push_back(std::string(rule.name) + ": /" + path);
  }
  return {};
}

Result<void> Sealer::entry(int parent,
                           const std::string& name,
                           const std::string& path,
                           std::size_t depth) {
  struct stat status {};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot look at " + path, errno);
  }
  if (is_whiteout(status)) {
    return {};
  }
  if (!S_ISDIR(status.st_mode)) {
    const SealRule* rule = rule_for(path, S_ISLNK(status.st_mode));
    return rule == nullptr ? Result<void>() : apply(*rule, parent, name, path);
  }
  const UniqueFd inside = TRY(open_subdirectory(parent, name));
  TRY(directory(inside.get(), path + "/", depth + 1));
  const SealRule* rule = rule_for(path, true);
  // apt expects its "partial" directories, which its package brings.
  if (rule != nullptr && rule->action == SealAction::remove && name != "partial") {
    (void)::unlinkat(parent, name.c_str(), AT_REMOVEDIR);  // only when nothing is left in it
  }
  return {};
}

Result<void> Sealer::directory(int descriptor, const std::string& path, std::size_t depth) {
  TRY(check_depth(path, depth));
  for (const std::string& name : TRY(names_in(descriptor))) {
    TRY(entry(descriptor, name, path + name, depth));
  }
  return {};
}

// ---- drop what did not change ----

class Pruner {
 public:
  explicit Pruner(std::int64_t epoch) : epoch_(epoch) {}
  /// `lower` is the same directory in the layers below, -1 when there is none.
  Result<void> directory(int upper, int lower, const std::string& path, std::size_t depth);
  Result<void> set_time(int parent, const std::string& name, const struct stat& status);

 private:
  Result<void> entry(
      int upper, int lower, const std::string& name, const std::string& path, std::size_t depth);
  Result<bool> subdirectory(
      int upper, int lower, const std::string& name, const std::string& path, std::size_t depth);
  std::int64_t epoch_;
};

bool same_owner_and_mode(const struct stat& one, const struct stat& other) {
  return one.st_mode == other.st_mode && one.st_uid == other.st_uid && one.st_gid == other.st_gid;
}

Result<bool> same_attributes(int upper, int lower, const std::string& name) {
  return TRY(store::layer_attributes(upper, name)) == TRY(store::layer_attributes(lower, name));
}

/// Whether a non-directory says nothing that the layers below do not say. A name of an inode with
/// several names stays: dropping one would separate them. So does one that had several below:
/// dropping it would join again what the step has separated.
Result<bool> is_unchanged(int upper, int lower, const std::string& name, const struct stat& now) {
  struct stat before {};
  if (lower < 0 || ::fstatat(lower, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0 ||
      !same_owner_and_mode(now, before) || now.st_nlink > 1 ||
      (before.st_nlink > 1 && !is_shared(lower, name))) {
    return false;
  }
  if (S_ISLNK(now.st_mode)) {
    return target_of(upper, name) == target_of(lower, name);
  }
  if (now.st_size != before.st_size || !TRY(same_attributes(upper, lower, name))) {
    return false;
  }
  return S_ISREG(now.st_mode) ? TRY(same_content({upper, name}, {lower, name})) : true;
}

Result<void> Pruner::set_time(int parent, const std::string& name, const struct stat& status) {
  const timespec time{std::clamp<std::int64_t>(status.st_mtim.tv_sec, 0, epoch_), 0};
  const std::array<timespec, 2> times = {time, time};
  if (::utimensat(parent, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot set the time of " + name, errno);
  }
  return {};
}

/// The overlay's own notes go, but for "opaque", and that too where nothing is below. So does what
/// came up with a file from a layer that shares it.
void strip_overlay_notes(int parent, const std::string& name, bool keep_opaque) {
  const std::string path = path_by_descriptor(parent, name);
  std::string list(65536, '\0');
  const ssize_t size = ::llistxattr(path.c_str(), list.data(), list.size());
  for (std::size_t start = 0; size > 0 && start < static_cast<std::size_t>(size);) {
    const std::string key = list.c_str() + start;
    start += key.size() + 1;
    if ((key.starts_with("user.overlay.") || key == store::kSharedAttribute) &&
        !(keep_opaque && key == store::kOpaqueAttribute)) {
      (void)::lremovexattr(path.c_str(), key.c_str());
    }
  }
}

/// True when the directory is gone, because it only stood for the one below.
Result<bool> Pruner::subdirectory(
    int upper, int lower, const std::string& name, const std::string& path, std::size_t depth) {
  struct stat before {};
  const bool is_below = lower >= 0 &&
                        ::fstatat(lower, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0 &&
                        S_ISDIR(before.st_mode);
  const bool opaque = is_opaque(upper, name) && is_below;
  const UniqueFd inside = TRY(open_subdirectory(upper, name));
  const UniqueFd below = is_below && !opaque ? TRY(open_subdirectory(lower, name)) : UniqueFd();
  TRY(directory(inside.get(), below.get(), path + "/", depth + 1));
  strip_overlay_notes(upper, name, opaque);
  struct stat now {};
  if (::fstat(inside.get(), &now) != 0) {
    return system_error("cannot look at " + path, errno);
  }
  if (below && same_owner_and_mode(now, before) && TRY(same_attributes(upper, lower, name))) {
    return ::unlinkat(upper, name.c_str(), AT_REMOVEDIR) == 0;  // fails while it holds changes
  }
  return false;
}

Result<void> Pruner::entry(
    int upper, int lower, const std::string& name, const std::string& path, std::size_t depth) {
  struct stat status {};
  if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot look at " + path, errno);
  }
  bool drop = S_ISSOCK(status.st_mode);
  if (is_whiteout(status)) {
    struct stat hidden {};
    drop = lower < 0 || ::fstatat(lower, name.c_str(), &hidden, AT_SYMLINK_NOFOLLOW) != 0;
    if (!drop) {
      return {};
    }
  } else if (S_ISDIR(status.st_mode)) {
    if (TRY(subdirectory(upper, lower, name, path, depth))) {
      return {};
    }
    if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error("cannot look at " + path, errno);
    }
    return set_time(upper, name, status);
  } else if (!drop) {
    strip_overlay_notes(upper, name, false);
    drop = TRY(is_unchanged(upper, lower, name, status));
  }
  if (!drop) {
    return set_time(upper, name, status);
  }
  return ::unlinkat(upper, name.c_str(), 0) == 0 ? Result<void>()
                                                 : system_error("cannot drop " + path, errno);
}

Result<void> Pruner::directory(int upper, int lower, const std::string& path, std::size_t depth) {
  TRY(check_depth(path, depth));
  for (const std::string& name : TRY(names_in(upper))) {
    TRY(entry(upper, lower, name, path + name, depth));
  }
  return {};
}
}  // namespace

Result<void> make_plain_root(int work, std::int64_t epoch) {
  const std::array<timespec, 2> times = {timespec{epoch, 0}, timespec{epoch, 0}};
  strip_overlay_notes(work, "upper", false);
  if (::fchownat(work, "upper", 0, 0, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fchmodat(work, "upper", 0755, 0) != 0 ||
      ::utimensat(work, "upper", times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot set the root of the layer", errno);
  }
  return {};
}

Result<Json> capture_worker(system::WorkerContext& context) {
  const std::int64_t epoch = TRY(integer_at(context.request(), "epoch"));
  const std::int64_t layers = TRY(integer_at(context.request(), "layers"));
  // O_PATH hands cannot be listed.
  const UniqueFd work = TRY(open_subdirectory(context.hand(0), "."));
  (void)::mkdirat(work.get(), "upper", 0755);
  OverlayPlan below;
  for (std::int64_t i = 1; i <= layers; ++i) {
    below.layers.push_back(context.hand(static_cast<std::size_t>(i)));
  }
  const UniqueFd lower = layers > 0 ? TRY(mount_overlay(below)) : UniqueFd();
  const UniqueFd upper = TRY(open_subdirectory(work.get(), "upper"));
  Sealer sealer;
  TRY(sealer.directory(upper.get(), "", 0));
  TRY(Pruner(epoch).directory(upper.get(), lower.get(), "", 0));
  TRY(make_plain_root(work.get(), epoch));
  const store::LayerFacts facts = TRY(store::write_layer(upper.get(), epoch, {}));
  return Json{{"diff_id", facts.diff_id.text()},
              {"size", facts.size},
              {"entries", facts.entries},
              {"sealed", sealer.report()}};
}

namespace {
/// Whether the layer is at its name. What a step counts as done with is not read: that may be long.
bool is_stored(int trees, const std::string& name, bool vouched) {
  if (::faccessat(trees, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
    return false;
  }
  const auto content = vouched ? Digest::parse(name) : identify(trees, name);
  return content && content->hex() == name;
}

/// In the place of what has its name and is something else, which goes with the work directory.
Result<void> move_to_name(int work, int trees, const std::string& name) {
  if (::renameat2(work, "upper", trees, name.c_str(), RENAME_NOREPLACE) == 0 ||
      (errno == EEXIST && ::renameat2(work, "upper", trees, name.c_str(), RENAME_EXCHANGE) == 0)) {
    return {};
  }
  return system_error("cannot move the layer to its name, trees/" + name, errno);
}
}  // namespace

Result<Json> commit_worker(system::WorkerContext& context) {
  const std::string name = TRY(string_at(context.request(), "name"));
  const bool vouched = find_bool(context.request(), "vouched").value_or(false);
  const UniqueFd trees = TRY(open_subdirectory(context.hand(1), "."));
  if (::flock(trees.get(), LOCK_EX) != 0) {  // of two who bring the same file, one comes second
    return system_error("cannot lock the layers", errno);
  }
  if (!is_stored(trees.get(), name, vouched)) {
    TRY(share_big_files(context.hand(0), trees.get()));
    TRY(move_to_name(context.hand(0), context.hand(1), name));
  }
  return Json::object();
}

}  // namespace goldmill::build
