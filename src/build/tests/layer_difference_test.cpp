// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../archive_difference.hpp"

namespace goldmill::build {
namespace {

using store::EntryKind;
using store::TarEntry;
using testing::HasSubstr;
using Kind = LayerDifference::Kind;

struct File {
  TarEntry entry;
  std::string content = {};
};

std::string archive(const std::vector<File>& files) {
  std::string tar;
  store::TarWriter writer([&](std::string_view bytes) {
    tar.append(bytes);
    return Result<void>();
  });
  for (const File& file : files) {
    TarEntry entry = file.entry;
    entry.size = file.content.size();
    EXPECT_TRUE(writer.add(entry));
    EXPECT_TRUE(file.content.empty() ? Result<void>() : writer.content(file.content));
  }
  EXPECT_TRUE(writer.finish());
  return tar;
}

/// In pieces of a size of its own, so that the two sides never stand at the same place.
store::Source source_of(const std::string& bytes, std::size_t piece) {
  return [&bytes, piece, at = std::size_t{0}](std::span<char> buffer) mutable {
    const std::size_t count = bytes.copy(buffer.data(), std::min(buffer.size(), piece), at);
    at += count;
    return Result<std::size_t>(count);
  };
}

std::vector<LayerDifference> compare(const std::vector<File>& first,
                                     const std::vector<File>& second) {
  const std::string one = archive(first);
  const std::string other = archive(second);
  auto compared = compare_archives(source_of(one, 700), source_of(other, 999));
  EXPECT_TRUE(compared) << compared.error().text();
  EXPECT_EQ(compared->count, compared->differences.size());
  return compared->differences;
}

LayerDifference compare_contents(const std::string& one, const std::string& other) {
  const auto found = compare({{{.path = "f"}, one}}, {{{.path = "f"}, other}});
  EXPECT_EQ(found.size(), 1U);
  return found.empty() ? LayerDifference{} : found[0];
}

TEST(LayerDifference, SaysNothingOfTheSame) {
  const std::vector<File> files = {{{.path = "d", .kind = EntryKind::directory, .mode = 0755}},
                                   {{.path = "d/f"}, std::string(100'000, 'x')},
                                   {{.path = "l", .kind = EntryKind::symlink, .target = "d/f"}}};
  EXPECT_TRUE(compare(files, files).empty());
}

TEST(LayerDifference, NamesTheFirstByteOfALargeFile) {
  std::string one(1'000'000, 'x');
  one.replace(777'000, 6, "before");
  std::string other = one;
  other.replace(777'000, 6, "behind");
  const LayerDifference found = compare_contents(one, other);
  EXPECT_EQ(found.kind, Kind::content);
  EXPECT_EQ(found.path, "/f");
  EXPECT_EQ(found.offset, 777'002U);
  EXPECT_EQ(found.first.substr(found.lead - 2, 6), "before");
  EXPECT_EQ(found.second.substr(found.lead - 2, 6), "behind");
  EXPECT_LE(found.first.size(), kExcerpt);
}

TEST(LayerDifference, AShorterFileDiffersAtItsEnd) {
  const LayerDifference found = compare_contents("abcdef", "abc");
  EXPECT_EQ(found.offset, 3U);
  EXPECT_EQ(found.second.substr(found.lead), "");
  EXPECT_EQ(found.first.substr(found.lead), "def");
}

TEST(LayerDifference, FindsWhatOnlyOneHasAndGoesOn) {
  // '-' sorts before '/': by names d comes before d-1, by bytes of paths d-1 before d/f.
  const auto found = compare({{{.path = "d", .kind = EntryKind::directory}},
                              {{.path = "d/f"}, "1"},
                              {{.path = "d-1"}, "1"},
                              {{.path = "z"}, "1"}},
                             {{{.path = "d", .kind = EntryKind::directory}},
                              {{.path = "d/g"}, "1"},
                              {{.path = "d-1"}, "1"},
                              {{.path = "z"}, "2"}});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].path, "/d/f");
  EXPECT_EQ(found[0].kind, Kind::missing);
  EXPECT_EQ(found[0].first, "file");
  EXPECT_EQ(found[0].second, "");
  EXPECT_EQ(found[1].path, "/d/g");
  EXPECT_EQ(found[1].first, "");
  EXPECT_EQ(found[2].path, "/z");
}

TEST(LayerDifference, ADeletedFileStandsWhereItWas) {
  const auto found = compare({{{.path = "a"}, "1"}, {{.path = "b"}, "1"}},
                             {{{.path = ".wh.a"}}, {{.path = "b"}, "1"}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Kind::type);
  EXPECT_EQ(found[0].second, "deleted");
}

TEST(LayerDifference, SeesMoreThanContent) {
  const TarEntry plain{.path = "f", .mode = 0644, .user = 1, .group = 1, .time = 5};
  const auto differs = [&](const auto& change) {
    TarEntry other = plain;
    change(other);
    const auto found = compare({{plain, "same"}}, {{other, "same"}});
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? "" : name_of(found[0].kind);
  };
  EXPECT_STREQ(differs([](TarEntry& entry) { entry.mode = 0600; }), "mode");
  EXPECT_STREQ(differs([](TarEntry& entry) { entry.group = 2; }), "owner");
  EXPECT_STREQ(differs([](TarEntry& entry) { entry.time = 6; }), "time");
  EXPECT_STREQ(differs([](TarEntry& entry) { entry.xattrs["user.x"] = "1"; }), "attributes");
}

TEST(LayerDifference, IsBounded) {
  std::vector<File> first;
  std::vector<File> second;
  for (int i = 1000; i < 1500; ++i) {
    first.push_back({{.path = std::to_string(i)}, "1"});
    second.push_back({{.path = std::to_string(i)}, "2"});
  }
  const std::string one = archive(first);
  const std::string other = archive(second);
  const auto compared = compare_archives(source_of(one, 512), source_of(other, 512));
  ASSERT_TRUE(compared);
  EXPECT_EQ(compared->count, 500U);
  EXPECT_EQ(compared->differences.size(), kMostDifferences);
}

// ---- causes ----

constexpr std::int64_t kFirst = 1'795'684'901;  // 2026-11-26
const Surroundings kSurroundings{.times = {kFirst, kFirst + 60},
                                 .host_names = {"red", "blue"},
                                 .cores = {"8", "1"},
                                 .words = {"Pacific/Kiritimati", "tr_TR.UTF-8"}};

std::string cause(const std::string& one, const std::string& other, const char* path = "/f") {
  LayerDifference difference = compare_contents(one, other);
  difference.path = path;
  return likely_cause(difference, kSurroundings);
}

std::string binary(std::uint32_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

TEST(LikelyCause, Dates) {
  EXPECT_THAT(cause("on Thu Nov 26 09:21:41 UTC", "on Thu Nov 26 09:22:41 UTC"),
              HasSubstr("date as text"));
  EXPECT_THAT(cause("built 2026-11-26", "built 2026-11-27"), HasSubstr("date as text"));
  EXPECT_THAT(cause("t=1795684901;", "t=1795684961;"), HasSubstr("as a number"));
  EXPECT_THAT(cause("1795684901948320873", "1795684961145583608"), HasSubstr("as a number"));
  EXPECT_THAT(cause("root:*:20783:0", "root:*:20784:0"), HasSubstr("as a number"));
  EXPECT_THAT(cause("ab" + binary(kFirst) + "yz", "ab" + binary(kFirst + 60) + "yz"),
              HasSubstr("in binary"));
  EXPECT_THAT(cause("AB??" + binary(kFirst) + "....", "CD??" + binary(kFirst + 60) + "...."),
              HasSubstr("in binary"));
}

TEST(LikelyCause, Containers) {
  const std::string magic("\x1f\x8b\x08\x00", 4);
  EXPECT_THAT(cause(magic + "aaaa", magic + "abaa"), HasSubstr("gzip -n"));
  const std::string python(8, 'p');
  EXPECT_THAT(cause(python + "1111", python + "1211", "/x.pyc"), HasSubstr("compiled Python"));
  EXPECT_THAT(cause("\xfe\xed\xfe\xed...1", "\xfe\xed\xfe\xed...2"), HasSubstr("keystore"));
  const std::string zip = "PK\x03\x04" + std::string(6, '\0');
  EXPECT_THAT(cause("xx" + zip + "ab", "xx" + zip + "ac"), HasSubstr("zip"));
  EXPECT_THAT(cause("!<arch>\nx/ 17", "!<arch>\nx/ 18"), HasSubstr("ar archive"));
}

TEST(LikelyCause, Chance) {
  EXPECT_THAT(
      cause("id d33af3fb-b190-4524-9798-939b49c8ca76", "id 5ebc868f-3744-4ac3-bbad-28ebc0d0a974"),
      HasSubstr("UUID"));
  EXPECT_THAT(cause("a\nb\nc\n", "c\na\nb\n"), HasSubstr("another order"));
  EXPECT_THAT(cause("in /tmp/tmp.a8Zx1/x", "in /tmp/tmp.b7Qq2/x"), HasSubstr("temporary"));
  EXPECT_THAT(cause("-----BEGIN PRIVATE KEY-----\nMIIa", "-----BEGIN PRIVATE KEY-----\nMIIb"),
              HasSubstr("first boot"));
  EXPECT_THAT(cause("qwertzuiopasdfghjk", "yxcvbnmlkjhgfdsapo"), HasSubstr("random"));
}

TEST(LikelyCause, TheMachine) {
  EXPECT_THAT(cause("host: red.", "host: blue."), HasSubstr("name of the machine"));
  EXPECT_THAT(cause("make -j8\n", "make -j1\n"), HasSubstr("cores"));
  EXPECT_THAT(cause("LANG=C", "LANG=tr_TR.UTF-8"), HasSubstr("locale"));
}

TEST(LikelyCause, WhatNothingFitsIsNotGuessed) {
  EXPECT_EQ(cause("colour: red!", "colour: reddish!"), "");
}

}  // namespace
}  // namespace goldmill::build
