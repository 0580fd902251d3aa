// SPDX-License-Identifier: GPL-3.0-or-later
// Programs that try to get out of the sandbox, and builders that die while one runs.
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/provision/provision.hpp>
#include <goldmill/system/file.hpp>

#include "small_root.hpp"

namespace goldmill::build::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using system::UniqueFd;

/// How many processes of the machine have this text on their command line.
int processes_with(const std::string& mark) {
  int count = 0;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator("/proc", failure)) {
    const auto line = system::read_file(entry.path() / "cmdline", 1_MiB);
    count += line && line->find(mark) != std::string::npos ? 1 : 0;
  }
  return count;
}

bool comes_true(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  for (const auto end = std::chrono::steady_clock::now() + limit;
       std::chrono::steady_clock::now() < end;
       std::this_thread::sleep_for(10ms)) {
    if (condition()) {
      return true;
    }
  }
  return condition();
}

/// A `sleep` argument that nobody else uses.
std::string mark_of(int number) {
  return "98765." + std::to_string(::getpid()) + std::to_string(number);
}

class EscapeReal : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = missing_for_sandboxes(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    mounts_ = *system::read_file("/proc/self/mountinfo");
  }
  void TearDown() override {
    if (!mounts_.empty()) {
      EXPECT_EQ(*system::read_file("/proc/self/mountinfo"), mounts_);
    }
  }
  /// Each script must fail by itself; "ESCAPED" would be its success.
  void expect_refused(const std::string& what, const std::string& script) {
    Place place;
    OverlaySandbox sandbox(place.options());
    (void)sandbox.run({.argv = {"sh", "-c", script + " && echo ESCAPED"}});
    for (const std::string& line : place.lines) {
      EXPECT_EQ(line.find("ESCAPED"), std::string::npos) << what;
    }
    Place alive;
    EXPECT_TRUE(alive.shell("true")) << what;
  }
  std::string mounts_;
};

TEST_F(EscapeReal, KernelAndDevicesAreOutOfReach) {
  expect_refused("a disk by mknod", "mknod /srv/disk b 254 0 && head -c 1 /srv/disk");
  expect_refused("memory by mknod", "mknod /srv/mem c 1 1 && head -c 1 /srv/mem");
  expect_refused("core_pattern", "echo '|/tmp/x' > /proc/sys/kernel/core_pattern");
  expect_refused("sysrq", "echo h > /proc/sysrq-trigger");
  expect_refused("a kernel setting", "echo 1 > /proc/sys/vm/drop_caches");
  expect_refused("sysfs", "ls /sys/* ");
  expect_refused("the clock", "date -s 2001-01-01");
  expect_refused("the kernel's log", "dmesg");
}

TEST_F(EscapeReal, NewNamespacesAndMountsAreRefused) {
  expect_refused("mount", "mount -t tmpfs none /mnt");
  expect_refused("mount of proc", "mount -t proc none /mnt");
  expect_refused("a user namespace", "unshare -U true");
  expect_refused("a mount namespace", "unshare -m true");
  expect_refused("a clone with a user namespace",
                 "perl -e 'exit(syscall(56, 0x10000000 | 17, 0, 0, 0, 0) < 0)'");
  expect_refused("bpf", "perl -e 'exit(syscall(321, 0, 0, 0) < 0 && $! != 22)'");
  expect_refused("keyctl", "perl -e 'exit(syscall(250, 0, -3, 0) < 0)'");
}

TEST_F(EscapeReal, TheMachinesFilesAreOutOfReach) {
  const fs::path canary = Home::get().path() / "canary-file";
  ASSERT_TRUE(system::write_file(canary, "secret"));
  const std::string path = canary.string();
  expect_refused("a path", "cat " + path);
  expect_refused("PID 1's root", "ls /proc/1/root/etc");
  expect_refused("PID 1's descriptors", "readlink /proc/1/fd/* | grep .");
  expect_refused("PID 1's directory", "cat /proc/1/cwd" + path);
  expect_refused(
      "the classic double chroot",
      "perl -e 'mkdir(\"/srv/x\"); opendir(D, \"/\"); chroot(\"/srv/x\") or die; chdir(\"/srv/x\");"
      "chdir(\"..\") for 1..100; chroot(\".\"); exit(!-e \"" +
          path + "\")'");
}

TEST_F(EscapeReal, TheMachinesSocketsAreOutOfReach) {
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "goldmill-test-" + std::to_string(::getpid());
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  expect_refused("an abstract socket",
                 "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) or die; "
                 "connect(S, pack(\"S a*\", 1, \"\\0" +
                     name + "\")) or exit 1'");
  expect_refused("D-Bus", "ls /run/dbus/system_bus_socket");
  expect_refused("the network",
                 "perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) or die; "
                 "connect(S, pack_sockaddr_in(53, inet_aton(\"192.0.2.1\"))) or exit 1'");
}

TEST_F(EscapeReal, ADaemonDiesWithItsStep) {
  Place place;
  const std::string mark = mark_of(1);
  ASSERT_TRUE(place.shell("setsid sleep " + mark + " > /dev/null 2>&1 < /dev/null & sleep 0.1"));
  EXPECT_EQ(processes_with(mark), 0);
  // Also one that holds the output open.
  ASSERT_TRUE(place.shell("setsid sleep " + mark + " & sleep 0.1"));
  EXPECT_EQ(processes_with(mark), 0);
}

/// Swaps /etc with a link to its first argument as fast as it can.
constexpr const char* kSwap =
    "while (1) { rename('/etc', '/etc.real'); symlink($ARGV[0], '/etc'); unlink('/etc'); "
    "rename('/etc.real', '/etc'); }";

