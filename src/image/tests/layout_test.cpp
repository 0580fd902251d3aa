// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <goldmill/image/digest.hpp>
#include <goldmill/image/grub_config.hpp>
#include <goldmill/image/identity.hpp>
#include <goldmill/image/layout.hpp>

namespace goldmill::image {
namespace {

using recipe::Firmware;
using recipe::Hardware;

recipe::Disk disk_of(Bytes size, std::vector<recipe::Partition> partitions = {}) {
  recipe::Disk disk;
  disk.size = size;
  disk.partitions = std::move(partitions);
  return disk;
}

Result<Layout> layout_of(const recipe::Disk& disk) {
  return Layout::make(disk, {"debian", "12", "amd64"}, {Hardware::virtio, Hardware::nvme});
}

TEST(Layout, DefaultHasBootPartitionsAndRootToTheEnd) {
  const auto layout = layout_of(disk_of(4_GiB));
  ASSERT_TRUE(layout);
  ASSERT_EQ(layout->partitions.size(), 3U);
  EXPECT_EQ(layout->partitions[0].offset, (1_MiB).value);
  EXPECT_EQ(layout->partitions[1].offset, (2_MiB).value);
  EXPECT_EQ(layout->partitions[1].size, (64_MiB).value);
  const LayoutPartition& root = layout->partitions[2];
  EXPECT_EQ(root.role, Role::root);
  EXPECT_EQ(root.offset + root.size, (4_GiB).value - (1_MiB).value);
}

TEST(Layout, PartitionsAreAlignedAndRootIsLastWhereverTheRecipeNamesIt) {
  const auto layout = layout_of(disk_of(2_GiB,
                                        {{"root", std::nullopt, "ext4", "/", ""},
                                         {"data", Bytes{100'000'001}, "ext4", "/srv", ""},
                                         {"swap", 128_MiB, "swap", "", ""}}));
  ASSERT_TRUE(layout) << layout.error().text();
  ASSERT_EQ(layout->partitions.size(), 5U);
  EXPECT_EQ(layout->partitions.back().role, Role::root);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(layout->partitions[i].offset % (1_MiB).value, 0U);
    if (i > 0) {
      EXPECT_GE(layout->partitions[i].offset,
                layout->partitions[i - 1].offset + layout->partitions[i - 1].size);
    }
  }
  EXPECT_GE(layout->partitions[2].size, 100'000'001U);
  EXPECT_EQ(partition_type(layout->partitions[2], "amd64"), "3B8F8425-20E0-4F3B-907F-1A25A76F98E8");
  EXPECT_EQ(fstab_text(*layout),
            "# Written when the image was made; file systems are found by label.\n"
            "LABEL=data /srv ext4 defaults 0 2\n"
            "LABEL=swap none swap sw 0 0\n"
            "LABEL=root / ext4 defaults,errors=remount-ro 0 1\n");
}

TEST(Layout, FstabNamesALabelAsTheFileSystemKeepsIt) {
  const auto layout = layout_of(disk_of(2_GiB, {{"data", 40_MiB, "vfat", "/data", "data"}}));
  ASSERT_TRUE(layout) << layout.error().text();
  EXPECT_NE(fstab_text(*layout).find("LABEL=DATA /data vfat"), std::string::npos);
}

TEST(Layout, WhatCannotWorkIsRefused) {
  const std::vector<std::pair<std::string, recipe::Disk>> cases = {
      {"too small", disk_of(100_MiB)},
      {"mounted twice",
       disk_of(2_GiB, {{"a", 1_MiB, "ext4", "/srv", "a"}, {"b", 1_MiB, "ext4", "/srv", "b"}})},
      {"used twice",
       disk_of(2_GiB, {{"a", 1_MiB, "ext4", "/a", "x"}, {"b", 1_MiB, "ext4", "/b", "x"}})},
      {"too long", disk_of(2_GiB, {{"a", 1_MiB, "ext4", "/a", "a-label-of-17-chr"}})},
      {"has no size", disk_of(2_GiB, {{"a", std::nullopt, "ext4", "/a", ""}})},
      {"partition of its own", disk_of(2_GiB, {{"boot", 64_MiB, "ext4", "/boot", ""}})},
      {"cannot be 'swap'", disk_of(2_GiB, {{"r", std::nullopt, "swap", "/", ""}})},
  };
  for (const auto& [words, disk] : cases) {
    const auto layout = layout_of(disk);
    ASSERT_FALSE(layout) << words;
    EXPECT_EQ(layout.error().kind, ErrorKind::invalid_input);
    EXPECT_THAT(layout.error().message, testing::HasSubstr(words));
    EXPECT_FALSE(layout.error().hint.empty()) << words;
  }
}

TEST(Layout, LabelRootIsFreeWhereTheRootHasAnother) {
  const auto layout = layout_of(disk_of(
      2_GiB,
      {{"data", 64_MiB, "ext4", "/srv", "root"}, {"r", std::nullopt, "ext4", "/", "system"}}));
  ASSERT_TRUE(layout) << layout.error().text();
  EXPECT_EQ(layout->find(Role::root)->label, "system");
  EXPECT_FALSE(layout_of(disk_of(2_GiB, {{"data", 64_MiB, "ext4", "/srv", "root"}})));
}

TEST(Layout, SurvivesJson) {
  recipe::Disk disk = disk_of(2_GiB, {{"data", 1_MiB, "vfat", "/data", "D"}});
  disk.kernel_options = {"mitigations=off"};
  const auto layout = layout_of(disk);
  ASSERT_TRUE(layout);
  const auto again = Layout::from_json(layout->to_json());
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(canonical(again->to_json()), canonical(layout->to_json()));
  EXPECT_TRUE(again->has(Hardware::nvme));
  EXPECT_FALSE(again->has(Hardware::xen));
  EXPECT_THAT(grub_config(*again), testing::HasSubstr("no_timer_check mitigations=off'\n"));
}

TEST(Layout, OverlappingPartitionsAreRefused) {
  Json json = layout_of(disk_of(2_GiB))->to_json();
  json["partitions"][2]["offset"] = 3 << 20;
  EXPECT_FALSE(Layout::from_json(json));
  json["partitions"][2]["offset"] = 66 << 20;
  json["partitions"][2]["size"] = std::int64_t{1} << 62;
  EXPECT_FALSE(Layout::from_json(json));
}

TEST(Identity, DiffersByRoleLayersAndLayoutAndNothingElse) {
  const Layout small = layout_of(disk_of(2_GiB)).value();
  const Layout large = layout_of(disk_of(3_GiB)).value();
  const Identity one = Identity::of({sha256("layer")}, small);
  EXPECT_EQ(one.uuid("disk"), Identity::of({sha256("layer")}, small).uuid("disk"));
  EXPECT_NE(one.uuid("disk"), one.uuid("partition 1"));
  EXPECT_NE(one.uuid("disk"), Identity::of({sha256("other")}, small).uuid("disk"));
  EXPECT_NE(one.uuid("disk"), Identity::of({sha256("layer")}, large).uuid("disk"));
}

TEST(Identity, HasTheShapeOfVersion8) {
  for (int i = 0; i < 64; ++i) {
    EXPECT_THAT(Identity(sha256(std::to_string(i))).uuid("disk").text(),
                testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                                      "[0-9a-f]{12}"));
  }
}

