// SPDX-License-Identifier: GPL-3.0-or-later
// CloudImages: the images of a project in Glance that goldmill brought there, one for each disk.
// Source: the API reference of Glance, version 2.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

#include "openstack_cloud.hpp"

namespace goldmill::launch {

struct CloudImage {
  std::string name;         ///< to show
  std::string disk_digest;  ///< by which it is found again
  bool uefi = false;        ///< another one in Glance, since Nova reads it there
  Bytes size;               ///< of the disk that the guest sees
  /// A qcow2 file that stands on no other, open at its start.
  std::function<Result<system::UniqueFd>()> file;
};

class CloudImages {
 public:
  CloudImages(Cloud& cloud, std::filesystem::path home) : cloud_(cloud), home_(std::move(home)) {}

  /// Its id in Glance, where it is uploaded unless it is there whole. What an upload that was cut
  /// off left is removed. Two launches of one home take turns; two homes that upload one image at
  /// once end with the same one. Errors: unavailable, corrupt (Glance holds other bytes than it was
  /// given).
  using Tell = std::function<void(const std::string& line)>;
  Result<std::string> bring(const CloudImage& image, const Tell& tell) const;

 private:
  struct Found {
    std::optional<std::string> whole;     ///< the eldest
    std::vector<std::string> unfinished;  ///< of this home
  };
  Result<Found> find(const std::string& key) const;
  Result<std::string> upload(const CloudImage& image,
                             const std::string& key,
                             const Tell& tell) const;
  Result<std::string> reserve(const CloudImage& image, const std::string& key) const;
  Result<void> fill(const std::string& id, int file, Bytes size) const;
  Result<void> remove(const std::string& id) const;
  Result<std::string> home_mark() const;

  Cloud& cloud_;
  std::filesystem::path home_;
};

}  // namespace goldmill::launch
