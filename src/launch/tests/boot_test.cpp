// SPDX-License-Identifier: GPL-3.0-or-later
// Launches real instances of the image that GOLDMILL_TEST_IMAGE names (with the agent inside).
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/launch/launch.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
std::string over_ssh(const fs::path& home, const std::string& name, const std::string& command) {
  auto argv = ssh_arguments(home, name);
  if (!argv) {
    return argv.error().text();
  }
  argv->insert(argv->end(), {"--", command});
  const auto output = system::process_runner().run(
      system::Command{.argv = *argv, .limit = std::chrono::minutes(2)});
  return output ? output->text + output->errors : output.error().text();
}

/// QEMU processes of the instances, by the name on their command line: a plain user cannot look
/// into their open files.
int running_qemus() {
  const auto output = system::process_runner().run(system::Command{
      .argv = {"sh",
               "-c",
               "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o 'qemu-system-x86_64 "
               "-nodefaults [^/]*-name launchtest-0' | wc -l"}});
  return output ? std::atoi(output->text.c_str()) : -1;
}
}  // namespace

class LaunchBoot : public testing::Test {
 protected:
  void SetUp() override {
    const char* image = std::getenv("GOLDMILL_TEST_IMAGE");
    if (image == nullptr) {
      GTEST_SKIP() << "GOLDMILL_TEST_IMAGE names no image";
    }
    request_.disk = image;
    request_.image = "launchtest@1";
    request_.memory = 384_MiB;
  }
  void TearDown() override {
    const std::vector<Instance> left = list(home_).value();
    for (const Instance& instance : left) {
      EXPECT_TRUE(remove(home_, instance.name));
    }
    EXPECT_EQ(running_qemus(), 0);
  }

  LaunchRequest request_;
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make("/var/tmp", "goldmill-launch.").value();
  fs::path home_ = scratch_.path();
};

TEST_F(LaunchBoot, TwoInstancesShareNoIdentityAndOutliveTheirLauncher) {
  request_.count = 2;
  request_.disk_size = 3_GiB;
  const auto fleet = launch(home_, request_);
  ASSERT_TRUE(fleet) << fleet.error().text();
  std::printf("%s\n%s\n", fleet->accelerator.c_str(), to_json(*fleet).dump(1).c_str());
  ASSERT_EQ(fleet->instances.size(), 2U);
  std::set<std::string> values;
  for (const Instance& instance : fleet->instances) {
    ASSERT_EQ(instance.state, State::ready) << instance.error << instance.dossier.dump(1);
    values.insert({instance.hostname, instance.machine_id, instance.ssh_host_key});
    EXPECT_EQ(over_ssh(home_, instance.name, "cat /etc/machine-id; hostname"),
              instance.machine_id + "\n" + instance.name + "\n");
    EXPECT_NE(over_ssh(home_, instance.name, "df --output=size -B1M / | tail -1").find(" 29"),
              std::string::npos)
        << "the root file system has not grown with the disk";
  }
  EXPECT_EQ(values.size(), 6U) << "an identity is shared";
  const auto listed = list(home_);
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].state, State::ready);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(stop(home_, fleet->instances[0].name, std::chrono::seconds(120)));
  std::printf("stopped after %.1f s\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  EXPECT_EQ((*list(home_))[0].state, State::stopped);
  EXPECT_EQ(running_qemus(), 1);
}

TEST_F(LaunchBoot, KilledLauncherLeavesATruthThatListTells) {
  const pid_t child = ::fork();
  if (child == 0) {
    (void)launch(home_, request_);
    ::_exit(0);
  }
  while (running_qemus() == 0) {
    ::usleep(100000);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const auto listed = list(home_);
  ASSERT_TRUE(listed) << listed.error().text();
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ((*listed)[0].state, State::starting);
  for (int second = 0; second < 200 && (*list(home_))[0].state != State::ready; ++second) {
    ::sleep(1);
  }
  const Instance instance = (*list(home_))[0];
  EXPECT_EQ(instance.state, State::ready) << "the next command adopts it";
  EXPECT_EQ(instance.hostname, instance.name);
  EXPECT_EQ(over_ssh(home_, instance.name, "hostname"), instance.name + "\n");
}

}  // namespace goldmill::launch
