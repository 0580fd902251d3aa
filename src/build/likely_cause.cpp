// SPDX-License-Identifier: GPL-3.0-or-later
// What the first bytes that differ look like, as a table of rules: the first that fits is told.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <ctime>
#include <regex>
#include <string_view>

#include <goldmill/build/layer_difference.hpp>

namespace goldmill::build {

using Kind = LayerDifference::Kind;

namespace {
constexpr std::int64_t kDay = 86400;

/// A difference in a file's content, with what rules ask of it.
struct Clue {
  const LayerDifference& difference;
  const Surroundings& surroundings;

  std::uint64_t offset() const { return difference.offset.value_or(0); }
  bool ends_with(std::string_view suffix) const { return difference.path.ends_with(suffix); }
  bool starts(std::string_view magic) const { return difference.start.starts_with(magic); }
  /// Does the text lie in both excerpts, over the byte that differs?
  bool both_match(const std::regex& pattern) const {
    return matches_at(difference.first, pattern) && matches_at(difference.second, pattern);
  }
  bool is_near_a_build(std::int64_t seconds) const {
    return std::any_of(surroundings.times.begin(),
                       surroundings.times.end(),
                       [seconds](std::int64_t time) { return std::abs(seconds - time) <= kDay; });
  }

 private:
  bool matches_at(const std::string& text, const std::regex& pattern) const {
    const auto at = static_cast<std::ptrdiff_t>(difference.lead);
    for (std::sregex_iterator found(text.begin(), text.end(), pattern), end; found != end;
         ++found) {
      if (found->position() <= at && at < found->position() + found->length()) {
        return true;
      }
    }
    return false;
  }
};

bool is_gzip_date(const Clue& clue) {
  return clue.starts("\x1f\x8b") && clue.offset() >= 4 && clue.offset() < 8;
}

bool is_python_date(const Clue& clue) {
  return clue.ends_with(".pyc") && clue.offset() >= 8 && clue.offset() < 12;
}

bool is_keystore(const Clue& clue) {
  return clue.starts("\xfe\xed\xfe\xed") || clue.starts("\xce\xce\xce\xce") ||
         clue.ends_with(".p12") || clue.ends_with(".jks");
}

/// Local headers hold the time at 10, entries of the directory at 12, both for four bytes.
bool is_zip_date(const Clue& clue) {
  const auto header_before = [&](std::string_view magic, std::size_t first) {
    const std::size_t found = clue.difference.first.rfind(magic, clue.difference.lead);
    const std::size_t distance = clue.difference.lead - found;
    return found != std::string::npos && distance >= first && distance < first + 4;
  };
  return header_before("PK\x03\x04", 10) || header_before("PK\x01\x02", 12);
}

bool is_archive_header(const Clue& clue) {
  return clue.starts("!<arch>\n");
}

bool is_same_lines(const Clue& clue) {
  return clue.difference.same_lines;
}

bool is_uuid(const Clue& clue) {
  static const std::regex kPattern("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");
  return clue.both_match(kPattern);
}

/// Does the word lie over this byte of the text?
bool lies_at(const std::string& text, std::size_t at, const std::string& word) {
  const std::size_t found = text.find(word, at + 1 > word.size() ? at + 1 - word.size() : 0);
  return !word.empty() && found <= at;
}

bool is_host_name(const Clue& clue) {
  const auto& names = clue.surroundings.host_names;
  return names.size() == 2 && lies_at(clue.difference.first, clue.difference.lead, names[0]) &&
         lies_at(clue.difference.second, clue.difference.lead, names[1]);
}

/// The whole run of digits over the byte that differs.
std::string_view digits_at(std::string_view text, std::size_t at) {
  const auto is_digit = [&](std::size_t i) {
    return i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0;
  };
  std::size_t begin = at;
  while (begin > 0 && is_digit(begin - 1)) {
    --begin;
  }
  std::size_t end = at;
  while (is_digit(end)) {
    ++end;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

bool is_core_count(const Clue& clue) {
  const auto& cores = clue.surroundings.cores;
  return cores.size() == 2 && cores[0] != cores[1] &&
         digits_at(clue.difference.first, clue.difference.lead) == cores[0] &&
         digits_at(clue.difference.second, clue.difference.lead) == cores[1];
}

bool is_zone_or_locale(const Clue& clue) {
  return std::any_of(
      clue.surroundings.words.begin(), clue.surroundings.words.end(), [&](const std::string& word) {
        return clue.difference.second.find(word) != std::string::npos &&
               clue.difference.first.find(word) == std::string::npos;
      });
}

bool is_temporary_name(const Clue& clue) {
  static const std::regex kPattern("/tmp/[A-Za-z0-9._-]+|tmp\\.[A-Za-z0-9]{6,}");
  return clue.both_match(kPattern);
}

bool is_text_date(const Clue& clue) {
  static const std::regex kPattern(
      "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+)?|[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?|"
      "((Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?"
      "([0-9]{1,2} )?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +[0-9: ]{1,20}");
  return clue.both_match(kPattern);
}

/// The decimal number over the byte that differs, in seconds or parts of them, or as the day.
bool is_number_date(const Clue& clue) {
  const auto near = [&](const std::string& text) {
    const std::string_view digits = digits_at(text, clue.difference.lead);
    std::int64_t number = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc{}) {
      return false;
    }
    constexpr std::array<std::int64_t, 4> kParts = {1, 1000, 1'000'000, 1'000'000'000};
    return std::any_of(kParts.begin(),
                       kParts.end(),
                       [&](std::int64_t part) { return clue.is_near_a_build(number / part); }) ||
           (number < 100'000 && clue.is_near_a_build(number * kDay));
  };
  return near(clue.difference.first) && near(clue.difference.second);
}

/// Four bytes over the one that differs or shortly after it, in either order: times stand beside
/// identifiers.
bool is_binary_date(const Clue& clue) {
  constexpr std::size_t kAfter = 16;
  const auto time_at = [&](const std::string& text, std::size_t begin) {
    std::uint32_t value = 0;
    std::memcpy(&value, text.data() + begin, sizeof value);
    return clue.is_near_a_build(value) || clue.is_near_a_build(__builtin_bswap32(value));
  };
  const std::string& first = clue.difference.first;
  const std::string& second = clue.difference.second;
  const std::size_t lead = clue.difference.lead;
  for (std::size_t begin = lead < 3 ? 0 : lead - 3; begin <= lead + kAfter; ++begin) {
    if (begin + 4 <= std::min(first.size(), second.size()) && time_at(first, begin) &&
        time_at(second, begin)) {
      return true;
    }
  }
  return false;
}

bool is_key(const Clue& clue) {
  return clue.starts("-----BEGIN") || clue.difference.path.find("/private/") != std::string::npos;
}

/// Most of what follows differs, and looks like nothing else.
bool is_noise(const Clue& clue) {
  constexpr std::size_t kLooked = 16;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < kLooked; ++i) {
    const std::size_t at = clue.difference.lead + i;
    const bool both = at < clue.difference.first.size() && at < clue.difference.second.size();
    differing += both && clue.difference.first[at] != clue.difference.second[at] ? 1 : 0;
  }
  return differing >= kLooked * 3 / 4;
}

struct KnownCause {
  bool (*fits)(const Clue& clue);
  const char* cause;
};

constexpr std::array kCauses = {
    KnownCause{is_gzip_date, "date in a gzip header: `gzip -n` leaves it out"},
    KnownCause{is_python_date,
               "date of the source in a compiled Python file: "
               "`py_compile --invalidation-mode unchecked-hash`"},
    KnownCause{is_keystore, "dates and salts in a keystore: date its entries $SOURCE_DATE_EPOCH"},
    KnownCause{is_zip_date, "date in a zip archive: `zip -X` on files dated $SOURCE_DATE_EPOCH"},
    KnownCause{is_archive_header, "date or owner in an ar archive: `ar D` leaves them out"},
    KnownCause{is_same_lines,
               "the same lines in another order, of a directory or a hash: sort them"},
    KnownCause{is_uuid, "random UUID: derive it, or make it at first boot"},
    KnownCause{is_core_count, "number of cores"},
    KnownCause{is_host_name, "name of the machine that builds"},
    KnownCause{is_zone_or_locale,
               "time zone or locale of who builds: set TZ and LC_ALL in the step"},
    KnownCause{is_key, "key or certificate made while building: make it at first boot"},
    KnownCause{is_temporary_name, "name of a temporary file"},
    KnownCause{is_number_date, "time of the build as a number: take $SOURCE_DATE_EPOCH"},
    KnownCause{is_text_date, "date as text: take $SOURCE_DATE_EPOCH"},
    KnownCause{is_binary_date, "time of the build in binary: take $SOURCE_DATE_EPOCH"},
    KnownCause{is_noise,
               "random or compressed data: a key, a seed, a salt, or dates inside of it"}};
}  // namespace

std::string likely_cause(const LayerDifference& difference, const Surroundings& surroundings) {
  switch (difference.kind) {
    case Kind::content: {
      const Clue clue{difference, surroundings};
      const auto fitting = std::find_if(kCauses.begin(),
                                        kCauses.end(),
                                        [&](const KnownCause& known) { return known.fits(clue); });
      return fitting == kCauses.end() ? "" : fitting->cause;
    }
    case Kind::missing:
      return "a name that is random or dated, or made only now and then";
    case Kind::mode:
      return "umask of who builds: set it in the step";
    case Kind::time:
      return "set by the step to a time of its own: touch -d @$SOURCE_DATE_EPOCH";
    case Kind::owner:
      return "accounts that the step made in another order";
    default:
      return "";
  }
}

}  // namespace goldmill::build
