// SPDX-License-Identifier: GPL-3.0-or-later
// Proves the image that GOLDMILL_TEST_IMAGE names: a Debian with the agent, user ops with sudo,
// Europe/Berlin, C.UTF-8 and a firewall that lets SSH in.
#include <array>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include <goldmill/prove/prove.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::prove {

namespace fs = std::filesystem;

namespace {
ProveRequest request_for(const fs::path& home, const char* image) {
  ProveRequest request;
  request.home = home;
  request.work = home;
  request.image = "base@1";
  request.disk = image;
  request.recipe.name = "base";
  request.recipe.baseline.timezone = "Europe/Berlin";
  request.recipe.baseline.locale = "C.UTF-8";
  request.recipe.baseline.firewall_inbound = std::vector<std::string>{"ssh"};
  recipe::User ops;
  ops.name = "ops";
  ops.sudo = true;
  request.recipe.baseline.users = std::vector<recipe::User>{ops};
  request.recipe.promises.commands = {"true", "systemctl --version"};
  request.recipe.promises.services = {"ssh"};
  request.recipe.promises.disk_used = 1_GiB;
  request.disk_used = 400_MiB;
  return request;
}

void show(const Report& report) {
  for (const Row& row : report.promises) {
    std::printf("%s %-44s %-40s %s\n",
                row.passed ? "ok  " : "FAIL",
                row.promise.c_str(),
                row.expected.c_str(),
                row.found.c_str());
  }
}

const Row* find_row(const Report& report, const std::string& promise) {
  for (const Row& row : report.promises) {
    if (row.promise == promise) {
      return &row;
    }
  }
  return nullptr;
}
}  // namespace

TEST(ProveBoot, GoodImageKeepsItsPromisesByBothFirmwares) {
  const char* image = std::getenv("GOLDMILL_TEST_IMAGE");
  if (image == nullptr) {
    GTEST_SKIP() << "GOLDMILL_TEST_IMAGE names no image";
  }
  const auto scratch = system::TemporaryDirectory::make("/var/tmp", "goldmill-prove.").value();
  ProveRequest request = request_for(scratch.path(), image);
  // Wrong on purpose, so that the checks are seen to fail when they should.
  request.recipe.promises.commands.emplace_back("exit 3");
  request.recipe.promises.ports = {"8080/tcp"};
  const auto report = prove(request, [](const std::string& boot, const std::string& news) {
    std::printf("%s: %s\n", boot.c_str(), news.c_str());
  });
  ASSERT_TRUE(report) << report.error().text() << " " << report.error().hint;
  std::printf("%s\n", report->accelerator_reason.c_str());
  show(*report);
  for (const BootFailure& failure : report->failures) {
    std::printf("%s: %s\n%s\n",
                failure.boot.c_str(),
                failure.error.c_str(),
                failure.dossier.dump(1).c_str());
  }
  EXPECT_FALSE(report->passed);
  std::size_t failed = 0;
  for (const Row& row : report->promises) {
    failed += row.passed ? 0U : 1U;
  }
  EXPECT_EQ(failed, 4U) << "the two wrong promises, by both firmwares, and nothing else";
  for (const std::string boot : {"bios", "uefi"}) {
    const Row* command = find_row(*report, boot + ": command exit 3");
    ASSERT_NE(command, nullptr);
    EXPECT_FALSE(command->passed);
    const Row* ports = find_row(*report, boot + ": TCP ports open");
    ASSERT_NE(ports, nullptr);
    EXPECT_EQ(ports->expected, "22, 8080");
    EXPECT_EQ(ports->found, "22");
  }
}

TEST(ProveBoot, UnbootableDiskGivesADossierNotATimeout) {
  if (std::getenv("GOLDMILL_TEST_IMAGE") == nullptr) {
    GTEST_SKIP() << "GOLDMILL_TEST_IMAGE names no image";
  }
  const auto scratch = system::TemporaryDirectory::make("/var/tmp", "goldmill-prove.").value();
  const fs::path disk = scratch.path() / "empty.raw";
  ASSERT_TRUE(system::write_file(disk, std::string(1 << 20, '\0')));
  ProveRequest request = request_for(scratch.path(), disk.c_str());
  request.disk_format = "raw";
  request.recipe.promises.boot_seconds = 1;
  request.firmwares = {machine::Firmware::bios};
  request.evidence = scratch.path() / "evidence";
  const auto report = prove(request);
  ASSERT_TRUE(report) << report.error().text() << " " << report.error().hint;
  EXPECT_FALSE(report->passed);
  ASSERT_EQ(report->failures.size(), 1U);
  const Json& dossier = report->failures[0].dossier;
  EXPECT_NE(dossier["likely_cause"].get<std::string>().find("boot"), std::string::npos)
      << dossier.dump(1);
  EXPECT_FALSE(dossier["screen"].empty());
  EXPECT_TRUE(fs::exists(request.evidence / "bios.ppm"));
}

}  // namespace goldmill::prove

int main(int argc, char** argv) {
  const std::array workers = {goldmill::prove::network_worker()};
  goldmill::system::become_worker_if_asked(argc, argv, workers);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
