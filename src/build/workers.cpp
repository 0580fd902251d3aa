// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include <goldmill/build/workers.hpp>

#include "layer_workers.hpp"
#include "sandbox_request.hpp"

namespace goldmill::build {

std::span<const system::WorkerEntry> workers() {
  static constexpr std::array kWorkers = {
      system::WorkerEntry{"build.run", &sandbox_run},
      system::WorkerEntry{"build.call", &sandbox_call},
      system::WorkerEntry{"build.read", &sandbox_read},
      system::WorkerEntry{"build.capture", &capture_worker},
      system::WorkerEntry{"build.commit", &commit_worker},
      system::WorkerEntry{"build.check", &check_worker},
      system::WorkerEntry{"build.archive", &archive_worker},
      system::WorkerEntry{"build.compare", &compare_worker},
      system::WorkerEntry{"build.attribute", &attribute_worker},
      system::WorkerEntry{"build.measure", &measure_worker},
      system::WorkerEntry{"build.discard", &discard_worker},
      system::WorkerEntry{"build.remove", &remove_worker},
      system::WorkerEntry{"build.pack", &pack_worker},
      system::WorkerEntry{"build.unpack", &unpack_worker},
      system::WorkerEntry{"build.identify", &identify_worker},
  };
  return kWorkers;
}

}  // namespace goldmill::build
