// SPDX-License-Identifier: GPL-3.0-or-later
// Holdings: which objects of the store an image stands on. What no image holds can be collected;
// what one holds must be there and be right.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

struct Holdings {
  /// By path below the home ("trees/HEX"): the images that need it.
  std::map<std::string, std::vector<std::string>> objects;
  /// Images whose rows are damaged, with what is wrong: they may need anything.
  std::map<std::string, std::string> untold;
};

Result<Holdings> holdings_of_images(Session& session, const std::set<Digest>& without = {});

/// Whether it came within an hour: a blob is written shortly before the image that names it, a
/// package under another name first.
bool is_new(const std::filesystem::path& path);

/// Whether the disk's file system made it: each directory of the home may be a disk of its own.
bool is_of_disk(const std::filesystem::path& path);

/// Paths below the home of what goldmill puts neither beside the directory of blobs nor among
/// packages.
std::vector<std::string> strays_of(const store::Home& home);

/// When the file came or was changed here; its own date may be the archive's.
std::chrono::system_clock::time_point came_at(const std::filesystem::path& path);

/// The layers of an image, bottom to top.
Result<std::vector<Digest>> layers_of(const store::ImageRecord& image);

}  // namespace goldmill::factory
