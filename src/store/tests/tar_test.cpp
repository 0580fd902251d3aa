// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/store/tar.hpp>

namespace goldmill::store {
namespace {

std::string written(const std::vector<TarEntry>& entries, const std::string& content = "") {
  std::string tar;
  TarWriter writer([&](std::string_view bytes) {
    tar.append(bytes);
    return Result<void>();
  });
  for (const TarEntry& entry : entries) {
    EXPECT_TRUE(writer.add(entry));
    if (entry.kind == EntryKind::file && entry.size > 0) {
      EXPECT_TRUE(writer.content(content));
    }
  }
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(tar.size(), writer.size());
  if (const char* const seeds = std::getenv("GOLDMILL_SEEDS")) {  // scripts/fuzz
    std::ofstream(std::filesystem::path(seeds) / sha256(tar).hex(), std::ios::binary) << tar;
  }
  return tar;
}

Source source_of(const std::string& bytes) {
  return [&bytes, at = std::size_t{0}](std::span<char> buffer) mutable -> Result<std::size_t> {
    const std::size_t count =
        bytes.copy(buffer.data(), std::min<std::size_t>(buffer.size(), 700), at);
    at += count;
    return count;
  };
}

Result<std::vector<TarEntry>> read_back(const std::string& bytes) {
  TarReader reader(source_of(bytes));
  std::vector<TarEntry> entries;
  for (auto entry = TRY(reader.next()); entry; entry = TRY(reader.next())) {
    entries.push_back(*std::move(entry));
  }
  return entries;
}

const std::vector<TarEntry>& samples() {
  static const std::vector<TarEntry> kAll = {
      {.path = "etc", .kind = EntryKind::directory, .mode = 0755, .time = 1700000000},
      {.path = "etc/passwd", .mode = 0644, .size = 5, .time = 1},
      {.path = std::string(90, 'a') + "/" + std::string(90, 'b'), .mode = 04755},
      {.path = std::string(300, 'x'), .mode = 0600},
      {.path = "caf\xC3\xA9", .user = 4000000, .group = 33},
      {.path = "bad\xFF\xFEname", .mode = 0},
      {.path = "link", .kind = EntryKind::symlink, .mode = 0777, .target = std::string(200, 't')},
      {.path = "dev/null",
       .kind = EntryKind::character_device,
       .mode = 0666,
       .major = 1,
       .minor = 3},
      {.path = "ping",
       .mode = 0755,
       .xattrs = {{"security.capability", std::string("\1\0\0\2\0\x20\0\0", 8)},
                  {"user.a", "line\nbreak=x"}}},
  };
  return kAll;
}

TEST(Tar, WhatIsWrittenIsReadBack) {
  const auto back = read_back(written(samples(), "hello"));
  ASSERT_TRUE(back) << back.error().text();
  ASSERT_EQ(back->size(), samples().size());
  for (std::size_t i = 0; i < back->size(); ++i) {
    const TarEntry& want = samples()[i];
    const TarEntry& got = back->at(i);
    EXPECT_EQ(got.path, want.path + (want.kind == EntryKind::directory ? "/" : ""));
    EXPECT_EQ(got.kind, want.kind);
    EXPECT_EQ(got.mode, want.mode);
    EXPECT_EQ(got.user, want.user);
    EXPECT_EQ(got.time, want.time);
    EXPECT_EQ(got.target, want.target);
    EXPECT_EQ(got.major, want.major);
    EXPECT_EQ(got.xattrs, want.xattrs);
  }
}

TEST(Tar, AnotherReaderAgrees) {
  const std::string tar = written(samples(), "hello");
  archive* reader = archive_read_new();
  archive_read_support_format_tar(reader);
  ASSERT_EQ(archive_read_open_memory(reader, tar.data(), tar.size()), ARCHIVE_OK);
  archive_entry* entry = nullptr;
  std::size_t count = 0;
  // A warning: names that are not ASCII in the C locale.
  for (int code = 0;
       (code = archive_read_next_header(reader, &entry)) == ARCHIVE_OK || code == ARCHIVE_WARN;) {
    const TarEntry& want = samples()[count++];
    EXPECT_EQ(static_cast<std::uint32_t>(archive_entry_perm(entry)), want.mode);
    EXPECT_EQ(archive_entry_uid(entry), want.user);
    EXPECT_EQ(static_cast<std::uint64_t>(archive_entry_size(entry)), want.size);
    EXPECT_EQ(archive_entry_xattr_count(entry), static_cast<int>(want.xattrs.size()));
  }
  EXPECT_EQ(count, samples().size());
  archive_read_free(reader);
}

TEST(Tar, BytesNeverChange) {
  // Layers are named by these bytes: a new digest here orphans every layer ever built.
  EXPECT_EQ(sha256(written(samples(), "hello")).hex(),
            "a47678ee6c6d966e7a84e751f4d365e6260c424f294f146a6c5afb781ff36789");
}

TEST(Tar, DamageIsNoticed) {
  std::string tar = written(samples(), "hello");
  tar[10] = static_cast<char>(tar[10] ^ 1);
  EXPECT_EQ(read_back(tar).error().kind, ErrorKind::corrupt);
  const std::string whole = written(samples(), "hello");
  for (std::size_t cut = 1; cut < 4000; cut += 97) {
    if (cut % 512 != 0) {
      const auto result = read_back(whole.substr(0, cut));
      EXPECT_FALSE(result) << cut;
    }
  }
}

/// With the checksum that the changed header must have.
void sign(std::string& tar) {
  tar.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) {
    sum += static_cast<unsigned char>(tar[i]);
  }
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%06o", sum);
  tar.replace(148, 7, text.data(), 7);
}

TEST(Tar, LyingLengthsAreBounded) {
  // An extended header that claims 8 GiB, or 2^62 bytes, must not be believed.
  for (const char kind : {'x', 'g', 'L', 'K'}) {
    for (const std::string& size :
         {std::string("77777777777"), std::string("\x80\0\0\0\x40\0\0\0\0\0\0", 11)}) {
      std::string tar = written({TarEntry{.path = "x", .size = 1}}, "y");
      tar[156] = kind;
      tar.replace(124, size.size(), size);
      sign(tar);
      EXPECT_EQ(read_back(tar).error().kind, ErrorKind::corrupt) << kind;
    }
  }
}

TEST(Tar, HeadersOfHeadersEnd) {
  std::string one = written({TarEntry{.path = "x", .size = 14}}, "14 comment=xx\n");
  one[156] = 'x';
  sign(one);
  std::string many;
  for (int i = 0; i < 17; ++i) {
    many += one.substr(0, 1024);
  }
  EXPECT_EQ(read_back(many + written({})).error().kind, ErrorKind::corrupt);
  EXPECT_TRUE(read_back(many.substr(1024) + written({{.path = "y"}})));
}

TEST(Tar, IdsThatDoNotFitAreNoOthers) {
  const std::string record = "18 uid=4294967296\n";
  std::string tar = written({TarEntry{.path = "x", .size = record.size()}}, record);
  tar[156] = 'x';
  sign(tar);
  const auto back = read_back(tar.substr(0, 1024) + written({{.path = "y"}}));
  ASSERT_FALSE(back) << back->at(0).user;
  EXPECT_EQ(back.error().kind, ErrorKind::corrupt);
}

}  // namespace
}  // namespace goldmill::store
