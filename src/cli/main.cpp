// SPDX-License-Identifier: GPL-3.0-or-later
#include <string>
#include <vector>

#include <goldmill/build/workers.hpp>
#include <goldmill/factory/check_reproducible.hpp>
#include <goldmill/guest/debian_family.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/image/guest_changes.hpp>
#include <goldmill/prove/prove.hpp>
#include <goldmill/provision/provision.hpp>
#include <goldmill/system/worker.hpp>

#include "commands/commands.hpp"

namespace {

std::vector<goldmill::system::WorkerEntry> all_workers() {
  namespace gm = goldmill;
  std::vector<gm::system::WorkerEntry> workers = {
      {"disk", gm::image::disk_worker},
      {"disk.measure", gm::image::measure_worker},
      {gm::image::kChangesWorker, gm::image::changes_worker},
      gm::prove::network_worker()};
  for (const auto& module : {gm::guest::workers(),
                             gm::build::workers(),
                             gm::provision::workers(),
                             gm::factory::workers(),
                             gm::launch::workers()}) {
    workers.insert(workers.end(), module.begin(), module.end());
  }
  return workers;
}

}  // namespace

int main(int argc, char** argv) {
  const auto workers = all_workers();
  goldmill::system::become_worker_if_asked(argc, argv, workers);
  goldmill::cli::Terminal terminal = goldmill::cli::Terminal::standard();
  const std::vector<std::string> words(argv + 1, argv + argc);
  return terminal.end(
      goldmill::cli::run_program(goldmill::cli::goldmill_program(), words, terminal));
}
