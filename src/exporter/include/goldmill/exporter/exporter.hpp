// SPDX-License-Identifier: GPL-3.0-or-later
// Image -> artifact: the formats that an image can be written in, and the one way to write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::exporter {

/// One setting of a format: `--option NAME=VALUE`.
struct OptionInfo {
  std::string_view name;
  std::string_view summary;
  std::string_view default_value;
};

struct Progress {
  std::function<void(std::uint64_t done, std::uint64_t total)> show = {};  ///< bytes of the disk
  std::function<bool()> is_cancelled = {};
};

/// Values by the names of a format's settings; those that are left out have their defaults.
using Options = std::map<std::string, std::string>;

/// What an artifact is made from. `disk` is always there; `write_tree` only for formats of trees.
struct Source {
  std::filesystem::path disk;          ///< the raw disk
  std::string architecture = "amd64";  ///< Debian's name, which is OCI's, too
  /// Writes the canonical archive of the tree to a descriptor.
  std::function<Result<void>(int descriptor)> write_tree = {};
};

struct Job {
  const Source& source;
  const Options& options;  ///< checked
  const Progress& progress;
  /// Name of the artifact as it will be: some formats hold it.
  std::string file_name;
  std::filesystem::path directory;  ///< where it will be: room for what is as large
  int output = -1;  ///< an empty file, read-write; it gets its name when all is written
};

struct Format {
  std::string_view name;  ///< "qcow2"
  std::string_view summary;
  std::string_view extension;  ///< ".qcow2"
  /// What machines that read this format offer as disk controller; an image without it would
  /// not find its disk. Absent: any.
  std::optional<recipe::Hardware> needs;
  std::vector<OptionInfo> options;
  Result<void> (*write)(const Job& job);
  /// Whether the options' values can be. Absent: where there are none.
  Result<void> (*check)(const Options& options) = nullptr;
};

/// All formats, in the order of exporters.def.
const std::vector<Format>& formats();

/// Errors: invalid_input with a suggestion.
Result<const Format*> find_format(std::string_view name);

struct Export {
  Source source;
  std::vector<recipe::Hardware> hardware;  ///< what the image supports
  std::string format;
  std::filesystem::path output;
  Options options = {};
  Progress progress = {};
};

/// Whether the export can be begun: format, options, the image's hardware, and a place to write to.
/// For callers that prepare the source with much work; export_image() asks it too.
/// Errors: invalid_input, not_found (no such directory), those of a directory that is not writable.
Result<void> check(const Export& wanted);

/// Writes an artifact. The output appears whole and durable, or not at all; an existing file is
/// replaced. Errors: invalid_input (format, option, hardware), no_space, cancelled, tool_failed.
Result<void> export_image(const Export& wanted);

}  // namespace goldmill::exporter
