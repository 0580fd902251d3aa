// SPDX-License-Identifier: GPL-3.0-or-later
// Work on layer trees, which belong to guest ids; each runs with Confinement::guest_ids.
#pragma once

#include <cstdint>
#include <string>

#include <goldmill/system/worker.hpp>

namespace goldmill::build {

Result<Json> capture_worker(system::WorkerContext& context);    // hands: work, layers...
Result<Json> commit_worker(system::WorkerContext& context);     // hands: work, trees
Result<Json> check_worker(system::WorkerContext& context);      // hands: layers...
Result<Json> archive_worker(system::WorkerContext& context);    // hands: tree, output
Result<Json> measure_worker(system::WorkerContext& context);    // hands: parent
Result<Json> discard_worker(system::WorkerContext& context);    // hands: parent, work
Result<Json> remove_worker(system::WorkerContext& context);     // hands: parent
Result<Json> pack_worker(system::WorkerContext& context);       // hands: tree, output
Result<Json> unpack_worker(system::WorkerContext& context);     // hands: work, archive
Result<Json> identify_worker(system::WorkerContext& context);   // hands: parent
Result<Json> compare_worker(system::WorkerContext& context);    // hands: layers...
Result<Json> attribute_worker(system::WorkerContext& context);  // hands: layers...

/// The owner, mode and times of a layer's root, WORK/upper: the same in every layer.
Result<void> make_plain_root(int work, std::int64_t epoch);

/// What the tree PARENT/NAME holds now.
Result<Digest> identify(int parent, const std::string& name);

/// Removes whatever `name` is, however deep.
Result<void> remove_all(int parent, const std::string& name);

}  // namespace goldmill::build
