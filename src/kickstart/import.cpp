// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>
#include <optional>

#include <goldmill/base/utf8.hpp>
#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/profile.hpp>
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/system/file.hpp>

#include "section_line.hpp"
#include "translation.hpp"
#include "words.hpp"

namespace goldmill::kickstart {

namespace fs = std::filesystem;

namespace {
constexpr std::size_t kDeepest = 16;
constexpr std::size_t kMostFiles = 256;
constexpr Bytes kMostText = 4_MiB;

std::string place(const fs::path& file, int line) {
  return file.string() + ":" + std::to_string(line);
}

class Importer {
 public:
  explicit Importer(const ImportRequest& request)
      : request_(request), translation_(request.names) {}

  Result<Import> run() {
    TRY(read(request_.file));
    return translation_.finish(recipe_name(request_.file), request_.os);
  }

 private:
  Result<void> read(const fs::path& file) {
    const std::string text = TRY(begin(file));
    const Judgement judgement = read_profile(text);
    if (!judgement.problems.empty()) {
      return refused(file, judgement);
    }
    TRY(translate(file, judgement.profile));
    open_.pop_back();
    return {};
  }

  /// The text of a file that is open until `open_` loses it.
  Result<std::string> begin(const fs::path& file) {
    std::error_code ignored;
    const fs::path real = fs::weakly_canonical(file, ignored);
    if (std::find(open_.begin(), open_.end(), real) != open_.end()) {
      return Error{ErrorKind::invalid_input, file.string() + " includes itself"};
    }
    if (open_.size() > kDeepest || ++files_ > kMostFiles) {
      return Error{ErrorKind::invalid_input,
                   file.string() + " is one too many: at most " + std::to_string(kMostFiles) +
                       " files are read, and " + std::to_string(kDeepest) +
                       " that include each other"};
    }
    std::string text =
        TRY(system::read_plain_file(file, Bytes{kLargestProfile}).context("a Kickstart profile"));
    if (const auto at = find_invalid_utf8(text)) {
      return not_utf8(file, text, *at);
    }
    bytes_ += text.size();
    if (bytes_ > kMostText.value) {
      return Error{ErrorKind::invalid_input,
                   file.string() + ": a profile and what it includes are larger than " +
                       to_text(kMostText) + " together"};
    }
    open_.push_back(real);
    return text;
  }

  /// A recipe's text is UTF-8, and what the bytes of another code mean nobody knows.
  static Error not_utf8(const fs::path& file, const std::string& text, std::size_t at) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(at);
    return Error{ErrorKind::invalid_input,
                 file.string() + ":" + std::to_string(std::count(text.begin(), end, '\n') + 1) +
                     ": not UTF-8 text",
                 "save the file as UTF-8"};
  }

  static Error refused(const fs::path& file, const Judgement& judgement) {
    std::string message;
    for (const Problem& problem : judgement.problems) {
      message += (message.empty() ? "" : "\n") + place(file, problem.line) + ": " + problem.message;
    }
    return Error{ErrorKind::invalid_input,
                 message,
                 "as " + judgement.profile.edition + ", which finds least wrong"};
  }

  /// In the order of the file: what is included stands where its line does.
  Result<void> translate(const fs::path& file, const Profile& profile) {
    std::vector<std::pair<int, std::function<Result<void>()>>> work;
    for (const Command& command : profile.commands) {
      work.emplace_back(command.line, [&]() -> Result<void> {
        translation_.command(command);
        return {};
      });
    }
    for (const Section& section : profile.sections) {
      work.emplace_back(section.header.line, [&] { return this->section(file, section); });
    }
    for (const Command& include : profile.includes) {
      work.emplace_back(include.line, [&] { return this->include(file, include); });
    }
    std::stable_sort(work.begin(), work.end(), [](const auto& one, const auto& two) {
      return one.first < two.first;
    });
    for (const auto& [line, step] : work) {
      translation_.begin(file.string());
      TRY(step());
    }
    return {};
  }

  Result<void> include(const fs::path& file, const Command& include) {
    const auto target = TRY(target_of(file, include));
    return target ? read(*target).context(place(file, include.line) + ": " + include.text)
                  : Result<void>();
  }

  /// Nothing for a file that only an installer would have. Errors: invalid_input.
  Result<std::optional<fs::path>> target_of(const fs::path& file, const Command& include) {
    const std::string& name = include.words.front();
    if (name.find("://") != std::string::npos) {
      return Error{ErrorKind::invalid_input,
                   place(file, include.line) + ": " + name +
                       " is on the network, and profiles are read from files only",
                   "fetch it, and name the file"};
    }
    const fs::path target = file.parent_path() / name;
    std::error_code ignored;
    if (name.starts_with("/tmp/") && !fs::exists(target, ignored)) {
      translation_.begin(file.string());
      translation_.not_applicable(include, "a %pre script would have written it, and none runs");
      return std::optional<fs::path>();
    }
    return std::optional<fs::path>(target);
  }

  Result<void> section(const fs::path& file, const Section& section) {
    if (!Translation::uses(section)) {
      translation_.section(section);
      return {};
    }
    Section whole{section.header, {}};
    TRY(add_lines(file, section.lines, whole));
    translation_.begin(file.string());
    translation_.section(whole);
    return {};
  }

  /// What a section includes is read as its own lines.
  Result<void> add_lines(const fs::path& file,
                         const std::vector<SectionLine>& lines,
                         Section& whole) {
    for (const SectionLine& line : lines) {
      if (!is_include(line.text)) {
        whole.lines.push_back({line.line, line.text, file.string()});
        continue;
      }
      const Command include =
          TRY(read_include(line.text, line.line).context(place(file, line.line)));
      if (const auto target = TRY(target_of(file, include))) {
        TRY(add_file(*target, whole).context(place(file, line.line) + ": " + include.text));
      }
    }
    return {};
  }

  Result<void> add_file(const fs::path& file, Section& whole) {
    const std::string text = TRY(begin(file));
    const std::string& section = whole.header.name;
    std::vector<SectionLine> lines;
    for (const std::string_view line : lines_of(text)) {
      lines.push_back({static_cast<int>(lines.size()) + 1, std::string(line)});
      const std::string where = place(file, lines.back().line) + ": ";
      if (ends_section(line, section)) {
        return Error{ErrorKind::invalid_input,
                     where + "a file that " + section + " includes holds lines of it only, not '" +
                         std::string(first_word(trimmed(line))) + "'"};
      }
      const auto checked = section == "%packages" ? check_package_line(line) : Result<void>();
      if (!checked) {
        return Error{ErrorKind::invalid_input, where + checked.error().message};
      }
    }
    TRY(add_lines(file, lines, whole));
    open_.pop_back();
    return {};
  }

  const ImportRequest& request_;
  Translation translation_;
  std::vector<fs::path> open_;  ///< files that are being read, each included by the one before
  std::size_t files_ = 0;
  std::uint64_t bytes_ = 0;
};
}  // namespace

const char* name_of(ImportRow::Verdict verdict) {
  switch (verdict) {
    case ImportRow::Verdict::mapped:
      return "mapped";
    case ImportRow::Verdict::changed:
      return "changed";
    case ImportRow::Verdict::not_applicable:
      return "not_applicable";
  }
  return "";
}

Result<Import> import_profile(const ImportRequest& request) {
  return Importer(request).run();
}

}  // namespace goldmill::kickstart
