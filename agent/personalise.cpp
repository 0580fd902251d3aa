// SPDX-License-Identifier: GPL-3.0-or-later
#include "personalise.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.hpp"
#include "link.hpp"
#include "openssh_key.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr const char* kHostKey = "/etc/ssh/ssh_host_ed25519_key";

/// Fresh random bytes; waits until the kernel's pool is ready.
template <std::size_t size>
Result<std::array<std::uint8_t, size>> random_bytes() {
  std::array<std::uint8_t, size> bytes{};
  if (getrandom(bytes.data(), size, 0) != static_cast<ssize_t>(size)) {
    return system_error("drawing random bytes", errno);
  }
  return bytes;
}

std::string first_line(const Result<std::string>& text) {
  return text ? std::string(trimmed(text.value().substr(0, text.value().find('\n')))) : "";
}

}  // namespace

void Personaliser::attempt(std::string_view about, Result<void> result) {
  if (!result) {
    warn_(about, result.error().text());
  }
}

void Personaliser::apply(const Identity& identity) {
  resumes_ = identity.resumes;
  attempt("seed", add_seeds(identity));
  if (identity.resumes) {
    attempt("clock", set_clock(identity.unix_ns));
    attempt("machine-id", renew_machine_id());
    attempt("boot-id", renew_boot_id());
    attempt("link", set_mac(identity));
  }
  if (!identity.hostname.empty()) {
    attempt("hostname", set_hostname(identity.hostname));
  }
  attempt("ssh-key", write_keys(identity));
  if (!identity.resumes) {
    attempt("network", write_networks(identity.networks));
  } else if (!identity.networks.empty()) {
    attempt("network", use_network(identity.link, identity.networks.front()));
  }
  if (identity.user_data) {
    attempt("user-data", write("/run/goldmill/user-data", *identity.user_data, 0600));
  }
  if (!identity.instance_id.empty()) {
    attempt("instance", write("/run/goldmill/instance-id", identity.instance_id + "\n", 0644));
  }
  attempt("ssh-host-key", ensure_host_key());
}

/// In place where it is mounted from memory.
Result<void> Personaliser::write(const std::string& path,
                                 std::string_view content,
                                 mode_t mode) const {
  return resumes_ ? overwrite_file(root_ + path, content, mode)
                  : write_file(root_ + path, content, mode);
}

Result<void> Personaliser::add_seeds(const Identity& identity) {
  if (identity.seeds.empty() || !root_.empty()) {
    return {};
  }
  const Descriptor pool(open("/dev/random", O_WRONLY | O_CLOEXEC));
  if (!pool) {
    return system_error("opening /dev/random", errno);
  }
  for (const std::string& seed : identity.seeds) {
    std::vector<int> request(2 + (seed.size() + 3) / 4);
    request[0] = static_cast<int>(seed.size() * 8);  // bits of entropy
    request[1] = static_cast<int>(seed.size());
    std::memcpy(&request[2], seed.data(), seed.size());
    if (ioctl(pool.get(), RNDADDENTROPY, request.data()) != 0) {
      return system_error("adding the seed to the kernel's pool", errno);
    }
  }
  // Older kernels take what was added into use only some minutes later.
  if (ioctl(pool.get(), RNDRESEEDCRNG) != 0) {
    return system_error("reseeding the kernel's generator", errno);
  }
  return {};
}

Result<void> Personaliser::set_clock(std::uint64_t unix_ns) const {
  const timespec time{.tv_sec = static_cast<time_t>(unix_ns / 1000000000),
                      .tv_nsec = static_cast<long>(unix_ns % 1000000000)};
  if (root_.empty() && unix_ns > 0 && clock_settime(CLOCK_REALTIME, &time) != 0) {
    return system_error("setting the clock", errno);
  }
  return {};
}

/// Lower-case hexadecimal digits of a random UUID (RFC 9562, version 4), without hyphens.
Result<std::string> random_uuid() {
  auto bytes = TRY((random_bytes<16>()));
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3FU) | 0x80U);
  return hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<void> Personaliser::renew_machine_id() {
  return write("/etc/machine-id", TRY(random_uuid()) + "\n", 0444);
}

/// The kernel's own cannot be set: programs that read it get this one, by the bind mount that
/// stands since settle(). In place: a mount made now would wake PID 1 in every copy.
Result<void> Personaliser::renew_boot_id() {
  std::string id = TRY(random_uuid());
  for (const std::size_t at : {8U, 13U, 18U, 23U}) {
    id.insert(at, "-");
  }
  return overwrite_file(root_ + kShownBootId, id + "\n");
}

Result<void> Personaliser::set_mac(const Identity& identity) const {
  const bool wanted = root_.empty() && !identity.mac.empty();
  return wanted ? set_link_address(identity.link, identity.mac) : Result<void>();
}

std::string hosts_with_name(std::string_view hosts, std::string_view name) {
  std::string line = "127.0.1.1 " + std::string(name);
  if (const std::size_t dot = name.find('.'); dot != std::string_view::npos) {
    line += " " + std::string(name.substr(0, dot));
  }
  std::string result;
  bool is_placed = false;
  for (const std::string_view old : lines_of(hosts)) {
    const bool is_ours =
        old.starts_with("127.0.1.1") && old.size() > 9 && (old[9] == ' ' || old[9] == '\t');
    if (!is_ours) {
      result += std::string(old) + "\n";
    } else if (!is_placed) {
      result += line + "\n";
      is_placed = true;
    }
  }
  return is_placed ? result : result + line + "\n";
}

