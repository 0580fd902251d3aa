// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/guest/debian_release.hpp>

namespace goldmill::guest {

namespace {

using Names = std::vector<std::string>;

Names with(Names base, const Names& more) {
  base.insert(base.end(), more.begin(), more.end());
  return base;
}

// What booting, DHCP with name resolution, a clock, SSH, a firewall and the guest's own apt need;
// dbus and libpam-systemd, so that SSH sessions end with the machine and hostnamectl works.
// passwd makes the recipe's users, systemd mounts by mount, consoles need login: in Debian's
// unstable nothing essential needs these three any more.
// zstd halves the time that the initramfs takes. Everything else is the recipe's business.
const Names kBase = {"systemd-sysv",
                     "udev",
                     "dbus",
                     "libpam-systemd",
                     "systemd-timesyncd",
                     "openssh-server",
                     "nftables",
                     "iproute2",
                     "initramfs-tools",
                     "e2fsprogs",
                     "tzdata",
                     "netbase",
                     "passwd",
                     "mount",
                     "login",
                     "zstd"};
// Without it init-system-helpers takes usrmerge and with it 50 MB of perl.
const Names kUsrIsMerged = {"usr-is-merged"};
const Names kResolved = {"systemd-resolved"};

DebianRelease debian(std::string release, std::string codename, const Names& more) {
  const bool rolling = release == codename;
  DebianRelease made{.family = "debian",
                     .release = std::move(release),
                     .codename = codename,
                     .suites = {codename},
                     .security_suites = {},
                     .components = {"main"},
                     .keyring_package = "debian-archive-keyring",
                     .keyring = "/usr/share/keyrings/debian-archive-keyring.gpg",
                     .base_packages = with(kBase, more)};
  if (!rolling) {
    made.suites.push_back(codename + "-updates");
    made.security_suites = {codename + "-security"};
  }
  return made;
}

DebianRelease ubuntu(std::string release, const std::string& codename, const Names& more) {
  return {.family = "ubuntu",
          .release = std::move(release),
          .codename = codename,
          .suites = {codename, codename + "-updates"},
          .security_suites = {codename + "-security"},
          .components = {"main", "universe"},
          .keyring_package = "ubuntu-keyring",
          .keyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
          .base_packages = with(kBase, more)};
}

bool in_cloud_kernel(recipe::Hardware hardware) {
  return hardware != recipe::Hardware::xen;
}

}  // namespace

const std::vector<DebianRelease>& debian_releases() {
  static const std::vector<DebianRelease> kTable = {
      debian("11", "bullseye", {}),  // systemd 247 contains resolved
      debian("12", "bookworm", with(kUsrIsMerged, kResolved)),
      debian("13", "trixie", with(kUsrIsMerged, kResolved)),
      debian("sid", "sid", with(kUsrIsMerged, kResolved)),
      ubuntu("22.04", "jammy", {}),  // systemd 249 contains resolved
      ubuntu("24.04", "noble", with(kUsrIsMerged, kResolved)),
  };
  return kTable;
}

Result<const DebianRelease*> find_release(std::string_view family, std::string_view release) {
  Names known;
  for (const DebianRelease& entry : debian_releases()) {
    if (entry.family == family && (entry.release == release || entry.codename == release)) {
      return &entry;
    }
    known.push_back(entry.name());
  }
  const std::string name = std::string(family) + "/" + std::string(release);
  return Error{ErrorKind::not_found, "unknown OS '" + name + "'", did_you_mean(name, known)};
}

Result<KernelChoice> kernel_for(const DebianRelease& release,
                                std::string_view architecture,
                                const std::vector<recipe::Hardware>& hardware) {
  if (architecture != "amd64" && architecture != "arm64") {
    return Error{ErrorKind::invalid_input,
                 "no kernel is known for the architecture '" + std::string(architecture) + "'",
                 "known: amd64, arm64"};
  }
  const bool small =
      !hardware.empty() && std::all_of(hardware.begin(), hardware.end(), in_cloud_kernel);
  if (release.family == "ubuntu") {
    return KernelChoice{small ? "linux-image-virtual" : "linux-image-generic",
                        small ? "" : "linux-image-generic brings linux-firmware, about 1 GB"};
  }
  const std::string flavour = small ? "cloud-" : "";
  return KernelChoice{"linux-image-" + flavour + std::string(architecture),
                      small ? "the cloud kernel has no AHCI, e1000 or vmgenid driver" : ""};
}

std::vector<std::string> baseline_packages(const recipe::Baseline& baseline) {
  Names packages;
  const auto& users = baseline.users;
  if (users && std::any_of(users->begin(), users->end(), [](const recipe::User& user) {
        return user.sudo;
      })) {
    packages.emplace_back("sudo");
  }
  if (baseline.locale && *baseline.locale != "C" && *baseline.locale != "POSIX" &&
      *baseline.locale != "C.UTF-8") {
    packages.emplace_back("locales");
  }
  if (baseline.keyboard) {
    packages.emplace_back("console-setup");
  }
  return packages;
}

Result<std::vector<std::string>> grub_packages(const DebianRelease& release,
                                               std::string_view architecture) {
  if (architecture == "amd64") {
    return Names{
        "grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "grub-efi-amd64-signed", "shim-signed"};
  }
  if (architecture == "arm64") {
    return Names{"grub-common", "grub-efi-arm64-bin", "grub-efi-arm64-signed", "shim-signed"};
  }
  return Error{ErrorKind::invalid_input,
               "no GRUB is known for " + release.name() + " on '" + std::string(architecture) + "'",
               "known: amd64, arm64"};
}

}  // namespace goldmill::guest
