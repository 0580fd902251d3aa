// SPDX-License-Identifier: GPL-3.0-or-later
// main() of unit tests that give files to the guest's root: a plain user runs them as root of a
// user namespace, which needs nothing but the kernel's leave.
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

namespace {

bool put(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool done =
      file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  return done;
}

void become_guest_root() {
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  if (user == "0" || ::unshare(CLONE_NEWUSER) != 0) {
    return;
  }
  if (!put("/proc/self/setgroups", "deny") || !put("/proc/self/uid_map", "0 " + user + " 1") ||
      !put("/proc/self/gid_map", "0 " + group + " 1")) {
    ::perror("cannot become root of a user namespace");
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  become_guest_root();
  return RUN_ALL_TESTS();
}
