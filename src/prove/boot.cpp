// SPDX-License-Identifier: GPL-3.0-or-later
#include "boot.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <thread>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/overlay.hpp>
#include <goldmill/machine/tap.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/message.hpp>

#include "boot_time.hpp"
#include "expectations.hpp"

namespace goldmill::prove {

namespace fs = std::filesystem;
using machine::AgentChannel;
using machine::AgentReport;
using machine::Machine;
using system::UniqueFd;

namespace {
constexpr Bytes kGrowth = 1_GiB;

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  const ssize_t got = ::getrandom(bytes.data(), count, 0);
  GOLDMILL_ASSERT(got == static_cast<ssize_t>(count));
  return bytes;
}

std::string random_mac() {
  const std::string bytes = random_bytes(3);
  std::array<char, 24> text{};
  (void)std::snprintf(text.data(),
                      text.size(),
                      "02:67:6d:%02x:%02x:%02x",
                      static_cast<unsigned char>(bytes[0]),
                      static_cast<unsigned char>(bytes[1]),
                      static_cast<unsigned char>(bytes[2]));
  return text.data();
}

/// The first user who may become root: the way in where root may not log in.
std::string sudo_user(const recipe::Recipe& recipe) {
  for (const recipe::User& user : recipe.baseline.users.value_or(std::vector<recipe::User>{})) {
    if (user.sudo) {
      return user.name;
    }
  }
  return "";
}

/// The network worker of one boot, in a thread that runs it to its end.
class Network {
 public:
  Network(const BootSurroundings& around, const Boot& boot, std::string mac, fs::path log)
      : around_(around), boot_(boot), mac_(std::move(mac)), log_path_(std::move(log)) {}
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network() { (void)finish(""); }

  /// The tap device, when the network stands. Errors: the worker's own.
  Result<UniqueFd> start() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return system_error("cannot make a socket pair", errno);
    }
    ours_ = UniqueFd(ends[0]);
    theirs_ = UniqueFd(ends[1]);
    key_ = TRY(system::open_file(around_.key.private_key, O_RDONLY));
    log_ = TRY(system::open_file(log_path_, O_WRONLY | O_CREAT, 0600));
    const Expectations expected = expectations_of(around_.request.recipe);
    job_.name = "prove_network";
    job_.request = {{"mac", mac_},
                    {"sudo_user", sudo_user(around_.request.recipe)},
                    {"expectations", to_json(expected)}};
    job_.confinement = system::Confinement::sandbox;
    job_.hands = {theirs_.get(), key_.get()};
    job_.output = log_.get();
    thread_ = std::thread([this] {
      answer_ = system::run_worker(job_);
      theirs_.reset();  // its end shows on our side
    });
    auto tap = await_tap();
    if (!tap) {
      auto answer = finish("");
      return !answer ? std::move(answer).error() : std::move(tap).error();
    }
    return tap;
  }

  /// Gives the guest's facts ("": there are none) and waits for the rows.
  Result<Json> finish(const std::string& facts) {
    if (!thread_.joinable()) {
      return answer_;
    }
    (void)system::send_all(ours_.get(), facts);
    ::shutdown(ours_.get(), SHUT_WR);
    thread_.join();
    return answer_;
  }

 private:
  Result<UniqueFd> await_tap() {
    UniqueFd tap;
    while (true) {
      system::Message message = TRY(system::receive_message(ours_.get(), std::chrono::seconds(60)));
      if (message.kind == 'n') {
        auto opened = machine::open_tap_in(message.descriptor.get(), [] {
          return machine::open_tap("tap0", machine::Offload::yes);
        });
        TRY(system::send_message(ours_.get(), opened ? 'y' : 'n'));
        if (opened) {
          tap = std::move(opened->file);
        }
      } else if (message.kind == 't') {
        tap = std::move(message.descriptor);
      } else {
        return tap;
      }
    }
  }

  const BootSurroundings& around_;
  const Boot& boot_;
  std::string mac_;
  fs::path log_path_;
  UniqueFd ours_;
  UniqueFd theirs_;
  UniqueFd key_;
  UniqueFd log_;
  system::WorkerJob job_;
  Result<Json> answer_ = Error{ErrorKind::internal, "the network worker was not started"};
  std::thread thread_;
};

/// The files of one boot; they live as long as its machine.
struct Disks {
  machine::ImageDisk image;
  UniqueFd overlay;
  UniqueFd variables;
};

Result<machine::MachineSpec> machine_for(const BootSurroundings& around,
                                         const Boot& boot,
                                         const fs::path& directory,
                                         Disks& disks) {
  const ProveRequest& request = around.request;
  const Bytes size = TRY(machine::virtual_size(request.disk, request.disk_format));
  const fs::path overlay = directory / "disk.qcow2";
  TRY(machine::write_overlay(overlay,
                             {fs::absolute(request.disk).string(),
                              request.disk_format,
                              Bytes{size.value + kGrowth.value}}));
  disks.image = TRY(machine::ImageDisk::open(request.disk, request.disk_format));
  disks.overlay = TRY(system::open_file(overlay, O_RDWR));
  machine::MachineSpec spec;
  spec.name = "test";
  spec.accelerator = around.accelerator;
  spec.memory = request.memory;
  spec.cpus = request.cpus;
  spec.firmware = boot.firmware;
  spec.disk = machine::DiskSpec{
      disks.overlay.get(), "qcow2", disks.image.files(), request.disk_format, boot.controller};
  spec.directory = directory;
  if (boot.firmware != machine::Firmware::bios) {
    const fs::path own = directory / "variables.fd";
    auto original = system::read_file(machine::firmware_variables(boot.firmware), 64_MiB);
    if (!original) {
      original.error().hint = "install Debian's ovmf package";
      return std::move(original).error();
    }
    TRY(system::write_file(own, *original, 0600));
    disks.variables = TRY(system::open_file(own, O_RDWR));
    spec.variables = disks.variables.get();
  }
  return spec;
}

