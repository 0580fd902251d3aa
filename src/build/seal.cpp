// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <string>

#include <goldmill/build/seal.hpp>

namespace goldmill::build {

namespace {
using Paths = std::string_view;
constexpr std::array kMachineId = {Paths("etc/machine-id")};
constexpr std::array kDbusId = {Paths("var/lib/dbus/machine-id")};
constexpr std::array kHostKeys = {Paths("etc/ssh/ssh_host_*_key"),
                                  Paths("etc/ssh/ssh_host_*_key.pub"),
                                  Paths("etc/dropbear/dropbear_*_host_key")};
constexpr std::array kSeeds = {Paths("var/lib/systemd/random-seed"),
                               Paths("var/lib/urandom/random-seed"),
                               Paths("var/lib/random-seed"),
                               Paths("loader/random-seed"),
                               Paths("boot/loader/random-seed"),
                               Paths("boot/efi/loader/random-seed")};
constexpr std::array kCredential = {Paths("var/lib/systemd/credential.secret")};
constexpr std::array kMachineInfo = {Paths("etc/machine-info")};
constexpr std::array kHostName = {Paths("etc/hostname")};
constexpr std::array kLeases = {Paths("var/lib/dhcp/*.leases"),
                                Paths("var/lib/dhcp/*.leases~"),
                                Paths("var/lib/dhcp/*.lease"),
                                Paths("var/lib/dhclient/*.leases"),
                                Paths("var/lib/dhclient/*.lease"),
                                Paths("var/lib/dhcpcd/*.lease*"),
                                Paths("var/lib/NetworkManager/*.lease"),
                                Paths("var/lib/NetworkManager/secret_key"),
                                Paths("var/lib/NetworkManager/timestamps"),
                                Paths("var/lib/NetworkManager/seen-bssids"),
                                Paths("var/lib/systemd/network/**")};
constexpr std::array kUdev = {Paths("etc/udev/rules.d/70-persistent-net.rules"),
                              Paths("etc/udev/rules.d/75-persistent-net-generator.rules"),
                              Paths("etc/udev/rules.d/70-persistent-cd.rules")};
constexpr std::array kResolver = {
    Paths("etc/resolv.conf.dpkg-*"), Paths("etc/resolvconf/run/**"), Paths("etc/resolv.conf.bak")};
constexpr std::array kLogs = {Paths("var/log/*.log"),
                              Paths("var/log/apt/**"),
                              Paths("var/log/journal/**"),
                              Paths("var/log/installer/**"),
                              Paths("var/log/alternatives.log*"),
                              Paths("var/log/dpkg.log*"),
                              Paths("var/log/syslog*"),
                              Paths("var/log/messages*"),
                              Paths("var/log/faillog"),
                              Paths("var/log/*.log.*"),
                              Paths("var/log/*.gz"),
                              Paths("var/log/dmesg*"),
                              Paths("var/log/unattended-upgrades/**"),
                              Paths("var/log/fontconfig.log")};
constexpr std::array kLogins = {Paths("var/log/wtmp*"),
                                Paths("var/log/btmp*"),
                                Paths("var/log/lastlog*"),
                                Paths("var/lib/wtmpdb/**"),
                                Paths("var/lib/lastlog/**")};
constexpr std::array kHistories = {Paths("root/.bash_history"),
                                   Paths("root/.zsh_history"),
                                   Paths("root/.ash_history"),
                                   Paths("root/.sh_history"),
                                   Paths("root/.python_history"),
                                   Paths("root/.lesshst"),
                                   Paths("root/.viminfo"),
                                   Paths("root/.wget-hsts"),
                                   Paths("root/.mysql_history"),
                                   Paths("root/.psql_history"),
                                   Paths("root/.node_repl_history"),
                                   Paths("home/*/.bash_history"),
                                   Paths("home/*/.zsh_history"),
                                   Paths("home/*/.ash_history"),
                                   Paths("home/*/.python_history"),
                                   Paths("home/*/.lesshst"),
                                   Paths("home/*/.viminfo"),
                                   Paths("home/*/.wget-hsts"),
                                   Paths("home/*/.sudo_as_admin_successful")};
constexpr std::array kDebconf = {Paths("var/cache/debconf/passwords.dat")};
constexpr std::array kBackups = {Paths("etc/passwd-"),
                                 Paths("etc/group-"),
                                 Paths("etc/shadow-"),
                                 Paths("etc/gshadow-"),
                                 Paths("etc/subuid-"),
                                 Paths("etc/subgid-"),
                                 Paths("var/lib/dpkg/*-old"),
                                 Paths("var/cache/debconf/*-old"),
                                 Paths("var/lib/dpkg/lock*"),
                                 Paths("var/lib/dpkg/triggers/Lock"),
                                 Paths("etc/.pwd.lock"),
                                 Paths("var/backups/**")};
constexpr std::array kCaches = {Paths("var/cache/ldconfig/aux-cache"),
                                Paths("var/lib/apt/lists/**"),
                                Paths("var/cache/apt/archives/**"),
                                Paths("var/cache/apt/*.bin"),
                                Paths("var/lib/apt/periodic/**"),
                                Paths("var/lib/apt/daily_lock"),
                                Paths("var/lib/apt/extended_states.*"),
                                Paths("root/.cache/**"),
                                Paths("var/cache/dnf/**"),
                                Paths("var/cache/apk/**")};
constexpr std::array kProxy = {Paths("etc/apt/auth.conf"),
                               Paths("etc/apt/auth.conf.d/**"),
                               Paths("root/.netrc"),
                               Paths("home/*/.netrc")};
constexpr std::array kSnakeoil = {Paths("etc/ssl/private/ssl-cert-snakeoil.key"),
                                  Paths("etc/ssl/certs/ssl-cert-snakeoil.pem")};
constexpr std::array kInitiator = {
    Paths("etc/iscsi/initiatorname.iscsi"), Paths("etc/nvme/hostid"), Paths("etc/nvme/hostnqn")};
constexpr std::array kSpools = {Paths("var/spool/mail/**"),
                                Paths("var/mail/**"),
                                Paths("var/spool/cron/crontabs/**"),
                                Paths("var/spool/cron/atjobs/**"),
                                Paths("var/spool/cron/atspool/**"),
                                Paths("var/spool/at/**"),
                                Paths("var/spool/anacron/**"),
                                Paths("var/crash/**"),
                                Paths("var/lib/systemd/coredump/**")};
constexpr std::array kScratch = {
    Paths("tmp/**"), Paths("var/tmp/**"), Paths("run/**"), Paths("dev/shm/**")};
constexpr std::array kCloudInit = {
    Paths("var/lib/cloud/**"), Paths("var/log/cloud-init*"), Paths("run/cloud-init/**")};
constexpr std::array kPuppet = {Paths("etc/puppet/ssl/**"),
                                Paths("etc/puppetlabs/puppet/ssl/**"),
                                Paths("var/lib/puppet/ssl/**"),
                                Paths("var/lib/puppet/state/**"),
                                Paths("opt/puppetlabs/puppet/cache/state/**"),
                                Paths("var/cache/puppet/state/**"),
                                Paths("etc/salt/pki/**"),
                                Paths("etc/chef/client.pem")};
constexpr std::array kInstaller = {Paths("root/anaconda-ks.cfg"),
                                   Paths("root/original-ks.cfg"),
                                   Paths("root/install.log*"),
                                   Paths("var/log/anaconda/**"),
                                   Paths("etc/subiquity/**"),
                                   Paths("var/lib/install/**"),
                                   Paths("preseed.cfg")};
constexpr std::array kSystemd = {Paths("var/lib/systemd/timers/**"),
                                 Paths("var/lib/systemd/timesync/clock"),
                                 Paths("var/lib/systemd/backlight/**"),
                                 Paths("var/lib/systemd/rfkill/**")};
constexpr std::array kServiceLogs = {Paths("var/log/**")};
constexpr std::array kAuthorized = {Paths("root/.ssh/**"), Paths("home/*/.ssh/authorized_keys*")};
constexpr std::array kUserKeys = {
    Paths("home/*/.ssh/id_*"), Paths("home/*/.ssh/known_hosts*"), Paths("etc/ssh/*.pem")};

constexpr std::array kNetworks = {Paths("etc/NetworkManager/system-connections/**"),
                                  Paths("etc/netplan/**")};
constexpr std::array kArchiveProxies = {Paths("etc/apt/apt.conf"),
                                        Paths("etc/apt/apt.conf.d/*proxy*")};
constexpr std::array kSudoers = {Paths("etc/sudoers.d/**")};

constexpr std::string_view kSysprep = "virt-sysprep(1), 1.48";
constexpr std::string_view kSystemdBuilding = "systemd.io/BUILDING_IMAGES";

constexpr std::array kRules = {
    SealRule{"machine-id",
             SealAction::empty,
             "the machine's id",
             "clones with one id get one DHCP lease; an empty file is filled by PID 1",
             "machine-id(5)",
             kMachineId},
    SealRule{"dbus-machine-id",
             SealAction::remove,
             "D-Bus's copy of the id",
             "it would win over the new id; a link to /etc/machine-id is fine",
             "dbus-uuidgen(1)",
             kDbusId},
    SealRule{"ssh-host-keys",
             SealAction::remove,
             "SSH host keys",
             "who has one instance could pose as all others",
             kSysprep,
             kHostKeys},
    SealRule{"random-seed",
             SealAction::remove,
             "saved random seeds",
             "clones would draw the same numbers",
             kSystemdBuilding,
             kSeeds},
    SealRule{"credential-secret",
             SealAction::remove,
             "key of systemd's credentials",
             "one key would open the credentials of every instance",
             kSystemdBuilding,
             kCredential},
    SealRule{"machine-info",
             SealAction::check,
             "pretty host name, location",
             "describes one machine",
             "machine-info(5)",
             kMachineInfo},
    SealRule{"host-name",
             SealAction::declare,
             "the host name",
             "a name that no recipe gave is the builder's, or one instance's",
             "hostname(5)",
             kHostName},
    SealRule{"dhcp-leases",
             SealAction::remove,
             "DHCP leases and keys of network daemons",
             "an instance would ask for the builder's address",
             kSysprep,
             kLeases},
    SealRule{"udev-names",
             SealAction::remove,
             "interface names by MAC address",
             "the next network card would be eth1",
             kSysprep,
             kUdev},
    SealRule{"resolver",
             SealAction::remove,
             "backups of resolv.conf",
             "names of the builder's network",
             kSysprep,
             kResolver},
    SealRule{"logs",
             SealAction::remove,
             "logs",
             "dates, names and passwords of the build",
             kSysprep,
             kLogs},
    SealRule{"logins",
             SealAction::remove,
             "records of logins",
             "written by programs during the build; login programs make them anew",
             kSysprep,
             kLogins},
    SealRule{"histories",
             SealAction::remove,
             "histories of shells and editors",
             "commands with secrets in them",
             kSysprep,
             kHistories},
    SealRule{"debconf-passwords",
             SealAction::empty,
             "passwords given to debconf",
             "clear text",
             "debconf(7)",
             kDebconf},
    SealRule{"backups",
             SealAction::remove,
             "backups and locks of account and package files",
             "old password hashes; dates",
             kSysprep,
             kBackups},
    SealRule{"caches",
             SealAction::remove,
             "caches of packages and libraries",
             "space; inode numbers and dates that differ in each build",
             "ldconfig(8), apt-get(8)",
             kCaches},
    SealRule{"archive-credentials",
             SealAction::remove,
             "credentials for archives",
             "secrets of the builder",
             "apt_auth.conf(5)",
             kProxy},
    SealRule{"snakeoil",
             SealAction::remove,
             "ssl-cert's self-made key",
             "one private key on every instance",
             "make-ssl-cert(8)",
             kSnakeoil},
    SealRule{"storage-names",
             SealAction::remove,
             "iSCSI and NVMe initiator names",
             "a target would take two instances for one",
             "iscsid(8)",
             kInitiator,
             "GenerateName=yes"},
    SealRule{"spools",
             SealAction::remove,
             "mail, cron tables, crash dumps",
             "residue of the build",
             kSysprep,
             kSpools},
    SealRule{"scratch",
             SealAction::remove,
             "temporary files",
             "residue of the build",
             kSysprep,
             kScratch},
    SealRule{"cloud-init",
             SealAction::remove,
             "cloud-init's state",
             "its instance-id makes the next first boot a second one",
             "cloud-init clean",
             kCloudInit},
    SealRule{"agents",
             SealAction::remove,
             "certificates and state of Puppet, Salt, Chef",
             "instances would share one identity at the master",
             kSysprep,
             kPuppet},
    SealRule{"installer",
             SealAction::remove,
             "answers and logs of installers",
             "they hold passwords",
             kSysprep,
             kInstaller},
    SealRule{"service-logs",
             SealAction::empty,
             "logs that services own",
             "dates of the build; the files stay, since a service may be unable to make them",
             kSysprep,
             kServiceLogs},
    SealRule{"systemd-state",
             SealAction::remove,
             "systemd's saved times and states",
             "dates of the build",
             "systemd.timer(5)",
             kSystemd},
    SealRule{"ssh-access",
             SealAction::check,
             "SSH keys that let somebody in",
             "a key that no recipe named is a way in",
             kSysprep,
             kAuthorized},
    SealRule{"network-profiles",
             SealAction::declare,
             "network profiles of NetworkManager and netplan",
             "addresses and passwords of the builder's network",
             kSysprep,
             kNetworks},
    SealRule{"archive-proxies",
             SealAction::declare,
             "proxies for apt",
             "an instance would ask the builder's proxy",
             "apt.conf(5)",
             kArchiveProxies},
    SealRule{"sudo-rules",
             SealAction::declare,
             "rights to become root",
             "a right that no recipe named is a way to root",
             "sudoers(5)",
             kSudoers},
    SealRule{"user-keys",
             SealAction::check,
             "private keys and known hosts of users",
             "secrets of one person",
             kSysprep,
             kUserKeys},
};

/// `*` within one name.
bool matches_name(std::string_view pattern, std::string_view text) {
  std::size_t star = std::string_view::npos;
  std::size_t mark = 0;
  std::size_t p = 0;
  std::size_t t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos && text[mark] != '/') {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') {
    ++p;
  }
  return p == pattern.size();
}
}  // namespace

const SealRule* rule_for(std::string_view path, bool is_link) {
  for (const SealRule& rule : kRules) {
    for (const std::string_view pattern : rule.paths) {
      if ((!is_link || pattern.ends_with("/**")) && matches(pattern, path)) {
        return &rule;
      }
    }
  }
  return nullptr;
}

std::span<const SealRule> seal_rules() {
  return kRules;
}

bool matches(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with("/**")) {
    return matches_name(pattern, path);
  }
  const std::string_view above = pattern.substr(0, pattern.size() - 3);
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    if (slash + 1 < path.size() && matches_name(above, path.substr(0, slash))) {
      return true;
    }
  }
  return false;
}

}  // namespace goldmill::build
