// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/launch/launch.hpp>
#include <goldmill/system/side_by_side.hpp>

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

std::string ansible_line(const launch::Instance& instance, const launch::SshAccess& access) {
  return instance.name + " ansible_host=" + access.address +
         " ansible_port=" + std::to_string(access.port) + " ansible_user=" + access.user +
         " ansible_ssh_private_key_file='" + access.private_key.string() +
         "' ansible_ssh_common_args='-o IdentitiesOnly=yes -o HostKeyAlias=instance -o "
         "HostKeyAlgorithms=ssh-ed25519 -o StrictHostKeyChecking=yes -o \"UserKnownHostsFile=\\\"" +
         access.known_hosts.string() + "\\\"\"" +
         (access.proxy.empty() ? "" : " -o ProxyCommand=\"" + access.proxy + "\"") + "'\n";
}

/// Of those that have a name for other machines, too: no SSH is needed for it.
std::string hosts_file(const std::vector<launch::Instance>& instances) {
  std::string text;
  for (const launch::Instance& instance : instances) {
    if (instance.own_address && !instance.address.empty()) {
      text += instance.address + " " + instance.hostname + "\n";
    }
  }
  return text;
}

/// By fleet; how many cannot be reached is told.
std::string listing(const std::filesystem::path& home,
                    const std::vector<launch::Instance>& instances,
                    Line line,
                    bool grouped,
                    Terminal& terminal) {
  std::vector<std::string> entries(instances.size());
  // A cloud's instances are each asked for the key that they show.
  constexpr std::size_t kAskedAtOnce = 16;
  system::side_by_side(instances.size(), kAskedAtOnce, [&](std::size_t i) {
    const bool reachable = !instances[i].address.empty();  // it was asked just now
    const auto access = reachable ? launch::ssh_access(home, instances[i].name)
                                  : Error{ErrorKind::unavailable, "no address"};
    entries[i] = access ? line(instances[i], *access) : "";
  });
  std::map<std::string, std::string> fleets;
  for (std::size_t i = 0; i < instances.size(); ++i) {
    if (!entries[i].empty()) {
      fleets[instances[i].fleet] += entries[i];
    }
  }
  std::string text;
  for (const auto& [fleet, lines] : fleets) {
    // A group of Ansible's has no hyphen in its name.
    std::string group = fleet;
    std::replace(group.begin(), group.end(), '-', '_');
    text += (grouped ? "[" + group + "]\n" : "") + lines;
  }
  if (const auto left_out = std::count(entries.begin(), entries.end(), ""); left_out > 0) {
    terminal.note(std::to_string(left_out) + " of " + std::to_string(instances.size()) +
                  " cannot be reached by SSH, and are left out");
  }
  return text;
}

Result<std::string> formatted(const std::filesystem::path& home,
                              const std::vector<launch::Instance>& instances,
                              const std::string& format,
                              Terminal& terminal) {
  if (format == "hosts") {
    return hosts_file(instances);
  }
  if (format == "ssh-config") {
    return listing(home, instances, ssh_config, false, terminal);
  }
  if (format == "ansible") {
    return listing(home, instances, ansible_line, true, terminal);
  }
  return Error{ErrorKind::invalid_input,
               "there is no format '" + format + "'",
               did_you_mean(format, {"ssh-config", "hosts", "ansible"})};
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
      terminal.print(TRY(formatted(session.home.root(), instances, *format, terminal)));
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
