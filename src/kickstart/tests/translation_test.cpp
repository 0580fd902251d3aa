// SPDX-License-Identifier: GPL-3.0-or-later
// Lines that have no counterpart of their own in a recipe: what they become, and what is said.
#include <filesystem>

#include <gtest/gtest.h>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::kickstart {
namespace {

namespace fs = std::filesystem;

class TranslationTest : public testing::Test {
 protected:
  void import(const std::string& text, const std::map<std::string, std::string>& names = {}) {
    const fs::path file = scratch_.path() / "profile.ks";
    ASSERT_TRUE(system::write_file(file, text));
    auto imported = import_profile({file, "debian/12", names});
    ASSERT_TRUE(imported) << imported.error().text();
    recipe_ = imported->recipe;
    rows_ = imported->rows;
  }
  /// "changed: ext4 instead of xfs", of the line.
  std::string said(int line) const {
    for (const ImportRow& row : rows_) {
      if (row.line == line) {
        return name_of(row.verdict) + (row.note.empty() ? "" : ": " + row.note);
      }
    }
    return "nothing";
  }
  std::string said_of(const std::string& text) {
    import(text + "\n");
    return said(1);
  }
  /// Of what is mounted there, or of swap: its size, "" when the disk has no such partition.
  std::string size_at(const std::string& mount) const {
    const Json disk = recipe_.value("disk", Json::object());
    for (const Json& partition : disk.value("partitions", Json::array())) {
      if (partition.value("mount", "swap") == mount) {
        return partition.value("size", "the rest");
      }
    }
    return "";
  }

  fs::path directory() const { return scratch_.path(); }

  Json recipe_;
  std::vector<ImportRow> rows_;

