// SPDX-License-Identifier: GPL-3.0-or-later
// Packages that are small and cost much. Each is read in a process of its own, whose memory the
// kernel measures; what it must not cost is far below what it asks for.
#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/guest/control_paragraph.hpp>
#include <goldmill/guest/deb.hpp>

#include "unpacking.hpp"

namespace goldmill::guest {
namespace {

using test_parts::add_to;
using test_parts::DebText;
using test_parts::gzip_of;
using test_parts::make_ar;
using test_parts::make_deb;
using test_parts::make_tar;
using test_parts::pax_record;
using test_parts::RawEntry;
using test_parts::Repeated;
using test_parts::xz_of;
using test_parts::zstd_of;
using ::testing::HasSubstr;

#ifdef GOLDMILL_SANITIZED
constexpr Bytes kEnough = 2_GiB;  // freed memory is kept for a while
#else
constexpr Bytes kEnough = 400_MiB;
#endif

std::string one_header(const RawEntry& entry) {
  return make_tar({entry}).substr(0, 512);
}

/// GNU tar's form of a number that octal digits do not hold.
std::string base_256(std::uint64_t value) {
  std::string field(12, '\0');
  for (std::size_t i = 11; i > 0; --i, value >>= 8U) {
    field[i] = static_cast<char>(value & 0xffU);
  }
  field[0] = static_cast<char>(0x80);
  return field;
}

std::string octal(std::uint64_t value) {
  std::array<char, 13> field{};
  std::snprintf(field.data(), field.size(), "%011llo", static_cast<unsigned long long>(value));
  return {field.data(), 12};
}

/// A tar of one file of zeros, which is not in memory at any time.
std::string zeros_by_zstd(Bytes size) {
  return zstd_of({.before = one_header({.name = "./usr/zeros", .size_field = octal(size.value)}),
                  .piece = std::string(1U << 20, '\0'),
                  .times = size.value >> 20U,
                  .after = std::string(1024, '\0')});
}

class Bomb : public test_parts::Unpacking {
 protected:
  struct Outcome {
    std::string text;  ///< kind, message and hint; "" when it was taken
    Bytes memory;
  };

  Outcome outcome(const std::string& deb) const {
    const Json packages = Json::array({add_to(cache(), "sample", deb)});
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    const pid_t reader = ::fork();
    if (reader == 0) {
      const auto answer = unpack(packages);
      const std::string text = answer ? ""
                                      : std::string(name_of(answer.error().kind)) + "|" +
                                            answer.error().text() + "|" + answer.error().hint;
      (void)system::write_all(ends[1], text);
      ::_exit(0);
    }
    ::close(ends[1]);
    Outcome found;
    found.text = *system::read_all(ends[0], 1_MiB);
    ::close(ends[0]);
    int status = 0;
    rusage usage{};
    ::wait4(reader, &status, 0, &usage);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    found.memory = Bytes{static_cast<std::uint64_t>(usage.ru_maxrss) << 10U};
    return found;
  }

