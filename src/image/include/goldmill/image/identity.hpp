// SPDX-License-Identifier: GPL-3.0-or-later
// Identity: every identifier on a disk, derived so that the same image always has the same ones.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/digest.hpp>

namespace goldmill::image {

/// Raised whenever the same layers and layout would give other bytes.
inline constexpr int kDiskWriterVersion = 3;

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  /// "xxxxxxxx-xxxx-8xxx-xxxx-xxxxxxxxxxxx", lower case.
  std::string text() const;

  friend bool operator==(const Uuid&, const Uuid&) = default;
};

class Layout;

/// Gives each role on a disk ("disk", "partition 3", "file system 3") an identifier of its own.
class Identity {
 public:
  explicit Identity(const Digest& seed) : seed_(seed) {}
  /// From what decides the disk's bytes: layers, layout and the writer's version.
  static Identity of(const std::vector<Digest>& diff_ids, const Layout& layout);
  /// The same for a base and all its variants, whose first layer is one. For file systems: each
  /// block of metadata is checksummed with its file system's UUID.
  static Identity of_lineage(const std::vector<Digest>& diff_ids);

  /// RFC 9562 version 8 (made by the application's own rule).
  Uuid uuid(std::string_view role) const;
  /// Never 0.
  std::uint32_t serial(std::string_view role) const;
  const Digest& seed() const { return seed_; }

 private:
  Digest seed_;
};

}  // namespace goldmill::image
