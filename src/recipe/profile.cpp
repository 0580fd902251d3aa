// SPDX-License-Identifier: GPL-3.0-or-later
#include <fstream>
#include <sstream>

#include <goldmill/preseed/import.hpp>
#include <goldmill/preseed/preseed.hpp>
#include <goldmill/recipe/profile.hpp>
#include <goldmill/system/file.hpp>

#include "user_data.hpp"

namespace goldmill::recipe {

namespace {

/// Where the os of an answer file is said.
constexpr const char* kOsOption = "--os";
/// Bytes of a file that are looked at for its first line, whose end may be far.
constexpr std::size_t kLongestStart = 4096;

bool looks_like_preseed(const std::filesystem::path& file) {
  const auto text = system::read_plain_file(file, Bytes{preseed::kLargestFile});
  std::istringstream lines(text ? *text : std::string());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#_preseed_V1")) {
      return true;
    }
    std::istringstream words(line);
    std::string owner;
    std::string question;
    std::string type;
    words >> owner >> question >> type;
    if (!owner.empty() && !owner.starts_with('#')) {
      const bool is_question = question.find('/') != std::string::npos || owner == "d-i";
      return is_question && (preseed::is_type(type) || type == "\\");
    }
  }
  return false;
}

bool looks_like_user_data(const std::filesystem::path& file) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(file, failure)) {
    return false;
  }
  std::string start(kLongestStart, '\0');
  std::ifstream stream(file);
  stream.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(stream.gcount()));
  return is_cloud_config(start) || is_template(start);
}

Result<kickstart::Import> import(AnswerFile kind, const kickstart::ImportRequest& request) {
  switch (kind) {
    case AnswerFile::preseed:
      return preseed::import_preseed(request);
    case AnswerFile::user_data:
      return import_user_data(request);
    case AnswerFile::kickstart:
    case AnswerFile::none:
      break;
  }
  return kickstart::import_profile(request);
}
}  // namespace

const char* name_of(AnswerFile kind) {
  switch (kind) {
    case AnswerFile::kickstart:
      return "a Kickstart profile";
    case AnswerFile::preseed:
      return "a preseed file";
    case AnswerFile::user_data:
      return "cloud-init's user-data";
    case AnswerFile::none:
      break;
  }
  return "a recipe";
}

AnswerFile kind_of_file(const std::filesystem::path& file) {
  const std::string extension = file.extension();
  if (extension == ".ks") {
    return AnswerFile::kickstart;
  }
  if (extension == ".preseed" || extension == ".seed") {
    return AnswerFile::preseed;
  }
  if (looks_like_user_data(file)) {
    return AnswerFile::user_data;
  }
  if (extension == ".cfg") {
    return looks_like_preseed(file) ? AnswerFile::preseed : AnswerFile::kickstart;
  }
  return AnswerFile::none;
}

Result<kickstart::Import> import_answer_file(const std::filesystem::path& file,
                                             const std::string& os,
                                             const std::map<std::string, std::string>& names) {
  const AnswerFile kind = kind_of_file(file);
  if (os.empty()) {
    return Error{ErrorKind::invalid_input,
                 file.string() + " is " + name_of(kind) + ", which does not say for which OS",
                 "say it: --os debian/12"};
  }
  kickstart::Import imported = TRY(import(kind, {file, os, names}));
  imported.places["os"] = {kOsOption, 0};
  return imported;
}

Result<ProfileRecipe> recipe_of_profile(const std::filesystem::path& file,
                                        const std::string& os,
                                        const std::map<std::string, std::string>& names) {
  kickstart::Import imported = TRY(import_answer_file(file, os, names));
  return ProfileRecipe{yaml_text(imported.recipe), std::move(imported.rows)};
}

}  // namespace goldmill::recipe
