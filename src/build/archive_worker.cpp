// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/system/file.hpp>

#include "layer_workers.hpp"

namespace goldmill::build {

/// Called on a merged view: hands[0] is its tree, hands[1] gets the canonical tar.
Result<Json> archive_worker(system::WorkerContext& context) {
  const std::int64_t epoch = TRY(integer_at(context.request(), "epoch"));
  const int output = context.hand(1);
  const auto facts =
      TRY(store::write_layer(context.hand(0), epoch, [output](std::string_view bytes) {
        return system::write_all(output, bytes);
      }));
  return Json{{"bytes", facts.size}, {"entries", facts.entries}};
}

}  // namespace goldmill::build
