// SPDX-License-Identifier: GPL-3.0-or-later
#include "plain_sandbox.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/guest/guest_tree.hpp>

namespace goldmill::guest::test_parts {

namespace {
Result<void> mount_at(const char* source,
                      const char* target,
                      const char* type,
                      unsigned long flags) {
  // Not sticky: opening a device of another owner with O_CREAT would be refused there.
  const void* data = type != nullptr && std::string_view(type) == "tmpfs" ? "mode=0755" : nullptr;
  if (::mount(source, target, type, flags, data) != 0) {
    return system_error(std::string("cannot mount ") + source + " on " + target, errno);
  }
  return {};
}

Result<void> make_devices() {
  ::mkdir("dev", 0755);
  TRY(mount_at("tmpfs", "dev", "tmpfs", 0));
  for (const std::string name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    ::close(::open(("dev/" + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    TRY(mount_at(("/dev/" + name).c_str(), ("dev/" + name).c_str(), nullptr, MS_BIND));
  }
  (void)!::symlink("/proc/self/fd", "dev/fd");
  (void)!::symlink("/proc/self/fd/0", "dev/stdin");
  (void)!::symlink("/proc/self/fd/1", "dev/stdout");
  (void)!::symlink("/proc/self/fd/2", "dev/stderr");
  return {};
}

Result<void> bind_all(const Json& request) {
  ::mkdir("run", 0755);
  TRY(mount_at("tmpfs", "run", "tmpfs", 0));
  std::size_t index = 0;
  const auto sources = find_strings(request, "sources");
  for (const std::string& target : find_strings(request, "binds")) {
    ::mkdir("run/goldmill", 0755);
    const std::string relative = target.substr(1);
    ::mkdir(relative.c_str(), 0755);
    TRY(mount_at(sources.at(index++).c_str(), relative.c_str(), nullptr, MS_BIND));
  }
  return {};
}

[[noreturn]] void become_program(const Json& request) {
  std::vector<std::string> argv = find_strings(request, "argv");
  std::vector<std::string> environment = find_strings(request, "environment");
  std::vector<char*> arguments;
  std::vector<char*> variables;
  arguments.reserve(argv.size() + 1);
  variables.reserve(environment.size() + 1);
  for (std::string& text : argv) {
    arguments.push_back(text.data());
  }
  for (std::string& text : environment) {
    variables.push_back(text.data());
  }
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  ::execve(arguments[0], arguments.data(), variables.data());
  ::_exit(127);
}
}  // namespace

Result<Json> plain_sandbox_worker(system::WorkerContext& context) {
  // By path: a descriptor of the caller's is in another mount namespace, where we cannot mount.
  const std::string root = TRY(string_at(context.request(), "root"));
  TRY(mount_at(root.c_str(), root.c_str(), nullptr, MS_BIND));
  if (::chdir(root.c_str()) != 0) {
    return system_error("cannot enter the tree", errno);
  }
  ::mkdir("proc", 0755);
  TRY(mount_at("proc", "proc", "proc", 0));
  TRY(make_devices());
  TRY(bind_all(context.request()));
  if (::access("usr/sbin/update-initramfs", F_OK) == 0) {
    TRY(mount_at("usr/bin/true", "usr/sbin/update-initramfs", nullptr, MS_BIND));
  }
  if (::chroot(".") != 0 || ::chdir("/") != 0) {
    return system_error("cannot change the root", errno);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    become_program(context.request());
  }
  int raw = 0;
  pid_t ended = 0;
  while ((ended = ::wait(&raw)) != child) {
    if (ended < 0 && errno != EINTR) {
      break;
    }
  }
  return Json{{"status", WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw)}};
}

Result<Json> read_guest_file_worker(system::WorkerContext& context) {
  GuestTree tree(context.hand(0));
  return Json(TRY(tree.read(TRY(string_at(context.request(), "path")))));
}

Result<PlainSandbox> PlainSandbox::open(const std::filesystem::path& root, std::int64_t epoch) {
  const system::GuestIds ids = TRY(system::GuestIds::find());
  if (::mkdir(root.c_str(), 0755) == 0 &&
      ::chown(root.c_str(), ids.users.first, ids.groups.first) != 0) {
    return system_error("cannot give " + root.string() + " to the guest", errno);
  }
  return PlainSandbox(root, TRY(system::open_directory(root)), epoch);
}

Result<std::string> PlainSandbox::run_in(const plan::Execution& execution) {
  const std::filesystem::path policy = root_ / "usr/sbin/policy-rc.d";
  const bool has_policy = ::access(policy.parent_path().c_str(), F_OK) == 0;
  if (has_policy) {
    TRY(system::write_file(policy, "#!/bin/sh\nexit 101\n", 0755));
  }
  const system::UniqueFd output(::memfd_create("output", MFD_CLOEXEC));
  std::vector<std::string> environment = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "LC_ALL=C.UTF-8",
      "HOME=/root",
      "SOURCE_DATE_EPOCH=" + std::to_string(epoch_)};
  environment.insert(environment.end(), execution.environment.begin(), execution.environment.end());
  std::vector<std::string> binds;
  std::vector<std::string> sources;
  for (const plan::Bind& bind : execution.binds) {
    binds.push_back(bind.target);
    sources.push_back(
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(bind.source)).string());
  }
  auto answer = system::run_worker({.name = "plain_sandbox",
                                    .request = {{"root", std::filesystem::absolute(root_).string()},
                                                {"argv", execution.argv},
                                                {"environment", environment},
                                                {"binds", binds},
                                                {"sources", sources}},
                                    .confinement = system::Confinement::sandbox,
                                    .output = output.get()});
  if (has_policy) {
    ::unlink(policy.c_str());
  }
  ::lseek(output.get(), 0, SEEK_SET);
  std::string text = TRY(system::read_all(output.get(), 16_MiB));
  log_ += text;
  const std::int64_t status = find_integer(TRY(std::move(answer)), "status").value_or(-1);
  if (status != 0) {
    return Error{ErrorKind::tool_failed,
                 execution.argv[0] + " failed with status " + std::to_string(status) + ": " +
                     text.substr(text.size() - std::min<std::size_t>(text.size(), 3000))};
  }
  return text;
}

Result<void> PlainSandbox::run(const plan::Execution& execution) {
  TRY(run_in(execution));
  return {};
}

Result<std::string> PlainSandbox::capture(const plan::Execution& execution) {
  return run_in(execution);
}

Result<Json> PlainSandbox::call(std::string_view worker,
                                const Json& request,
                                const std::vector<int>& hands,
                                const std::function<void(const Json&)>& on_event) {
  std::vector<int> all = {directory_.get()};
  all.insert(all.end(), hands.begin(), hands.end());
  return system::run_worker({.name = std::string(worker),
                             .request = request,
                             .confinement = system::Confinement::guest_ids,
                             .hands = all,
                             .on_event = on_event});
}

Result<std::string> PlainSandbox::read(std::string_view path) {
  const Json answer = TRY(call("read_guest_file", {{"path", path}}, {}, {}));
  return answer.get<std::string>();
}

}  // namespace goldmill::guest::test_parts
