// SPDX-License-Identifier: GPL-3.0-or-later
#include "program.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.hpp"

namespace goldmill::agent {

Result<std::string> run_program(const char* path, const std::vector<std::string>& words) {
  std::vector<std::string> list = {path};
  list.insert(list.end(), words.begin(), words.end());
  std::vector<char*> argv;
  argv.reserve(list.size() + 1);
  for (std::string& word : list) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return system_error("making a pipe", errno);
  }
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  std::string locale = "LC_ALL=C";
  char* environment[] = {locale.data(), nullptr};
  pid_t child = -1;
  const int failure = posix_spawn(&child, path, &actions, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  writer = Descriptor();
  if (failure != 0) {
    return system_error(std::string("starting ") + path, failure);
  }
  std::string said;
  char piece[512];
  for (ssize_t count = 1; count > 0 || (count < 0 && errno == EINTR);) {
    count = read(reader.get(), piece, sizeof(piece));
    said.append(piece, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return said;
}

}  // namespace goldmill::agent
