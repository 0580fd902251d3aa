// SPDX-License-Identifier: GPL-3.0-or-later
// GuestTree: the files of a guest below one descriptor. Links are resolved inside the tree,
// part by part on open directories, so no path of a guest or an archive can lead out of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {

/// An open directory and its path without links, "/" for the root.
struct GuestDirectory {
  system::UniqueFd descriptor;
  std::string path;
};

/// Where the last part of a path lies; the part itself may be a link or missing.
struct GuestPlace {
  std::shared_ptr<const GuestDirectory> directory;
  std::string name;
  /// The path without links up to its last part.
  std::string path() const;
  int descriptor() const { return directory->descriptor.get(); }
};

enum class Missing { create, fail };

/// Paths are absolute and clean, as clean_member_path gives them; others are invalid_input. Safe
/// to use from threads.
class GuestTree {
 public:
  /// `root` stays the caller's and must outlive the tree.
  explicit GuestTree(int root);

  /// The directory, links followed. Missing ones are made with mode 0755, but never the target
  /// of a link. Errors: not_found, conflict (a part is no directory).
  Result<std::shared_ptr<const GuestDirectory>> directory(const std::string& path,
                                                          Missing missing = Missing::fail);
  Result<GuestPlace> place(const std::string& path, Missing missing = Missing::fail);

  /// lstat; nullopt when it is missing.
  Result<std::optional<struct stat>> look(const std::string& path);
  /// A regular file's content, a last link followed too. Errors: not_found, invalid_input.
  Result<std::string> read(const std::string& path, Bytes limit = 256_MiB);
  /// As read(), with "" for a file that is missing.
  Result<std::string> read_or_empty(const std::string& path);
  /// Replaces the file as a whole; a link there is replaced, not followed.
  Result<void> write(const std::string& path, std::string_view content, mode_t mode = 0644);
  /// Names in a directory, sorted; none when it is missing.
  Result<std::vector<std::string>> names(const std::string& path);
  Result<void> remove_file(const std::string& path);

  /// Makes the last part a directory unless one, or a link to one, is there.
  Result<std::shared_ptr<const GuestDirectory>> make_directory(const GuestPlace& place);
  void note_created(const GuestPlace& place);
  /// Paths without links of what was made, in order of making.
  std::vector<std::string> created() const;
  /// Removes all that was made.
  Result<void> undo();

 private:
  using Directory = std::shared_ptr<const GuestDirectory>;
  Result<Directory> find(const std::string& path, Missing missing, int depth);
  Result<Directory> enter(const Directory& parent,
                          const std::string& name,
                          Missing missing,
                          int depth);
  Result<Directory> follow(const Directory& parent, const std::string& name, int depth);
  Directory remembered(const std::string& path) const;
  void remember(const std::string& path, const Directory& directory);

  Directory root_;
  std::size_t kept_limit_;
  mutable std::mutex mutex_;
  std::map<std::string, Directory, std::less<>> kept_;
  std::vector<std::string> created_;
};

/// "/a/b" -> "/a"; "/a" -> "/".
std::string parent_of(std::string_view path);
/// "/a/b" -> "b".
std::string last_part_of(std::string_view path);

}  // namespace goldmill::guest
