// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of pack_tree(), unpack_tree() and identify_trees().
#include <cerrno>
#include <limits>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/store/layer_tree.hpp>
#include <goldmill/system/file.hpp>

#include "layer_workers.hpp"
#include "tree_walk.hpp"

namespace goldmill::build {

using system::UniqueFd;

Result<Json> pack_worker(system::WorkerContext& context) {
  const UniqueFd tree = TRY(open_subdirectory(context.hand(0), "."));
  const auto compression = find_bool(context.request(), "gzip").value_or(false)
                               ? store::Compression::gzip
                               : store::Compression::zstd;
  const store::PackedLayer packed =
      TRY(store::pack_layer(tree.get(), compression, context.hand(1)));
  return Json{{"diff_id", packed.facts.diff_id.text()},
              {"blob", packed.blob.text()},
              {"size", packed.size}};
}

Result<Json> unpack_worker(system::WorkerContext& context) {
  const UniqueFd work = TRY(open_subdirectory(context.hand(0), "."));
  if (::mkdirat(work.get(), "upper", 0755) != 0) {
    return system_error("cannot make a place for the layer", errno);
  }
  const UniqueFd upper = TRY(open_subdirectory(work.get(), "upper"));
  const store::LayerFacts facts = TRY(store::read_layer(context.hand(1), upper.get()));
  TRY(make_plain_root(work.get(), TRY(integer_at(context.request(), "epoch"))));
  return Json{{"diff_id", facts.diff_id.text()}};
}

Result<Digest> identify(int parent, const std::string& name) {
  const UniqueFd tree = TRY(open_subdirectory(parent, name));
  // Stored times are cut already: a later one is damage.
  return TRY(store::write_layer(tree.get(), std::numeric_limits<std::int64_t>::max(), {})).diff_id;
}

Result<Json> identify_worker(system::WorkerContext& context) {
  for (const std::string& name : find_strings(context.request(), "names")) {
    const Result<Digest> digest = identify(context.hand(0), name);
    context.send_event(digest ? Json{{"name", name}, {"digest", digest->text()}}
                              : Json{{"name", name}, {"error", digest.error().message}});
  }
  return Json::object();
}

}  // namespace goldmill::build
