// SPDX-License-Identifier: GPL-3.0-or-later
// tar: the tree without disk, boot loader and partitions. The archive is the store's canonical
// one; the caller writes it, since the exporter knows no layers.
#include "formats.hpp"

namespace goldmill::exporter {

namespace {
Result<void> write_tar(const Job& job) {
  if (!job.source.write_tree) {
    return Error{ErrorKind::unavailable, "this image has no file tree to archive"};
  }
  return job.source.write_tree(job.output);
}
}  // namespace

Format tar_format() {
  return {"tar", "the files alone, as one archive", ".tar", std::nullopt, {}, write_tar};
}

}  // namespace goldmill::exporter
