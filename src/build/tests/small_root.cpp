// SPDX-License-Identifier: GPL-3.0-or-later
#include "small_root.hpp"

#include <cstdlib>
#include <limits>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/build/workers.hpp>
#include <goldmill/provision/provision.hpp>
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/system/file.hpp>

#include "random_tree.hpp"

namespace goldmill::build::test {

namespace fs = std::filesystem;
using system::Command;
using system::UniqueFd;

namespace {
/// Hand 0: the directory to fill; hand 1: the archive.
Result<Json> untar(system::WorkerContext& context) {
  if (::fchdir(context.hand(0)) != 0) {
    return system_error("fchdir", errno);
  }
  ::mkdir("base", 0755);
  TRY(system::run_checked(system::process_runner(),
                          Command{.argv = {"tar",
                                           "-C",
                                           "base",
                                           "-x",
                                           "-f",
                                           "/proc/self/fd/11",
                                           "--numeric-owner",
                                           "--exclude=./dev/*"},
                                  .descriptors = {{context.hand(1), 11}}}));
  return Json::object();
}

/// Hand 0: the directory whose entry `name` goes away.
Result<Json> remove(system::WorkerContext& context) {
  if (::fchdir(context.hand(0)) != 0) {
    return system_error("fchdir", errno);
  }
  TRY(system::remove_tree(TRY(string_at(context.request(), "name"))));
  return Json::object();
}

/// Hand 0: a tree; hand 1: where its tar goes.
Result<Json> pack(system::WorkerContext& context) {
  const int out = context.hand(1);
  TRY(store::write_layer(context.hand(0),
                         std::numeric_limits<std::int64_t>::max(),
                         [&](std::string_view bytes) { return system::write_all(out, bytes); }));
  return Json::object();
}

/// Hand 0: where `upper` is made and filled from hand 1.
Result<Json> unpack_from(int work, int archive) {
  ::mkdirat(work, "upper", 0755);
  const UniqueFd upper(::openat(work, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const store::LayerFacts facts = TRY(store::read_layer(archive, upper.get()));
  return Json{{"diff_id", facts.diff_id.text()}, {"entries", facts.entries}};
}
Result<Json> unpack(system::WorkerContext& context) {
  return unpack_from(context.hand(0), context.hand(1));
}

std::vector<store::TarEntry> hostile_entries(std::int64_t kind, const std::string& canary) {
  using store::EntryKind;
  const store::TarEntry payload{.path = "x", .size = 4};
  auto file = [&](std::string path) {
    store::TarEntry entry = payload;
    entry.path = std::move(path);
    return entry;
  };
  const store::TarEntry out{
      .path = "out", .kind = EntryKind::symlink, .target = fs::path(canary).parent_path()};
  switch (kind) {
    case 0:
      return {file("../escaped")};
    case 1:
      return {file(canary)};
    case 2:
      return {out, file("out/canary")};
    case 3:
      return {out, {.path = "hard", .kind = EntryKind::hardlink, .target = "out/canary"}};
    case 4:
      return {{.path = "hard", .kind = EntryKind::hardlink, .target = "../../canary"}};
    case 5:
      return {{.path = "a/.wh...", .mode = 0}};
    case 6:
      return {out, {.path = "out/.wh.canary"}};
    case 7:
      return {out, {.path = "out/.wh..wh..opq"}};
    case 8:
      return {out, {.path = "out/new", .kind = EntryKind::directory}};
    case 9:
      return {{.path = "a/.wh..wh.b"}};
    case 10:
      return {out, {.path = "out", .kind = EntryKind::directory}};
    case 11:
      return {{.path = "disk", .kind = static_cast<EntryKind>('9')}};
    case 12: {
      std::string deep;
      for (int i = 0; i < 401; ++i) {
        deep += "d/";
      }
      return {file(deep + "x")};
    }
    default:  // taken, and without any effect outside
      return {{.path = ".", .kind = EntryKind::symlink, .target = fs::path(canary).parent_path()},
              {.path = "memory", .kind = EntryKind::character_device, .major = 1, .minor = 1},
              file("canary")};
  }
}

Result<Json> unpack_hostile(system::WorkerContext& context) {
  const UniqueFd file(::memfd_create("hostile", MFD_CLOEXEC));
  store::TarWriter writer(
      [&](std::string_view bytes) { return system::write_all(file.get(), bytes); });
  for (const auto& entry : hostile_entries(TRY(integer_at(context.request(), "kind")),
                                           TRY(string_at(context.request(), "canary")))) {
    TRY(writer.add(entry));
    if (entry.size > 0) {
      TRY(writer.content("evil"));
    }
  }
  TRY(writer.finish());
  ::lseek(file.get(), 0, SEEK_SET);
  return unpack_from(context.hand(0), file.get());
}

/// What the shell of the small tree cannot make: attributes, capabilities, device placeholders.
Result<Json> decorate(system::WorkerContext& context) {
  if (::fchdir(context.hand(0)) != 0) {
    return system_error("fchdir", errno);
  }
  TRY(system::write_file("srv/null", "", 0666));
  TRY(system::write_file("srv/ping", "program", 0755));
  const std::string node = "c 1 3";
  const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  if (::setxattr("srv/null", store::kNodeAttribute, node.data(), node.size(), 0) != 0 ||
      ::setxattr("srv/ping", "user.note", "line\n", 5, 0) != 0 ||
      ::setxattr("srv/ping", "security.capability", capability.data(), capability.size(), 0) != 0) {
    return system_error("setxattr", errno);
  }
  return Json::object();
}

fs::path archive() {
  const char* given = std::getenv("GOLDMILL_TEST_ROOT");  // NOLINT(concurrency-mt-unsafe)
  return given != nullptr
             ? fs::path(given)
             : fs::path("/var/tmp/goldmill-test-" + std::to_string(::geteuid())) / "essential.tar";
}

Result<void> make_archive() {
  std::error_code ignored;
  if (fs::exists(archive(), ignored)) {
    return {};
  }
  TRY(system::make_directories(archive().parent_path()));
  const std::string temporary = archive().string() + "." + std::to_string(::getpid());
  TRY(system::run_checked(system::process_runner(),
                          Command{.argv = {"mmdebstrap",
                                           "--variant=essential",
                                           "--format=tar",
                                           "--include=init-system-helpers",
                                           "bookworm",
                                           temporary}}));
  fs::rename(
      temporary, archive(), ignored);  // another process may have made one meanwhile: as good
  return ignored ? Result<void>(system_error("cannot keep " + archive().string(), ignored.value()))
                 : Result<void>();
}

Result<void> fill(const fs::path& home) {
  for (const char* name : {"trees", "work"}) {
    TRY(system::make_directories(home / name));
    ::chmod((home / name).c_str(), 0777);
  }
  TRY(make_archive());
  const UniqueFd trees = TRY(system::open_directory(home / "trees"));
  const UniqueFd tar = TRY(system::open_file(archive(), O_RDONLY));
  TRY(system::run_worker({.name = "test.untar",
                          .confinement = system::Confinement::guest_ids,
                          .hands = {trees.get(), tar.get()}}));
  return {};
}
}  // namespace

std::string missing_for_sandboxes() {
  static const std::string kReason = [] {
    if (const auto ids = system::GuestIds::find(); !ids) {
      return ids.error().text();
    }
    const auto made = make_archive();
    return made ? std::string() : made.error().text();
  }();
  return kReason;
}

Home& Home::get() {
  static const std::unique_ptr<Home> kHome(new Home());
  return *kHome;
}

Home::Home() {
  std::string name = "/var/tmp/goldmill-test-XXXXXX";
  path_ = ::mkdtemp(name.data());
  if (const auto filled = fill(path_); !filled) {
    (void)std::fprintf(stderr, "%s\n", filled.error().text().c_str());
    std::abort();
  }
}

Home::~Home() {
  if (const auto here = system::open_directory(path_)) {
    for (const char* name : {"trees", "work"}) {
      const auto parent = system::open_directory(path_ / name);
      for (const auto& entry : fs::directory_iterator(path_ / name)) {
        (void)system::run_worker({.name = "test.remove",
                                  .request = {{"name", entry.path().filename().string()}},
                                  .confinement = system::Confinement::guest_ids,
                                  .hands = {parent->get()}});
      }
    }
  }
  (void)system::remove_tree(path_);
}

fs::path Home::work() {
  const fs::path made = path_ / "work" / std::to_string(works_++);
  ::mkdir(made.c_str(), 0777);
  ::chmod(made.c_str(), 0777);
  return made;
}

SandboxOptions Place::options() {
  if (work.empty()) {
    work = Home::get().work();
  }
  return {.layers = {Home::get().base()},
          .work = work,
          .epoch = 1700000000,
          .log = [this](std::string_view line) { lines.emplace_back(line); }};
}

Result<void> Place::shell(const std::string& script) {
  OverlaySandbox sandbox(options());
  return sandbox.run({.argv = {"sh", "-ec", script}});
}

std::span<const system::WorkerEntry> test_workers() {
  static const std::vector<system::WorkerEntry> kAll = [] {
    std::vector<system::WorkerEntry> all(workers().begin(), workers().end());
    all.insert(all.end(), provision::workers().begin(), provision::workers().end());
    all.push_back({"test.change", &change_at_random});
    all.push_back({"test.describe", &describe_tree});
    all.push_back({"test.untar", &untar});
    all.push_back({"test.remove", &remove});
    all.push_back({"test.pack", &pack});
    all.push_back({"test.unpack", &unpack});
    all.push_back({"test.unpack_hostile", &unpack_hostile});
    all.push_back({"test.decorate", &decorate});
    return all;
  }();
  return kAll;
}

}  // namespace goldmill::build::test
