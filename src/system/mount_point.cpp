// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sys/stat.h>

#include <goldmill/system/mount_point.hpp>

namespace goldmill::system {

Result<void> check_nothing_mounted(int directory, const std::string& name) {
  struct statx status {};
  if (::statx(directory, "", AT_EMPTY_PATH, STATX_TYPE, &status) == 0 &&
      (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) {
    return Error{
        ErrorKind::conflict,
        "cannot remove " + name + ": something is mounted there, whose files are left alone",
        "unmount it first"};
  }
  return {};
}

}  // namespace goldmill::system