Result<void> Personaliser::set_hostname(const std::string& name) {
  if (root_.empty() && sethostname(name.data(), name.size()) != 0) {
    return system_error("setting the host name", errno);
  }
  if (first_line(read_file(root_ + "/etc/hostname")) != name) {
    TRY(write("/etc/hostname", name + "\n", 0644));
  }
  const auto hosts = read_file(root_ + "/etc/hosts");
  const std::string old = hosts ? hosts.value() : "127.0.0.1 localhost\n::1 localhost\n";
  const std::string wanted = hosts_with_name(old, name);
  if (!hosts || wanted != old) {
    TRY(write("/etc/hosts", wanted, 0644));
  }
  return {};
}

std::string Personaliser::default_user() const {
  const std::string user = first_line(read_file(root_ + "/usr/lib/goldmill/default-user"));
  return is_user_name(user) ? user : "root";
}

/// On the disk, not in /run: after a reboot of the guest no host may be there to ask again, and
/// the owner of the keys must still get in.
Result<void> Personaliser::write_keys(const Identity& identity) {
  if (identity.ssh_keys.empty()) {
    return {};
  }
  const std::string directory = kAuthorizedKeys;
  if (!resumes_) {  // it is new otherwise
    TRY(make_directory(root_ + "/etc/goldmill", 0755));
    TRY(make_directory(root_ + directory, 0755));
    // Those of an identity that this guest had before.
    for (const std::string& name : names_in(root_ + directory)) {
      unlink((root_ + directory + "/" + name).c_str());
    }
  }
  std::map<std::string, std::string> files;
  for (const SshKey& key : identity.ssh_keys) {
    files[key.user.empty() ? default_user() : key.user] += key.line + "\n";
  }
  for (const auto& [user, lines] : files) {
    // sshd reads them with the user's rights, hence the mode.
    TRY(write(directory + "/" + user, lines, 0644));
  }
  return {};
}

std::string network_file(const Network& network) {
  std::string text = "[Match]\nMACAddress=" + network.mac + "\n\n[Network]\n";
  const auto add = [&text](const char* key, const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      text.append(key).append("=").append(value).append("\n");
    }
  };
  add("Address", network.addresses);
  add("Gateway", network.gateways);
  add("DNS", network.dns);
  add("Domains", network.domains);
  return text + (network.addresses.empty() ? "DHCP=yes\n" : "DHCP=no\n");
}

Result<void> Personaliser::write_networks(const std::vector<Network>& networks) {
  if (networks.empty()) {
    return {};
  }
  TRY(make_directory(root_ + "/run/systemd", 0755));
  TRY(make_directory(root_ + "/run/systemd/network", 0755));
  int number = 0;
  for (const Network& network : networks) {
    TRY(write_file(
        root_ + "/run/systemd/network/05-goldmill-" + std::to_string(number++) + ".network",
        network_file(network),
        0644));
  }
  return {};
}

/// At once, while the network's keepers sleep; they take the same from the file when they wake.
Result<void> Personaliser::use_network(const std::string& link, const Network& network) const {
  if (!root_.empty()) {
    return {};
  }
  TRY(set_link_network(link, network));
  std::string names;
  for (const std::string& server : network.dns) {
    names += "nameserver " + server + "\n";
  }
  for (const std::string& domain : network.domains) {
    names += (&domain == &network.domains.front() ? "search " : " ") + domain;
  }
  // What /etc/resolv.conf leads to; without resolved it is not there.
  static_cast<void>(overwrite_file("/run/systemd/resolve/stub-resolv.conf", names + "\n"));
  return {};
}

Result<void> Personaliser::ensure_host_key() {
  struct stat status {};
  if (stat((root_ + "/etc/ssh").c_str(), &status) != 0) {
    return {};
  }
  const std::string path = root_ + kHostKey;
  const bool has_key = lstat(path.c_str(), &status) == 0 && status.st_size > 0;
  if (has_key && !resumes_) {
    return {};
  }
  auto seed = TRY((random_bytes<32>()));
  const OpensshKey key = make_openssh_key(seed, TRY((random_bytes<4>())));
  seed.fill(0);
  // The private key last: its presence says that both are there.
  TRY(write(std::string(kHostKey) + ".pub", key.public_line + " goldmill\n", 0644));
  return write(kHostKey, key.private_file, 0600);
}

About Personaliser::about() const {
  About about;
#if defined(__x86_64__)
  about.architecture = "amd64";
#elif defined(__aarch64__)
  about.architecture = "arm64";
#endif
  about.boot_id = first_line(read_file(root_ + "/proc/sys/kernel/random/boot_id"));
  about.hostname = first_line(read_file(root_ + "/proc/sys/kernel/hostname"));
  about.machine_id = first_line(read_file(root_ + "/etc/machine-id"));
  const std::string line = first_line(read_file(root_ + kHostKey + ".pub"));
  const std::size_t comment = line.find(' ', line.find(' ') + 1);
  about.ssh_host_key = line.substr(0, comment);
  return about;
}

}  // namespace goldmill::agent
