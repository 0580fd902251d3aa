// SPDX-License-Identifier: GPL-3.0-or-later
// Preseed file, for Debian's installer.
#include <algorithm>

#include <goldmill/base/base64.hpp>

#include "writers.hpp"

namespace goldmill::answers {

namespace {

/// The installer's MB are millions of bytes.
std::string megabytes(std::uint64_t mib) {
  return std::to_string((mib * 1'048'576 + 500'000) / 1'000'000);
}

/// A script in one line, which the preseed reader knows again.
std::string in_target(const Script& script) {
  return "in-target sh -c 'f=$(mktemp); echo " + base64(script.text) + " | base64 -d >$f; " +
         script.interpreter + " $f; s=$?; rm -f $f; exit $s'";
}

class Preseed {
 public:
  explicit Preseed(Machine& machine) : machine_(machine) {}

  std::string run() {
    text_ = "#_preseed_V1\n# Written by goldmill from the recipe '" + machine_.merged.name + "'.\n";
    add_system();
    add_accounts();
    add_disk();
    add_packages();
    add_scripts();
    answer("finish-install/reboot_in_progress", "note", "");
    return std::move(text_);
  }

 private:
  void line(const std::string& owner,
            const std::string& question,
            const std::string& type,
            const std::string& value) {
    text_ += owner + " " + question + " " + type + (value.empty() ? "" : " " + value) + "\n";
  }
  void answer(const std::string& question, const std::string& type, const std::string& value) {
    line("d-i", question, type, value);
  }
  void unsaid(const std::string& what) { machine_.unsaid.push_back(what); }

  void add_system() {
    const recipe::Baseline& baseline = machine_.baseline();
    answer("debian-installer/locale", "string", *baseline.locale);
    if (baseline.keyboard) {
      answer("keyboard-configuration/xkb-keymap", "select", keymap(*baseline.keyboard));
    }
    answer("netcfg/choose_interface", "select", "auto");
    answer("time/zone", "string", *baseline.timezone);
    answer("clock-setup/utc", "boolean", "true");
    answer("mirror/http/proxy", "string", machine_.merged.proxy);
    if (const auto options = machine_.kernel_options(); !options.empty()) {
      answer("debian-installer/add-kernel-opts", "string", joined(options, " "));
    }
    unsaid("baseline.firewall: the installer sets up none; '" + open_ports() + "' would stay open");
    unsaid("baseline.ssh.passwords: the installed SSH server is as it comes");
  }

  /// "de(nodeadkeys)"
  static std::string keymap(const std::string& keyboard) {
    const std::size_t dash = keyboard.find('-');
    return dash == std::string::npos
               ? keyboard
               : keyboard.substr(0, dash) + "(" + keyboard.substr(dash + 1) + ")";
  }

  std::string open_ports() const { return joined(*machine_.baseline().firewall_inbound, ", "); }

  /// The installer makes one user; it gives sudo to that one where root cannot log in.
  void add_accounts() {
    const recipe::Baseline& baseline = machine_.baseline();
    const auto& users = *baseline.users;
    const bool is_locked = *baseline.root == "locked";
    const bool sudo_by_itself = is_locked && !users.empty() && users.front().sudo;
    answer("passwd/root-login", "boolean", sudo_by_itself ? "false" : "true");
    if (!sudo_by_itself) {
      answer("passwd/root-password-crypted", "password", is_locked ? "!" : *baseline.root);
    }
    answer("passwd/make-user", "boolean", users.empty() ? "false" : "true");
    for (const recipe::User& user : users) {
      &user == &users.front() ? add_first(user) : add_further(user);
      if (!user.ssh_keys.empty()) {
        scripts_.push_back({"/bin/sh", keys_script(user)});
      }
      if (user.sudo && user.password_hash.empty()) {
        scripts_.push_back({"/bin/sh", sudo_script(user)});
      }
    }
  }

  void add_first(const recipe::User& user) {
    answer("passwd/username", "string", user.name);
    answer("passwd/user-fullname", "string", user.name);
    answer("passwd/user-password-crypted",
           "password",
           user.password_hash.empty() ? "!" : user.password_hash);
    std::vector<std::string> groups = user.groups;
    if (user.sudo) {
      groups.emplace_back("sudo");
    }
    answer("passwd/user-default-groups", "string", joined(groups, " "));
    if (user.shell != "/bin/bash") {
      scripts_.push_back({"/bin/sh", "usermod --shell " + user.shell + " " + user.name + "\n"});
    }
  }

  void add_further(const recipe::User& user) {
    std::vector<std::string> groups = user.groups;
    if (user.sudo) {
      groups.emplace_back("sudo");
    }
    scripts_.push_back(
        {"/bin/sh",
         "useradd --create-home --user-group --shell " + user.shell +
             (groups.empty() ? "" : " --groups " + joined(groups, ",")) + " --password '" +
             (user.password_hash.empty() ? "*" : user.password_hash) + "' " + user.name + "\n"});
  }

  void add_disk() {
    answer("partman-auto/method", "string", "regular");
    text_ += "d-i partman-auto/expert_recipe string \\\n  goldmill :: \\\n";
    if (machine_.has(recipe::Firmware::bios)) {
      text_ += "    1 1 1 free $bios_boot{ } method{ biosgrub } . \\\n";
    }
    if (machine_.has(recipe::Firmware::uefi)) {
      text_ += "    67 67 67 fat32 $primary{ } method{ efi } format{ } . \\\n";
    }
    for (const Volume& volume : machine_.volumes) {
      add_volume(volume);
    }
    text_ += "\n";
    for (const char* question : {"partman-partitioning/confirm_write_new_label",
                                 "partman/confirm",
                                 "partman/confirm_nooverwrite"}) {
      answer(question, "boolean", "true");
    }
    answer("partman/choose_partition", "select", "finish");
    answer("grub-installer/only_debian", "boolean", "true");
    answer("grub-installer/bootdev", "string", "default");
  }

  void add_volume(const Volume& volume) {
    const std::string size = megabytes(volume.mib);
    if (volume.filesystem == "swap") {
      if (!volume.label.empty() && volume.label != "swap") {
        unsaid("disk.partitions: the label '" + volume.label + "' of the swap space");
      }
      text_ +=
          "    " + size + " " + size + " " + size + " linux-swap method{ swap } format{ } . \\\n";
      return;
    }
    const std::string filesystem = volume.filesystem == "vfat" ? "fat32" : volume.filesystem;
    text_ += "    " + size + " " + size + " " + (volume.is_root ? "-1" : size) + " " + filesystem +
             " method{ format } format{ } use_filesystem{ } filesystem{ " + filesystem +
             " } mountpoint{ " + volume.mount + " }" +
             (volume.label.empty() ? "" : " label{ " + volume.label + " }") + " ." +
             (volume.is_root ? "" : " \\\n");
  }

  void add_packages() {
    const recipe::Recipe& merged = machine_.merged;
    line("tasksel", "tasksel/first", "multiselect", "");
    answer("base-installer/install-recommends", "boolean", *merged.recommends ? "true" : "false");
    std::vector<std::string> names = {"openssh-server", "sudo"};
    for (const std::string& name : machine_.install) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(name);
      }
    }
    answer("pkgsel/include", "string", joined(names, " "));
    answer("pkgsel/update-policy", "select", "none");
    line("popularity-contest", "popularity-contest/participate", "boolean", "false");
    for (const recipe::DebconfAnswer& entry : machine_.debconf) {
      line(entry.package, entry.question, entry.type, entry.value);
    }
    if (!machine_.remove.empty()) {
      scripts_.push_back({"/bin/sh", "apt-get purge --yes " + joined(machine_.remove, " ") + "\n"});
    }
  }

  void add_scripts() {
    scripts_.insert(scripts_.end(), machine_.scripts.begin(), machine_.scripts.end());
    if (scripts_.empty()) {
      return;
    }
    text_ += "d-i preseed/late_command string";
    for (const Script& script : scripts_) {
      text_ += (&script == &scripts_.front() ? " \\\n  " : " && \\\n  ") + in_target(script);
    }
    text_ += "\n";
  }

  Machine& machine_;
  std::vector<Script> scripts_;
  std::string text_;
};

}  // namespace

std::string write_preseed(Machine& machine) {
  return Preseed(machine).run();
}

}  // namespace goldmill::answers
