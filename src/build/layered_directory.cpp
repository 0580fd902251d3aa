// SPDX-License-Identifier: GPL-3.0-or-later
#include "layered_directory.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

#include "tree_walk.hpp"

namespace goldmill::build {

Result<LayeredDirectory> LayeredDirectory::open_root(const std::vector<LayerRoot>& layers) {
  LayeredDirectory root;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    auto directory = TRY(open_subdirectory(layer->directory, "."));
    root.parts_.push_back({layer->id, std::move(directory)});
  }
  return root;
}

Result<LayeredDirectory> LayeredDirectory::open(const LayeredEntry& entry,
                                                const std::string& name) {
  LayeredDirectory inside;
  for (const LayerEntry& part : entry.shown) {
    auto directory = TRY(open_subdirectory(part.parent, name));
    inside.parts_.push_back({part.layer, std::move(directory)});
  }
  return inside;
}

Result<LayeredEntry> LayeredDirectory::find(const std::string& name) const {
  LayeredEntry found;
  bool covered = false;  // whether what comes now is hidden
  for (const Part& part : parts_) {
    LayerEntry entry{part.layer, part.directory.get(), {}};
    if (::fstatat(entry.parent, name.c_str(), &entry.status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) {
        continue;
      }
      return system_error("cannot look at " + name, errno);
    }
    const bool is_directory = S_ISDIR(entry.status.st_mode);
    if (is_whiteout(entry.status)) {
      covered = true;
    } else if (covered || (!is_directory && !found.shown.empty())) {
      covered = true;
      found.hidden.push_back(entry);
    } else {
      covered = !is_directory || is_opaque(entry.parent, name);
      found.shown.push_back(entry);
    }
  }
  return found;
}

std::size_t LayeredDirectory::shared_with(const LayeredDirectory& other) const {
  std::size_t count = 0;
  while (count < parts_.size() && count < other.parts_.size() &&
         parts_[parts_.size() - 1 - count].layer ==
             other.parts_[other.parts_.size() - 1 - count].layer) {
    ++count;
  }
  return count;
}

Result<std::set<std::string>> LayeredDirectory::names_above(std::size_t count) const {
  std::set<std::string> names;
  for (std::size_t index = 0; index + count < parts_.size(); ++index) {
    for (std::string& name : TRY(names_in(parts_[index].directory.get()))) {
      names.insert(std::move(name));
    }
  }
  return names;
}

}  // namespace goldmill::build
