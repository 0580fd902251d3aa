// SPDX-License-Identifier: GPL-3.0-or-later
#include "held_files.hpp"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.hpp"
#include "personalise.hpp"

namespace goldmill::agent {
namespace {

constexpr const char* kRoom = "/run/goldmill/held";

struct Held {
  const char* path;
  mode_t mode;
  bool is_identity;  ///< nothing of it may be on a disk that copies share
};

constexpr Held kFiles[] = {{"/etc/machine-id", 0444, true},
                           // The private key last: its presence says that both are there.
                           {"/etc/ssh/ssh_host_ed25519_key.pub", 0644, true},
                           {"/etc/ssh/ssh_host_ed25519_key", 0600, true},
                           {"/etc/hostname", 0644, false},
                           {"/etc/hosts", 0644, false}};

std::string room_of(const std::string& path) {
  return kRoom + path.substr(path.rfind('/'));
}

std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<void> mount_over(const std::string& path) {
  if (mount(room_of(path).c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return system_error("holding " + path, errno);
  }
  return {};
}

/// The root's own file system, without what is mounted on it.
Result<Descriptor> bare_root() {
  constexpr unsigned kClone = 1;  // OPEN_TREE_CLONE: linux/mount.h clashes with sys/mount.h
  Descriptor tree(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, "/", kClone | O_CLOEXEC)));
  if (!tree) {
    return system_error("looking below the mounts", errno);
  }
  return tree;
}

Result<void> store(const Descriptor& root, const std::string& path, mode_t mode) {
  const std::string content = TRY(read_file(path));
  const std::string below = path.substr(1);
  const Descriptor file(openat(
      root.get(), below.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) {
    return system_error("storing " + path, errno);
  }
  return write_through(file.get(), path, content);
}

Result<void> store_keys(const Descriptor& root) {
  const std::string below = kAuthorizedKeys + 1;
  for (const std::string& name : names_in(below, root.get())) {
    unlinkat(root.get(), (below + "/" + name).c_str(), 0);
  }
  Result<void> outcome;
  for (const std::string& name : names_in(kAuthorizedKeys)) {
    auto stored = store(root, std::string(kAuthorizedKeys) + "/" + name, 0644);
    outcome = outcome ? std::move(stored) : std::move(outcome);
  }
  return outcome;
}

bool is_held(const std::string& path) {
  struct stat shown {};
  struct stat kept {};
  return stat(path.c_str(), &shown) == 0 && stat(room_of(path).c_str(), &kept) == 0 &&
         shown.st_dev == kept.st_dev && shown.st_ino == kept.st_ino;
}

}  // namespace

Result<void> hold_files() {
  TRY(make_directory(kRoom, 0700));
  for (const Held& file : kFiles) {
    const std::string path = file.path;
    if (!is_directory(parent_of(path))) {
      continue;  // no SSH server
    }
    const auto content = read_file(path);
    TRY(write_file(room_of(path), content && !file.is_identity ? content.value() : "", file.mode));
    if (!content || file.is_identity) {
      TRY(write_file(path, "", file.mode));  // a mount needs a place
    }
    TRY(mount_over(path));
  }
  TRY(make_directory(parent_of(kAuthorizedKeys), 0755));
  TRY(make_directory(kAuthorizedKeys, 0755));
  TRY(make_directory(room_of(kAuthorizedKeys), 0755));
  return mount_over(kAuthorizedKeys);
}

Result<void> store_held_files() {
  const Descriptor root = TRY(bare_root());
  Result<void> outcome;
  const auto finish = [&outcome](const char* path, Result<void> stored) {
    if (stored && umount2(path, MNT_DETACH) != 0) {
      stored = system_error(std::string("showing ") + path, errno);
    }
    outcome = outcome ? std::move(stored) : std::move(outcome);
  };
  if (is_held(kAuthorizedKeys)) {
    finish(kAuthorizedKeys, store_keys(root));
  }
  for (const Held& file : kFiles) {
    if (is_held(file.path)) {
      finish(file.path, store(root, file.path, file.mode));
    }
  }
  sync();
  return outcome;
}

}  // namespace goldmill::agent
