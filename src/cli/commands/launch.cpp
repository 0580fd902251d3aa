// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include <unistd.h>

#include <goldmill/factory/image_jobs.hpp>
#include <goldmill/recipe/profile.hpp>
#include <goldmill/recipe/public_key.hpp>
#include <goldmill/system/file.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

Result<Bytes> memory_from(const std::string& text, bool elsewhere) {
  const Bytes memory = TRY(parse_bytes(text).context("--memory"));
  const Bytes here{static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                   static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
  if (memory < 64_MiB || (memory > here && !elsewhere)) {
    return Error{ErrorKind::invalid_input,
                 "--memory " + to_text(memory) + " is not possible",
                 "give from 64 MiB to this machine's " + to_text(here)};
  }
  return memory;
}

/// A file that an option names.
Result<std::string> file_of(const std::string& option, const std::string& file, Bytes limit) {
  auto text = system::read_plain_file(file, limit);
  if (!text && text.error().hint.empty()) {
    text.error().hint = option + " takes the name of a file of at most " + to_text(limit);
  }
  return text;
}

Result<std::vector<std::string>> keys_from(const std::string& file) {
  const std::string text = TRY(file_of("--ssh-key", file, 64_KiB));
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

/// "90s", "30m", "2h", "7d".
Result<std::chrono::seconds> duration_from(const std::string& text) {
  const std::map<char, std::int64_t> units = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  const auto unit = text.empty() ? units.end() : units.find(text.back());
  std::int64_t number = 0;
  const char* end = text.data() + text.size() - (text.empty() ? 0 : 1);
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  if (unit == units.end() || failure != std::errc{} || rest != end || number < 1 ||
      number > 36500) {
    return Error{ErrorKind::invalid_input,
                 "--for '" + text + "' is no time",
                 "give a number and a unit: 90s, 30m, 2h or 7d"};
  }
  return std::chrono::seconds(number * unit->second);
}

/// What only one engine understands.
Result<void> check_engine_options(const Parsed& parsed, const std::string& engine) {
  struct Rule {
    const char* option;
    const char* engine;
  };
  for (const Rule& rule : {Rule{"host", "libvirt"},
                           Rule{"container-disk", "kubevirt"},
                           Rule{"memory-budget", "qemu"},
                           Rule{"cloud", "openstack"},
                           Rule{"flavor", "openstack"},
                           Rule{"key-pair", "openstack"}}) {
    if (!parsed.values(rule.option).empty() && engine != rule.engine) {
      return Error{
          ErrorKind::invalid_input,
          std::string("--") + rule.option + " is for " + rule.engine + "'s instances",
          std::string("add --engine ") + rule.engine + ", or leave --" + rule.option + " out"};
    }
  }
  if (parsed.has("flavor") && (parsed.has("memory") || parsed.has("cpus"))) {
    return Error{ErrorKind::invalid_input,
                 "a flavour has its own memory and processors",
                 "give --flavor, or --memory and --cpus to have the smallest that fits"};
  }
  return {};
}

Result<launch::LaunchRequest> fleet_request(const Parsed& parsed) {
  launch::LaunchRequest request = TRY(launch_request(parsed));
  request.count = TRY(parsed.integer("count", 1, 10000)).value_or(1);
  request.fleet = parsed.value("fleet").value_or("");
  if (const auto lifetime = parsed.value("for")) {
    request.lifetime = TRY(duration_from(*lifetime));
  }
  request.engine = parsed.value("engine").value_or(request.engine);
  TRY(check_engine_options(parsed, request.engine));
  request.hosts = parsed.values("host");
  request.container_disk = parsed.value("container-disk").value_or("");
  request.cloud = parsed.value("cloud").value_or("");
  request.flavor = parsed.value("flavor").value_or("");
  request.key_pair = parsed.value("key-pair").value_or("");
  if (const auto network = parsed.value("network")) {
    request.network = TRY(launch::Network::parse(*network));
  }
  if (const auto file = parsed.value("user-data")) {
    request.user_data = TRY(file_of("--user-data", *file, 256_KiB));
  }
  for (const std::string& file : parsed.values("ssh-key")) {
    for (std::string& line : TRY(keys_from(file))) {
      line.erase(line.find_last_not_of(" \t") + 1);
      request.keys.push_back({request.ssh_user, std::move(line)});
    }
  }
  request.uefi = parsed.has("uefi");
  request.prepare_only = parsed.has("prepare-only");
  request.warm = parsed.has("warm");
  request.parallel = static_cast<int>(TRY(parsed.integer("parallel", 1, 1000)).value_or(0));
  if (const auto budget = parsed.value("memory-budget")) {
    request.memory_budget = TRY(parse_bytes(*budget).context("--memory-budget"));
  }
  return request;
}

/// The value below which this share of the sorted ones lies.
double percentile(const std::vector<double>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(last * share))];
}

/// Counts by state as they change, and at the end how long it took until ready.
class FleetView {
 public:
  FleetView(Terminal& terminal, int count) : terminal_(terminal), count_(count) {}

