// SPDX-License-Identifier: GPL-3.0-or-later
// TreeFiles: new files and links for a guest's tree, as data that a step's key covers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/plan/sandbox.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest {

/// One file of root's, or a symbolic link.
struct TreeFile {
  std::string path;  ///< absolute
  std::string content;
  std::uint32_t mode = 0644;
  std::string link;  ///< not "": a link to this; content and mode mean nothing

  friend bool operator==(const TreeFile&, const TreeFile&) = default;
};

Json to_json(const std::vector<TreeFile>& files);
/// Errors: invalid_input.
Result<std::vector<TreeFile>> tree_files_from(const Json& json);

/// Writes them below `root`, whose links never lead out of it; parents are made (0755).
/// Errors: as of the file that failed.
Result<void> write_tree_files(int root, const std::vector<TreeFile>& files);
/// Removes files or links; a missing one is no error.
Result<void> remove_tree_files(int root, const std::vector<std::string>& paths);

/// The same inside a sandbox. Needs the worker below.
Result<void> place_files(plan::Sandbox& sandbox,
                         const std::vector<TreeFile>& files,
                         const std::vector<std::string>& removed = {});

/// To be listed in main()'s table: {kTreeFilesWorker, &tree_files_worker}.
inline constexpr std::string_view kTreeFilesWorker = "guest.tree-files";
Result<Json> tree_files_worker(system::WorkerContext& context);

}  // namespace goldmill::guest
