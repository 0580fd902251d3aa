// SPDX-License-Identifier: GPL-3.0-or-later
// Boots a real image, named by GOLDMILL_TEST_IMAGE (a qcow2 disk whose kernel speaks on ttyS0).
// GOLDMILL_TEST_CONTROLLER=nvme|pvscsi puts it behind another controller.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/machine/accelerator.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/overlay.hpp>
#include <goldmill/machine/qmp.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;
using system::UniqueFd;

class BootTest : public testing::TestWithParam<Firmware> {
 protected:
  void SetUp() override {
    const char* image = std::getenv("GOLDMILL_TEST_IMAGE");
    if (image == nullptr) {
      GTEST_SKIP() << "GOLDMILL_TEST_IMAGE names no image";
    }
    image_ = image;
  }

  MachineSpec spec() {
    base_ = system::open_file(image_, O_RDONLY).value();
    const fs::path overlay = scratch_.path() / "disk.qcow2";
    EXPECT_TRUE(write_overlay(overlay, {image_, "qcow2", virtual_size(image_, "qcow2").value()}));
    overlay_ = system::open_file(overlay, O_RDWR).value();
    MachineSpec spec;
    spec.firmware = GetParam();
    spec.disk = DiskSpec{overlay_.get(), "qcow2", base_.get(), "qcow2"};
    const char* controller = std::getenv("GOLDMILL_TEST_CONTROLLER");
    for (const Controller known : {Controller::nvme, Controller::pvscsi}) {
      if (controller != nullptr && std::string(controller) == name_of(known)) {
        spec.disk->controller = known;
      }
    }
    spec.directory = scratch_.path();
    if (spec.firmware != Firmware::bios) {
      fs::copy_file(firmware_variables(spec.firmware), scratch_.path() / "variables");
      variables_ = system::open_file(scratch_.path() / "variables", O_RDWR).value();
      spec.variables = variables_.get();
    }
    return spec;
  }

  bool wait_for(const std::string& sign, std::chrono::seconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      if (read_serial_tail(scratch_.path()).find(sign) != std::string::npos) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return false;
  }

  std::string image_;
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make("/var/tmp", "goldmill-boot.").value();
  UniqueFd base_;
  UniqueFd overlay_;
  UniqueFd variables_;
};

TEST_P(BootTest, ReachesALoginAndIsConfined) {
  auto machine = Machine::start(spec());
  ASSERT_TRUE(machine) << machine.error().text();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait_for("login:", std::chrono::minutes(5)));
  const auto seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  RecordProperty("seconds_to_login", std::to_string(seconds));
  std::printf("login after %.1f s by %s\n", seconds, name_of(GetParam()));
  const std::string process = "/proc/" + std::to_string(machine->id());
  struct stat status {};
  ASSERT_EQ(::stat(process.c_str(), &status), 0);
  if (::geteuid() == 0) {
    EXPECT_NE(status.st_uid, 0U) << "QEMU must not run as this machine's root";
  }
  const std::string facts = system::read_file(process + "/status").value();
  EXPECT_NE(facts.find("CapEff:\t0000000000000000"), std::string::npos);
  EXPECT_NE(facts.find("NoNewPrivs:\t1"), std::string::npos);
  EXPECT_NE(facts.find("Seccomp:\t2"), std::string::npos);
  for (const char* name : {"user", "mnt", "pid", "net"}) {
    EXPECT_NE(fs::read_symlink(process + "/ns/" + name),
              fs::read_symlink(std::string("/proc/self/ns/") + name));
  }
  EXPECT_FALSE(fs::exists(process + "/root/home")) << "it sees more than /usr";
  const Dossier dossier = collect_dossier(scratch_.path(), scratch_.path() / "screen.ppm");
  EXPECT_GT(fs::file_size(scratch_.path() / "screen.ppm"), 1000U);
  EXPECT_EQ(dossier.likely_cause, "the system came up, but its agent did not report");
}

INSTANTIATE_TEST_SUITE_P(Firmwares,
                         BootTest,
                         testing::Values(Firmware::bios, Firmware::uefi),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(AcceleratorProbe, AnswersInTimeAndOnlyOnce) {
  const char* image = std::getenv("GOLDMILL_TEST_IMAGE");
  if (image == nullptr || std::getenv("GOLDMILL_ACCELERATOR") != nullptr) {
    GTEST_SKIP() << "GOLDMILL_TEST_IMAGE names no image, or GOLDMILL_ACCELERATOR decides";
  }
  const auto home = system::TemporaryDirectory::make("/var/tmp", "goldmill-probe.").value();
  const char* kernel = std::getenv("GOLDMILL_TEST_KERNEL");
  const ProbeSubject subject{kernel == nullptr ? "" : kernel, image, "qcow2"};
  const auto start = std::chrono::steady_clock::now();
  const auto choice = choose_accelerator(home.path(), subject);
  const auto first = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(choice) << choice.error().text();
  std::printf(
      "%s (%.1f s)\n", choice->reason.c_str(), std::chrono::duration<double>(first).count());
  EXPECT_LT(first, std::chrono::seconds(20));
  const auto again = std::chrono::steady_clock::now();
  EXPECT_EQ(choose_accelerator(home.path(), subject)->reason, choice->reason);
  EXPECT_LT(std::chrono::steady_clock::now() - again, std::chrono::milliseconds(200));
}

}  // namespace goldmill::machine
