// SPDX-License-Identifier: GPL-3.0-or-later
#include "account_ids.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

#include <goldmill/base/utf8.hpp>

namespace goldmill::factory {

namespace {
struct AccountKind {
  const char* key;
  const char* word;
};
constexpr std::array kAccountKinds = {AccountKind{"users", "user"}, AccountKind{"groups", "group"}};

/// "name:x:id:...", line by line; what is none is left out.
Json ids_in_file(std::string_view text) {
  Json ids = Json::object();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t second = line.find(':', line.find(':') + 1);
    const std::string_view name = line.substr(0, line.find(':'));
    const std::string_view number =
        second == std::string_view::npos
            ? ""
            : line.substr(second + 1, line.find(':', second + 1) - second - 1);
    std::uint32_t id = 0;
    const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), id);
    const bool is_text = !name.empty() && !find_invalid_utf8(name);
    if (is_text && failure == std::errc{} && end == number.data() + number.size()) {
      ids.emplace(std::string(name), id);  // the first counts, as everywhere
    }
  }
  return ids;
}

const Json& ids_of_kind(const Json& ids, const char* key) {
  static const Json kNone = Json::object();
  const Json* found = find_value(ids, key);
  return found == nullptr || !found->is_object() ? kNone : *found;
}
}  // namespace

Json account_ids(std::string_view passwd, std::string_view group) {
  return {{"users", ids_in_file(passwd)}, {"groups", ids_in_file(group)}};
}

Json own_account_ids(const Json& all, const Json& parent) {
  Json own = Json::object();
  for (const AccountKind& kind : kAccountKinds) {
    const Json& below = ids_of_kind(parent, kind.key);
    own[kind.key] = Json::object();
    for (const auto& [name, id] : ids_of_kind(all, kind.key).items()) {
      const Json* same = find_value(below, name);
      if (same == nullptr || *same != id) {
        own[kind.key][name] = id;
      }
    }
  }
  return own;
}

Result<void> check_account_ids(const Json& locked, const Json& all, const std::string& lock) {
  for (const AccountKind& kind : kAccountKinds) {
    for (const auto& [name, id] : ids_of_kind(locked, kind.key).items()) {
      const Json* now = find_value(ids_of_kind(all, kind.key), name);
      if (now != nullptr && *now != id) {
        return Error{ErrorKind::conflict,
                     std::string("account ids would change: ") + kind.word + " '" + name +
                         "' had " + id.dump() + " and would get " + now->dump(),
                     "files of existing data would belong to another account: what takes the id, "
                     "here or in the image below, must come after it, or remove " +
                         lock + " to number accounts anew"};
      }
    }
  }
  return {};
}

}  // namespace goldmill::factory
