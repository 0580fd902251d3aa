// SPDX-License-Identifier: GPL-3.0-or-later
#include "apt_scratch.hpp"

#include <cerrno>
#include <string>

#include <unistd.h>

namespace goldmill::guest {

namespace fs = std::filesystem;
using system::FileLock;

namespace {

/// Who holds it keeps others from reclaiming: until a directory has its lock, and while that goes.
Result<FileLock> keep_quiet(const fs::path& work) {
  return FileLock::acquire(work.parent_path() / "work.lock", FileLock::Mode::shared);
}

}  // namespace

Result<AptScratch> AptScratch::make(const fs::path& work) {
  TRY(system::make_directories(work));
  const FileLock quiet = TRY(keep_quiet(work));
  std::string name = (work / "apt-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return system_error("cannot make a directory in " + work.string(), errno);
  }
  return AptScratch(name,
                    TRY(FileLock::acquire(fs::path(name) / "lock", FileLock::Mode::exclusive)));
}

AptScratch::~AptScratch() {
  if (path_.empty()) {
    return;
  }
  const auto quiet = keep_quiet(path_.parent_path());
  (void)system::remove_tree(path_);
}

fs::path work_beside(const fs::path& directory) {
  return directory.parent_path() / "work";
}

}  // namespace goldmill::guest