  void changed(const launch::Instance& instance) {
    const auto total = static_cast<std::uint64_t>(count_);
    ProgressView& progress = terminal_.progress();
    if (instance.state == launch::State::starting) {
      progress.show("started", ++started_, total);
      booting_.insert(instance.name);
      progress.show("booting", booting_.size(), 0);
    } else if (booting_.erase(instance.name) > 0) {
      progress.show("booting", booting_.size(), 0);
    }
    if (instance.state == launch::State::ready) {
      ready_.push_back(instance.ready_seconds.value_or(0));
      progress.show("ready", ready_.size(), total);
    } else if (instance.state == launch::State::failed) {
      progress.show("failed", ++failed_, 0);
    }
    if (count_ <= kNamed || instance.state == launch::State::failed) {
      terminal_.progress().log(instance.name + ": " + launch::name_of(instance.state));
    }
  }

  /// "400 ready, 0 failed; p50 1.2 s, p99 3.1 s".
  std::string summary() {
    std::string text =
        std::to_string(ready_.size()) + " ready, " + std::to_string(failed_) + " failed";
    if (!ready_.empty()) {
      std::sort(ready_.begin(), ready_.end());
      text += "; to ready: p50 " + seconds_text(percentile(ready_, 0.5)) + ", p99 " +
              seconds_text(percentile(ready_, 0.99));
    }
    return text;
  }

 private:
  static constexpr int kNamed = 20;  // a larger fleet is told by numbers
  Terminal& terminal_;
  int count_;
  std::set<std::string> booting_;
  std::uint64_t started_ = 0;
  std::uint64_t failed_ = 0;
  std::vector<double> ready_;
};

void show_manifests(const launch::Fleet& fleet, Terminal& terminal) {
  for (const Json& manifest : fleet.manifests) {
    terminal.print("---\n" + recipe::yaml_text(manifest));
  }
}

void show(const launch::Fleet& fleet, Terminal& terminal) {
  Table table{{{"instance"},
               {"host name"},
               {"machine-id"},
               {"SSH"},
               {"state"},
               {"ready", Table::Align::right}},
              {}};
  for (const launch::Instance& instance : fleet.instances) {
    table.rows.push_back({instance.name,
                          instance.hostname,
                          instance.machine_id,
                          ssh_place(instance),
                          launch::name_of(instance.state),
                          instance.ready_seconds ? seconds_text(*instance.ready_seconds) : ""});
  }
  terminal.print_table(table);
  warn_of(fleet.instances, terminal);
  for (const std::string& warning : fleet.warnings) {
    terminal.warn(warning);
  }
  terminal.print_line("fleet " + fleet.name + ": " + seconds_text(fleet.seconds) +
                      (fleet.accelerator.empty() ? "" : ", " + fleet.accelerator));
}

int run_launch(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    launch::LaunchRequest request = TRY(fleet_request(parsed));
    request.tell = [&terminal](const std::string& line) { terminal.progress().log(line); };
    FleetView view(terminal, request.count);
    const launch::Fleet fleet = TRY(factory::launch_image(
        session, request, [&view](const launch::Instance& instance) { view.changed(instance); }));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(launch::to_json(fleet));
    } else if (!fleet.manifests.empty()) {
      show_manifests(fleet, terminal);
    } else {
      show(fleet, terminal);
      if (!request.prepare_only) {
        terminal.print_line(view.summary());
        terminal.print_line(fleet.budget);
      }
    }
    for (const launch::Instance& instance : fleet.instances) {
      if (instance.state == launch::State::failed) {
        return 1;
      }
    }
    return 0;
  });
}

/// Where they run, and what only one engine understands.
std::vector<Option> engine_options() {
  return {
      {.name = "engine",
       .value = "ENGINE",
       .doc = "What runs them: qemu on this machine, libvirt on the hosts of `goldmill hosts`, "
              "openstack, a cloud's Nova, or kubevirt, for which the objects to be applied are "
              "printed.",
       .choices = launch::engine_names(),
       .standard = "qemu"},
      {.name = "host", .value = "NAME", .doc = "Only on this libvirt host.", .repeatable = true},
      {.name = "cloud",
       .value = "NAME",
       .doc = "The OpenStack cloud, as clouds.yaml names it.",
       .standard = "$OS_CLOUD, else that of the OS_ variables, else the only one"},
      {.name = "flavor",
       .value = "NAME",
       .doc = "The cloud's flavour, instead of --memory and --cpus.",
       .standard = "the smallest that fits"},
      {.name = "key-pair",
       .value = "NAME",
       .doc = "A key pair of the cloud that the instances accept, too."},
      {.name = "container-disk",
       .value = "REFERENCE",
       .doc = "For kubevirt: the image as a container image in a registry; see `goldmill "
              "export`."},
      {.name = "network",
       .value = "NETWORK",
       .doc = "user: each has a network of its own, and its SSH port is forwarded from this "
              "machine's loopback. netns: they share one that goldmill makes, reach each other and "
              "nothing else; with netns=NAME several fleets can. bridge=NAME: all are plugged into "
              "this bridge, which needs root. network=NAME: one of libvirt's or of the cloud's.",
       .standard = "user"}};
}

