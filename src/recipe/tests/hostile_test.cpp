// SPDX-License-Identifier: GPL-3.0-or-later
// Hostile recipes: each is refused with a position, quickly and without filling the memory.
#include <ctime>
#include <map>

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "recipe_files.hpp"

namespace goldmill::recipe {

namespace {

std::string repeat(const std::string& piece, std::size_t count) {
  std::string text;
  text.reserve(piece.size() * count);
  for (std::size_t i = 0; i < count; ++i) {
    text += piece;
  }
  return text;
}

// NOLINTNEXTLINE(readability-function-size): a list
std::map<std::string, std::string> hostile_inputs() {
  const std::string start = "recipe: r\nos: debian/12\n";
  std::string laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char name = 'b'; name < 'j'; ++name) {
    const std::string before = "*" + std::string(1, static_cast<char>(name - 1));
    laughs += std::string(1, name) + ": &" + name + " [" + repeat(before + ",", 9) + "]\n";
  }
  return {
      {"billion laughs", laughs},
      {"cyclic alias", "&x [*x]"},
      {"alias of nothing", "*x"},
      {"10,000 brackets", repeat("[", 10'000)},
      {"10,000 braces", repeat("{", 10'000)},
      {"10,000 open pairs", repeat("{a: ", 10'000)},
      {"10,000 dashes", repeat("- ", 10'000)},
      {"10,000 question marks", repeat("? ", 10'000)},
      {"10,000 closing brackets", repeat("]", 10'000)},
      {"500,000 brackets", repeat("[", 500'000)},
      {"500,000 colons", repeat(":", 500'000)},
      {"250,000 pairs of colons", repeat(": ", 250'000)},
      {"deep by indentation",
       [] {
         std::string text;
         for (std::size_t i = 0; i < 1000; ++i) {
           text += std::string(i, ' ') + "a:\n";
         }
         return text;
       }()},
      {"300,000 values", start + "packages: [" + repeat("a,", 300'000) + "]\n"},
      {"200,000 keys", start + repeat("a: b\n", 150'000)},
      {"too large", start + "proxy: " + std::string(2 << 20, 'x') + "\n"},
      {"one large scalar", start + "proxy: " + std::string(1'000'000, 'x') + "\n"},
      {"large quoted scalar", start + "proxy: \"" + std::string(1'000'000, '\\') + "\n"},
      {"large key", start + std::string(1'000'000, 'k') + ": x\n"},
      {"large package name", start + "packages: [" + std::string(900'000, 'a') + "]\n"},
      {"large number", start + "disk: {size: " + std::string(900'000, '9') + "}\n"},
      {"large integer", start + "promises: {boot_seconds: " + std::string(900'000, '9') + "}\n"},
      {"large time zone", start + "baseline: {timezone: A" + std::string(900'000, 'a') + "}\n"},
      {"binary tag", start + "proxy: !!binary aGVsbG8=\n"},
      {"python tag", start + "proxy: !!python/object/apply:os.system [x]\n"},
      {"bare tag", "!2"},
      {"bare tag with name", "!<"},
      {"tag directive", "%TAG ! tag:example.org,2000:\n--- !x\n" + start},
      {"UTF-16 LE",
       std::string("\xff\xfe"
                   "r\0e\0",
                   6)},
      {"UTF-16 BE",
       std::string("\xfe\xff"
                   "\0r\0e",
                   6)},
      {"UTF-32", std::string("\0\0\xfe\xff\0\0\0r", 8)},
      {"NUL", std::string("recipe: r\0\n", 11)},
      {"NUL by escape", "recipe: \"r\\0\"\nos: debian/12\n"},
      {"escape by escape", "recipe: \"r\\e[2J\"\nos: debian/12\n"},
      {"surrogate by escape", "recipe: \"\\uD800\"\nos: debian/12\n"},
      {"huge code point", "recipe: \"\\UFFFFFFFF\"\nos: debian/12\n"},
      {"overlong", "recipe: \xc0\xaf\n"},
      {"duplicate keys", start + "os: debian/13\n"},
      {"second document", start + "---\n" + start},
      {"many documents", repeat("---\n", 100'000)},
      {"document ends", repeat("...\n", 100'000)},
      {"parameter bomb",
       start + "parameters: {a: \"" + std::string(4000, 'x') + "\"}\npackages: [" +
           repeat("\"${a}${a}${a}\",", 20'000) + "]\n"},
      {"open parameters", start + "packages: [\"" + repeat("${", 400'000) + "\"]\n"},
      {"block indicator", start + "proxy: |99999999999999999999\n  x\n"},
      {"block header", start + "proxy: >-+-+\n  x\n"},
      {"many anchors", repeat("&a ", 300'000)},
      {"many tags", repeat("!a ", 300'000)},
      {"flow in key", repeat("[a]: ", 100'000)},
      {"comment only", "#" + std::string(1'000'000, '#')},
      {"spaces only", std::string(1'000'000, ' ')},
      {"newlines only", std::string(1'000'000, '\n')},
      {"tabs only", std::string(1'000'000, '\t')},
      {"quotes", repeat("'", 999'999)},
      {"from itself many times", "recipe: r\nfrom: r@" + std::string(500'000, '9') + "\n"},
  };
}

std::size_t peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss);
}

/// Since there were `before` KiB. What a sanitizer takes for itself says nothing.
void expect_growth_below(std::size_t mib, std::size_t before) {
#ifndef GOLDMILL_SANITIZED
  EXPECT_LT(peak_kib() - before, mib * 1024U);
#else
  (void)mib;
  (void)before;
#endif
}

}  // namespace

class HostileTest : public RecipeFiles {};

TEST_F(HostileTest, IsRefusedWithItsPositionInTimeAndMemory) {
  const std::size_t before = peak_kib();
  const auto inputs = hostile_inputs();
  // Of this process: others may be busy.
  const auto cost_of = [this](const std::string& text, std::optional<Error>& error) {
    const std::clock_t start = std::clock();
    error = refusal_of(text);
    return std::clock() - start;
  };
  std::optional<Error> error;
  const std::clock_t plain = cost_of(inputs.at("300,000 values"), error);
  for (const auto& [name, text] : inputs) {
    SCOPED_TRACE(name);
    const std::clock_t cost = cost_of(text, error);
    if (!error) {
      ADD_FAILURE() << "accepted";
      continue;
    }
    EXPECT_THAT(error->message, testing::MatchesRegex("r.yaml:[0-9]+:[0-9]+: .+"));
    EXPECT_LT(error->message.size(), 500U) << "the text itself must not fill the terminal";
    EXPECT_LT(error->hint.size(), 500U);
    EXPECT_LT(cost, 10 * plain) << "not much more than plain text";
  }
  expect_growth_below(100, before);
}

/// A line that is as long as its file: whoever looks for its end has the whole file in memory.
TEST_F(HostileTest, AHugeFileIsRefusedWithoutReadingIt) {
  const std::size_t before = peak_kib();
  for (const char* name : {"r.yaml", "r.cfg", "r.ks", "r.preseed"}) {
    for (const char* start : {"", "#cloud-config\n", "## template: "}) {
      SCOPED_TRACE(std::string(name) + " that starts with '" + start + "'");
      const auto file = write(name, start);
      std::filesystem::resize_file(file, std::uintmax_t{1} << 30U);  // sparse
      const auto loaded = load(file, {.set = {}, .os = "debian/12"});
      ASSERT_FALSE(loaded);
      EXPECT_EQ(loaded.error().kind, ErrorKind::invalid_input);
      EXPECT_THAT(loaded.error().text(), testing::HasSubstr("longer than the limit"));
    }
  }
  expect_growth_below(64, before);
}

TEST_F(HostileTest, SpecialFilesAreRefusedWithoutReadingThem) {
  EXPECT_EQ(load("/dev/zero").error().kind, ErrorKind::invalid_input);
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  EXPECT_EQ(load(at("fifo")).error().kind, ErrorKind::invalid_input);
  EXPECT_THAT(error_of("recipe: r\nos: debian/12\nprovision: [{shell: {file: fifo}}]\n"),
              testing::HasSubstr("is not a plain file"));
  EXPECT_THAT(error_of("recipe: r\nos: debian/12\nprovision: [{shell: {file: /dev/zero}}]\n"),
              testing::HasSubstr("is not a plain file"));
}

}  // namespace goldmill::recipe
