// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>
#include <set>

#include <goldmill/factory/outdated.hpp>
#include <goldmill/guest/debian_family.hpp>
#include <goldmill/store/reference.hpp>

#include "ancestry.hpp"
#include "image_recipe.hpp"

namespace goldmill::factory {

namespace {

using Images = std::vector<store::ImageRecord>;

/// The newest version of every name, by name.
Result<Images> newest_images(Session& session) {
  std::map<std::string, store::ImageRecord> newest;
  for (store::ImageRecord& image : TRY(session.catalogue.images())) {
    newest.insert_or_assign(image.name, std::move(image));  // versions come in order
  }
  Images images;
  for (auto& [name, image] : newest) {
    images.push_back(std::move(image));
  }
  return images;
}

Result<Images> named_images(Session& session, const std::vector<std::string>& names) {
  Images images;
  for (const std::string& name : names) {
    images.push_back(TRY(session.catalogue.find_image(TRY(store::ImageReference::parse(name)))));
  }
  return images;
}

Result<std::vector<Images>> lines_of(Session& session, const Images& images) {
  std::vector<Images> lines;
  lines.reserve(images.size());
  for (const store::ImageRecord& image : images) {
    lines.push_back(TRY(line_of(session, image)));
  }
  return lines;
}

/// All on which these stand, too: of a new base that no variant stands on yet, the one before it.
/// Each once, with the line below it.
std::vector<Images> with_ancestors(const std::vector<Images>& lines) {
  std::vector<Images> all;
  std::set<Digest> seen;
  for (const Images& line : lines) {
    for (auto image = line.begin(); image != line.end(); ++image) {
      if (seen.insert(image->digest).second) {
        all.emplace_back(image, line.end());
      }
    }
  }
  return all;
}

/// Reads each archive's indexes once, however many images come from it.
class Archives {
 public:
  Archives(Session& session, bool offline) : session_(session), offline_(offline) {}

  Result<std::vector<guest::Upgrade>> newer_than(const store::ImageRecord& image) {
    const recipe::Recipe merged = TRY(recipe_of(image));
    std::string archives = merged.os->family + merged.os->release + merged.os->architecture;
    for (const recipe::Repository& repository : merged.repositories) {
      archives += " " + repository.uri;
    }
    const bool again = offline_ || !read_.insert(archives).second;
    const auto family = TRY(guest::DebianFamily::open(
        *merged.os,
        {.home = session_.home.root(),
         .refresh = again ? guest::Refresh::if_missing : guest::Refresh::always}));
    const auto blob = TRY(Digest::parse(find_string(image.details, "dpkg_status").value_or("")));
    return family.upgrades(merged,
                           TRY(session_.home.get_blob(blob)),
                           [this](std::string_view phase, std::uint64_t done, std::uint64_t total) {
                             session_.observer.step_progress(phase, done, total);
                           });
  }

 private:
  Session& session_;
  bool offline_;
  std::set<std::string> read_;
};

/// Without what the parent, which is looked at, too, has at the same version: that is its to mend.
void remove_inherited(std::vector<guest::Upgrade>& upgrades, const store::ImageRecord& parent) {
  const Json* packages = find_value(parent.details, "packages");
  std::erase_if(upgrades, [packages](const guest::Upgrade& upgrade) {
    return packages != nullptr && find_string(*packages, upgrade.name) == upgrade.installed;
  });
}

/// Of these lines, the images that stand on `image`.
std::vector<std::string> reached_from(const store::ImageRecord& image,
                                      const std::vector<Images>& lines) {
  std::vector<std::string> reached;
  for (const Images& line : lines) {
    if (std::any_of(line.begin() + 1, line.end(), [&](const store::ImageRecord& below) {
          return below.digest == image.digest;
        })) {
      reached.push_back(line.front().reference());
    }
  }
  return reached;
}

}  // namespace

std::size_t OutdatedImage::security() const {
  return static_cast<std::size_t>(std::count_if(
      upgrades.begin(), upgrades.end(), [](const auto& upgrade) { return upgrade.security; }));
}

Json OutdatedImage::to_json() const {
  Json packages = Json::array();
  for (const guest::Upgrade& upgrade : upgrades) {
    packages.push_back(guest::to_json(upgrade));
  }
  return {{"image", image},
          {"recipe_file", recipe_file},
          {"security", security()},
          {"packages", packages},
          {"reaches", reaches}};
}

Result<std::vector<OutdatedImage>> find_outdated(Session& session, const OutdatedRequest& request) {
  const std::vector<Images> newest = TRY(lines_of(session, TRY(newest_images(session))));
  const std::vector<Images> lines =
      request.images.empty() ? with_ancestors(newest)
                             : TRY(lines_of(session, TRY(named_images(session, request.images))));
  std::set<Digest> asked;
  for (const Images& line : lines) {
    asked.insert(line.front().digest);
  }
  std::vector<std::pair<std::size_t, OutdatedImage>> by_height;
  Archives archives(session, request.offline);
  for (const Images& line : lines) {
    const store::ImageRecord& image = line.front();
    OutdatedImage outdated;
    outdated.image = image.reference();
    outdated.recipe_file = find_string(image.details, "recipe_file").value_or("");
    outdated.upgrades = TRY(archives.newer_than(image).context(outdated.image));
    if (line.size() > 1 && asked.contains(line[1].digest)) {
      remove_inherited(outdated.upgrades, line[1]);
    }
    if (!outdated.upgrades.empty()) {
      outdated.reaches = reached_from(image, newest);
      by_height.emplace_back(line.size(), std::move(outdated));
    }
  }
  std::stable_sort(by_height.begin(), by_height.end(), [](const auto& one, const auto& other) {
    return one.first < other.first;
  });
  std::vector<OutdatedImage> found;
  found.reserve(by_height.size());
  for (auto& [height, outdated] : by_height) {
    found.push_back(std::move(outdated));
  }
  return found;
}

}  // namespace goldmill::factory
