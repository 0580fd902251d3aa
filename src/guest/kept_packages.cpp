// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <unistd.h>

#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/kept_packages.hpp>
#include <goldmill/system/file.hpp>

#include "package_file.hpp"

namespace goldmill::guest {

namespace fs = std::filesystem;

namespace {

bool is_package_file(const std::string& name) {
  constexpr std::size_t kDigits = 64;
  return name.size() == kDigits + 4 && name.ends_with(".deb") &&
         name.find_first_not_of("0123456789abcdef") == kDigits;
}

std::vector<std::string> package_files_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (const std::string name = entry.path().filename(); is_package_file(name)) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<KeptPackages> keep_packages(const std::vector<PackageFile>& packages,
                                   const fs::path& cache,
                                   const fs::path& directory) {
  TRY(system::make_directories(directory));
  KeptPackages kept;
  std::set<std::string> wanted;
  for (const PackageFile& package : packages) {
    const fs::path file = cached_file(directory, package.sha256);
    if (!wanted.insert(file.filename()).second) {
      continue;
    }
    ++kept.packages;
    kept.size = Bytes{kept.size.value + package.size};
    const FileState before = TRY(state_of_file(file, package, Compare::hash));
    if (before == FileState::good) {
      continue;
    }
    const fs::path cached = cached_file(cache, package.sha256);
    TRY(place_file(cached, file).context("while keeping " + package.name));
    if (TRY(state_of_file(file, package, Compare::hash)) != FileState::good) {
      ::unlink(file.c_str());
      return Error{ErrorKind::corrupt,
                   cached.string() + " is not the package " + package.name + " that is locked",
                   "remove it, and try again"};
    }
    if (before == FileState::missing) {
      ++kept.added;
    } else {
      kept.repaired.push_back(package.name);
    }
  }
  const system::UniqueFd open = TRY(system::open_directory(directory));
  if (::fsync(open.get()) != 0) {
    return system_error("cannot make " + directory.string() + " durable", errno);
  }
  kept.not_wanted = package_files_in(directory);
  std::erase_if(kept.not_wanted, [&](const std::string& name) { return wanted.contains(name); });
  return kept;
}

Result<std::vector<fs::path>> take_kept_packages(const std::vector<PackageFile>& packages,
                                                 const fs::path& directory,
                                                 const fs::path& cache) {
  std::vector<fs::path> damaged;
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    return damaged;
  }
  for (const PackageFile& package : packages) {
    const fs::path cached = cached_file(cache, package.sha256);
    if (TRY(state_of_file(cached, package, Compare::size)) == FileState::good) {
      continue;
    }
    const fs::path file = cached_file(directory, package.sha256);
    const FileState state = TRY(state_of_file(file, package, Compare::hash));
    if (state == FileState::good) {
      TRY(place_file(file, cached).context("while taking " + package.name));
    } else if (state == FileState::damaged) {
      damaged.push_back(file);
    }
  }
  return damaged;
}

}  // namespace goldmill::guest