/// Who they are and what becomes of them.
std::vector<Option> instance_options() {
  return {{.name = "ssh-key",
           .value = "FILE",
           .doc = "A public key that root accepts.",
           .repeatable = true,
           .completes = Completes::files},
          {.name = "user-data",
           .value = "FILE",
           .doc = "Stored at /run/goldmill/user-data of each; never executed.",
           .completes = Completes::files},
          {.name = "for", .value = "TIME", .doc = "Removes them after 90s, 30m, 2h or 7d."},
          {.name = "uefi", .doc = "Starts by UEFI instead of BIOS."},
          {.name = "parallel",
           .value = "N",
           .doc = "How many start at once, on each host.",
           .standard = "two processors of theirs for each core; in a cloud eight"},
          {.name = "memory-budget",
           .value = "SIZE",
           .doc = "Memory that all of them may take of this machine; those that do not fit fail, "
                  "each for itself.",
           .standard = "nine tenths of what is free"},
          {.name = "prepare-only", .doc = "Makes disks and identities, starts nothing."}};
}

std::vector<Option> launch_options() {
  std::vector<Option> options = {
      {.name = "count", .letter = 'n', .value = "N", .doc = "How many.", .standard = "1"},
      {.name = "fleet",
       .value = "NAME",
       .doc = "What this launch is called.",
       .standard = "after the image"},
      {.name = "warm", .doc = "Goes on from a snapshot of the booted image instead of booting."}};
  for (const auto& part : {machine_options(), engine_options(), instance_options()}) {
    options.insert(options.end(), part.begin(), part.end());
  }
  return options;
}

}  // namespace

std::string ssh_place(const launch::Instance& instance) {
  return instance.address.empty() || instance.ssh_port == 0
             ? ""
             : instance.address + ":" + std::to_string(instance.ssh_port);
}

void warn_of(const std::vector<launch::Instance>& instances, Terminal& terminal) {
  std::map<std::string, std::vector<std::string>> names;
  for (const launch::Instance& instance : instances) {
    if (!instance.error.empty()) {
      terminal.warn(instance.name + ": " + instance.error);
    }
    for (const std::string& warning : instance.warnings) {
      names[warning].push_back(instance.name);
    }
  }
  for (const auto& [warning, whose] : names) {
    const std::size_t others = whose.size() - 1;
    terminal.warn(whose.front() + (others == 0 ? "" : " and " + std::to_string(others) + " more") +
                  ": " + warning);
  }
}

std::vector<Option> machine_options() {
  return {{.name = "memory", .value = "SIZE", .doc = "Memory of each.", .standard = "512MiB"},
          {.name = "cpus", .value = "N", .doc = "Processors of each.", .standard = "1"},
          {.name = "disk-size",
           .value = "SIZE",
           .doc = "A larger disk; the root file system grows by itself."}};
}

Result<launch::LaunchRequest> launch_request(const Parsed& parsed) {
  launch::LaunchRequest request;
  request.image = parsed.argument(0);
  request.cpus = TRY(parsed.integer("cpus", 1, 255)).value_or(1);  // q35's
  if (const auto memory = parsed.value("memory")) {
    request.memory = TRY(memory_from(*memory, parsed.value("engine").value_or("qemu") != "qemu"));
  }
  if (const auto size = parsed.value("disk-size")) {
    request.disk_size = TRY(parse_bytes(*size).context("--disk-size"));
  }
  return request;
}

Command launch_command() {
  return {
      .name = "launch",
      .summary = "start instances of an image, each with its own identity",
      .description =
          {"Starts linked instances: each has a copy-on-write disk of a few kilobytes on the image "
           "and its own host name, machine-id, SSH host key, MAC address and random seed, given "
           "by the agent before SSH starts. Waits until each is ready or has failed; one that "
           "fails is a row of its own and stops no other.",
           "With --warm they go on from the memory of a booted, quiet machine of the image (see "
           "`goldmill warm`): each gets a new identity before its network cable is plugged in. "
           "docs/warm.md says what warm instances inevitably share."},
      .arguments = {{"IMAGE", "NAME or NAME@VERSION", Argument::Count::one, Completes::images}},
      .options = launch_options(),
      .examples = {{"goldmill launch java -n 3", "three instances"},
                   {"goldmill launch java -n 400 --warm", "in seconds each"},
                   {"goldmill launch db -n 3 --network netns", "they reach each other"},
                   {"goldmill launch java -n 40 --engine libvirt --network bridge=br0",
                    "over all hosts of `goldmill hosts`"},
                   {"goldmill launch java -n 40 --engine kubevirt "
                    "--container-disk registry.example.org/java:3 | kubectl apply -f -",
                    "a pool in a Kubernetes cluster"},
                   {"goldmill launch java -n 400 --engine openstack --network network=web", ""},
                   {"goldmill launch web --memory 1GiB --disk-size 20GiB", ""}},
      .exit_statuses = {{1, "an instance failed"}},
      .see_also = {"warm", "hosts", "ps", "ssh", "stop", "start", "rm"},
      .run = run_launch};
}

}  // namespace goldmill::cli
