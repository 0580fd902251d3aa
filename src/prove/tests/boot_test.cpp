// SPDX-License-Identifier: GPL-3.0-or-later
// Starts a machine whose disk is empty; what good images promise is proved by tests/end_to_end.
#include <array>
#include <chrono>
#include <filesystem>

#include <gtest/gtest.h>

#include <goldmill/prove/prove.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::prove {

namespace fs = std::filesystem;

TEST(ProveBoot, UnbootableDiskGivesADossierNotATimeout) {
  const auto scratch = system::TemporaryDirectory::make("/var/tmp", "goldmill-prove.").value();
  const fs::path disk = scratch.path() / "empty.raw";
  ASSERT_TRUE(system::write_file(disk, std::string(1 << 20, '\0')));
  ProveRequest request;
  request.home = scratch.path();
  request.work = scratch.path();
  request.image = "base@1";
  request.recipe.name = "base";
  request.disk = disk;
  request.disk_format = "raw";
  request.firmwares = {machine::Firmware::bios};
  request.evidence = scratch.path() / "evidence";
  constexpr std::chrono::seconds kBootLimit{300};
  request.recipe.promises.boot_seconds = kBootLimit.count();
  const auto begin = std::chrono::steady_clock::now();
  const auto report = prove(request);
  ASSERT_TRUE(report) << report.error().text() << " " << report.error().hint;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kBootLimit)
      << "a disk that cannot boot is not waited for";
  EXPECT_FALSE(report->passed);
  ASSERT_EQ(report->failures.size(), 1U);
  const Json& dossier = report->failures[0].dossier;
  EXPECT_EQ(dossier["likely_cause"], "the firmware found nothing to boot from") << dossier.dump(1);
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
