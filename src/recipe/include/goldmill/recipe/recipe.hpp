// SPDX-License-Identifier: GPL-3.0-or-later
// Recipe: what to build, typed and validated. Made by load() in load.hpp; everybody reads it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>

namespace goldmill::recipe {

/// Where in a file a value stands; lines and columns count from 1.
struct Position {
  std::string file;
  int line = 0;
  int column = 0;
  bool operator==(const Position& other) const = default;
  /// "file:line:column", without what is 0: a line of an answer file has no column.
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
  Position position = {};  ///< of what an image keeps: none
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
  std::vector<std::string> kernel_options = {};
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

/// A module of Puppet's: a directory, or Debian's package puppet-module-AUTHOR-NAME.
struct PuppetModule {
  std::string name = {};                 ///< as written
  std::filesystem::path directory = {};  ///< absolute; or empty: a package
  Position position = {};
};

/// A manifest applied from outside: Puppet is not in the image unless `keep_agent`.
struct PuppetStep {
  std::string title = {};               ///< the manifest as written
  std::filesystem::path manifest = {};  ///< absolute; a file, or a directory of manifests
  std::vector<PuppetModule> modules = {};
  std::filesystem::path hiera = {};        ///< hiera.yaml, or a directory that has one; or empty
  std::filesystem::path environment = {};  ///< or empty
  Json facts = Json::object();             ///< fractions stay text
  bool keep_agent = false;
  std::string server = {};  ///< of a kept agent; "": Puppet's default
  bool booted = false;
};

/// A role of Ansible's (a directory), or a collection: a directory, or one that Debian packages.
struct AnsiblePart {
  std::string name = {};                 ///< as written
  std::filesystem::path directory = {};  ///< absolute; or empty: packaged
  Position position = {};
};

/// A playbook applied from outside: neither Ansible nor Python enter the image.
struct AnsibleStep {
  std::string title = {};               ///< the playbook as written
  std::filesystem::path playbook = {};  ///< absolute
  std::vector<AnsiblePart> roles = {};
  std::vector<AnsiblePart> collections = {};
  std::vector<std::string> groups = {};  ///< of the inventory, that the image is in
  Json extra_vars = Json::object();      ///< fractions stay text
};

/// Packages at one place in the order of the steps, as `packages:` names them.
struct PackagesStep {
  std::vector<PackageRequest> packages = {};
};

/// A cloud-init user-data document, checked and in one form. Keys that it does not say are absent:
/// "packages": ["NAME", "NAME=VERSION"], "files": [{"path", "content", "base64", "gzip", "owner",
/// "mode", "append", "defer"}], "groups": [{"name", "members"}], "users": [{"name", "gecos",
/// "homedir", "primary_group", "groups", "shell", "expiredate", "uid", "system", "no_create_home",
/// "no_user_group", "lock_passwd", "passwd", "sudo": [rules], "keys": [lines]}], "runcmd": script,
/// "timezone", "locale", "ntp": {"enabled", "servers", "pools"}, "ca_certs": [PEM].
struct CloudConfigStep {
  std::string title = {};  ///< the file as written; "" when it stands in the recipe
  Json config = Json::object();
};

struct ProvisionStep {
  std::variant<ShellStep, FilesStep, PuppetStep, AnsibleStep, PackagesStep, CloudConfigStep>
      action = {};
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

/// The answer to a question that a package asks while it is set up: debconf's.
struct DebconfAnswer {
  std::string package = {};   ///< whose question it is
  std::string question = {};  ///< "postfix/main_mailer_type"
  std::string type = {};      ///< "string", "boolean", "select", "multiselect"
  std::string value = {};
  Position position = {};
};

/// A piece of recipe that stands in a file of its own and was brought in.
struct PartUse {
  std::string name = {};
  std::string file = {};   ///< as errors show it
  Position included = {};  ///< where a recipe, a part or the site's settings name it
  bool enforced = false;   ///< by the site's settings, for every recipe
  std::map<std::string, std::string> parameters = {};
};

/// A URI as it may be shown: without a password in it.
std::string without_user_info(std::string uri);

struct Recipe {
  std::string name;
  std::filesystem::path file;      ///< absolute path of the recipe itself; "" of an image's
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
  std::vector<DebconfAnswer> debconf;
  std::vector<ProvisionStep> provision;
  std::vector<Secret> secrets;
  std::string proxy;                   ///< for fetching packages; never in the image
  std::optional<Disk> disk;            ///< what is not in `disk_keys` has its default
  std::vector<std::string> disk_keys;  ///< keys of `disk:` that were written
  Promises promises;
  std::map<std::string, std::string> parameters;  ///< after --set
  std::vector<PartUse> parts;                     ///< in the order in which they were brought in
  /// Plain files that it is made of: scripts, keys, user-data, packages. But what cannot be read.
  std::map<std::filesystem::path, Digest> files;
  /// Of them those that do not move with the recipe: named by absolute path, or by the site.
  std::set<std::filesystem::path> fixed_files;
  /// Where the text stands that says a thing, by dotted key; a list has one entry for each item.
  std::multimap<std::string, Position> origins;
  /// What the site's settings enforce, by itself, and its digest; nothing where they enforce
  /// nothing. An image knows by the digest with what it was built.
  std::shared_ptr<const Recipe> site;
  std::string site_digest;

  bool is_base() const { return from.empty(); }
};

}  // namespace goldmill::recipe
