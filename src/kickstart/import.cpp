// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>

#include <goldmill/base/utf8.hpp>
#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/profile.hpp>
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/system/file.hpp>

#include "translation.hpp"

namespace goldmill::kickstart {

namespace fs = std::filesystem;

namespace {
constexpr std::size_t kDeepest = 16;
constexpr std::size_t kMostFiles = 256;

class Importer {
 public:
  explicit Importer(const ImportRequest& request)
      : request_(request), translation_(request.names) {}

  Result<Import> run() {
    TRY(read(request_.file, 0));
    return translation_.finish(recipe_name(request_.file), request_.os);
  }

 private:
  Result<void> read(const fs::path& file, std::size_t depth) {
    if (depth > kDeepest || ++files_ > kMostFiles) {
      return Error{ErrorKind::invalid_input,
                   file.string() + " is included too deep: does it include itself?"};
    }
    const std::string text =
        TRY(system::read_file(file, Bytes{kLargestProfile}).context("a Kickstart profile"));
    if (const auto at = find_invalid_utf8(text)) {
      return not_utf8(file, text, *at);
    }
    const Judgement judgement = read_profile(text);
    if (!judgement.problems.empty()) {
      return refused(file, judgement);
    }
    return translate(file, judgement.profile, depth);
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
      message += (message.empty() ? "" : "\n") + file.string() + ":" +
                 std::to_string(problem.line) + ": " + problem.message;
    }
    return Error{ErrorKind::invalid_input,
                 message,
                 "as " + judgement.profile.edition + ", which finds least wrong"};
  }

  /// In the order of the file: what is included stands where its line does.
  Result<void> translate(const fs::path& file, const Profile& profile, std::size_t depth) {
    std::vector<std::pair<int, std::function<Result<void>()>>> work;
    for (const Command& command : profile.commands) {
      work.emplace_back(command.line, [&]() -> Result<void> {
        translation_.command(command);
        return {};
      });
    }
    for (const Section& section : profile.sections) {
      work.emplace_back(section.header.line, [&]() -> Result<void> {
        translation_.section(section);
        return {};
      });
    }
    for (const Command& include : profile.includes) {
      work.emplace_back(include.line, [&] { return this->include(file, include, depth); });
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

  Result<void> include(const fs::path& file, const Command& include, std::size_t depth) {
    const std::string& name = include.words.front();
    if (name.find("://") != std::string::npos) {
      return Error{ErrorKind::invalid_input,
                   file.string() + ":" + std::to_string(include.line) + ": " + name +
                       " is on the network, and profiles are read from files only",
                   "fetch it, and name the file"};
    }
    const fs::path target = file.parent_path() / name;
    std::error_code ignored;
    if (name.starts_with("/tmp/") && !fs::exists(target, ignored)) {
      translation_.not_applicable(include, "a %pre script would have written it, and none runs");
      return {};
    }
    return read(target, depth + 1)
        .context(file.string() + ":" + std::to_string(include.line) + ": " + include.text);
  }

  const ImportRequest& request_;
  Translation translation_;
  std::size_t files_ = 0;
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
