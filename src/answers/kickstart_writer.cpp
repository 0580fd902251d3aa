// SPDX-License-Identifier: GPL-3.0-or-later
// Kickstart profile, for Anaconda.
#include <algorithm>

#include <goldmill/kickstart/package_names.hpp>

#include "writers.hpp"

namespace goldmill::answers {

namespace {

/// As a line of Kickstart quotes it.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char letter : text) {
    result += letter == '"' || letter == '\\' ? std::string("\\") + letter : std::string(1, letter);
  }
  return result + "\"";
}

class Kickstart {
 public:
  explicit Kickstart(Machine& machine) : machine_(machine) {}

  std::string run() {
    add("# Written by goldmill from the recipe '" + machine_.merged.name + "'.");
    add("text");
    add_system();
    add_accounts();
    add_network();
    add_disk();
    add("reboot");
    add_packages();
    add_scripts();
    return std::move(text_);
  }

 private:
  void add(const std::string& line) { text_ += line + "\n"; }
  void unsaid(const std::string& what) { machine_.unsaid.push_back(what); }

  void add_system() {
    const recipe::Baseline& baseline = machine_.baseline();
    unsaid("os: Anaconda installs the system that it came with, " + machine_.merged.os->family +
           "'s packages go by its names");
    add("lang " + *baseline.locale);
    if (baseline.keyboard) {
      const std::size_t dash = baseline.keyboard->find('-');
      add(dash == std::string::npos ? "keyboard --vckeymap=" + *baseline.keyboard
                                    : "keyboard --xlayouts='" + baseline.keyboard->substr(0, dash) +
                                          " (" + baseline.keyboard->substr(dash + 1) + ")'");
    }
    add("timezone " + *baseline.timezone + " --utc");
  }

  void add_accounts() {
    const recipe::Baseline& baseline = machine_.baseline();
    add(*baseline.root == "locked" ? "rootpw --lock" : "rootpw --iscrypted " + *baseline.root);
    for (const recipe::User& user : *baseline.users) {
      std::vector<std::string> groups = user.groups;
      if (user.sudo) {
        groups.insert(groups.begin(), "wheel");
      }
      add("user --name=" + user.name + (groups.empty() ? "" : " --groups=" + joined(groups, ",")) +
          (user.shell == "/bin/bash" ? "" : " --shell=" + user.shell) +
          (user.password_hash.empty() ? " --lock"
                                      : " --iscrypted --password=" + user.password_hash));
      for (const std::string& key : user.ssh_keys) {
        add("sshkey --username=" + user.name + " " + quoted(key));
      }
      if (user.sudo && user.password_hash.empty()) {
        scripts_.push_back({"/bin/sh", sudo_script(user)});
      }
    }
    unsaid(std::string("baseline.ssh.passwords: the installed SSH server ") +
           (*baseline.ssh_passwords
                ? "accepts them, or not, as it comes"
                : "may accept them; no account here has one unless it is said"));
  }

  void add_network() {
    add("network --bootproto=dhcp");
    std::vector<std::string> services;
    std::vector<std::string> ports;
    bool has_ssh = false;
    for (const std::string& port : *machine_.baseline().firewall_inbound) {
      const std::size_t slash = port.find('/');
      has_ssh = has_ssh || port == "ssh";
      if (slash == std::string::npos) {
        services.push_back(port);
      } else {
        ports.push_back(port.substr(0, slash) + ":" + port.substr(slash + 1));
      }
    }
    add(std::string("firewall --enabled") +
        (services.empty() ? "" : " --service=" + joined(services, ",")) +
        (ports.empty() ? "" : " --port=" + joined(ports, ",")) +
        (has_ssh ? "" : " --remove-service=ssh"));
  }

  void add_disk() {
    const auto options = machine_.kernel_options();
    add("bootloader" + (options.empty() ? "" : " --append=" + quoted(joined(options, " "))));
    add("zerombr");
    add("clearpart --all --initlabel");
    add("reqpart");
    for (const Volume& volume : machine_.volumes) {
      add("part " + (volume.mount.empty() ? "swap" : volume.mount) +
          " --fstype=" + volume.filesystem + " --size=" + std::to_string(volume.mib) +
          (volume.label.empty() ? "" : " --label=" + volume.label) +
          (volume.is_root ? " --grow" : ""));
    }
    if (!machine_.has(recipe::Firmware::bios) || !machine_.has(recipe::Firmware::uefi)) {
      unsaid("disk.boot: Anaconda prepares the firmware that it was started by");
    }
  }

  void add_packages() {
    add(std::string("%packages") + (*machine_.merged.recommends ? "" : " --exclude-weakdeps"));
    for (const bool removes : {false, true}) {
      for (const std::string& name : removes ? machine_.remove : machine_.install) {
        const std::string known = kickstart::rpm_name(name);
        if (known.empty()) {
          unsaid("packages: " + name + ", for which no name in Fedora is known");
        } else {
          add((removes ? "-" : "") + known);
        }
      }
    }
    add("%end");
    if (*machine_.merged.recommends) {
      unsaid("recommends: Anaconda installs weak dependencies by itself; import takes no notice");
    }
    if (!machine_.debconf.empty()) {
      unsaid("debconf: RPM packages ask nothing");
    }
    if (!machine_.merged.proxy.empty()) {
      unsaid("proxy: add it to the `url` command that names the packages' source");
    }
  }

  void add_scripts() {
    scripts_.insert(scripts_.end(), machine_.scripts.begin(), machine_.scripts.end());
    for (const Script& script : scripts_) {
      const std::size_t space = script.interpreter.find(' ');
      const bool acts = has_line_with_percent(script.text);
      if (space != std::string::npos || acts) {
        unsaid(acts ? "provision: a script with a line that begins with '%', which ends a section"
                    : "provision: a script whose interpreter has arguments");
        continue;
      }
      add("%post --interpreter=" + script.interpreter + mode_of(script));
      text_ += body_of(script);
      add("%end");
    }
  }

  /// Readers of profiles look at a section's lines without the spaces around them.
  static bool has_line_with_percent(const std::string& text) {
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t first = text.find_first_not_of(" \t\r\f\v", start);
      if (first != std::string::npos && text[first] == '%') {
        return true;
      }
      start = std::min(text.find('\n', start), text.size() - 1) + 1;
    }
    return false;
  }

  /// A script that came from a profile says whether its failure counts.
  static constexpr std::string_view kCounts = "# --erroronfail\n";
  static constexpr std::string_view kDoesNot = "trap 'exit 0' EXIT  # without --erroronfail";

  static std::string mode_of(const Script& script) {
    return script.text.starts_with(kDoesNot) ? "" : " --erroronfail";
  }

  static std::string body_of(const Script& script) {
    if (script.text.starts_with(kCounts)) {
      return script.text.substr(kCounts.size());
    }
    return script.text.starts_with(kDoesNot)
               ? script.text.substr(std::min(script.text.find('\n') + 1, script.text.size()))
               : script.text;
  }

  Machine& machine_;
  std::vector<Script> scripts_;
  std::string text_;
};

}  // namespace

std::string write_kickstart(Machine& machine) {
  return Kickstart(machine).run();
}

}  // namespace goldmill::answers
