// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <unistd.h>

#include <goldmill/base/json.hpp>
#include <goldmill/machine/overlay.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;

class OverlayTest : public testing::Test {
 protected:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
  fs::path at(const char* name) const { return scratch_.path() / name; }
};

TEST_F(OverlayTest, QemuImgFindsItSound) {
  if (::access("/usr/bin/qemu-img", X_OK) != 0) {
    GTEST_SKIP() << "no qemu-img to judge";
  }
  ASSERT_TRUE(system::write_file(at("base.raw"), std::string(1 << 20, 'x')));
  for (const Bytes size : {1_MiB, 4_GiB, 513_GiB, Bytes{1ULL << 43U}}) {
    fs::remove(at("o.qcow2"));
    ASSERT_TRUE(write_overlay(at("o.qcow2"), {at("base.raw"), "raw", size}));
    auto& runner = system::process_runner();
    const auto check = runner.run({.argv = {"qemu-img", "check", at("o.qcow2")}});
    ASSERT_TRUE(check);
    EXPECT_EQ(check->status, 0) << check->text << check->errors;
    const auto info = runner.run(
        {.argv = {"qemu-img", "info", "--output=json", "--backing-chain", at("o.qcow2")}});
    const Json chain = Json::parse(info->text, nullptr, false);
    ASSERT_EQ(chain.size(), 2U) << info->text << info->errors;
    EXPECT_EQ(chain[0]["virtual-size"], size.value);
    EXPECT_EQ(chain[0]["backing-filename"], at("base.raw").string());
    EXPECT_EQ(chain[0]["backing-filename-format"], "raw");
    EXPECT_EQ(virtual_size(at("o.qcow2"), "qcow2").value(), size);
    EXPECT_LE(fs::file_size(at("o.qcow2")), size > 1024_GiB ? 320U << 10U : 208U << 10U);
  }
}

TEST_F(OverlayTest, WrittenDataReadsBackAboveTheImage) {
  if (::access("/usr/bin/qemu-io", X_OK) != 0) {
    GTEST_SKIP() << "no qemu-io to judge";
  }
  ASSERT_TRUE(system::write_file(at("base.raw"), std::string(1 << 20, 'x')));
  ASSERT_TRUE(write_overlay(at("o.qcow2"), {at("base.raw"), "raw", 4_GiB}));
  const auto output = system::process_runner().run({.argv = {"qemu-io",
                                                             "-c",
                                                             "write -P 7 3G 64k",
                                                             "-c",
                                                             "read -P 7 3G 64k",
                                                             "-c",
                                                             "read -P 0x78 0 1M",
                                                             "-c",
                                                             "read -P 0 1M 1M",
                                                             at("o.qcow2")}});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->status, 0) << output->text << output->errors;
  EXPECT_EQ(output->text.find("failed"), std::string::npos) << output->text;
  const auto check = system::process_runner().run({.argv = {"qemu-img", "check", at("o.qcow2")}});
  EXPECT_EQ(check->status, 0) << check->text;
}

TEST_F(OverlayTest, RefusesWhatCannotBe) {
  EXPECT_EQ(write_overlay(at("o"), {std::string(2000, 'a'), "raw", 1_GiB}).error().kind,
            ErrorKind::invalid_input);
  EXPECT_EQ(write_overlay(at("o"), {"/a", "raw", Bytes{1000}}).error().kind,
            ErrorKind::invalid_input);
  EXPECT_FALSE(fs::exists(at("o")));
  ASSERT_TRUE(system::write_file(at("o"), "precious"));
  EXPECT_EQ(write_overlay(at("o"), {"/a", "raw", 1_GiB}).error().kind, ErrorKind::conflict);
  EXPECT_EQ(system::read_file(at("o")).value(), "precious");
  EXPECT_EQ(virtual_size(at("o"), "qcow2").error().kind, ErrorKind::invalid_input);
}

}  // namespace goldmill::machine
