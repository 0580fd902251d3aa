// SPDX-License-Identifier: GPL-3.0-or-later
// Ext4Reader: an ext4 file system that a guest has written, read in this process (libext2fs),
// without mounting. Everything in it may be hostile: a worker's job.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <ext2fs/ext2fs.h>

#include <goldmill/base/result.hpp>
#include <goldmill/image/tree.hpp>

#include "ext4_format.hpp"

namespace goldmill::image {

class Ext4Reader {
 public:
  /// The file system at `offset` of the disk. Errors: corrupt, also when its guest did not close
  /// it: what its journal holds is then not in its place.
  static Result<Ext4Reader> open(int disk, std::uint64_t offset);

  /// As read_tree() gives a layer's, without lost+found. `hollow` as there. Errors: corrupt.
  Result<Tree> read(const std::vector<std::string>& hollow);

  /// The content of a regular file of the tree that was read last, piece after piece, at most
  /// 1 MiB each; a hole is zeros.
  Result<void> content(std::size_t node,
                       const std::function<Result<void>(std::string_view piece)>& take) const;

 private:
  explicit Ext4Reader(Filesystem filesystem) : filesystem_(std::move(filesystem)) {}

  Filesystem filesystem_;
  std::vector<ext2_ino_t> inodes_;  ///< of the nodes
};

}  // namespace goldmill::image
