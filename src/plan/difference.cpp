// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>
#include <iterator>
#include <set>

#include <goldmill/plan/difference.hpp>

namespace goldmill::plan {

namespace {

std::string brief(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.starts_with("sha256:")) {
    return text.substr(0, 7 + 12);
  }
  constexpr std::size_t kLongest = 60;
  return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
}

/// A list of objects with names (packages) or paths (files) is compared by these, not by place.
std::string identity_of(const Json& entry) {
  if (const auto name = find_string(entry, "name")) {
    const auto architecture = find_string(entry, "architecture");
    return *name + (architecture ? ":" + *architecture : "");
  }
  const auto path = find_string(entry, "path");
  return path ? *path : find_string(entry, "target").value_or("");
}

bool is_file(const Json& entry) {
  return !find_string(entry, "name");
}

std::string essence_of(const Json& entry) {
  const auto version = find_string(entry, "version");
  return version ? *version : brief(entry);
}

const Json* find_named(const Json& list, const std::string& name) {
  const auto found = std::find_if(
      list.begin(), list.end(), [&](const Json& entry) { return identity_of(entry) == name; });
  return found == list.end() ? nullptr : &*found;
}

std::string object_difference(const Json& before, const Json& now);

std::string list_difference(const Json& before,
                            const Json& now,
                            const std::function<bool(const Json& entry)>& is_looked_at) {
  for (const Json& entry : now) {
    const std::string name = identity_of(entry);
    if (name.empty() || !is_looked_at(entry)) {
      continue;
    }
    const Json* old = find_named(before, name);
    if (old == nullptr) {
      return name + (is_file(entry) ? "" : " " + essence_of(entry)) + " added";
    }
    if (*old != entry && is_file(entry)) {
      return name + " changed";
    }
    if (*old != entry && !find_string(entry, "version")) {
      return name + ": " + object_difference(*old, entry);
    }
    if (*old != entry) {
      return essence_of(*old) == essence_of(entry)
                 ? name + " " + essence_of(entry) + " has other content"
                 : name + " " + essence_of(*old) + " -> " + essence_of(entry);
    }
  }
  for (const Json& entry : before) {
    const std::string name = identity_of(entry);
    if (!name.empty() && is_looked_at(entry) && find_named(now, name) == nullptr) {
      return name + " removed";
    }
  }
  return "";
}

std::string list_difference(const Json& before, const Json& now) {
  return list_difference(before, now, [](const Json&) { return true; });
}

/// Of packages that somebody asked for or does not any more: what came with these says less.
std::string wishes_difference(const Json& before, const Json& now) {
  const Json* old = find_value(before, "packages");
  const Json* current = find_value(now, "packages");
  if (old == nullptr || current == nullptr || !old->is_array() || !current->is_array()) {
    return "";
  }
  std::vector<std::string> wished = find_strings(before, "manual");
  for (std::string& name : find_strings(now, "manual")) {
    wished.push_back(std::move(name));
  }
  return list_difference(*old, *current, [&](const Json& entry) {
    return std::find(wished.begin(), wished.end(), find_string(entry, "name")) != wished.end();
  });
}

std::string value_difference(const std::string& name, const Json& before, const Json& now);

/// Packages: which are others says more than what follows from it, such as a later epoch.
bool is_named_list(const Json& value) {
  return value.is_array() && !value.empty() && find_string(value.front(), "name");
}

std::string object_difference(const Json& before, const Json& now) {
  if (std::string wish = wishes_difference(before, now); !wish.empty()) {
    return wish;
  }
  for (const bool named : {true, false}) {
    for (const auto& [name, value] : now.items()) {
      const Json* old = find_value(before, name);
      if (is_named_list(value) != named || (old != nullptr && *old == value)) {
        continue;
      }
      return old == nullptr ? name + " added" : value_difference(name, *old, value);
    }
  }
  for (const auto& [name, value] : before.items()) {
    if (!now.contains(name)) {
      return name + " removed";
    }
  }
  return "";
}

std::string value_difference(const std::string& name, const Json& before, const Json& now) {
  std::string inner;
  if (before.is_array() && now.is_array()) {
    inner = list_difference(before, now);
  } else if (before.is_object() && now.is_object()) {
    inner = object_difference(before, now);
  }
  if (!inner.empty()) {
    return inner;
  }
  const auto is_digest = [](const Json& value) {
    return value.is_string() && value.get_ref<const std::string&>().starts_with("sha256:");
  };
  if (is_digest(before) && is_digest(now)) {
    return name + " changed";  // which content it has says nobody anything
  }
  const std::string old_text = brief(before);
  const std::string new_text = brief(now);
  return old_text == new_text || before.is_structured() ? name + " changed"
                                                        : name + " " + old_text + " -> " + new_text;
}

/// Files say more than the input that they belong to.
std::string inputs_difference(const Json& before, const Json& now) {
  const Json none = Json::object();
  const auto files_of = [&](const Json& record, const std::string& input) -> const Json& {
    const Json* contents = find_value(record, kContents);
    const Json* files = contents == nullptr ? nullptr : find_value(*contents, input);
    return files == nullptr ? none : *files;
  };
  for (const auto& [name, content] : now.at("inputs").items()) {
    const Json* old = find_value(before.at("inputs"), name);
    if (old == nullptr || *old == content) {
      continue;  // files may have other names now, which are in no key
    }
    const Json& old_files = files_of(before, name);
    const Json& files = files_of(now, name);
    if (!old_files.empty() && !files.empty() && old_files != files) {
      return object_difference(old_files, files);
    }
  }
  return value_difference("inputs", before.at("inputs"), now.at("inputs"));
}

/// Says which of the layers below are others: those of the parent, or of steps before this one.
std::string parents_difference(const Json& before, const Parent& parent) {
  const bool stood_on_it =
      before.is_array() && before.size() >= parent.layers.size() &&
      std::equal(parent.layers.begin(),
                 parent.layers.end(),
                 before.begin(),
                 [](const Digest& layer, const Json& old) { return old == Json(layer.text()); });
  const std::string name = parent.reference.substr(0, parent.reference.find('@'));
  return stood_on_it ? "a step before it made another layer" : name + " is now " + parent.reference;
}

/// How many values of two differ; what one of them lacks counts once. Not the files of inputs,
/// whose digests differ anyway: an earlier goldmill did not record them.
std::size_t distance(const Json& before, const Json& now) {
  if (before == now) {
    return 0;
  }
  if (before.is_object() && now.is_object()) {
    std::size_t sum = 0;
    for (const auto& [name, value] : now.items()) {
      const Json* old = find_value(before, name);
      sum += name == kContents ? 0 : old == nullptr ? 1 : distance(*old, value);
    }
    for (const auto& [name, value] : before.items()) {
      sum += name == kContents || now.contains(name) ? 0 : 1;
    }
    return sum;
  }
  if (before.is_array() && now.is_array()) {  // by what is in them: one added moves all others
    const std::multiset<Json> old(before.begin(), before.end());
    const std::multiset<Json> current(now.begin(), now.end());
    std::vector<Json> differing;
    std::set_symmetric_difference(
        old.begin(), old.end(), current.begin(), current.end(), std::back_inserter(differing));
    return std::max<std::size_t>(differing.size(), 1);
  }
  return 1;
}

}  // namespace

const DoneStep& nearest(const std::vector<DoneStep>& steps, const Json& now) {
  GOLDMILL_ASSERT(!steps.empty());
  const DoneStep* found = nullptr;
  std::size_t least = 0;
  for (const DoneStep& step : steps) {
    const std::size_t away = distance(step.record, now);
    if (found == nullptr || away < least) {
      found = &step;
      least = away;
    }
  }
  return *found;
}

std::string first_difference(const Json& before, const Json& now, const Parent& parent) {
  // Options of another version may say the same in other words.
  for (const char* part : {"kind", "kind_version", "options", "inputs", "network", "parents"}) {
    const Json* old = find_value(before, part);
    const Json* current = find_value(now, part);
    if (old == nullptr || current == nullptr || *old == *current) {
      continue;
    }
    if (std::string_view(part) == "inputs") {
      return inputs_difference(before, now);
    }
    if (std::string_view(part) == "kind_version") {
      return "goldmill does this step in a newer way";
    }
    if (std::string_view(part) == "parents") {
      return parents_difference(*old, parent);
    }
    return value_difference(part, *old, *current);
  }
  return "";
}

}  // namespace goldmill::plan
