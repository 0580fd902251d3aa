// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <future>
#include <map>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/build/text_difference.hpp>
#include <goldmill/factory/image_difference.hpp>
#include <goldmill/guest/file_owners.hpp>
#include <goldmill/guest/package_relation.hpp>
#include <goldmill/store/reference.hpp>

#include "ancestry.hpp"
#include "assembly.hpp"

namespace goldmill::factory {

namespace {

const Json& detail(const store::ImageRecord& image, const char* key) {
  static const Json kNothing;
  const Json* value = find_value(image.details, key);
  return value == nullptr ? kNothing : *value;
}

std::string text_or_empty(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool holds_password(const std::string& key, const Json& value) {
  const std::string text = text_or_empty(value);
  return !text.empty() && (key == "password_hash" || (key == "root" && text != "locked"));
}

/// The values of a document by their paths; a list of plain values is one value.
void flatten(const Json& value, const std::string& path, std::map<std::string, Json>& flat) {
  const bool holds_objects = value.is_array() && !value.empty() && value.front().is_object();
  if (!value.is_object() && !holds_objects) {
    flat[path] = value;
    return;
  }
  std::size_t index = 0;
  for (const auto& [key, inner] : value.items()) {
    const std::string below = holds_objects  ? path + "[" + std::to_string(index++) + "]"
                              : path.empty() ? key
                                             : path + "." + key;
    if (value.is_object() && holds_password(key, inner)) {
      flat[below] = "(hash " + sha256(inner.dump()).hex().substr(0, 8) + ")";
    } else {
      flatten(inner, below, flat);
    }
  }
}

std::vector<SettingDifference> settings_that_differ(const Json& before, const Json& after) {
  std::map<std::string, Json> left;
  std::map<std::string, Json> right;
  flatten(before, "", left);
  flatten(after, "", right);
  std::vector<SettingDifference> different;
  const auto is_nothing = [](const Json& value) { return value.is_null() || value.empty(); };
  for (const auto& [path, value] : left) {
    const auto other = right.find(path);
    const Json now = other == right.end() ? Json() : other->second;
    if (value != now && !(is_nothing(value) && is_nothing(now))) {
      different.push_back({path, value, now});
    }
  }
  for (const auto& [path, value] : right) {
    if (!left.contains(path) && !is_nothing(value)) {
      different.push_back({path, Json(), value});
    }
  }
  std::sort(different.begin(), different.end(), [](const auto& one, const auto& other) {
    return one.path < other.path;
  });
  return different;
}

bool is_long_text(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().find('\n') != std::string::npos;
}

/// What the recipes from the base on ask for, in their order; nothing when an image of the line is
/// older than the habit of keeping it, which is noted.
Result<std::optional<Json>> requests_of_line(Session& session,
                                             const store::ImageRecord& image,
                                             std::vector<std::string>& notes) {
  Json all = Json::object();
  const auto line = TRY(line_of(session, image));
  for (auto member = line.rbegin(); member != line.rend(); ++member) {
    const Json* requests = find_value(detail(*member, "recipe"), "requests");
    if (requests == nullptr) {
      notes.push_back(member->reference() +
                      " was built before images kept the packages and the provisioning that their "
                      "recipes ask for: these are not compared");
      return std::optional<Json>();
    }
    for (const auto& [key, list] : requests->items()) {
      Json& whole = all[key];
      whole = whole.is_null() ? Json::array() : std::move(whole);
      whole.insert(whole.end(), list.begin(), list.end());
    }
  }
  return std::optional(std::move(all));
}

/// The settings of the merged recipe without its promises, which are a level of their own.
Json settings_of(const store::ImageRecord& image) {
  Json settings = detail(image, "recipe");
  if (settings.is_object()) {
    for (const char* key : {"name", "promises", "requests"}) {
      settings.erase(key);
    }
    settings["from"] = detail(image, "parent");
  }
  return settings;
}

/// What test said of each promise: whether it was kept.
std::map<std::string, Json> outcomes_of(const store::ImageRecord& image) {
  std::map<std::string, Json> outcomes;
  const Json* rows = find_value(detail(image, "test"), "promises");
  for (const Json& row : rows == nullptr ? Json::array() : *rows) {
    outcomes[find_string(row, "promise").value_or("")] =
        find_bool(row, "passed").value_or(false) ? "kept" : "not kept";
  }
  return outcomes;
}

/// What dpkg, apt, the linker and update-alternatives note of every change of packages.
bool is_record(const build::TreeChange& change) {
  static constexpr std::array<std::string_view, 5> kRecords = {
      "/var/lib/dpkg/", "/var/lib/apt/", "/etc/ld.so.cache", "/etc/alternatives/", "/var/cache/"};
  const Json& facts = change.after.is_null() ? change.before : change.after;
  return find_string(facts, "target").value_or("").starts_with("/etc/alternatives/") ||
         std::any_of(kRecords.begin(), kRecords.end(), [&](std::string_view record) {
           return change.path.starts_with(record);
         });
}

class Comparison {
 public:
  Comparison(Session& session, store::ImageRecord before, store::ImageRecord after)
      : session_(session), before_(std::move(before)), after_(std::move(after)) {
    found_.before = before_.reference();
    found_.after = after_.reference();
  }

  Result<ImageDifference> run(const std::set<Level>& levels) {
    found_.levels = levels;
    if (before_.digest == after_.digest) {
      return std::move(found_);
    }
    if (levels.contains(Level::recipe)) {
      TRY(compare_recipes());
    }
    if (levels.contains(Level::packages) || levels.contains(Level::files)) {
      compare_packages();
    }
    if (levels.contains(Level::files)) {
      TRY(compare_files());
    }
    if (!levels.contains(Level::packages)) {
      found_.packages.clear();
    }
    if (levels.contains(Level::promises)) {
      compare_promises();
    }
    return std::move(found_);
  }

 private:
  Result<void> compare_recipes() {
    Json before = settings_of(before_);
    Json after = settings_of(after_);
    for (const store::ImageRecord* image : {&before_, &after_}) {
      if (!detail(*image, "recipe").is_object()) {
        found_.notes.push_back(image->reference() + " does not hold its recipe");
        return {};
      }
    }
    auto left = TRY(requests_of_line(session_, before_, found_.notes));
    auto right = left ? TRY(requests_of_line(session_, after_, found_.notes)) : std::nullopt;
    if (left && right) {
      before.update(*left);
      after.update(*right);
    }
    found_.recipe = settings_that_differ(before, after);
    for (SettingDifference& setting : found_.recipe) {
      if (is_long_text(setting.before) || is_long_text(setting.after)) {
        setting.text = TRY(
            build::text_difference(text_or_empty(setting.before), text_or_empty(setting.after)));
      }
    }
    return {};
  }

  void compare_packages() {
    std::map<std::string, PackageDifference> all;
    for (const auto& [name, version] : detail(before_, "packages").items()) {
      all[name].before = version.get<std::string>();
    }
    for (const auto& [name, version] : detail(after_, "packages").items()) {
      all[name].after = version.get<std::string>();
    }
    for (auto& [name, package] : all) {
      if (package.before != package.after) {
        package.name = name;
        found_.packages.push_back(std::move(package));
      }
    }
  }

  Result<void> compare_files() {
    const auto before = TRY(trees_of(before_));
    const auto after = TRY(trees_of(after_));
    const auto is_cancelled = [this] { return session_.observer.is_cancelled(); };
    session_.observer.step_progress("compare files", 0, 0);
    auto changes = std::async(std::launch::async,
                              [&] { return build::compare_trees(before, after, is_cancelled); });
    auto owners = owners_of(before, after);
    auto found = TRY(changes.get());
    TRY(owners);
    for (build::TreeChange& change : found) {
      found_.files.push_back(place(std::move(change), *owners));
    }
    return {};
  }

  struct Owners {
    guest::FileOwners before;
    guest::FileOwners after;
  };

  /// Nobody asks whose files these are when no package differs.
  Result<Owners> owners_of(const std::vector<std::filesystem::path>& before,
                           const std::vector<std::filesystem::path>& after) const {
    Owners owners;
    if (!found_.packages.empty()) {
      build::OverlaySandbox left({.layers = before});
      owners.before = TRY(guest::file_owners(left));
      build::OverlaySandbox right({.layers = after});
      owners.after = TRY(guest::file_owners(right));
    }
    return owners;
  }

  FileDifference place(build::TreeChange change, const Owners& owners) {
    FileDifference file{std::move(change), {}, false};
    const bool is_gone = file.change.kind == build::TreeChange::Kind::removed;
    const guest::FileOwners& side = is_gone ? owners.before : owners.after;
    const auto known = side.find(file.change.path);
    if (known == side.end()) {
      file.follows = !found_.packages.empty() && is_record(file.change);
      return file;
    }
    std::size_t different = 0;
    for (const std::string& name : known->second) {
      const auto package =
          std::find_if(found_.packages.begin(), found_.packages.end(), [&](const auto& candidate) {
            return candidate.name == name;
          });
      if (package != found_.packages.end()) {
        ++package->files;
        ++different;
      }
    }
    file.package = known->second.front();
    file.follows = different == known->second.size();
    return file;
  }

  void compare_promises() {
    found_.promises = settings_that_differ(promises_of(before_), promises_of(after_));
    const auto before = outcomes_of(before_);
    const auto after = outcomes_of(after_);
    for (const store::ImageRecord* image : {&before_, &after_}) {
      if (detail(*image, "test").is_null()) {
        found_.notes.push_back(image->reference() + " was not tested: outcomes are not compared");
        return;
      }
    }
    for (const auto& [promise, outcome] : before) {
      const auto other = after.find(promise);
      if (other != after.end() && other->second != outcome) {
        found_.promises.push_back({"outcome of " + promise, outcome, other->second});
      }
    }
  }

  static Json promises_of(const store::ImageRecord& image) {
    const Json* promises = find_value(detail(image, "recipe"), "promises");
    return promises == nullptr ? Json::object() : *promises;
  }

  Result<std::vector<std::filesystem::path>> trees_of(const store::ImageRecord& image) const {
    return layer_trees(session_, TRY(layers_of(image))).context(image.reference());
  }

  Session& session_;
  store::ImageRecord before_;
  store::ImageRecord after_;
  ImageDifference found_;
};

Json rows(const std::vector<SettingDifference>& settings) {
  Json list = Json::array();
  for (const SettingDifference& setting : settings) {
    list.push_back({{"path", setting.path}, {"before", setting.before}, {"after", setting.after}});
    if (!setting.text.empty()) {
      list.back()["text"] = setting.text;
    }
  }
  return list;
}

Json rows(const std::vector<PackageDifference>& packages) {
  Json list = Json::array();
  const auto version = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  for (const PackageDifference& package : packages) {
    list.push_back({{"name", package.name},
                    {"change", package.change()},
                    {"before", version(package.before)},
                    {"after", version(package.after)},
                    {"files", package.files}});
  }
  return list;
}

Json rows(const std::vector<FileDifference>& files) {
  Json list = Json::array();
  for (const auto& [change, package, follows] : files) {
    Json row = {{"path", change.path},
                {"change", name_of(change.kind)},
                {"what", change.what},
                {"before", change.before},
                {"after", change.after},
                {"package", package.empty() ? Json() : Json(package)},
                {"follows", follows}};
    if (!change.text.empty()) {
      row["text"] = change.text;
    }
    if (!change.untold.empty()) {
      row["untold"] = change.untold;
    }
    list.push_back(std::move(row));
  }
  return list;
}

}  // namespace

const char* PackageDifference::change() const {
  if (before.empty() || after.empty()) {
    return before.empty() ? "added" : "removed";
  }
  return guest::compare_versions(after, before) < 0 ? "downgraded" : "upgraded";
}

bool ImageDifference::is_empty() const {
  return recipe.empty() && packages.empty() && files.empty() && promises.empty();
}

Json ImageDifference::to_json() const {
  Json json = {{"before", before}, {"after", after}, {"equal", is_empty()}, {"notes", notes}};
  for (const Level level : levels) {
    switch (level) {
      case Level::recipe:
        json["recipe"] = rows(recipe);
        break;
      case Level::packages:
        json["packages"] = rows(packages);
        break;
      case Level::files:
        json["files"] = rows(files);
        break;
      case Level::promises:
        json["promises"] = rows(promises);
        break;
    }
  }
  return json;
}

Result<ImageDifference> compare_images(Session& session, const DifferenceRequest& request) {
  auto before =
      TRY(session.catalogue.find_image(TRY(store::ImageReference::parse(request.before))));
  auto after = TRY(session.catalogue.find_image(TRY(store::ImageReference::parse(request.after))));
  return Comparison(session, std::move(before), std::move(after)).run(request.levels);
}

}  // namespace goldmill::factory
