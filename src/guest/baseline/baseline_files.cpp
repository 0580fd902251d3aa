// SPDX-License-Identifier: GPL-3.0-or-later
// The baseline's files: each function gives the files of one promise.
#include <algorithm>
#include <cctype>
#include <set>

#include <goldmill/guest/baseline_step.hpp>
#include <goldmill/guest/security_policy.hpp>

#include "baseline.hpp"

namespace goldmill::guest {
namespace {

constexpr const char* kMade = "# Made by goldmill from the recipe's baseline.\n";

TreeFile text_file(std::string path, std::string content) {
  return {std::move(path), kMade + std::move(content), 0644, ""};
}

void add_network(const recipe::Baseline& baseline, std::vector<TreeFile>& files) {
  if (!has_network(baseline)) {
    return;
  }
  // The MAC as DHCP's client id: reservations by MAC work, and a lease survives a new machine-id.
  files.push_back(text_file("/etc/systemd/network/80-goldmill-dhcp.network",
                            "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n\n"
                            "[DHCPv4]\nClientIdentifier=mac\n"));
  // A link made while the image is built would be lost: resolv.conf is a mount then.
  files.push_back(text_file("/etc/tmpfiles.d/goldmill-resolv.conf",
                            "L+! /etc/resolv.conf - - - - "
                            "../run/systemd/resolve/stub-resolv.conf\n"));
}

std::string port_rules(const std::set<Port>& ports) {
  std::string rules;
  for (const char* protocol : {"tcp", "udp"}) {
    std::string list;
    for (const Port& port : ports) {
      if (port.protocol == protocol) {
        list += (list.empty() ? "" : ", ") + std::to_string(port.number);
      }
    }
    if (!list.empty()) {
      rules += std::string("    ") + protocol + " dport { " + list + " } accept\n";
    }
  }
  return rules;
}

Result<void> add_firewall(const recipe::Baseline& baseline, std::vector<TreeFile>& files) {
  if (!has_firewall(baseline)) {
    return {};
  }
  std::set<Port> ports;
  for (const std::string& text : *baseline.firewall_inbound) {
    ports.insert(TRY(parse_port(text).context("firewall: inbound")));
  }
  // The first two lines make loading it again replace the old rules in one transaction.
  // ICMP: RFC 4890 for IPv6; without neighbour discovery and packet-too-big nothing works.
  files.push_back(text_file(
      "/etc/goldmill/firewall.nft",
      "table inet goldmill\ndelete table inet goldmill\n"
      "table inet goldmill {\n  chain input {\n"
      "    type filter hook input priority filter; policy drop;\n"
      "    ct state established,related accept\n"
      "    ct state invalid drop\n"
      "    iifname \"lo\" accept\n"
      "    icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } "
      "accept\n"
      "    icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, "
      "parameter-problem, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, "
      "mld-listener-query } accept\n"
      "    udp sport 67 udp dport 68 accept\n"
      "    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept\n" +
          port_rules(ports) + "  }\n}\n"));
  files.push_back(text_file("/etc/systemd/system/goldmill-firewall.service",
                            "[Unit]\nDescription=Firewall of the baseline\nDefaultDependencies=no\n"
                            "After=local-fs.target systemd-modules-load.service\n"
                            "Before=network-pre.target shutdown.target\nWants=network-pre.target\n"
                            "Conflicts=shutdown.target\n\n"
                            "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
                            "ExecStart=/usr/sbin/nft -f /etc/goldmill/firewall.nft\n"
                            "ExecReload=/usr/sbin/nft -f /etc/goldmill/firewall.nft\n\n"
                            "[Install]\nWantedBy=sysinit.target\n"));
  return {};
}

void add_ssh(const recipe::Baseline& baseline, std::vector<TreeFile>& files) {
  if (!has_ssh(baseline)) {
    return;
  }
  const bool passwords = baseline.ssh_passwords.value_or(false);
  // One host key: the one that the agent makes and reports.
  files.push_back(
      text_file("/etc/ssh/sshd_config.d/30-goldmill.conf",
                "HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\n"
                "PasswordAuthentication " +
                    std::string(passwords ? "yes" : "no") +
                    "\n"
                    "KbdInteractiveAuthentication no\n"
                    "AuthorizedKeysFile .ssh/authorized_keys /etc/goldmill/authorized_keys/%u\n"));
}

void add_users(const recipe::Baseline& baseline, std::vector<TreeFile>& files) {
  std::string sudoers;
  std::string first;
  for (const recipe::User& user : users_of(baseline)) {
    if (user.sudo && user.name != "root") {
      // Without a password there is nothing to ask for.
      sudoers += user.name + (user.password_hash.empty() ? " ALL=(ALL:ALL) NOPASSWD: ALL\n"
                                                         : " ALL=(ALL:ALL) ALL\n");
      first = first.empty() ? user.name : first;
    }
  }
  if (!sudoers.empty()) {
    files.push_back({"/etc/sudoers.d/goldmill", kMade + sudoers, 0440, ""});
    // Keys from a cloud that names no user are this user's.
    files.push_back({"/usr/lib/goldmill/default-user", first + "\n", 0644, ""});
  }
}

std::set<std::string> clouds_of(const recipe::Recipe& merged) {
  const auto clouds = merged.clouds.value_or(std::vector<std::string>{});
  return {clouds.begin(), clouds.end()};
}

/// For the agent: whose metadata services it may ask. Without the file it asks none.
void add_clouds(const recipe::Recipe& merged, std::vector<TreeFile>& files) {
  std::string list;
  for (const std::string& cloud : clouds_of(merged)) {
    list += cloud + "\n";
  }
  if (!list.empty()) {
    files.push_back({"/usr/lib/goldmill/clouds", list, 0644, ""});
  }
}

void add_language(const recipe::Baseline& baseline, std::vector<TreeFile>& files) {
  const std::string zone = baseline.timezone.value_or("Etc/UTC");
  files.push_back({"/etc/localtime", "", 0644, "/usr/share/zoneinfo/" + zone});
  files.push_back({"/etc/timezone", zone + "\n", 0644, ""});
  const std::string locale = "LANG=" + baseline.locale.value_or("C.UTF-8") + "\n";
  files.push_back(text_file("/etc/default/locale", locale));  // PAM's: logins
  files.push_back(text_file("/etc/locale.conf", locale));     // systemd's: services
  if (baseline.keyboard) {                                    // "de-nodeadkeys": layout and variant
    const std::string layout = baseline.keyboard->substr(0, baseline.keyboard->find('-'));
    const std::string variant =
        layout == *baseline.keyboard ? "" : baseline.keyboard->substr(layout.size() + 1);
    files.push_back(text_file("/etc/default/keyboard",
                              "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"" + layout + "\"\nXKBVARIANT=\"" +
                                  variant + "\"\nXKBOPTIONS=\"\"\nBACKSPACE=\"guess\"\n"));
  }
}

/// The recipe's name as one label of a host name.
std::string host_name_of(const recipe::Recipe& merged) {
  std::string name = merged.name.substr(0, 63);
  std::replace_if(
      name.begin(),
      name.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '-'; },
      '-');
  return name;
}

void add_names(const recipe::Recipe& merged, std::vector<TreeFile>& files) {
  const std::string name = host_name_of(merged);
  files.push_back({"/etc/hostname", name + "\n", 0644, ""});
  files.push_back(
      {"/etc/hosts",
       "127.0.0.1 localhost\n127.0.1.1 " + name + "\n::1 localhost ip6-localhost ip6-loopback\n",
       0644,
       ""});
  // Empty, not missing: PID 1 then draws one at first boot and keeps the presets as they are.
  files.push_back({"/etc/machine-id", "", 0444, ""});
}

std::vector<std::string> modules_for(const std::vector<recipe::Hardware>& hardware) {
  using recipe::Hardware;
  static const std::vector<std::pair<Hardware, std::vector<std::string>>> kTable = {
      {Hardware::virtio, {"virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "sd_mod"}},
      {Hardware::nvme, {"nvme"}},
      {Hardware::vmware, {"vmw_pvscsi", "mptspi", "mptsas", "ahci", "ata_piix", "sd_mod"}},
      {Hardware::hyperv, {"hv_vmbus", "hv_storvsc", "sd_mod"}},
      {Hardware::xen, {"xen-blkfront"}},
  };
  std::vector<std::string> modules = {"ext4", "crc32c_generic", "crc32c_intel"};
  for (const auto& [kind, names] : kTable) {
    const bool is_wanted =
        hardware.empty() || std::find(hardware.begin(), hardware.end(), kind) != hardware.end();
    for (const std::string& name : names) {
      if (is_wanted && std::find(modules.begin(), modules.end(), name) == modules.end()) {
        modules.push_back(name);
      }
    }
  }
  return modules;
}

void add_initramfs(const recipe::Recipe& merged, std::vector<TreeFile>& files) {
  // gzip: every kernel unpacks it, and its bytes do not depend on a library's version.
  files.push_back(
      text_file("/etc/initramfs-tools/conf.d/goldmill", "MODULES=list\nCOMPRESS=gzip\n"));
  std::string list;
  for (const std::string& module : modules_for(merged.hardware)) {
    list += module + "\n";
  }
  files.push_back(text_file("/usr/share/initramfs-tools/modules.d/goldmill", list));
}

}  // namespace

std::vector<recipe::User> users_of(const recipe::Baseline& baseline) {
  return baseline.users.value_or(std::vector<recipe::User>{});
}

bool has_network(const recipe::Baseline& baseline) {
  return baseline.network.value_or("dhcp") == "dhcp";
}

bool has_firewall(const recipe::Baseline& baseline) {
  return baseline.firewall_inbound.has_value();
}

bool has_ssh(const recipe::Baseline& baseline) {
  const auto inbound = baseline.firewall_inbound.value_or(std::vector<std::string>{"ssh"});
  const auto users = users_of(baseline);
  return baseline.ssh_passwords.has_value() ||
         std::any_of(inbound.begin(),
                     inbound.end(),
                     [](const std::string& text) {
                       return text == "ssh" || text == "22" || text == "22/tcp";
                     }) ||
         std::any_of(users.begin(), users.end(), [](const recipe::User& user) {
           return !user.ssh_keys.empty();
         });
}

bool has_sudo(const recipe::Baseline& baseline) {
  const auto users = users_of(baseline);
  return std::any_of(users.begin(), users.end(), [](const auto& user) { return user.sudo; });
}

bool has_policy(const recipe::Baseline& baseline) {
  return baseline.security.value_or("standard") == "standard";
}

bool needs_locale_package(const recipe::Baseline& baseline) {
  const std::string locale = baseline.locale.value_or("C.UTF-8");
  return locale != "C.UTF-8" && locale != "C" && locale != "POSIX";
}

Result<std::vector<TreeFile>> baseline_files(const recipe::Recipe& merged,
                                             const recipe::Os& /*os*/) {
  const recipe::Baseline& baseline = merged.baseline;
  std::vector<TreeFile> files;
  add_names(merged, files);
  add_language(baseline, files);
  add_network(baseline, files);
  TRY(add_firewall(baseline, files));
  add_ssh(baseline, files);
  add_users(baseline, files);
  add_clouds(merged, files);
  if (has_policy(baseline)) {
    for (TreeFile& file : policy_files(standard_policy())) {
      const bool is_moot = (file.path.starts_with("/etc/ssh/") && !has_ssh(baseline)) ||
                           (file.path.starts_with("/etc/sudoers.d/") && !has_sudo(baseline));
      if (!is_moot) {
        files.push_back(std::move(file));
      }
    }
  }
  add_initramfs(merged, files);
  std::sort(files.begin(), files.end(), [](const TreeFile& a, const TreeFile& b) {
    return a.path < b.path;
  });
  return files;
}

std::vector<std::string> baseline_packages(const recipe::Recipe& merged, const recipe::Os& os) {
  const recipe::Baseline& baseline = merged.baseline;
  // Time stamps and certificates need a right clock. Enabled by its own package.
  std::set<std::string> packages = {"systemd-timesyncd", "tzdata"};
  const bool has_built_in_resolved = os.release == "11" || os.release == "bullseye" ||
                                     os.release == "22.04" || os.release == "jammy";
  if (has_network(baseline) && !has_built_in_resolved) {
    packages.insert("systemd-resolved");
  }
  if (has_firewall(baseline)) {
    packages.insert("nftables");
  }
  if (has_ssh(baseline)) {
    packages.insert("openssh-server");
  }
  if (has_sudo(baseline)) {
    packages.insert("sudo");
  }
  if (needs_locale_package(baseline)) {
    packages.insert("locales");
  }
  if (baseline.keyboard) {
    packages.insert({"console-setup", "keyboard-configuration"});
  }
  return {packages.begin(), packages.end()};
}

std::vector<std::string> explain_baseline(const recipe::Recipe& merged) {
  const recipe::Baseline& baseline = merged.baseline;
  std::vector<std::string> lines;
  if (has_network(baseline)) {
    lines.emplace_back("network: every en* and eth* interface asks DHCP, by its MAC address");
  }
  if (has_firewall(baseline)) {
    std::string ports;
    for (const std::string& port : *baseline.firewall_inbound) {
      ports += " " + port;
    }
    lines.push_back("firewall: inbound closed but for" + (ports.empty() ? " nothing" : ports) +
                    ", ping and answers to own connections");
  }
  if (has_ssh(baseline)) {
    lines.push_back(std::string("ssh: passwords ") +
                    (baseline.ssh_passwords.value_or(false) ? "accepted" : "refused") +
                    "; root by key only; one Ed25519 host key, made by each instance");
  }
  lines.push_back(baseline.root.value_or("locked") == "locked" ? "root: no password"
                                                               : "root: password by its hash");
  for (const recipe::User& user : users_of(baseline)) {
    lines.push_back("user " + user.name + ": " + std::to_string(user.ssh_keys.size()) +
                    " SSH keys, " + (user.password_hash.empty() ? "no password" : "a password") +
                    (!user.sudo                   ? ""
                     : user.password_hash.empty() ? ", sudo WITHOUT being asked for a password"
                                                  : ", sudo with the password"));
  }
  for (const std::string& cloud : clouds_of(merged)) {
    lines.push_back("cloud " + cloud +
                    ": where the firmware names it, its metadata service gives name, keys and "
                    "user-data");
  }
  return lines;
}

}  // namespace goldmill::guest
