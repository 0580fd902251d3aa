// SPDX-License-Identifier: GPL-3.0-or-later
// Words that a recipe made from an answer file may hold.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/json.hpp>

namespace goldmill::kickstart {

/// A name that a recipe may have, from the file's.
std::string recipe_name(const std::filesystem::path& file);

/// Words between commas and blanks.
std::vector<std::string> listed(std::string_view text);

/// Whether a list with blanks between its words, in front and behind has the word.
bool has_word(std::string_view list, std::string_view word);

/// "this; that"; what is empty adds nothing.
void add_note(std::string& note, std::string_view more);

/// A key of the recipe, unless it would say nothing.
void put(Json& recipe, const char* key, Json value);

/// Debian policy 5.6.7.
bool is_package_name(std::string_view name);

/// Regular expressions of what a recipe's `baseline` takes, which its reader has from here.
inline constexpr const char* kTimeZonePattern =
    "UTC|[A-Z][A-Za-z]{1,30}(/[A-Za-z0-9_+-]{1,30}){1,2}";
inline constexpr const char* kKeyboardPattern = "[a-z]{2,12}([-_][a-z0-9]{1,16}){0,3}";
inline constexpr const char* kAccountPattern = "[a-z_][a-z0-9_-]{0,31}";
bool is_time_zone(std::string_view text);
bool is_keyboard(std::string_view text);
bool is_account_name(std::string_view text);
/// "en_US", "de_DE.iso88591@euro" -> "de_DE.UTF-8@euro"; "" when it is no language.
std::string utf8_locale(std::string_view text);

/// As a recipe's `disk.partitions` takes them.
bool is_mount_point(std::string_view path);
/// The label without what a recipe's has not: "My Root" -> "My_Root".
std::string fitting_label(std::string_view label);

/// A recipe replaces ${NAME} by a parameter; a script's own must stay.
std::string without_parameters(std::string_view script);

/// As a recipe's `disk.kernel_options` takes it.
bool is_kernel_option(std::string_view option);
/// A kernel option that the image says itself, or that only matters with an installer, a splash or
/// another initramfs.
bool is_given_option(std::string_view option);

}  // namespace goldmill::kickstart
