// SPDX-License-Identifier: GPL-3.0-or-later
// An installer's answer file -> the recipe that it stands for, as text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/import.hpp>

namespace goldmill::recipe {

enum class AnswerFile : std::uint8_t { none, kickstart, preseed, user_data };

/// By the file's name: *.ks is a Kickstart profile, *.preseed and *.seed are preseed files. Of
/// *.cfg, which both are called, by its content: a preseed file begins with "#_preseed_V1", or its
/// first line that is no comment is OWNER QUESTION TYPE. Of all others: what begins with
/// "#cloud-config" is cloud-init's user-data, and the rest are recipes.
AnswerFile kind_of_file(const std::filesystem::path& file);

/// "a Kickstart profile".
const char* name_of(AnswerFile kind);

/// Reads an answer file. `names`: of packages in Fedora and Red Hat -> in Debian, beside our own
/// table. Errors: as kickstart::import_profile() and preseed::import_preseed(); invalid_input
/// without an os.
Result<kickstart::Import> import_answer_file(const std::filesystem::path& file,
                                             const std::string& os,
                                             const std::map<std::string, std::string>& names = {});

struct ProfileRecipe {
  std::string yaml;  ///< load() takes it
  std::vector<kickstart::ImportRow> rows;
};

/// As import_answer_file(), for people.
Result<ProfileRecipe> recipe_of_profile(const std::filesystem::path& file,
                                        const std::string& os,
                                        const std::map<std::string, std::string>& names = {});

/// A map as YAML for people: blocks, long text as it is, `recipe` and `os` first.
std::string yaml_text(const Json& recipe);

}  // namespace goldmill::recipe
