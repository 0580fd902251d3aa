// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>

#include <goldmill/factory/image_jobs.hpp>
#include <goldmill/recipe/public_key.hpp>
#include <goldmill/system/file.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

Result<Bytes> memory_from(const std::string& text) {
  const Bytes memory = TRY(parse_bytes(text));
  const Bytes here{static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                   static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
  if (memory < 64_MiB || memory > here) {
    return Error{ErrorKind::invalid_input,
                 "--memory " + to_text(memory) + " is not possible",
                 "give from 64 MiB to this machine's " + to_text(here)};
  }
  return memory;
}

Result<std::vector<std::string>> keys_from(const std::string& file) {
  const std::string text = TRY(system::read_file(file, 64_KiB));
  auto keys = recipe::find_public_keys(text);
  if (!keys.empty()) {
    return keys;
  }
  if (recipe::is_private_key(text)) {
    return Error{ErrorKind::invalid_input,
                 file + " is a private key",
                 "give its public half, " + file + ".pub"};
  }
  return Error{ErrorKind::invalid_input,
               file + " holds no SSH public key",
               "a public key is one line: ssh-ed25519 AAAA... name"};
}

Result<launch::LaunchRequest> request_from(const Parsed& parsed) {
  launch::LaunchRequest request;
  request.image = parsed.argument(0);
  request.count = TRY(parsed.integer("count", 1, 10000)).value_or(1);
  request.fleet = parsed.value("fleet").value_or("");
  request.cpus = TRY(parsed.integer("cpus", 1, 255)).value_or(1);  // q35's
  if (const auto memory = parsed.value("memory")) {
    request.memory = TRY(memory_from(*memory));
  }
  if (const auto size = parsed.value("disk-size")) {
    request.disk_size = TRY(parse_bytes(*size));
  }
  if (const auto file = parsed.value("user-data")) {
    request.user_data = TRY(system::read_file(*file, 256_KiB));
  }
  for (const std::string& file : parsed.values("ssh-key")) {
    for (std::string& line : TRY(keys_from(file))) {
      line.erase(line.find_last_not_of(" \t") + 1);
      request.keys.push_back({request.ssh_user, std::move(line)});
    }
  }
  request.uefi = parsed.has("uefi");
  request.prepare_only = parsed.has("prepare-only");
  return request;
}

void show(const launch::Fleet& fleet, Terminal& terminal) {
  Table table{{{"instance"},
               {"host name"},
               {"machine-id"},
               {"SSH port", Table::Align::right},
               {"state"},
               {"ready", Table::Align::right}},
              {}};
  for (const launch::Instance& instance : fleet.instances) {
    table.rows.push_back({instance.name,
                          instance.hostname,
                          instance.machine_id,
                          std::to_string(instance.ssh_port),
                          launch::name_of(instance.state),
                          instance.ready_seconds ? seconds_text(*instance.ready_seconds) : ""});
  }
  terminal.print_table(table);
  for (const launch::Instance& instance : fleet.instances) {
    if (!instance.error.empty()) {
      terminal.warn(instance.name + ": " + instance.error);
    }
  }
  for (const std::string& warning : fleet.warnings) {
    terminal.warn(warning);
  }
  terminal.print_line("fleet " + fleet.name + ": " + seconds_text(fleet.seconds) +
                      (fleet.accelerator.empty() ? "" : ", " + fleet.accelerator));
}

int run_launch(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const launch::Fleet fleet = TRY(factory::launch_image(
        session, TRY(request_from(parsed)), [&terminal](const launch::Instance& instance) {
          terminal.progress().log(instance.name + ": " + launch::name_of(instance.state));
        }));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(launch::to_json(fleet));
    } else {
      show(fleet, terminal);
    }
    for (const launch::Instance& instance : fleet.instances) {
      if (instance.state == launch::State::failed) {
        return 1;
      }
    }
    return 0;
  });
}

}  // namespace

Command launch_command() {
  return {
      .name = "launch",
      .summary = "start instances of an image, each with its own identity",
      .description =
          {"Starts linked instances: each has a copy-on-write disk of a few kilobytes on the image "
           "and its own host name, machine-id, SSH host key, MAC address and random seed, given "
           "by the agent before SSH starts. Waits until each is ready or has failed; one that "
           "fails is a row of its own and stops no other."},
      .arguments = {{"IMAGE", "NAME or NAME@VERSION", Argument::Count::one, Completes::images}},
      .options =
          {{.name = "count", .letter = 'n', .value = "N", .doc = "How many.", .standard = "1"},
           {.name = "fleet",
            .value = "NAME",
            .doc = "What this launch is called.",
            .standard = "after the image"},
           {.name = "memory", .value = "SIZE", .doc = "Memory of each.", .standard = "512MiB"},
           {.name = "cpus", .value = "N", .doc = "Processors of each.", .standard = "1"},
           {.name = "disk-size",
            .value = "SIZE",
            .doc = "A larger disk; the root file system grows by itself."},
           {.name = "ssh-key",
            .value = "FILE",
            .doc = "A public key that root accepts.",
            .repeatable = true,
            .completes = Completes::files},
           {.name = "user-data",
            .value = "FILE",
            .doc = "Stored at /run/goldmill/user-data of each; never executed.",
            .completes = Completes::files},
           {.name = "uefi", .doc = "Starts by UEFI instead of BIOS."},
           {.name = "prepare-only", .doc = "Makes disks and identities, starts nothing."}},
      .examples = {{"goldmill launch java -n 3", "three instances"},
                   {"goldmill launch web --memory 1GiB --disk-size 20GiB", ""}},
      .exit_statuses = {{1, "an instance failed"}},
      .see_also = {"ps", "ssh", "stop", "start", "rm"},
      .run = run_launch};
}

}  // namespace goldmill::cli
