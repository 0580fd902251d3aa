// SPDX-License-Identifier: GPL-3.0-or-later
// A stored layer: what it is now, and to an OCI blob and back. The trees belong to guest ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/store/layer_tree.hpp>

namespace goldmill::build {

/// Writes the tree's canonical tar, compressed, into the file and makes it durable.
Result<store::PackedLayer> pack_tree(const std::filesystem::path& tree,
                                     store::Compression compression,
                                     const std::filesystem::path& file);

/// Makes TREES/HEX of a blob again, durably, by way of a work directory. One that is there must
/// have been discarded before. Errors: corrupt when the blob holds another layer.
Result<void> unpack_tree(const std::filesystem::path& blob,
                         const Digest& diff_id,
                         std::int64_t epoch,
                         const std::filesystem::path& work,
                         const std::filesystem::path& trees);

/// Computes the digest of each named tree's canonical tar, as it is now, on all cores; `take` is
/// told one after another. A tree that cannot be read has an error instead.
Result<void> identify_trees(
    const std::filesystem::path& parent,
    const std::vector<std::string>& names,
    const std::function<void(const std::string& name, const Result<Digest>& digest)>& take);

/// The same of one tree.
Result<Digest> identify_tree(const std::filesystem::path& tree);

}  // namespace goldmill::build