TEST(GrubConfig, NamesTheRootPartitionAndNoKernelVersion) {
  const Layout layout = layout_of(disk_of(2_GiB, {{"data", 1_MiB, "ext4", "/srv", ""}})).value();
  const std::string text = grub_config(layout);
  EXPECT_THAT(text, testing::HasSubstr("set disk=$device,gpt4\n"));
  EXPECT_THAT(text, testing::HasSubstr("($disk)$links/vmlinuz.old root=PARTUUID=$partition"));
  EXPECT_EQ(grub_directory("ubuntu"), "EFI/ubuntu");
}

TEST(GrubConfig, ChangesOnlyWithTheWritersVersion) {
  const std::string text = grub_config(layout_of(disk_of(2_GiB)).value());
  EXPECT_EQ(
      std::make_pair(kDiskWriterVersion, sha256(text).text()),
      std::make_pair(
          3,
          std::string("sha256:695a0cdf0ca91be2f52c9f9ad31e089d615a14c371718be8ff4d8488999e1930")))
      << "an image of one digest has one disk: raise kDiskWriterVersion\n"
      << text;
}

TEST(ImageDigest, FollowsLayersLayoutAndLock) {
  ImageFacts facts;
  facts.name = "base";
  facts.epoch = 1790000000;
  facts.diff_ids = {sha256("a"), sha256("b")};
  facts.layout = layout_of(disk_of(2_GiB)).value();
  facts.lock = sha256("lock");
  const Digest digest = image_digest(oci_config(facts));
  EXPECT_EQ(oci_config(facts)["created"], "2026-09-21T14:13:20Z");
  EXPECT_EQ(digest, image_digest(oci_config(facts)));
  ImageFacts other = facts;
  other.lock = sha256("another lock");
  EXPECT_NE(digest, image_digest(oci_config(other)));
  other = facts;
  other.diff_ids.pop_back();
  EXPECT_NE(digest, image_digest(oci_config(other)));
  other = facts;
  other.layout = layout_of(disk_of(3_GiB)).value();
  EXPECT_NE(digest, image_digest(oci_config(other)));
}

}  // namespace
}  // namespace goldmill::image
