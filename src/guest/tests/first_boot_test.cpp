// SPDX-License-Identifier: GPL-3.0-or-later
#include "../first_boot.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../normaliser.hpp"

namespace goldmill::guest {
namespace {

namespace fs = std::filesystem;

class FirstBootTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = system::TemporaryDirectory::make(testing::TempDir(), "first-boot");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    root_ = std::move(system::open_directory(scratch_->path()).value());
  }
  fs::path file(const std::string& path) const { return scratch_->path() / path; }
  void write(const std::string& path) const {
    fs::create_directories(file(path).parent_path());
    ASSERT_TRUE(system::write_file(file(path), "x"));
  }
  std::optional<system::TemporaryDirectory> scratch_;
  system::UniqueFd root_;
};

TEST_F(FirstBootTest, AddsWhatTheTreesProgramsCallFor) {
  write("usr/sbin/make-ssl-cert");
  GuestTree tree(root_.get());
  ASSERT_TRUE(add_first_boot_units(tree));
  ASSERT_TRUE(add_first_boot_units(tree)) << "a later step of the image does it again";
  const std::string units = "usr/lib/systemd/system/";
  EXPECT_EQ(fs::read_symlink(file(units + "basic.target.wants/goldmill-ssl-cert.service")),
            "../goldmill-ssl-cert.service");
  EXPECT_THAT(system::read_file(file(units + "goldmill-ssl-cert.service")).value(),
              testing::HasSubstr("ExecStart=/usr/sbin/make-ssl-cert"));
  EXPECT_FALSE(fs::exists(file(units + "goldmill-postgresql.service")));
}

TEST_F(FirstBootTest, AddsNothingToOthers) {
  write("usr/bin/true");
  GuestTree tree(root_.get());
  ASSERT_TRUE(add_first_boot_units(tree));
  EXPECT_FALSE(fs::exists(file("usr/lib")));
}

/// Its name is a hash of the name of the machine that builds.
TEST_F(FirstBootTest, TheLinkToASealedCertificateGoes) {
  write("etc/ssl/certs/ssl-cert-snakeoil.pem");
  write("etc/ssl/certs/good.pem");
  fs::create_symlink("ssl-cert-snakeoil.pem", file("etc/ssl/certs/ce275665.0"));
  fs::create_symlink("good.pem", file("etc/ssl/certs/01234567.0"));
  GuestTree tree(root_.get());
  ASSERT_TRUE(normalise(tree, 1'700'000'000));
  EXPECT_FALSE(fs::is_symlink(file("etc/ssl/certs/ce275665.0")));
  EXPECT_TRUE(fs::is_symlink(file("etc/ssl/certs/01234567.0")));
}

}  // namespace
}  // namespace goldmill::guest
