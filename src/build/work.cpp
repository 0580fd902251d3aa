// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <map>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/build/work.hpp>
#include <goldmill/system/mount_point.hpp>
#include <goldmill/system/worker.hpp>

#include "layer_workers.hpp"
#include "tree_walk.hpp"

namespace goldmill::build {

namespace fs = std::filesystem;
using system::FileLock;
using system::UniqueFd;

Result<void> prepare_home(const fs::path& home) {
  TRY(system::make_directories(home, 0700));
  struct stat status {};
  if (::stat(home.c_str(), &status) != 0) {
    return system_error("cannot look at " + home.string(), errno);
  }
  if ((status.st_mode & 0077U) != 0) {
    return Error{ErrorKind::conflict,
                 home.string() + " is open to other users",
                 "it holds password hashes: chmod 700 " + home.string()};
  }
  for (const char* name : {"trees", "work"}) {
    TRY(system::make_directories(home / name));
    if (::chmod((home / name).c_str(), 0777) != 0) {
      return system_error("cannot open " + (home / name).string() + " to guest ids", errno);
    }
  }
  return {};
}

namespace {
Result<void> remove_work(const fs::path& path);

/// What guest ids own in a home that stands in a work directory. Its own work directories are the
/// caller's, as this one is.
Result<void> clear_inner_home(const fs::path& home) {
  std::error_code ignored;
  for (const char* area : {"trees", "assets"}) {
    for (const auto& entry : fs::directory_iterator(home / area, ignored)) {
      TRY(remove_guest_tree(home / area, entry.path().filename()));
    }
  }
  for (const auto& entry : fs::directory_iterator(home / "work", ignored)) {
    if (!remove_work(entry.path())) {
      TRY(remove_guest_tree(home / "work", entry.path().filename()));
    }
  }
  return {};
}

Result<void> remove_work(const fs::path& path) {
  TRY(clear_inner_home(path / kInnerHome));
  for (const char* name : {"upper", "overlay-work"}) {
    struct stat status {};
    if (::lstat((path / name).c_str(), &status) == 0) {
      TRY(remove_guest_tree(path, name));
    }
  }
  return system::remove_tree(path);
}
}  // namespace

Result<WorkDirectory> WorkDirectory::make(const fs::path& home) {
  WorkDirectory made(TRY(system::LockedDirectory::make(home / "work", "", remove_work)));
  if (::chmod(made.path().c_str(), 0777) != 0) {
    return system_error("cannot open " + made.path().string() + " to guest ids", errno);
  }
  return made;
}

Result<int> reclaim(const fs::path& home) {
  // One at a time: a second one would trip over what the first is removing.
  const auto alone = FileLock::try_acquire(home / "reclaim.lock", FileLock::Mode::exclusive);
  if (!alone) {
    return alone.error().kind == ErrorKind::conflict ? Result<int>(0) : Result<int>(alone.error());
  }
  const std::vector<fs::path> dead = TRY(system::abandoned(home / "work"));
  for (const fs::path& path : dead) {
    TRY(remove_work(path).context("reclaiming " + path.string()));
  }
  return static_cast<int>(dead.size());
}

namespace {
Result<Json> measured(const fs::path& parent, const std::vector<std::string>& names, bool alone) {
  const UniqueFd directory = TRY(system::open_directory(parent));
  return system::run_worker({.name = "build.measure",
                             .request = {{"names", names}, {"alone", alone}},
                             .confinement = system::Confinement::guest_ids,
                             .hands = {directory.get()}})
      .context("measuring " + parent.string());
}
}  // namespace

Result<std::vector<std::optional<Bytes>>> measure_each_guest_tree(
    const fs::path& parent, const std::vector<std::string>& names) {
  const Json answer = TRY(measured(parent, names, false));
  std::vector<std::optional<Bytes>> sizes;
  for (const std::string& name : names) {
    const auto bytes = find_integer(answer, name);
    sizes.push_back(bytes ? std::optional(Bytes{static_cast<std::uint64_t>(*bytes)})
                          : std::nullopt);
  }
  return sizes;
}

Result<Bytes> bytes_freed_by(const fs::path& parent, const std::vector<std::string>& names) {
  Bytes sum;
  for (const auto& bytes : TRY(measured(parent, names, true))) {
    sum.value += bytes.get<std::uint64_t>();
  }
  return sum;
}

Result<void> discard_guest_trees(const fs::path& parent,
                                 const std::vector<std::string>& names,
                                 const fs::path& work_directory) {
  const UniqueFd from = TRY(system::open_directory(parent));
  const UniqueFd to = TRY(system::open_directory(work_directory));
  TRY(system::run_worker({.name = "build.discard",
                          .request = {{"names", names}},
                          .confinement = system::Confinement::guest_ids,
                          .hands = {from.get(), to.get()}})
          .context("removing trees of " + parent.string()));
  return {};
}

Result<void> remove_guest_tree(const fs::path& parent, const std::string& name) {
  const UniqueFd directory = TRY(system::open_directory(parent));
  TRY(system::run_worker({.name = "build.remove",
                          .request = {{"name", name}},
                          .confinement = system::Confinement::guest_ids,
                          .hands = {directory.get()}})
          .context("removing " + (parent / name).string()));
  return {};
}

namespace {
constexpr std::size_t kDeepest = 64;

/// Empties trees of any depth with a bounded number of open directories: what is too deep is
/// moved up beside the tree first.
class Remover {
 public:
  explicit Remover(int parent) : parent_(parent) {}
  Result<void> entry(int directory, const std::string& name, std::size_t depth);
  Result<void> moved() {
    while (!moved_.empty()) {
      const std::string name = moved_.back();
      moved_.pop_back();
      TRY(entry(parent_, name, 0));
    }
    return {};
  }

