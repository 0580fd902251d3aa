// SPDX-License-Identifier: GPL-3.0-or-later
// AptDoor: the PackageDoor of Debian's family. Inside, APT_CONFIG points apt to the indexes that
// goldmill verified, under a scheme whose method asks for each file by its digest through a FIFO;
// goldmill fetches it into the shared cache, which the sandbox sees.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/plan/package_door.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {

struct AptDoorRequest {
  std::string architecture = {};
  std::filesystem::path scratch = {};  ///< a directory of the step's own
  std::filesystem::path cache = {};    ///< $GOLDMILL_HOME/packages
  /// What an earlier run got. Alone in the indexes when `only_locked`; preferred else.
  std::vector<PackageFile> locked = {};
  bool only_locked = false;
  bool recommends = false;
  /// The archive's sources, and the directory of their verified indexes; not asked when
  /// `only_locked`.
  std::function<Result<std::vector<Source>>()> sources = {};
  std::function<Result<std::filesystem::path>(const std::vector<Source>&)> indexes = {};
  std::function<Result<void>(const PackageFile&)> fetch = {};
};

class AptDoor final : public plan::PackageDoor {
 public:
  explicit AptDoor(AptDoorRequest request) : request_(std::move(request)) {}
  AptDoor(const AptDoor&) = delete;
  AptDoor& operator=(const AptDoor&) = delete;
  ~AptDoor() override { stop(); }

  Result<void> open(plan::Execution& execution) override;
  Result<Json> close(plan::Sandbox& sandbox) override;

 private:
  Result<void> furnish();
  Result<void> show_archive();
  Result<void> show_locked();
  Result<void> show_text(std::string_view text, mode_t mode, const std::string& name);
  Result<void> show_file(const std::filesystem::path& file, const std::string& name);
  Result<void> start();
  void stop();
  void serve();
  std::string answer(const std::string& digest);
  Result<PackageFile> find(const std::string& digest) const;

  AptDoorRequest request_;
  std::vector<Source> sources_;
  std::vector<std::filesystem::path> lists_;
  std::vector<system::UniqueFd> files_;
  std::vector<plan::Bind> binds_;
  system::UniqueFd questions_;
  system::UniqueFd answers_;
  system::UniqueFd stop_;
  std::thread server_;
  std::map<std::string, PackageFile> fetched_;  // by digest; the server's until it has ended
};

/// The package of this digest in the text of a Packages index. Errors: not_found.
Result<PackageFile> find_in_index(std::string_view index, const std::string& digest);

}  // namespace goldmill::guest
