// SPDX-License-Identifier: GPL-3.0-or-later
// FileTree: a file or directory of this machine, as the `files` step copies it. Read with the
// caller's rights, in sorted order; links are kept as links, owners and times do not count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/plan/step.hpp>

namespace goldmill::provision {

struct TreeEntry {
  enum class Type : std::uint8_t { directory, file, link };
  std::string path;  ///< below the top, "" for the top itself
  Type type = Type::file;
  bool executable = false;
  std::uint64_t size = 0;
  std::string link = {};  ///< where a link points
  Digest content = {};
};

struct FileTree {
  std::vector<TreeEntry> entries;

  /// Reads all; the contents of the files are written to `sink` one after another when it is not
  /// -1. Errors: not_found; invalid_input for sockets, devices, too many or too deep entries.
  static Result<FileTree> read(const std::filesystem::path& top, int sink);
  /// As read(), for what had this digest before. Errors: conflict, when it has changed since.
  static Result<FileTree> read_again(const std::filesystem::path& top,
                                     int sink,
                                     const std::string& digest);
  /// A file with this content.
  static FileTree of_content(std::string_view content);

  Digest digest() const;
  /// What people know each file as -> a digest of all that counts of it, `shown` being the top. Of
  /// very many files, the directories at the depth that keeps this short: it is kept with each run
  /// of a step, which may have `trees` such trees.
  Json contents(const std::string& shown, std::size_t trees) const;
  /// For the worker that writes them: [{"path", "type", "executable", "size", "link"}].
  Json to_json() const;
};

/// Reads a file or directory and makes it an input of the step, which has `trees` such; messages
/// know it as `shown`. Errors: those of reading.
Result<void> give_input(plan::Step& step,
                        const std::string& name,
                        const std::filesystem::path& source,
                        const std::string& shown,
                        std::size_t trees);

}  // namespace goldmill::provision
