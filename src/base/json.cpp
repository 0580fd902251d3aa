// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/json.hpp>

namespace goldmill {

namespace {
bool holds_float(const Json& value) {
  if (value.is_number_float()) {
    return true;
  }
  if (value.is_structured()) {
    for (const Json& child : value) {
      if (holds_float(child)) {
        return true;
      }
    }
  }
  return false;
}

Error missing(std::string_view key, const char* type) {
  return Error{ErrorKind::invalid_input, "'" + std::string(key) + "' is missing or not " + type};
}
}  // namespace

std::string canonical(const Json& value) {
  GOLDMILL_ASSERT(!holds_float(value));
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Json> parse_json(std::string_view text, std::string_view what) {
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) {
    return Error{ErrorKind::invalid_input, std::string(what) + " is not valid JSON"};
  }
  return value;
}

const Json* find_value(const Json& object, std::string_view key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::optional<std::string> find_string(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  if (value == nullptr || !value->is_string()) {
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::optional<std::int64_t> find_integer(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  if (value == nullptr || !value->is_number_integer()) {
    return std::nullopt;
  }
  return value->get<std::int64_t>();
}

std::optional<bool> find_bool(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  if (value == nullptr || !value->is_boolean()) {
    return std::nullopt;
  }
  return value->get<bool>();
}

std::vector<std::string> find_strings(const Json& object, std::string_view key) {
  std::vector<std::string> strings;
  const Json* value = find_value(object, key);
  if (value != nullptr && value->is_array()) {
    for (const Json& entry : *value) {
      if (entry.is_string()) {
        strings.push_back(entry.get<std::string>());
      }
    }
  }
  return strings;
}

Result<std::string> string_at(const Json& object, std::string_view key) {
  auto value = find_string(object, key);
  if (!value) {
    return missing(key, "a string");
  }
  return *std::move(value);
}

Result<std::int64_t> integer_at(const Json& object, std::string_view key) {
  const auto value = find_integer(object, key);
  if (!value) {
    return missing(key, "an integer");
  }
  return *value;
}

}  // namespace goldmill