machine::Identity identity_for(const BootSurroundings& around, const Boot& boot) {
  machine::Identity identity;
  identity.hostname = "test-" + boot.name.substr(0, boot.name.find(' '));
  identity.instance_id = identity.hostname;
  identity.seed = random_bytes(64);
  identity.keys.push_back({"root", around.key.public_line});
  const std::string user = sudo_user(around.request.recipe);
  if (!user.empty()) {
    identity.keys.push_back({user, around.key.public_line});
  }
  return identity;
}

Result<AgentReport> await_ready(const BootSurroundings& around,
                                const Boot& boot,
                                const fs::path& directory,
                                std::chrono::seconds limit) {
  AgentChannel channel = TRY(AgentChannel::connect(directory / machine::kAgentSocket));
  machine::BootWatch watch(directory);
  const auto give_up = [&watch] { return watch.pointless(); };
  bool told = false;
  const auto heard = [&](const AgentReport& report) {
    if (report.personalised && !told) {
      told = true;
      around.news(boot.name, "personalised, starting services");
    }
  };
  return channel.personalise(identity_for(around, boot),
                             {AgentChannel::Goal::ready, limit, give_up, heard});
}

void keep_evidence(const ProveRequest& request, const Boot& boot, const fs::path& directory) {
  if (request.evidence.empty()) {
    return;
  }
  std::string name = boot.name;
  std::replace(name.begin(), name.end(), ' ', '-');
  std::error_code ignored;
  fs::create_directories(request.evidence, ignored);
  fs::copy_file(directory / machine::kSerialLog,
                request.evidence / (name + ".serial.log"),
                fs::copy_options::overwrite_existing,
                ignored);
  fs::copy_file(directory / "screen.ppm",
                request.evidence / (name + ".ppm"),
                fs::copy_options::overwrite_existing,
                ignored);
}

void take_rows(const Json& answer, std::vector<Row>& rows) {
  const Json* list = find_value(answer, "rows");
  if (list == nullptr || !list->is_array()) {
    return;
  }
  for (const Json& row : *list) {
    rows.push_back({find_string(row, "promise").value_or(""),
                    find_string(row, "expected").value_or(""),
                    find_string(row, "found").value_or(""),
                    find_bool(row, "passed").value_or(false)});
  }
}
}  // namespace

Result<BootOutcome> boot_and_check(const BootSurroundings& around, const Boot& boot) {
  const auto scratch = TRY(system::TemporaryDirectory::make(around.scratch, "boot."));
  const fs::path& directory = scratch.path();
  Disks disks;
  machine::MachineSpec spec = TRY(machine_for(around, boot, directory, disks));
  spec.network.kind = machine::NetworkSpec::Kind::tap;
  spec.network.mac = random_mac();
  Network network(around, boot, spec.network.mac, directory / "network.log");
  const UniqueFd tap = TRY(network.start().context("while making a network"));
  spec.network.tap = tap.get();

  const auto begin = std::chrono::steady_clock::now();
  Machine guest = TRY(Machine::start(spec));
  around.news(boot.name, "started");
  const BootTime time(around.request.recipe.promises.boot_seconds, around.accelerator);
  const auto report = await_ready(around, boot, directory, time.patience());
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  BootOutcome outcome;
  outcome.warning = guest.warning();
  Json facts;
  if (report) {
    outcome.machine_id = report->machine_id;
    outcome.ssh_host_key = report->ssh_host_key;
    const auto serial = system::read_file(directory / machine::kSerialLog, machine::kMostSerial);
    outcome.rows.push_back(time.judge(took, serial ? *serial : ""));
    facts = {{"machine_id", report->machine_id}, {"host_key", report->ssh_host_key}};
    around.news(boot.name, "up after " + outcome.rows.back().found + ", checking");
  } else {
    const auto dossier = machine::collect_dossier(directory, directory / "screen.ppm");
    outcome.failure = BootFailure{boot.name, report.error().text(), machine::to_json(dossier)};
    outcome.rows.push_back(time.failed(report.error().text() + ": " + dossier.likely_cause));
    around.news(boot.name, "failed: " + dossier.likely_cause);
    guest.kill();
  }
  auto answer = network.finish(facts.is_null() ? "" : facts.dump());
  if (answer) {
    take_rows(*answer, outcome.rows);
  } else if (report) {
    return std::move(answer).context("while checking " + boot.name).error();
  }
  keep_evidence(around.request, boot, directory);
  guest.kill();
  return outcome;
}

}  // namespace goldmill::prove
