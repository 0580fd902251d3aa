// SPDX-License-Identifier: GPL-3.0-or-later
#include "mounts.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace goldmill::build {

using system::UniqueFd;

Result<UniqueFd> new_mount(const char* type, const MountOptions& options, unsigned attributes) {
  const UniqueFd context(::fsopen(type, FSOPEN_CLOEXEC));
  if (!context) {
    return system_error(std::string("cannot use the file system ") + type, errno);
  }
  for (const auto& [key, value] : options) {
    const int flag = value.empty() ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    if (::fsconfig(context.get(),
                   static_cast<unsigned>(flag),
                   key.c_str(),
                   value.empty() ? nullptr : value.c_str(),
                   0) != 0) {
      return system_error(std::string(type) + " refuses the option " + key, errno);
    }
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return system_error(std::string("cannot make a ") + type + " file system", errno);
  }
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!mount) {
    return system_error(std::string("cannot mount ") + type, errno);
  }
  return mount;
}

Result<UniqueFd> clone_mount(int directory, const char* path, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                         (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  UniqueFd mount(::open_tree(directory, path, flags));
  if (!mount) {
    return system_error(std::string("cannot bind ") + (*path == '\0' ? "a descriptor" : path),
                        errno);
  }
  return mount;
}

Result<void> restrict_mount(int mount, unsigned attributes) {
  struct mount_attr change {};
  change.attr_set = attributes;
  if (::mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) {
    return system_error("cannot restrict a mount", errno);
  }
  return {};
}

Result<void> attach(int mount, int target, std::string_view what) {
  if (::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return system_error("cannot mount " + std::string(what), errno);
  }
  return {};
}

Result<UniqueFd> open_inside(int root, const std::string& path, int flags) {
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed while ".." was looked up.
  for (int attempt = 0; attempt < 32; ++attempt) {
    const long number = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (number >= 0) {
      return UniqueFd(static_cast<int>(number));
    }
    if (errno != EAGAIN && errno != EINTR) {
      break;
    }
  }
  return system_error("cannot open " + path + " in the tree", errno);
}

namespace {
constexpr const char* kPolicy = "usr/sbin/policy-rc.d";
constexpr std::string_view kForbidServices = "#!/bin/sh\nexit 101\n";

Result<void> make_directory(int parent, const std::string& path) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    if (::mkdirat(parent, part.c_str(), 0755) != 0 && errno != EEXIST) {
      return system_error("cannot make " + part, errno);
    }
  }
  return {};
}

Result<void> make_file(int parent, const std::string& path, std::string_view content) {
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos) {
    TRY(make_directory(parent, path.substr(0, slash)));
  }
  const UniqueFd file(
      ::openat(parent, path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0755));
  if (!file) {
    return system_error("cannot make " + path, errno);
  }
  return system::write_all(file.get(), content);
}

/// The lowest layer: mount points, which the layers above hide where they have their own.
Result<void> make_fittings(int stage, const OverlayPlan& plan) {
  TRY(make_directory(stage, "fittings"));
  const UniqueFd fittings(::openat(stage, "fittings", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& directory : plan.directories) {
    TRY(make_directory(fittings.get(), directory));
  }
  for (const std::string& file : plan.files) {
    TRY(make_file(fittings.get(), file, ""));
  }
  if (plan.with_policy) {
    TRY(make_file(fittings.get(), kPolicy, kForbidServices));
    TRY(make_file(stage, "policy-rc.d", kForbidServices));
  }
  return {};
}

/// Mount options hold at most one page of text, so the layers are named relative to
/// /proc/self/fd: "lowerdir=12:11:10".
std::string overlay_options(const OverlayPlan& plan) {
  std::string options = "userxattr,lowerdir=";
  for (auto layer = plan.layers.rbegin(); layer != plan.layers.rend(); ++layer) {
    options += std::to_string(*layer) + ":";
  }
  options += "/tmp/fittings";
  if (plan.work >= 0) {
    const std::string work = std::to_string(plan.work);
    // volatile: fsync inside costs nothing; the layer is made durable when it is committed.
    options += ",volatile,upperdir=" + work + "/upper,workdir=" + work + "/overlay-work";
  }
  return options;
}

Result<void> prepare_work(int work) {
  for (const char* name : {"upper", "overlay-work"}) {
    if (::mkdirat(work, name, 0755) != 0 && errno != EEXIST) {
      return system_error(std::string("cannot make ") + name + " in the work directory", errno);
    }
  }
  // The mark of an earlier volatile mount; what was written under it has not been lost, since
  // the machine has been up ever since.
  const UniqueFd overlay(::openat(work, "overlay-work", O_PATH | O_DIRECTORY | O_CLOEXEC));
  (void)::unlinkat(overlay.get(), "work/incompat/volatile/dirty", 0);
  (void)::unlinkat(overlay.get(), "work/incompat/volatile", AT_REMOVEDIR);
  return {};
}

/// A tree with a policy-rc.d of its own hides ours: cover it.
Result<void> cover_policy(int root) {
  const auto target = open_inside(root, kPolicy, O_PATH | O_NOFOLLOW);
  const auto file = open_inside(root, kPolicy, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const auto text = file ? system::read_all(file->get(), 1_MiB) : Result<std::string>("");
  if (!target || (text && *text == kForbidServices)) {
    return {};
  }
  const UniqueFd ours = TRY(clone_mount(AT_FDCWD, "/tmp/policy-rc.d", false));
  TRY(restrict_mount(ours.get(), MOUNT_ATTR_RDONLY));
  return attach(ours.get(), target->get(), "policy-rc.d");
}
}  // namespace

Result<UniqueFd> mount_overlay(const OverlayPlan& plan) {
  UniqueFd stage = TRY(new_mount(
      "tmpfs", {{"mode", "0755"}, {"size", "64m"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  const UniqueFd place = TRY(system::open_file("/tmp", O_PATH | O_DIRECTORY));
  TRY(attach(stage.get(), place.get(), "the stage on /tmp"));
  TRY(make_fittings(stage.get(), plan));
  TRY(make_directory(stage.get(), "root"));
  if (plan.work >= 0) {
    TRY(prepare_work(plan.work));
  }
  if (::chdir("/proc/self/fd") != 0) {
    return system_error("cannot enter /proc/self/fd", errno);
  }
  if (::mount("overlay", "/tmp/root", "overlay", MS_NODEV, overlay_options(plan).c_str()) != 0) {
    Error error = system_error(
        "cannot mount the overlay of " + std::to_string(plan.layers.size()) + " layers", errno);
    error.hint =
        "overlays in user namespaces need Linux 5.11 or newer and a file system with "
        "extended attributes (ext4, xfs, btrfs) below GOLDMILL_HOME";
    return error;
  }
  if (::chdir("/tmp/root") != 0) {
    return system_error("cannot enter the tree", errno);
  }
  UniqueFd root = TRY(system::open_directory("/tmp/root"));
  if (plan.with_policy) {
    TRY(cover_policy(root.get()));
  }
  return root;
}

}  // namespace goldmill::build
