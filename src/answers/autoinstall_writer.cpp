// SPDX-License-Identifier: GPL-3.0-or-later
// Autoinstall, for subiquity, the installer of Ubuntu's servers.
// Source: autoinstall reference manual of subiquity.
#include <goldmill/base/base64.hpp>
#include <goldmill/recipe/profile.hpp>

#include "writers.hpp"

namespace goldmill::answers {

namespace {

class Autoinstall {
 public:
  explicit Autoinstall(Machine& machine) : machine_(machine) {}

  std::string run() {
    const recipe::Baseline& baseline = machine_.baseline();
    Json autoinstall = {
        {"version", 1},
        {"locale", *baseline.locale},
        {"timezone", *baseline.timezone},
        {"network",
         {{"version", 2},
          {"ethernets", {{"all", {{"match", {{"name", "e*"}}}, {"dhcp4", true}}}}}}},
        {"ssh", {{"install-server", true}, {"allow-pw", *baseline.ssh_passwords}}},
        {"storage", {{"config", storage()}}},
        {"user-data", user_data()},
        {"shutdown", "reboot"}};
    if (baseline.keyboard) {
      const std::size_t dash = baseline.keyboard->find('-');
      autoinstall["keyboard"] = {{"layout", baseline.keyboard->substr(0, dash)}};
      if (dash != std::string::npos) {
        autoinstall["keyboard"]["variant"] = baseline.keyboard->substr(dash + 1);
      }
    }
    if (!machine_.merged.proxy.empty()) {
      autoinstall["proxy"] = machine_.merged.proxy;
    }
    if (!machine_.install.empty()) {
      autoinstall["packages"] = machine_.install;
    }
    if (!machine_.debconf.empty()) {
      autoinstall["debconf-selections"] = debconf();
    }
    if (const Json commands = late_commands(); !commands.empty()) {
      autoinstall["late-commands"] = commands;
    }
    machine_.unsaid.emplace_back("os: subiquity installs the release that it came with");
    machine_.unsaid.emplace_back("baseline.firewall: the installer sets up none");
    if (*machine_.merged.recommends) {
      machine_.unsaid.emplace_back("recommends: the installer's own choice");
    }
    return "#cloud-config\n# Written by goldmill from the recipe '" + machine_.merged.name +
           "'.\n" + recipe::yaml_text({{"autoinstall", std::move(autoinstall)}});
  }

 private:
  std::string debconf() const {
    std::string text;
    for (const recipe::DebconfAnswer& answer : machine_.debconf) {
      text +=
          answer.package + " " + answer.question + " " + answer.type + " " + answer.value + "\n";
    }
    return text;
  }

  /// A list of actions for curtin.
  Json storage() {
    Json config = Json::array();
    const bool uefi = machine_.has(recipe::Firmware::uefi);
    const bool bios = machine_.has(recipe::Firmware::bios);
    config.push_back({{"type", "disk"},
                      {"id", "disk"},
                      {"ptable", "gpt"},
                      {"wipe", "superblock-recursive"},
                      {"match", {{"size", "largest"}}},
                      {"grub_device", bios}});
    if (bios) {
      config.push_back({{"type", "partition"},
                        {"id", "bios"},
                        {"device", "disk"},
                        {"size", "1M"},
                        {"flag", "bios_grub"}});
    }
    if (uefi) {
      config.push_back({{"type", "partition"},
                        {"id", "esp"},
                        {"device", "disk"},
                        {"size", "64M"},
                        {"flag", "boot"},
                        {"grub_device", true}});
      config.push_back(
          {{"type", "format"}, {"id", "esp-format"}, {"volume", "esp"}, {"fstype", "fat32"}});
      config.push_back({{"type", "mount"},
                        {"id", "esp-mount"},
                        {"device", "esp-format"},
                        {"path", "/boot/efi"}});
    }
    for (std::size_t i = 0; i < machine_.volumes.size(); ++i) {
      add_volume(machine_.volumes[i], "volume" + std::to_string(i), config);
    }
    return config;
  }

  static void add_volume(const Volume& volume, const std::string& id, Json& config) {
    const bool is_swap = volume.filesystem == "swap";
    Json partition = {{"type", "partition"}, {"id", id}, {"device", "disk"}};
    if (volume.is_root) {
      partition["size"] = -1;
    } else {
      partition["size"] = std::to_string(volume.mib) + "M";
    }
    if (is_swap) {
      partition["flag"] = "swap";
    }
    config.push_back(std::move(partition));
    Json format = {{"type", "format"},
                   {"id", id + "-format"},
                   {"volume", id},
                   {"fstype", volume.filesystem == "vfat" ? "fat32" : volume.filesystem}};
    if (!volume.label.empty()) {
      format["label"] = volume.label;
    }
    config.push_back(std::move(format));
    config.push_back({{"type", "mount"},
                      {"id", id + "-mount"},
                      {"device", id + "-format"},
                      {"path", is_swap ? "none" : volume.mount}});
  }

  /// cloud-init's, at the installed machine's first boot: it takes any number of users.
  Json user_data() const {
    const recipe::Baseline& baseline = machine_.baseline();
    Json users = Json::array();
    for (const recipe::User& user : *baseline.users) {
      Json entry = {
          {"name", user.name}, {"shell", user.shell}, {"lock_passwd", user.password_hash.empty()}};
      if (!user.groups.empty()) {
        entry["groups"] = user.groups;
      }
      if (!user.password_hash.empty()) {
        entry["passwd"] = user.password_hash;
      }
      if (user.sudo) {
        entry["sudo"] =
            user.password_hash.empty() ? "ALL=(ALL:ALL) NOPASSWD:ALL" : "ALL=(ALL:ALL) ALL";
      }
      if (!user.ssh_keys.empty()) {
        entry["ssh_authorized_keys"] = user.ssh_keys;
      }
      users.push_back(std::move(entry));
    }
    return {{"users", std::move(users)},
            {"disable_root", true},
            {"ssh_pwauth", *baseline.ssh_passwords}};
  }

  Json late_commands() const {
    Json commands = Json::array();
    const auto run = [&commands](const std::string& script) {
      commands.push_back(Json{"curtin", "in-target", "--target=/target", "--", "sh", "-c", script});
    };
    if (const std::string root = *machine_.baseline().root; root != "locked") {
      run("usermod --password '" + root + "' root");
    }
    if (!machine_.remove.empty()) {
      run("apt-get purge --yes " + joined(machine_.remove, " "));
    }
    if (const auto options = machine_.kernel_options(); !options.empty()) {
      run("echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX " + joined(options, " ") +
          "\"' >/etc/default/grub.d/90-goldmill.cfg && update-grub");
    }
    for (const Script& script : machine_.scripts) {
      run("f=$(mktemp); echo " + base64(script.text) + " | base64 -d >$f; " + script.interpreter +
          " $f; s=$?; rm -f $f; exit $s");
    }
    return commands;
  }

  Machine& machine_;
};

}  // namespace

std::string write_autoinstall(Machine& machine) {
  return Autoinstall(machine).run();
}

}  // namespace goldmill::answers
