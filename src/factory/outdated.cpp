// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>
#include <set>

#include <goldmill/factory/outdated.hpp>
#include <goldmill/guest/debian_family.hpp>
#include <goldmill/store/reference.hpp>

#include "ancestry.hpp"
#include "image_recipe.hpp"
#include "named_archives.hpp"

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

  /// Than the packages of a dpkg status file, in the archives of the image's OS and in these.
  Result<std::vector<guest::Upgrade>> newer_than(const store::ImageRecord& image,
                                                 const std::vector<recipe::Repository>& named,
                                                 const std::string& dpkg_status) {
    recipe::Recipe merged = TRY(recipe_of(image));
    merged.repositories = named;
    std::string archives = merged.os->family + merged.os->release + merged.os->architecture;
    for (const recipe::Repository& repository : merged.repositories) {
      archives += " " + repository.uri;
    }
    const bool again = offline_ || !read_.insert(archives).second;
    const auto family = TRY(guest::DebianFamily::open(
        *merged.os,
        {.home = session_.home.root(),
         .refresh = again ? guest::Refresh::if_missing : guest::Refresh::always}));
    return family.upgrades(merged,
                           dpkg_status,
                           [this](std::string_view phase, std::uint64_t done, std::uint64_t total) {
                             session_.observer.step_progress(phase, done, total);
                           });
  }

 private:
  Session& session_;
  bool offline_;
  std::set<std::string> read_;
};

/// The archives that recipes of this part of a line name.
std::vector<recipe::Repository> ask_also(Session& session, const Images& line) {
  NamedArchives archives = named_archives(line);
  for (const std::string& lost : archives.lost) {
    session.observer.note("an archive cannot be asked for newer packages: " + lost);
  }
  return std::move(archives.repositories);
}

Result<std::string> dpkg_status_of(Session& session, const store::ImageRecord& image) {
  const auto blob = TRY(Digest::parse(find_string(image.details, "dpkg_status").value_or("")));
  return session.home.get_blob(blob);
}

/// As dpkg would tell of them, were they installed.
std::string status_of_tools(const Json& tools) {
  std::string status;
  const Json* packages = find_value(tools, "packages");
  for (const Json& package : packages == nullptr ? Json::array() : *packages) {
    status += "Package: " + find_string(package, "name").value_or("") +
              "\nStatus: install ok installed\nArchitecture: " +
              find_string(package, "architecture").value_or("") +
              "\nVersion: " + find_string(package, "version").value_or("") +
              "\nDescription: used by a step\n\n";
  }
  return status;
}

/// Of the image's steps, as far as the catalogue still knows what they were.
Result<std::vector<OutdatedTool>> newer_tools(Session& session,
                                              Archives& archives,
                                              const std::vector<recipe::Repository>& named,
                                              const store::ImageRecord& image) {
  std::vector<OutdatedTool> found;
  const Json* steps = find_value(image.details, "steps");
  for (const Json& entry : steps == nullptr ? Json::array() : *steps) {
    const auto key = TRY(Digest::parse(find_string(entry, "key").value_or("")));
    const auto step = TRY(session.catalogue.find_step(key));
    const Json* options = step ? find_value(step->record, "options") : nullptr;
    const Json* tools = options == nullptr ? nullptr : find_value(*options, "tools");
    if (tools == nullptr) {
      continue;
    }
    for (guest::Upgrade& upgrade :
         TRY(archives.newer_than(image, named, status_of_tools(*tools)))) {
      found.push_back({step->name, std::move(upgrade)});
    }
  }
  return found;
}

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
  const auto packages = std::count_if(
      upgrades.begin(), upgrades.end(), [](const auto& upgrade) { return upgrade.security; });
  const auto of_steps = std::count_if(
      tools.begin(), tools.end(), [](const auto& tool) { return tool.upgrade.security; });
  return static_cast<std::size_t>(packages + of_steps);
}

Json OutdatedImage::to_json() const {
  Json packages = Json::array();
  for (const guest::Upgrade& upgrade : upgrades) {
    packages.push_back(guest::to_json(upgrade));
  }
  Json of_steps = Json::array();
  for (const OutdatedTool& tool : tools) {
    of_steps.push_back(guest::to_json(tool.upgrade));
    of_steps.back()["step"] = tool.step;
  }
  return {{"image", image},
          {"recipe_file", recipe_file},
          {"security", security()},
          {"packages", packages},
          {"tools", of_steps},
          {"reaches", reaches}};
}

namespace {
/// The first of the line and those below it that are not looked at by themselves.
Images told_with(const Images& line, const std::set<Digest>& asked) {
  const auto end = std::find_if(line.begin() + 1, line.end(), [&](const auto& member) {
    return asked.contains(member.digest);
  });
  return {line.begin(), end};
}

/// The first of the line. What one that is `asked` for tells by itself is not told again.
Result<OutdatedImage> look_at(Session& session,
                              Archives& archives,
                              const Images& line,
                              const std::set<Digest>& asked) {
  const store::ImageRecord& image = line.front();
  OutdatedImage outdated;
  outdated.image = image.reference();
  outdated.recipe_file = find_string(image.details, "recipe_file").value_or("");
  const Images members = told_with(line, asked);
  const auto named = ask_also(session, members);
  const std::string status = TRY(dpkg_status_of(session, image));
  outdated.upgrades = TRY(archives.newer_than(image, named, status));
  if (line.size() > 1 && asked.contains(line[1].digest)) {
    remove_inherited(outdated.upgrades, line[1]);
  }
  for (const store::ImageRecord& member : members) {
    for (OutdatedTool& tool : TRY(newer_tools(session, archives, named, member))) {
      outdated.tools.push_back(std::move(tool));
    }
  }
  return outdated;
}
}  // namespace

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
    OutdatedImage outdated =
        TRY(look_at(session, archives, line, asked).context(image.reference()));
    if (!outdated.upgrades.empty() || !outdated.tools.empty()) {
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