 private:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
};

TEST_F(TranslationTest, OnlyTheRootGrows) {
  import(
      "part / --size=2000\npart /data --size=1 --grow\npart /big --size=9000 --grow\n"
      "part /little --size=1 --grow --maxsize=200\n");
  EXPECT_EQ(said(1), "changed: it takes what the other partitions leave of the disk");
  EXPECT_EQ(size_at("/"), "the rest");
  EXPECT_EQ(said(2), "changed: 1024MiB: only the root grows with the disk");
  EXPECT_EQ(size_at("/data"), "1024MiB");
  EXPECT_EQ(size_at("/big"), "9000MiB");
  EXPECT_EQ(size_at("/little"), "200MiB");
  EXPECT_NE(said(4).find("--maxsize: "), std::string::npos) << said(4);
  EXPECT_EQ(said_of("part / --size=2000 --grow"), "mapped");
}

TEST_F(TranslationTest, ASizeThatTheMachineDecidesIsChosen) {
  import("part swap --recommended\npart /srv\npart /tiny --size=5\n");
  EXPECT_EQ(said(1), "changed: 1024MiB: the memory of the machine is not known");
  EXPECT_EQ(size_at("swap"), "1024MiB");
  EXPECT_EQ(said(2), "changed: 1024MiB: the profile does not say its size");
  EXPECT_EQ(said(3), "changed: 64MiB at least");
  EXPECT_EQ(size_at("/tiny"), "64MiB");
}

TEST_F(TranslationTest, AnArrayHasWhatItsMembersHold) {
  const auto size_of = [this](const std::string& options) {
    import("raid /home --device=md1 " + options +
           " raid.11 raid.12 raid.13 raid.14\n"
           "part raid.11 --size=40000\npart raid.12 --size=40000\npart raid.13 --size=30000\n"
           "part raid.14 --size=50000\n");
    return size_at("/home");
  };
  EXPECT_EQ(size_of("--level=1"), "30000MiB");
  EXPECT_EQ(said(1),
            "changed: a partition: the host's storage is what is redundant; 30000MiB, what its "
            "members hold");
  EXPECT_EQ(size_of("--level=RAID0"), "160000MiB");
  EXPECT_EQ(size_of("--level=raid5"), "90000MiB");
  EXPECT_EQ(size_of("--level=5 --spares=1"), "60000MiB");
  EXPECT_EQ(size_of("--level=6"), "60000MiB");
  EXPECT_EQ(size_of("--level=10"), "60000MiB");
}

TEST_F(TranslationTest, AVolumeHasItsShareOfThePool) {
  import(
      "part btrfs.1 --size=30000\nbtrfs none --label=all btrfs.1\n"
      "btrfs / --subvol --name=root LABEL=all\nbtrfs /home --subvol --name=home all\n");
  EXPECT_EQ(size_at("/home"), "15000MiB");
  EXPECT_NE(said(4).find("15000MiB, its share of the pool"), std::string::npos) << said(4);
  EXPECT_EQ(recipe_["disk"]["size"], "30GiB");
  import(
      "part pv.1 --size=40000\nvolgroup vg pv.1\n"
      "logvol / --vgname=vg --name=root --size=4000\n"
      "logvol /home --vgname=vg --name=home --percent=60\n");
  EXPECT_EQ(size_at("/home"), "24000MiB");
  EXPECT_NE(said(4).find("24000MiB, its part of the volume group"), std::string::npos) << said(4);
  import(
      "part pv.1 --size=1 --grow\nvolgroup vg pv.1\n"
      "logvol /home --vgname=vg --name=home --percent=60\n");
  EXPECT_NE(said(3).find("1024MiB: only the root grows"), std::string::npos) << said(3);
}

TEST_F(TranslationTest, NoPartitionIsOfAnImpossibleSize) {
  EXPECT_EQ(said_of("part /a --size=-5"), "not_applicable: no file system has a size of -5MiB");
  EXPECT_EQ(said_of("part /a --size=99999999999").substr(0, 15), "not_applicable:");
  EXPECT_EQ(said_of("part /a --size=999999999999999999999999").substr(0, 15), "not_applicable:");
  std::string many;
  for (int at = 0; at < 20; ++at) {
    many += "part /d" + std::to_string(at) + " --size=100\n";
  }
  import(many + "part / --size=100\n");
  EXPECT_EQ(recipe_["disk"]["partitions"].size(), 16U);
  EXPECT_EQ(said(20), "not_applicable: a recipe's disk has at most 16 partitions");
}

TEST_F(TranslationTest, AnOptionThatNothingBecomesOfIsNamed) {
  EXPECT_EQ(said_of("part /a --size=100 --onpart=sda3 --noformat --fsoptions=noatime"),
            "changed: --fsoptions: not taken over; --noformat, --onpart: the file system is made "
            "anew");
  EXPECT_EQ(said_of("part /a --size=100 --ondisk=sda"),
            "changed: --ondisk: the image has one disk, laid out anew");
}

TEST_F(TranslationTest, PartitionsHaveNamesAndLabelsOfTheirOwn) {
  import(
      "part /a-b --size=100\npart /a/b --size=100 --label=\"My Root\"\n"
      "part /a/b/c --size=100 --label=My_Root\n"
      "part /an-absolutely-endless-mount-point-of-many-letters --size=100\n"
      "part \"/with space\" --size=100\n");
  const Json& partitions = recipe_["disk"]["partitions"];
  ASSERT_EQ(partitions.size(), 5U);
  EXPECT_EQ(partitions[0]["name"], "a-b");
  EXPECT_EQ(partitions[1]["name"], "a-b2");
  EXPECT_EQ(partitions[1]["label"], "My_Root");
  EXPECT_EQ(said(2), "changed: the label 'My_Root'");
  EXPECT_EQ(said(3), "changed: the label 'My_Root' is not taken over");
  EXPECT_EQ(partitions[3]["name"], "an-absolutely-endless-mount-point-of");
  EXPECT_EQ(said(5).substr(0, 15), "not_applicable:");
}

}  // namespace
}  // namespace goldmill::kickstart
