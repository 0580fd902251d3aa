// SPDX-License-Identifier: GPL-3.0-or-later
#include <mutex>
#include <set>

#include <goldmill/machine/accelerator.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/prove/prove.hpp>
#include <goldmill/system/side_by_side.hpp>

#include "boot.hpp"

namespace goldmill::prove {

namespace fs = std::filesystem;

namespace {
constexpr std::size_t kAtOnce = 2;

std::vector<Boot> boots_of(const ProveRequest& request) {
  std::vector<Boot> boots;
  for (const machine::Firmware firmware : request.firmwares) {
    boots.push_back({machine::name_of(firmware), firmware, request.controllers.front()});
  }
  for (std::size_t i = 1; i < request.controllers.size(); ++i) {
    const machine::Firmware firmware = request.firmwares.front();
    boots.push_back(
        {std::string(machine::name_of(firmware)) + " " + machine::name_of(request.controllers[i]),
         firmware,
         request.controllers[i]});
  }
  return boots;
}

void add_budget(std::vector<Row>& rows,
                const char* promise,
                const std::optional<Bytes>& promised,
                const std::optional<Bytes>& measured) {
  if (promised && measured) {
    rows.push_back(
        {promise, "at most " + to_text(*promised), to_text(*measured), *measured <= *promised});
  }
}

/// Two boots of one image must not be the same machine.
void add_uniqueness(std::vector<Row>& rows, const std::vector<BootOutcome>& outcomes) {
  std::set<std::string> machine_ids;
  std::set<std::string> host_keys;
  std::size_t count = 0;
  for (const BootOutcome& outcome : outcomes) {
    if (!outcome.failure) {
      machine_ids.insert(outcome.machine_id);
      host_keys.insert(outcome.ssh_host_key);
      ++count;
    }
  }
  if (count >= 2) {
    const auto add = [&rows, count](const char* what, std::size_t different) {
      rows.push_back({std::string("instances share no ") + what,
                      std::to_string(count) + " different",
                      std::to_string(different) + " different",
                      different == count});
    };
    add("machine-id", machine_ids.size());
    add("SSH host key", host_keys.size());
  }
}

Result<std::vector<BootOutcome>> run_boots(const BootSurroundings& around,
                                           const std::vector<Boot>& boots) {
  std::vector<Result<BootOutcome>> results(
      boots.size(), Result<BootOutcome>(Error{ErrorKind::internal, "not booted"}));
  system::side_by_side(
      boots.size(), kAtOnce, [&](std::size_t i) { results[i] = boot_and_check(around, boots[i]); });
  std::vector<BootOutcome> outcomes;
  for (std::size_t i = 0; i < boots.size(); ++i) {
    outcomes.push_back(TRY(std::move(results[i]).context("boot by " + boots[i].name)));
  }
  return outcomes;
}
}  // namespace

Json to_json(const Report& report) {
  Json promises = Json::array();
  bool passed = !report.promises.empty();
  for (const Row& row : report.promises) {
    passed = passed && row.passed;
    promises.push_back({{"promise", row.promise},
                        {"expected", row.expected},
                        {"found", row.found},
                        {"passed", row.passed}});
  }
  Json failures = Json::array();
  for (const BootFailure& failure : report.failures) {
    failures.push_back(
        {{"boot", failure.boot}, {"error", failure.error}, {"dossier", failure.dossier}});
  }
  return {{"image", report.image},
          {"passed", report.passed && passed},
          {"accelerator", report.accelerator},
          {"promises", promises},
          {"failures", failures}};
}

Result<Report> prove(const ProveRequest& request, const Progress& progress) {
  GOLDMILL_ASSERT(!request.firmwares.empty() && !request.controllers.empty());
  const auto choice = TRY(machine::choose_accelerator(
      request.home, {request.kernel, request.disk, request.disk_format}));
  const auto scratch = TRY(system::TemporaryDirectory::make(request.work, "test."));
  std::mutex progress_lock;
  const BootSurroundings around{
      request,
      choice.kind,
      TRY(machine::own_key(request.home)),
      scratch.path(),
      [&progress, &progress_lock](const std::string& boot, const std::string& news) {
        if (progress) {
          const std::lock_guard guard(progress_lock);
          progress(boot, news);
        }
      }};
  const std::vector<Boot> boots = boots_of(request);
  const std::vector<BootOutcome> outcomes = TRY(run_boots(around, boots));

  Report report;
  report.image = request.image;
  report.accelerator = machine::name_of(choice.kind);
  report.accelerator_reason = choice.reason;
  report.promises = request.rows;
  add_budget(report.promises, "disk used", request.recipe.promises.disk_used, request.disk_used);
  add_budget(report.promises, "image size", request.recipe.promises.image_size, request.image_size);
  std::set<std::string> warnings;
  for (std::size_t i = 0; i < boots.size(); ++i) {
    for (Row row : outcomes[i].rows) {
      row.promise.insert(0, boots[i].name + ": ");
      report.promises.push_back(std::move(row));
    }
    if (outcomes[i].failure) {
      report.failures.push_back(*outcomes[i].failure);
    }
    if (!outcomes[i].warning.empty()) {
      warnings.insert(outcomes[i].warning);
    }
  }
  add_uniqueness(report.promises, outcomes);
  report.warnings.assign(warnings.begin(), warnings.end());
  report.passed = true;
  for (const Row& row : report.promises) {
    report.passed = report.passed && row.passed;
  }
  return report;
}

}  // namespace goldmill::prove
