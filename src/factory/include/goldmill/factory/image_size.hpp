// SPDX-License-Identifier: GPL-3.0-or-later
// Where the bytes of an image's disk went: to which package, which step, which directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

struct SizeShare {
  std::string name;
  Bytes size;
  std::uint64_t files = 0;  ///< and directories
};

struct StepShare {
  std::string image;  ///< whose build ran it: "base@1"
  std::string step;   ///< "packages"
  std::string layer;
  Bytes size;        ///< of all that shows of its layer
  Bytes unpackaged;  ///< of that, what belongs to no package
  std::vector<SizeShare>
      directories;  ///< of what belongs to no package, three names deep, largest first
  Bytes hidden;     ///< what later layers cover: in the store, not on the disk
};

/// Every list is sorted, largest first, but for the steps, which come as they were done.
struct ImageSize {
  std::string image;
  Bytes used;      ///< recorded when the disk was written; what df says
  Bytes measured;  ///< the sum of everything below but for tables and boot
  std::vector<SizeShare> packages;
  std::vector<StepShare> steps;
  std::vector<SizeShare> directories;  ///< of the tree, two names deep; all files
  Bytes reserved;                      ///< lost+found
  Bytes tables;  ///< journal and inode tables of the file systems, which df does not count
  Bytes boot;    ///< what firmware starts, in partitions of its own
  Bytes hidden() const;
  Json to_json() const;
};

/// Reads the whole tree. Errors: not_found, corrupt (a layer or the boot assets are gone).
Result<ImageSize> measure_image(Session& session, const std::string& image);

}  // namespace goldmill::factory
