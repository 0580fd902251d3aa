// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/factory/lock_file.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::factory {

namespace {
constexpr int kFormat = 1;

Json or_null(const Json* value) {
  return value == nullptr ? Json() : *value;
}
}  // namespace

std::filesystem::path LockFile::path_for(const std::filesystem::path& recipe) {
  return std::filesystem::path(recipe).replace_extension(".lock");
}

Result<LockFile> LockFile::read(const std::filesystem::path& file) {
  const std::string text = TRY(system::read_file(file, 64_MiB));
  auto json = parse_json(text, file.string());
  const auto format = json ? find_integer(*json, "goldmill_lock") : std::nullopt;
  if (!format || *format > kFormat) {
    return Error{ErrorKind::invalid_input,
                 file.string() + (format ? " was written by a newer goldmill" : " is damaged"),
                 "restore it from version control, or remove it to resolve packages again"};
  }
  LockFile lock;
  lock.recipe = TRY(string_at(*json, "recipe").context(file.string()));
  if (const auto parent = find_string(*json, "parent")) {
    lock.parent = TRY(Digest::parse(*parent).context(file.string()));
  }
  lock.requests = or_null(find_value(*json, "requests"));
  lock.packages = or_null(find_value(*json, "packages"));
  lock.tools = or_null(find_value(*json, "tools"));
  lock.epoch = TRY(integer_at(*json, "epoch").context(file.string()));
  if (const Json* accounts = find_value(*json, "accounts")) {
    lock.accounts = *accounts;
  }
  return lock;
}

Result<std::optional<LockFile>> LockFile::find(const std::filesystem::path& file) {
  auto lock = read(file);
  if (!lock && lock.error().kind == ErrorKind::not_found) {
    return std::optional<LockFile>();
  }
  return std::optional(TRY(std::move(lock)));
}

std::map<std::string, std::string> LockFile::versions() const {
  std::map<std::string, std::string> versions;
  for (const Json* resolution : {&packages, &tools}) {
    const Json* list = find_value(*resolution, "packages");
    for (const Json& package : list == nullptr ? Json::array() : *list) {
      versions.emplace(find_string(package, "name").value_or(""),
                       find_string(package, "version").value_or(""));
    }
  }
  return versions;
}

Json LockFile::to_json() const {
  return {{"goldmill_lock", kFormat},
          {"recipe", recipe},
          {"parent", parent ? Json(parent->text()) : Json()},
          {"requests", requests},
          {"packages", packages},
          {"tools", tools},
          {"epoch", epoch},
          {"accounts", accounts}};
}

Result<void> LockFile::write(const std::filesystem::path& file) const {
  const std::string text = to_json().dump(1) + "\n";
  const auto old = system::read_file(file, 64_MiB);
  if (old && *old == text) {
    return {};
  }
  return system::write_file(file, text);
}

Digest LockFile::digest() const {
  return sha256(canonical(to_json()));
}

}  // namespace goldmill::factory
