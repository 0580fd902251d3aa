// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <iterator>

#include <goldmill/guest/security_policy.hpp>

namespace goldmill::guest {
namespace {

using Kind = PolicyRule::Kind;

constexpr std::string_view kAnssiKernel = "ANSSI-BP-028 v2.0, R9";
constexpr std::string_view kAnssiNetwork = "ANSSI-BP-028 v2.0, R12; CIS Debian 12, 3.3";
constexpr std::string_view kAnssiFiles = "ANSSI-BP-028 v2.0, R14; proc_sys_fs(5)";
constexpr std::string_view kKspp = "KSPP, Recommended Settings";
constexpr std::string_view kCisProtocols = "CIS Debian 12, 3.2";
constexpr std::string_view kCisFileSystems = "CIS Debian 12, 1.1.1";

struct Group {
  Kind kind;
  std::string_view title;
  std::string_view path;
  std::uint32_t mode;
};

constexpr std::array<Group, 5> kGroups = {{
    {Kind::sysctl, "Kernel and network", "/etc/sysctl.d/60-goldmill-standard.conf", 0644},
    {Kind::module_off,
     "Modules that are never loaded",
     "/etc/modprobe.d/goldmill-standard.conf",
     0644},
    {Kind::sshd, "SSH server", "/etc/ssh/sshd_config.d/35-goldmill-standard.conf", 0644},
    {Kind::sudo, "sudo", "/etc/sudoers.d/goldmill-standard", 0440},
    {Kind::limit, "Limits", "/etc/security/limits.d/60-goldmill-standard.conf", 0644},
}};

constexpr PolicyRule kStandard[] = {
    {Kind::sysctl,
     "kernel.dmesg_restrict = 1",
     "the kernel's log shows addresses and devices that help an attacker",
     kAnssiKernel},
    {Kind::sysctl,
     "kernel.kptr_restrict = 2",
     "kernel addresses in /proc defeat the randomised layout",
     kAnssiKernel},
    {Kind::sysctl,
     "kernel.randomize_va_space = 2",
     "programs lie at unpredictable addresses",
     kAnssiKernel},
    {Kind::sysctl,
     "kernel.sysrq = 0",
     "a console must not be able to kill, sync or reboot without login",
     kAnssiKernel},
    {Kind::sysctl,
     "kernel.perf_event_paranoid = 3",
     "performance counters leak what other users do",
     kKspp},
    {Kind::sysctl,
     "kernel.unprivileged_bpf_disabled = 1",
     "BPF programs of plain users have been a way into the kernel",
     kAnssiKernel},
    {Kind::sysctl,
     "net.core.bpf_jit_harden = 2",
     "compiled BPF must not carry an attacker's constants",
     kKspp},
    {Kind::sysctl,
     "-kernel.yama.ptrace_scope = 1",
     "a broken program must not read the memory of its user's others",
     "ANSSI-BP-028 v2.0, R11; CIS Debian 12, 1.5"},
    {Kind::sysctl,
     "-dev.tty.ldisc_autoload = 0",
     "plain users must not load rare terminal drivers",
     kKspp},
    {Kind::sysctl,
     "-dev.tty.legacy_tiocsti = 0",
     "a program must not type into its terminal (kernel 6.2 and later)",
     kKspp},
    {Kind::sysctl,
     "-vm.unprivileged_userfaultfd = 0",
     "stopping the kernel at a page fault makes races easy to win",
     kKspp},
    {Kind::sysctl,
     "fs.suid_dumpable = 0",
     "a program with more rights than its user leaves no memory image",
     kAnssiFiles},
    {Kind::sysctl,
     "fs.protected_symlinks = 1",
     "links in /tmp must not lead a program to another's file",
     kAnssiFiles},
    {Kind::sysctl,
     "fs.protected_hardlinks = 1",
     "hard links to files of others keep old setuid programs alive",
     kAnssiFiles},
    {Kind::sysctl,
     "fs.protected_fifos = 2",
     "a pipe planted in /tmp must not be opened in place of a file",
     kAnssiFiles},
    {Kind::sysctl,
     "fs.protected_regular = 2",
     "a file planted in /tmp must not be opened in place of one's own",
     kAnssiFiles},
    {Kind::sysctl,
     "net.ipv4.conf.all.accept_redirects = 0",
     "a neighbour must not change our routes",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.default.accept_redirects = 0",
     "the same for interfaces that come later",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv6.conf.all.accept_redirects = 0",
     "a neighbour must not change our routes",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv6.conf.default.accept_redirects = 0",
     "the same for interfaces that come later",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.all.secure_redirects = 0",
     "the gateway's redirects can be forged too",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.default.secure_redirects = 0",
     "the same for interfaces that come later",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.all.send_redirects = 0",
     "an instance is no router",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.default.send_redirects = 0",
     "the same for interfaces that come later",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.all.accept_source_route = 0",
     "the sender must not choose the way of our answers",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.default.accept_source_route = 0",
     "the same for interfaces that come later",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv6.conf.all.accept_source_route = 0",
     "the sender must not choose the way of our answers",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.all.rp_filter = 1",
     "packets whose answers would leave elsewhere are forged; multi-homed hosts may need 2",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.default.rp_filter = 1",
     "the same for interfaces that come later",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.conf.all.log_martians = 1",
     "impossible source addresses are worth a line in the log",
     "CIS Debian 12, 3.3"},
    {Kind::sysctl,
     "net.ipv4.icmp_echo_ignore_broadcasts = 1",
     "answering a broadcast ping multiplies an attack",
     "CIS Debian 12, 3.3"},
    {Kind::sysctl,
     "net.ipv4.icmp_ignore_bogus_error_responses = 1",
     "broken routers must not fill the log",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.tcp_syncookies = 1",
     "a flood of half-open connections must not shut others out",
     kAnssiNetwork},
    {Kind::sysctl,
     "net.ipv4.tcp_rfc1337 = 1",
     "a late RST must not end a new connection",
     kAnssiNetwork},
    {Kind::module_off,
     "dccp",
     "a protocol that nobody uses, with a history of holes",
     kCisProtocols},
    {Kind::module_off, "rds", "as dccp", kCisProtocols},
    {Kind::module_off, "sctp", "as dccp; remove the line where telephony needs it", kCisProtocols},
    {Kind::module_off, "tipc", "as dccp", kCisProtocols},
    {Kind::module_off, "cramfs", "a file system that no instance mounts", kCisFileSystems},
    {Kind::module_off, "freevxfs", "as cramfs", kCisFileSystems},
    {Kind::module_off, "hfs", "as cramfs", kCisFileSystems},
    {Kind::module_off, "hfsplus", "as cramfs", kCisFileSystems},
    {Kind::module_off, "jffs2", "as cramfs", kCisFileSystems},
    {Kind::sshd,
     "X11Forwarding no",
     "a server has no screen, a client's must not be reachable",
     "CIS Debian 12, 5.1; sshd_config(5)"},
    {Kind::sshd,
     "PermitEmptyPasswords no",
     "no account is open to everybody",
     "CIS Debian 12, 5.1; sshd_config(5)"},
    {Kind::sshd,
     "PermitUserEnvironment no",
     "LD_PRELOAD in a user's file goes around limits",
     "CIS Debian 12, 5.1; sshd_config(5)"},
    {Kind::sshd,
     "LoginGraceTime 60",
     "connections that never log in make room soon",
     "CIS Debian 12, 5.1; sshd_config(5)"},
    {Kind::sudo,
     "Defaults use_pty",
     "a program run by sudo must not type into the terminal of its caller",
     "CIS Debian 12, 5.2; ANSSI-BP-028 v2.0, R39"},
    {Kind::limit,
     "* hard core 0",
     "memory images of programs hold keys and passwords",
     "CIS Debian 12, 1.5; limits.conf(5)"},
};

std::string line_of(const PolicyRule& rule) {
  if (rule.kind == Kind::module_off) {
    return "install " + std::string(rule.setting) + " /bin/false";
  }
  return std::string(rule.setting);
}

}  // namespace

const std::vector<PolicyRule>& standard_policy() {
  static const std::vector<PolicyRule> kRules(std::begin(kStandard), std::end(kStandard));
  return kRules;
}

std::vector<TreeFile> policy_files(const std::vector<PolicyRule>& rules) {
  std::vector<TreeFile> files;
  for (const Group& group : kGroups) {
    std::string text =
        "# The policy set \"standard\" of goldmill; a later drop-in may change a line.\n";
    bool has_rule = false;
    for (const PolicyRule& rule : rules) {
      if (rule.kind == group.kind) {
        text += "# " + std::string(rule.why) + " (" + std::string(rule.source) + ")\n" +
                line_of(rule) + "\n";
        has_rule = true;
      }
    }
    if (has_rule) {
      files.push_back({std::string(group.path), std::move(text), group.mode, ""});
    }
  }
  return files;
}

std::string policy_markdown(const std::vector<PolicyRule>& rules) {
  std::string text =
      "# The policy set `standard`\n\n"
      "What `security: standard` sets on every instance, rule by rule. A `-` before a setting "
      "means: only where\nthe kernel has it. Each rule is a line of a drop-in, and a later "
      "drop-in of yours may change it.\nThis page is generated from the same table as the "
      "drop-ins.\n\n"
      "Sources: ANSSI-BP-028 v2.0 (Configuration recommendations of a GNU/Linux system), CIS "
      "Debian Linux 12\nBenchmark (chapter), Kernel Self Protection Project (Recommended "
      "Settings), manual pages.\n";
  for (const Group& group : kGroups) {
    text += "\n## " + std::string(group.title) + "\n`" + std::string(group.path) +
            "`\n\n| setting | why | source |\n|---|---|---|\n";
    for (const PolicyRule& rule : rules) {
      if (rule.kind == group.kind) {
        text += "| `" + line_of(rule) + "` | " + std::string(rule.why) + " | " +
                std::string(rule.source) + " |\n";
      }
    }
  }
  return text;
}

}  // namespace goldmill::guest