  /// Refused with little memory, naming the package, saying why and what to do.
  void expect_refused(const std::string& deb, const std::string& why) const {
    const Outcome found = outcome(deb);
    EXPECT_THAT(found.text, HasSubstr(why));
    EXPECT_THAT(found.text, HasSubstr("sample: "));
    EXPECT_FALSE(found.text.ends_with("|")) << "no hint: " << found.text;
    EXPECT_LT(found.memory, kEnough) << to_text(found.memory);
  }
  static std::string with_data(const std::string& member, const std::string& data) {
    return make_deb({.data_member = member, .data = data});
  }
};

TEST_F(Bomb, AZstdFrameWithAHugeWindowIsRefused) {
  // Magic; no size, window of 2^31 bytes (RFC 8878, 3.1.1.1.2); an empty last block.
  const std::string frame("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9);
  expect_refused(with_data("data.tar.zst", frame), "too much memory");
}

TEST_F(Bomb, AnXzDictionaryBeyondXz9IsRefused) {
  std::string xz = xz_of(make_tar({{.name = "./x", .content = "x"}}));
  // Block header (xz file format, 3.1): filter 0x21 has one byte, the dictionary's size; the
  // header's own size in words stands first and its CRC last.
  const std::size_t size = (static_cast<std::size_t>(xz[12]) + 1) * 4;
  const std::size_t filter = xz.find("\x21\x01", 12);
  ASSERT_LT(filter, 12 + size);
  xz[filter + 2] = 40;  // 4 GiB - 1
  const std::uint32_t crc =
      ::lzma_crc32(reinterpret_cast<const std::uint8_t*>(xz.data()) + 12, size - 4, 0);
  for (unsigned i = 0; i < 4; ++i) {
    xz[12 + size - 4 + i] = static_cast<char>(crc >> (8U * i));
  }
  expect_refused(with_data("data.tar.xz", xz), "too much memory: 4.00 GiB");
}

TEST_F(Bomb, AMemberThatExpandsAThousandfoldIsRefused) {
  const std::string deb = with_data("data.tar.zst", zeros_by_zstd(2_GiB));
  ASSERT_LT(deb.size() * 1000, (2_GiB).value);
  expect_refused(deb, "unpacks to more than 512 MiB");
  const auto zeros = look("usr/zeros");
  EXPECT_TRUE(!zeros || zeros->st_size <= static_cast<off_t>((512_MiB).value));
}

TEST_F(Bomb, AHundredfoldAsFlashImagesAreIsTaken) {
  const Outcome found = outcome(with_data("data.tar.zst", zeros_by_zstd(260_MiB)));
  EXPECT_EQ(found.text, "");
  EXPECT_EQ(look("usr/zeros")->st_size, static_cast<off_t>((260_MiB).value));
  EXPECT_LT(found.memory, kEnough);
}

TEST_F(Bomb, CompressionInCompressionIsNotUndone) {
  const std::string tar = make_tar({{.name = "./x", .content = "x"}});
  EXPECT_EQ(outcome(with_data("data.tar.gz", gzip_of(tar))).text, "");
  expect_refused(with_data("data.tar.gz", gzip_of(gzip_of(tar))), "cannot be read");
  expect_refused(with_data("data.tar", gzip_of(tar)), "cannot be read");
  expect_refused(with_data("data.tar.xz", gzip_of(tar)), "cannot be decompressed");
}

TEST_F(Bomb, LargeControlMembersAreRefused) {
  const auto with_control = [](const std::string& name, Bytes size, std::size_t times) {
    const std::string file = one_header({.name = "./" + name, .size_field = octal(size.value)}) +
                             std::string(size.value, 'x');
    return make_deb({.control_member = "control.tar.zst",
                     .control_data = zstd_of({.piece = file, .times = times})});
  };
  expect_refused(with_control("md5sums", 65_MiB, 1), "are larger than 64.0 MiB");
  expect_refused(with_control("control", 2_MiB, 1), "control is larger than 1.00 MiB");
  expect_refused(with_control("conffiles", 2_MiB, 1), "conffiles is larger than 1.00 MiB");
  expect_refused(with_control("triggers", 2_MiB, 1), "triggers is larger than 1.00 MiB");
  // Many that are each allowed.
  expect_refused(with_control("md5sums", 1_MiB, 70), "are larger than 64.0 MiB");
}

TEST_F(Bomb, AControlFileOfManyFieldsIsRefused) {
  std::string fields;
  for (int i = 0; i < 60000; ++i) {
    fields += "F" + std::to_string(i) + ": x\n";
  }
  const auto paragraph = ControlParagraph::parse(fields);
  ASSERT_FALSE(paragraph);
  EXPECT_THAT(paragraph.error().message, HasSubstr("more than 500 fields"));
}

TEST_F(Bomb, MoreEmptyEntriesThanAPackageHasAreRefused) {
  const std::string entry = one_header({.name = "./usr/d/", .type = '5', .mode = 0755});
  std::string piece;
  for (int i = 0; i < 1000; ++i) {
    piece += entry;
  }
  expect_refused(with_data("data.tar.zst", zstd_of({.piece = piece, .times = 401})),
                 "more than 400000 entries");
}

TEST_F(Bomb, NamesThatFillTheMemoryAreRefused) {
  // Each of its own, through directories which the archive does not even hold.
  std::vector<RawEntry> entries;
  for (int i = 0; i < 50; ++i) {
    std::string name = "./" + std::to_string(i);
    for (int depth = 0; depth < 250; ++depth) {
      name += "/fourteen bytes";
    }
    entries.push_back({.name = name, .content = ""});
  }
  expect_refused(with_data("data.tar.xz", xz_of(make_tar(entries))),
                 "directories that it does not hold");
}

TEST_F(Bomb, ASparseFileOfExbibytesIsRefused) {
  const std::uint64_t most = (std::uint64_t{1} << 63U) - 4096;
  // PAX 1.0: the map ("0 regions") stands before the content.
  const std::string records = pax_record("GNU.sparse.major", "1") +
                              pax_record("GNU.sparse.minor", "0") +
                              pax_record("GNU.sparse.name", "./usr/sparse") +
                              pax_record("GNU.sparse.realsize", std::to_string(most));
  expect_refused(
      make_deb({.entries = {{.name = "./pax", .type = 'x', .content = records},
                            {.name = "./usr/sparse", .content = "0\n" + std::string(510, '\0')}}}),
      "unpacks to more than 512 MiB");
  // Without a map: a size that nothing stands behind.
  expect_refused(make_deb({.entries = {{.name = "./usr/x", .size_field = base_256(most)}}}),
                 "unpacks to more than 512 MiB");
  EXPECT_FALSE(look("usr/sparse"));
}

TEST_F(Bomb, ASparseMapThatFillsTheMemoryIsRefused) {
  constexpr std::size_t kMap = 200U << 20;
  const std::string records =
      pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
      pax_record("GNU.sparse.name", "./usr/sparse") + pax_record("GNU.sparse.realsize", "512");
  const std::string pax = make_tar({{.name = "./pax", .type = 'x', .content = records}});
  const std::string header = one_header({.name = "./usr/sparse", .size_field = octal(kMap)});
  std::string regions;
  while (regions.size() < 1U << 20) {
    regions += "0\n0\n";
  }
  expect_refused(
      with_data("data.tar.zst",
                zstd_of({.before = pax.substr(0, pax.size() - 1024) + header + "99999999\n",
                         .piece = regions,
                         .times = kMap >> 20U})),
      "describes itself in more than 8.00 MiB");
}

TEST_F(Bomb, HeadersThatClaimGigabytesAreRefused) {
  for (const char type : {'x', 'g', 'L', 'K'}) {
    expect_refused(make_deb({.entries = {{.name = "./h", .type = type, .size_field = "77777777777"},
                                         {.name = "./x", .content = "x"}}}),
                   "");
    expect_refused(
        make_deb({.entries = {{.name = "./h", .type = type, .size_field = base_256(1ULL << 62U)},
                              {.name = "./x", .content = "x"}}}),
        "");
  }
}

TEST_F(Bomb, HeadersOfHeadersEnd) {
  for (const char type : {'x', 'g', 'L', 'K'}) {
    const std::string tar =
        make_tar({{.name = "./h",
                   .type = type,
                   .content = type == 'x' || type == 'g' ? pax_record("comment", "x") : "name"}});
    std::string piece;
    for (int i = 0; i < 1000; ++i) {
      piece += tar.substr(0, tar.size() - 1024);
    }
    expect_refused(with_data("data.tar.zst", zstd_of({.piece = piece, .times = 300})), "");
  }
}

TEST_F(Bomb, ArSizesThatOverflowAreRefused) {
  const std::string good = make_deb({});
  const std::size_t data = good.find("data.tar") + 48;
  for (const std::string size : {"9999999999",
                                 "4294967296",
                                 "-1        ",
                                 "1e9       ",
                                 "0x10      ",
                                 "          ",
                                 "+10       ",
                                 " 10       "}) {
    std::string deb = good;
    deb.replace(data, 10, size);
    expect_refused(deb, "a member is longer than the file");
  }
  for (std::size_t cut = 1; cut < good.size() && cut < 700; cut += 7) {
    EXPECT_NE(outcome(good.substr(0, cut)).text, "") << cut;
  }
}

std::string nested(int depth) {
  std::string path = ".";
  for (int i = 0; i < depth; ++i) {
    path += "/d";
  }
  return path;
}

TEST_F(Bomb, DeepPathsAreRefusedAndRealOnesTaken) {
  EXPECT_EQ(outcome(make_deb({.entries = {{.name = nested(256), .content = "x"}}})).text, "");
  expect_refused(make_deb({.entries = {{.name = nested(257), .content = "x"}}}),
                 "too many directories");
  expect_refused(make_deb({.entries = {{.name = nested(2000), .content = "x"}}}),
                 "too many directories");
}

TEST_F(Bomb, NamesLongerThanAPathAreRefused) {
  const std::string part(200, 'n');
  std::string name = ".";
  while (name.size() < 5000) {
    name += "/" + part;
  }
  expect_refused(make_deb({.entries = {{.name = name, .content = "x"}}}), "empty or too long");
  expect_refused(make_deb({.entries = {{.name = "./" + std::string(256, 'n'), .content = "x"}}}),
                 "more than 255 bytes");
  expect_refused(make_deb({.entries = {{.name = "./p",
                                        .type = 'x',
                                        .content = pax_record("linkpath", std::string(5000, 't'))},
                                       {.name = "./l", .type = '2'}}}),
                 "empty or too long");
  EXPECT_EQ(outcome(make_deb({.entries = {{.name = name.substr(0, 4000), .content = "x"}}})).text,
            "");
}

TEST_F(Bomb, ChainsOfLinksEnd) {
  const auto chain = [](int length, const std::string& before, const std::string& after) {
    std::vector<RawEntry> entries = {{.name = "./l0/", .type = '5', .mode = 0755}};
    for (int i = 1; i <= length; ++i) {
      const std::string last = "l" + std::to_string(i - 1);
      entries.push_back(
          {.name = "./l" + std::to_string(i), .type = '2', .target = before + last + after});
    }
    entries.push_back({.name = "./l" + std::to_string(length) + "/file", .content = "x"});
    return make_deb({.entries = entries});
  };
  EXPECT_EQ(outcome(chain(30, "", "")).text, "");
  EXPECT_EQ(content("l0/file"), "x");
  const Outcome found = outcome(chain(60, "", ""));
  EXPECT_THAT(found.text, HasSubstr("round in circles"));
  // Each names the one before twice: 2^30 ways to go.
  SetUp();
  EXPECT_EQ(outcome(chain(30, "/", "/../l0")).text, "");
}

}  // namespace
}  // namespace goldmill::guest
