// SPDX-License-Identifier: GPL-3.0-or-later
// Capture: what a step changed becomes a layer, sealed, minimal and with a name by content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>

namespace goldmill::build {

struct CaptureOptions {
  std::filesystem::path work;                 ///< of the step's sandbox, which must have ended
  std::vector<std::filesystem::path> layers;  ///< trees below it, bottom to top
  std::int64_t epoch = 0;
};

struct CapturedLayer {
  Digest diff_id;
  Bytes size;                 ///< of the canonical tar
  std::uint64_t entries = 0;  ///< 0: the step changed nothing
  /// What the seal took out: "rule: path", at most 1000.
  std::vector<std::string> sealed = {};
};

/// Seals the changes, drops what equals the layers below, cuts times to the epoch, and computes
/// the layer's name. The changes stay in the work directory; doing it twice changes nothing.
/// Errors: invalid_input for files that no layer can hold.
Result<CapturedLayer> capture_layer(const CaptureOptions& options);

/// What is thought of a tree that has the layer's name already. After a power cut it may have that
/// and not its contents.
enum class Existing {
  vouched,  ///< a step counts as done with it: it is durable
  doubted,
};

/// Moves the captured changes to TREES/HEX. When that layer is there already, they are left; one in
/// doubt is read before, and where it is something else, the two change places.
Result<void> commit_layer(const std::filesystem::path& work,
                          const std::filesystem::path& trees,
                          const Digest& diff_id,
                          Existing existing = Existing::doubted);

/// Makes every committed layer durable; to be called before a step is recorded as done.
Result<void> sync_layers(const std::filesystem::path& trees);

}  // namespace goldmill::build
