// SPDX-License-Identifier: GPL-3.0-or-later
#include "greeting.hpp"

#include <algorithm>
#include <cctype>
#include <thread>

namespace goldmill::launch {

namespace {
using Clock = std::chrono::steady_clock;

constexpr const char* kAddressNotUsed = "its address is not used: ";

/// Once, however often it is looked at.
void note_warning(Instance& instance, std::string text) {
  if (std::find(instance.warnings.begin(), instance.warnings.end(), text) ==
      instance.warnings.end()) {
    instance.warnings.push_back(std::move(text));
  }
}

/// How long a ready instance may take to get an address from a DHCP server. An emulated one on a
/// busy machine was seen to need more than half a minute.
constexpr std::chrono::seconds kAddressLimit(90);
}  // namespace

machine::Identity identity_of(const Record& record, const machine::KeyPair& own) {
  machine::Identity identity;
  identity.hostname = record.instance.hostname;
  identity.instance_id = record.instance.name;
  identity.seed = random_bytes(64);
  identity.user_data = record.user_data;
  for (const UserKey& key : record.keys) {
    identity.keys.push_back({key.user, key.line});
  }
  identity.keys.push_back({record.instance.ssh_user, own.public_line});
  return identity;
}

Result<void> check_identity(const machine::AgentReport& report) {
  for (const char* step : {"seed",
                           "clock",
                           "machine-id",
                           "boot-id",
                           "link",
                           "hostname",
                           "ssh-key",
                           "network",
                           "ssh-host-key"}) {
    for (const std::string& warning : report.warnings) {
      if (warning.starts_with(std::string(step) + ":")) {
        return Error{ErrorKind::tool_failed, "it did not get an identity of its own: " + warning};
      }
    }
  }
  if (report.personalised && report.machine_id.empty()) {
    return Error{ErrorKind::tool_failed,
                 "it did not get an identity of its own: it has no machine-id"};
  }
  return {};
}

void take_report(Record& record, const machine::AgentReport& report) {
  Instance& instance = record.instance;
  if (!report.warnings.empty()) {
    instance.warnings = report.warnings;
  }
  if (report.personalised) {
    instance.machine_id = report.machine_id;
    instance.ssh_host_key = report.ssh_host_key;
    if (report.hostname != instance.hostname) {
      note_warning(instance, "it calls itself " + report.hostname);
    }
  }
  if (report.ready) {
    instance.state = State::ready;
    instance.error.clear();
  }
  if (record.network.is_shared()) {
    const std::string objection = record.network.objection_to(report.address);
    instance.address = objection.empty() ? report.address : "";
    std::erase_if(instance.warnings,
                  [](const std::string& warning) { return warning.starts_with(kAddressNotUsed); });
    if (!objection.empty()) {
      note_warning(instance, kAddressNotUsed + objection);
    }
  }
}

Result<machine::AgentReport> with_address(const Record& record,
                                          machine::AgentChannel& channel,
                                          machine::AgentReport report) {
  const auto end = Clock::now() + kAddressLimit;
  while (record.network.is_shared() && report.address.empty() && Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    report = TRY(channel.status(kAddressLimit));
  }
  return report;
}

std::optional<Error> adopt(Record& record,
                           const machine::KeyPair& own,
                           machine::AgentChannel& channel,
                           Clock::time_point end) {
  const auto report = channel.personalise(
      identity_of(record, own),
      {machine::AgentChannel::Goal::ready,
       time_left(end),
       {},
       [&record](const machine::AgentReport& so_far) { take_report(record, so_far); }});
  if (report) {
    const auto whole = check_identity(*report);
    return whole ? std::nullopt : std::optional(whole.error());
  }
  if (report.error().kind == ErrorKind::conflict) {
    return Error{ErrorKind::conflict, "goldmill ended before it had given it its identity"};
  }
  return std::nullopt;
}

namespace {
/// For a shell, quoted by backslashes: this also stands in quotation marks, in an inventory of
/// Ansible's.
std::string backslashed(const std::string& word) {
  std::string text;
  for (const char letter : word) {
    const bool plain = std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
                       std::string_view("/._-=").find(letter) != std::string_view::npos;
    text += plain ? "" : letter == '%' ? "%" : "\\";  // a single % is ssh's
    text += letter;
  }
  return text;
}

/// Enters the network namespace, as ssh cannot.
std::string proxy_command(const std::filesystem::path& home, const std::string& instance) {
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return "env " + backslashed("GOLDMILL_HOME=" + std::filesystem::absolute(home).string()) + " " +
         backslashed(program.string()) + " connect " + backslashed(instance) + " 22";
}
}  // namespace

Result<machine::SshTarget> ssh_target_of(const Record& record, const Records& records) {
  const Instance& instance = record.instance;
  if (instance.ssh_host_key.empty()) {
    return Error{ErrorKind::unavailable,
                 instance.name + " has reported no SSH host key",
                 "it is not personalised yet, or its image has no SSH server"};
  }
  if (instance.address.empty()) {
    return Error{ErrorKind::unavailable,
                 instance.name + " has no address yet",
                 record.network.is_shared()
                     ? "does a DHCP server answer on " + record.network.name + "?"
                     : "on its host's user network it reaches out and is not reached; launch it "
                       "with --network bridge=NAME or network=NAME"};
  }
  machine::SshTarget target;
  target.address = instance.address;
  target.port = instance.ssh_port;
  target.user = instance.ssh_user;
  target.private_key = TRY(machine::own_key(records.home())).private_key;
  target.host_key = instance.ssh_host_key;
  target.directory = records.directory(instance.name);
  if (record.network.kind == Network::Kind::netns) {
    target.proxy = proxy_command(records.home(), instance.name);
  }
  TRY(machine::pin_host_key(target));
  return target;
}

}  // namespace goldmill::launch
