// SPDX-License-Identifier: GPL-3.0-or-later
// Recipe: what to build, typed and validated. Made by load() in load.hpp; everybody reads it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>

namespace goldmill::recipe {

/// Where in a file a value stands; lines and columns count from 1.
struct Position {
  std::string file;
  int line = 0;
  int column = 0;
  /// "file:line:column".
  std::string text() const;
};

/// "debian/12" and an architecture by Debian's name ("amd64", "arm64").
struct Os {
  std::string family;
  std::string release;
  std::string architecture = "amd64";
};

enum class Hardware : std::uint8_t { virtio, nvme, vmware, hyperv, xen };
enum class Firmware : std::uint8_t { bios, uefi };
inline constexpr std::array<Hardware, 5> kAllHardware = {
    Hardware::virtio, Hardware::nvme, Hardware::vmware, Hardware::hyperv, Hardware::xen};
/// As recipes write it: "virtio", "bios".
const char* name_of(Hardware hardware);
const char* name_of(Firmware firmware);

/// An archive of packages beside the machine's own.
struct Repository {
  std::string uri = {};
  std::vector<std::string> suites = {};
  std::vector<std::string> components = {};
  std::filesystem::path key = {};  ///< a keyring or armoured key; absolute
  Position position = {};
};

/// One entry of `packages:`.
struct PackageRequest {
  enum class Kind : std::uint8_t { install, remove, local };
  Kind kind = Kind::install;
  std::string name = {};            ///< install, remove
  std::string version = {};         ///< exact version, or ""
  std::filesystem::path file = {};  ///< local: a .deb, absolute
  Position position = {};
};

struct User {
  std::string name = {};
  bool sudo = false;
  std::vector<std::string> ssh_keys = {};  ///< whole public key lines (file: entries are read)
  std::string password_hash = {};          ///< crypt(5) form, or "": locked
  std::string shell = "/bin/bash";
  std::vector<std::string> groups = {};
};

/// What must hold on every instance, whatever the OS. Absent optionals take the defaults that
/// the recipe reference documents; a variant's replace or merge with its base's.
struct Baseline {
  std::optional<std::string> timezone;
  std::optional<std::string> locale;
  std::optional<std::string> keyboard;
  std::optional<std::string> network;  ///< "dhcp" or "none"
  /// Inbound ports that stay open: "ssh", "http", "https", "8080/tcp", "53/udp".
  std::optional<std::vector<std::string>> firewall_inbound;
  std::optional<std::string> root;  ///< "locked" or a password hash
  std::optional<std::vector<User>> users;
  std::optional<bool> ssh_passwords;
  std::optional<std::string> security;  ///< "standard" or "none"
};

struct Partition {
  std::string name = {};
  std::optional<Bytes> size = {};  ///< absent on the last one: the rest of the disk
  std::string filesystem = {};     ///< ext4, swap, vfat
  std::string mount = {};          ///< absolute path, or "" (swap)
  std::string label = {};
};

struct Disk {
  Bytes size = 4_GiB;
  std::string filesystem = "ext4";
  std::vector<Firmware> boot = {Firmware::bios, Firmware::uefi};
  std::vector<Partition> partitions;  ///< empty: one root file system
};

/// Checked on the running image (functional) or on its files (budgets).
struct Promises {
  std::optional<Bytes> disk_used;
  std::optional<Bytes> image_size;  ///< of the zstd qcow2
  std::optional<int> boot_seconds;
  std::vector<std::string> commands;  ///< must exit with status 0
  std::vector<std::string> services;  ///< units that must be active
  std::vector<std::string> ports;     ///< beside the firewall's: "http", "8080/tcp" must answer
};

struct ShellStep {
  std::string script = {};  ///< the text itself (a `file:` entry is read)
  std::string file = {};    ///< that entry as written, for people; "" for `script:`
  std::vector<std::string> secrets = {};
  bool network = false;
};

/// One `files:` entry: copied into the image. Of a directory, `mode` is its files'; its
/// directories, and files that are executable, get the x bits too.
struct FileCopy {
  std::filesystem::path source = {};  ///< absolute; or empty when `content` is given
  std::string content = {};
  std::string target = {};  ///< absolute path in the image
  std::uint32_t mode = 0644;
  std::string owner = "root";
  std::string group = "root";
};
struct FilesStep {
  std::vector<FileCopy> files = {};
};

/// puppet, ansible, cloud_config, packages: options as written; provision/ knows what they mean.
/// Fractions stay text, since JSON's canonical form has none.
struct OtherStep {
  std::string kind = {};
  Json options = {};
};

struct ProvisionStep {
  std::variant<ShellStep, FilesStep, OtherStep> action = {};
  Position position = {};
};

/// A value that steps may read from /run/goldmill/secrets/NAME while they run, and that no
/// layer, log, key or lock ever holds: keys use its name and version only.
struct Secret {
  std::string name = {};
  std::string version = {};
  std::filesystem::path file = {};  ///< absolute; or empty when `variable` is given
  std::string variable = {};        ///< environment variable of the caller
};

struct Recipe {
  std::string name;
  std::filesystem::path file;      ///< absolute path of the recipe itself
  std::optional<Os> os;            ///< a base has it ...
  std::string from;                ///< ... a variant has this: NAME, NAME@VERSION or NAME:CHANNEL
  Position origin;                 ///< of the value of `os:` or `from:`
  std::vector<Hardware> hardware;  ///< empty: not said
  /// Whose metadata service may personalise instances: "ec2", "openstack".
  std::optional<std::vector<std::string>> clouds;
  Baseline baseline;
  std::vector<Repository> repositories;
  std::vector<std::string> apt_sources;  ///< deb822 stanzas for the guest's own apt
  std::optional<bool> recommends;
  std::vector<PackageRequest> packages;
  std::vector<ProvisionStep> provision;
  std::vector<Secret> secrets;
  std::string proxy;                   ///< for fetching packages; never in the image
  std::optional<Disk> disk;            ///< what is not in `disk_keys` has its default
  std::vector<std::string> disk_keys;  ///< keys of `disk:` that were written
  Promises promises;
  std::map<std::string, std::string> parameters;  ///< after --set

  bool is_base() const { return from.empty(); }
};

}  // namespace goldmill::recipe