/// What a directory that every user may write to holds.
std::string held_by(const fs::path& directory) {
  std::string text;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    text += entry.path().string() + "=" + system::read_file(entry.path()).value() + "\n";
  }
  return text;
}

/// A program that is left behind swaps directories under the worker that places files: it would
/// win some of these rounds, were it not dead before the worker starts.
TEST_F(EscapeReal, DirectoriesAreNotSwappedUnderAWorker) {
  const fs::path outside = Home::get().path() / "outside";
  fs::create_directory(outside);
  ::chmod(outside.c_str(), 0777);
  ASSERT_TRUE(system::write_file(outside / "canary", "untouched"));
  ::chmod((outside / "canary").c_str(), 0666);
  const std::string before = held_by(outside);
  const std::string mark = mark_of(3);
  Place place;
  // A directory of a lower layer cannot be renamed.
  ASSERT_TRUE(place.shell("cp -a /etc /srv/etc; rm -r /etc; mv /srv/etc /etc"));
  recipe::Recipe recipe;
  recipe.provision = {{recipe::FilesStep{
      {{.content = "x", .target = "/etc/canary"}, {.content = "x", .target = "/etc/deep/file"}}}}};
  const auto steps = provision::make_steps(recipe);
  ASSERT_TRUE(steps);
  int swapped = 0;
  for (int round = 0; round < 20; ++round) {
    OverlaySandbox sandbox(place.options());
    ASSERT_TRUE(sandbox.run(
        {.argv = {"sh",
                  "-ec",
                  "setsid perl -e \"$1\" \"$2\" \"$3\" > /dev/null 2>&1 < /dev/null & sleep 0.1",
                  "sh",
                  kSwap,
                  outside.string(),
                  mark}}));
    EXPECT_EQ(processes_with(mark), 0);
    plan::Progress progress;
    plan::StepContext context{sandbox, progress, Home::get().path()};
    for (const plan::Step& step : *steps) {
      // A link to nowhere inside of the tree is an error of the step, and all that happens.
      (void)provision::find_kind(step.kind)->run(step, context);
    }
    EXPECT_EQ(held_by(outside), before) << round;
    // What the killed program left half done.
    const auto mended = place.shell(
        "if [ -d /etc.real ]; then rm -rf /etc; mv /etc.real /etc; exit 3; fi; test -d /etc");
    swapped += mended ? 0 : 1;
  }
  EXPECT_GT(swapped, 0) << "the program never got to swap anything";
}

TEST_F(EscapeReal, KillingEverythingKillsOnlyTheStep) {
  Place place;
  (void)place.shell("perl -e 'kill 9, -1'");
  (void)place.shell("kill -9 1; kill -TERM 1; kill -INT 1");
  EXPECT_TRUE(place.shell("true"));
}

TEST_F(EscapeReal, LimitsHold) {
  Place place;
  SandboxOptions options = place.options();
  options.limits = {.memory = 64_MiB, .processes = 40, .time = 3s};
  OverlaySandbox slow(options);
  const auto late = slow.run({.argv = {"sleep", "100"}});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::cancelled);
  const auto bomb = slow.run({.argv = {"sh",
                                       "-c",
                                       "i=0; while [ $i -lt 100 ]; do sleep 1 & "
                                       "i=$((i+1)); done; wait"}});
  EXPECT_FALSE(bomb);
  options.limits.time = 60s;
  OverlaySandbox greedy(options);
  const auto fat = greedy.run({.argv = {"perl", "-e", "$x = 'a' x 300000000; sleep 60"}});
  ASSERT_FALSE(fat);
  EXPECT_THAT(fat.error().message, testing::HasSubstr("memory"));
}

TEST_F(EscapeReal, ServicesNeverStart) {
  Place place;
  OverlaySandbox sandbox(place.options());
  const auto status = sandbox.run({.argv = {"/usr/sbin/policy-rc.d", "ssh", "start"}});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("status 101"));
  ASSERT_TRUE(place.shell(
      "printf '#!/bin/sh\\ntouch /srv/started\\n' > /etc/init.d/evil; chmod 755 /etc/init.d/evil\n"
      "invoke-rc.d evil start || true; start-stop-daemon --start --exec /usr/bin/touch -- "
      "/srv/started\n"
      "test ! -e /srv/started"));
}

/// Starts a builder that runs a long step, and lets `signal` end it after `delay`.
void end_builder(int signal, const std::string& mark, std::chrono::milliseconds delay) {
  Place place;
  const SandboxOptions options = place.options();
  const pid_t builder = ::fork();
  if (builder == 0) {
    OverlaySandbox sandbox(options);
    (void)sandbox.run({.argv = {"sh", "-c", "sleep " + mark + " & sleep " + mark}});
    ::_exit(0);
  }
  if (delay.count() == 0) {
    EXPECT_TRUE(comes_true([&] { return processes_with(mark) > 0; }, 20s));
  } else {
    std::this_thread::sleep_for(delay);
  }
  ::kill(builder, signal);
  ::waitpid(builder, nullptr, 0);
  EXPECT_TRUE(comes_true([&] { return processes_with(mark) == 0; }, 10s)) << delay.count();
}

TEST_F(EscapeReal, NothingSurvivesADeadBuilder) {
  const std::string mark = mark_of(2);
  end_builder(SIGKILL, mark, 0ms);
  end_builder(SIGINT, mark, 0ms);
  for (int delay = 1; delay < 80; delay += 7) {
    end_builder(SIGKILL, mark, std::chrono::milliseconds(delay));
  }
  EXPECT_EQ(processes_with(mark), 0);
}

}  // namespace
}  // namespace goldmill::build::test