 private:
  int parent_;
  int count_ = 0;
  std::vector<std::string> moved_;
};

Result<void> Remover::entry(int directory, const std::string& name, std::size_t depth) {
  if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) {
    return {};
  }
  if (errno != EISDIR && errno != EPERM) {
    return system_error("cannot remove " + name, errno);
  }
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0) {
    return {};
  }
  if (depth > kDeepest) {
    moved_.push_back(".deep-" + std::to_string(count_++));
    return ::renameat(directory, name.c_str(), parent_, moved_.back().c_str()) == 0
               ? Result<void>()
               : system_error("cannot remove " + name, errno);
  }
  const UniqueFd inside = TRY(open_subdirectory(directory, name));
  TRY(system::check_nothing_mounted(inside.get(), name));
  for (const std::string& below : TRY(names_in(inside.get()))) {
    TRY(entry(inside.get(), below, depth + 1));
  }
  return ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0
             ? Result<void>()
             : system_error("cannot remove " + name, errno);
}
}  // namespace

Result<void> remove_all(int parent, const std::string& name) {
  Remover remover(parent);
  TRY(remover.entry(parent, name, 0));
  return remover.moved();
}

Result<Json> discard_worker(system::WorkerContext& context) {
  const int work = context.hand(1);
  if (::mkdirat(work, "upper", 0700) != 0 && errno != EEXIST) {  // goes as a step's changes do
    return system_error("cannot make a place for what is removed", errno);
  }
  const UniqueFd trash = TRY(open_subdirectory(work, "upper"));
  for (const std::string& name : find_strings(context.request(), "names")) {
    if (::renameat(context.hand(0), name.c_str(), trash.get(), name.c_str()) != 0 &&
        errno != ENOENT) {
      return system_error("cannot move " + name, errno);
    }
  }
  return Json::object();
}

namespace {
class Measure {
 public:
  explicit Measure(bool alone) : alone_(alone) {}
  Result<std::uint64_t> blocks(int directory, std::size_t depth = 0);

 private:
  /// What has several names counts with the first of them; where only that counts which no other
  /// layer holds as well, with the last, if that is among them.
  bool counts(const struct stat& status) {
    return S_ISDIR(status.st_mode) || status.st_nlink == 1 ||
           ++seen_[status.st_ino] == (alone_ ? status.st_nlink : 1);
  }
  bool alone_;
  std::map<ino_t, nlink_t> seen_;
};

Result<std::uint64_t> Measure::blocks(int directory, std::size_t depth) {
  TRY(check_depth("a layer", depth));
  std::uint64_t sum = 0;
  for (const std::string& name : TRY(names_in(directory))) {
    struct stat status {};
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error("cannot look at " + name, errno);
    }
    if (counts(status)) {
      sum += static_cast<std::uint64_t>(status.st_blocks);
    }
    if (S_ISDIR(status.st_mode)) {
      const UniqueFd inside = TRY(open_subdirectory(directory, name));
      sum += TRY(blocks(inside.get(), depth + 1));
    }
  }
  return sum;
}
}  // namespace

/// Answer: bytes by name; what is not there is not in it.
Result<Json> measure_worker(system::WorkerContext& context) {
  const bool alone = find_bool(context.request(), "alone").value_or(false);
  Measure measure(alone);
  Json bytes = Json::object();
  for (const std::string& name : find_strings(context.request(), "names")) {
    const auto tree = open_subdirectory(context.hand(0), name);
    if (!tree) {
      if (tree.error().kind == ErrorKind::not_found) {
        continue;
      }
      return tree.error();
    }
    if (!alone) {
      measure = Measure(alone);  // each by itself
    }
    bytes[name] = TRY(measure.blocks(tree->get())) * 512;
  }
  return bytes;
}

Result<Json> remove_worker(system::WorkerContext& context) {
  TRY(remove_all(context.hand(0), TRY(string_at(context.request(), "name"))));
  return Json::object();
}

}  // namespace goldmill::build
