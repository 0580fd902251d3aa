// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/launch/launch.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

/// "2 h 5 min", "12 s".
std::string uptime_text(double seconds) {
  const auto whole = static_cast<long>(seconds);
  if (whole < 60) {
    return std::to_string(whole) + " s";
  }
  const long minutes = whole / 60;
  if (minutes < 60) {
    return std::to_string(minutes) + " min";
  }
  return std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min";
}

constexpr std::uint16_t kSshPort = 22;

/// How programs other than goldmill reach an instance by SSH.
using Line = std::string (*)(const launch::Instance&, const launch::SshAccess&);

std::string ssh_config(const launch::Instance& instance, const launch::SshAccess& access) {
  return "Host " + instance.name + "\n  HostName " + access.address + "\n  Port " +
         std::to_string(access.port) + "\n  User " + access.user + "\n  IdentityFile \"" +
         access.private_key.string() + "\"\n  IdentitiesOnly yes\n  HostKeyAlias instance\n" +
         "  HostKeyAlgorithms ssh-ed25519\n  UserKnownHostsFile \"" + access.known_hosts.string() +
         "\"\n  StrictHostKeyChecking yes\n" +
         (access.proxy.empty() ? "" : "  ProxyCommand " + access.proxy + "\n");
}

std::string hosts_line(const launch::Instance& instance, const launch::SshAccess& access) {
  // Neither an address in a network namespace nor a port of this machine's is at the other end of
  // a name.
  const bool has_own = access.proxy.empty() && access.port == kSshPort;
  return has_own ? access.address + " " + instance.hostname + "\n" : "";
}

std::string ansible_line(const launch::Instance& instance, const launch::SshAccess& access) {
  return instance.name + " ansible_host=" + access.address +
         " ansible_port=" + std::to_string(access.port) + " ansible_user=" + access.user +
         " ansible_ssh_private_key_file='" + access.private_key.string() +
         "' ansible_ssh_common_args='-o IdentitiesOnly=yes -o HostKeyAlias=instance -o "
         "HostKeyAlgorithms=ssh-ed25519 -o StrictHostKeyChecking=yes -o UserKnownHostsFile=\"" +
         access.known_hosts.string() + "\"" +
         (access.proxy.empty() ? "" : " -o ProxyCommand=\"" + access.proxy + "\"") + "'\n";
}

/// By fleet; instances that cannot be reached are left out.
Result<std::string> listing(const std::filesystem::path& home,
                            const std::vector<launch::Instance>& instances,
                            const std::string& format) {
  const std::map<std::string, Line> lines = {
      {"ssh-config", ssh_config}, {"hosts", hosts_line}, {"ansible", ansible_line}};
  const auto line = lines.find(format);
  if (line == lines.end()) {
    return Error{ErrorKind::invalid_input,
                 "there is no format '" + format + "'",
                 did_you_mean(format, {"ssh-config", "hosts", "ansible"})};
  }
  std::map<std::string, std::string> fleets;
  for (const launch::Instance& instance : instances) {
    if (instance.address.empty()) {
      continue;  // it was asked just now
    }
    if (const auto access = launch::ssh_access(home, instance.name)) {
      fleets[instance.fleet] += line->second(instance, *access);
    }
  }
  std::string text;
  for (const auto& [fleet, entries] : fleets) {
    // A group of Ansible's has no hyphen in its name.
    std::string group = fleet;
    std::replace(group.begin(), group.end(), '-', '_');
    text += (format == "ansible" ? "[" + group + "]\n" : "") + entries;
  }
  return text;
}

Table table_of(const std::vector<launch::Instance>& instances) {
  Table table{{{"instance"},
               {"image"},
               {"fleet"},
               {"host"},
               {"state"},
               {"up", Table::Align::right},
               {"memory", Table::Align::right},
               {"SSH"},
               {"host name"}},
              {}};
  for (const launch::Instance& instance : instances) {
    table.rows.push_back({instance.name,
                          instance.image,
                          instance.fleet,
                          instance.host,
                          launch::name_of(instance.state),
                          instance.uptime_seconds ? uptime_text(*instance.uptime_seconds) : "",
                          instance.memory ? to_text(*instance.memory) : "",
                          ssh_place(instance),
                          instance.hostname});
  }
  return table;
}

int run_ps(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const auto format = parsed.value("format");
    if (format && terminal.json()) {
      return Error{ErrorKind::invalid_input, "--format and --json exclude each other", "say one"};
    }
    const auto instances = TRY(launch::list(session.home.root()));
    if (format) {
      terminal.print(TRY(listing(session.home.root(), instances, *format)));
    } else if (terminal.json()) {
      Json rows = Json::array();
      for (const launch::Instance& instance : instances) {
        rows.push_back(launch::to_json(instance));
      }
      terminal.print_json({{"instances", std::move(rows)}});
    } else {
      terminal.print_table(table_of(instances));
      warn_of(instances, terminal);
    }
    return 0;
  });
}

}  // namespace

Command ps_command() {
  return {
      .name = "ps",
      .summary = "list instances and their real state",
      .description =
          {"Lists all instances, running or not. The state is compared with what "
           "really runs, so it is true after a crash of goldmill or a reboot. Memory is the "
           "instance's share: what several have in common counts for each in part.",
           "With --format the running ones are written for other programs: `ssh-config` to "
           "include in ~/.ssh/config (with pinned host keys), `hosts` for a hosts file (of those "
           "with an address of their own), `ansible` as an inventory with one group for each "
           "fleet."},
      .options = {{.name = "format",
                   .value = "FORMAT",
                   .doc = "ssh-config, hosts or ansible, instead of a table."}},
      .examples = {{"goldmill ps", ""},
                   {"goldmill ps --format ansible > inventory", ""},
                   {"goldmill ps --format ssh-config > ~/.ssh/goldmill",
                    "for `Include goldmill` in ~/.ssh/config"}},
      .see_also = {"launch", "stop"},
      .run = run_ps};
}

}  // namespace goldmill::cli
