// SPDX-License-Identifier: GPL-3.0-or-later
#include "machine.hpp"

#include <algorithm>

#include <goldmill/base/base64.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::answers {

namespace {

using recipe::Recipe;

/// What a file may have to be written into an answer file.
constexpr Bytes kLargestFile = 64_KiB;
constexpr std::uint64_t kBootMib = 256;  // the boot partitions, and room between

std::string mode_text(std::uint32_t mode) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) {
    text += static_cast<char>('0' + ((mode >> shift) & 7U));
  }
  return text;
}

class Gathering {
 public:
  explicit Gathering(const std::vector<Recipe>& lineage) : lineage_(lineage) {
    machine_.merged = recipe::merged(lineage);
  }

  Machine run() {
    for (const Recipe& recipe : lineage_) {
      if (recipe.file.empty()) {
        unsaid("what " + recipe.name + " was built from: its recipe is not beside this one");
      }
      for (const recipe::Secret& secret : recipe.secrets) {
        unsaid("secrets: " + secret.name + ", which nothing may keep");
      }
      says_hardware_ = says_hardware_ || !recipe.hardware.empty();
      for (const recipe::PackageRequest& request : recipe.packages) {
        add(request);
      }
      for (const recipe::DebconfAnswer& answer : recipe.debconf) {
        if (answer.value.ends_with('\\')) {
          unsaid("debconf: " + answer.question +
                 ", whose '\\' at the end would take the next line along");
          continue;
        }
        machine_.debconf.push_back(answer);
      }
      for (const recipe::ProvisionStep& step : recipe.provision) {
        add(step);
      }
    }
    add_volumes();
    add_unsaid();
    return std::move(machine_);
  }

 private:
  void unsaid(const std::string& what) { machine_.unsaid.push_back(what); }

  /// The last word on a package counts.
  void add(const recipe::PackageRequest& request) {
    using Kind = recipe::PackageRequest::Kind;
    if (request.kind == Kind::local) {
      return unsaid(request.position.text() + ": " + request.file.filename().string() +
                    ", a package that lies beside the recipe");
    }
    std::erase(machine_.install, request.name);
    std::erase(machine_.remove, request.name);
    (request.kind == Kind::remove ? machine_.remove : machine_.install).push_back(request.name);
    if (!request.version.empty()) {
      unsaid(request.position.text() + ": the version " + request.version + " of " + request.name);
    }
  }

  void add(const recipe::ProvisionStep& step) {
    const std::string where = step.position.text() + ": ";
    if (const auto* shell = std::get_if<recipe::ShellStep>(&step.action)) {
      shell->secrets.empty()
          ? add(*shell)
          : unsaid(where + "a script that reads secrets, which nothing may keep");
    } else if (const auto* files = std::get_if<recipe::FilesStep>(&step.action)) {
      for (const recipe::FileCopy& copy : files->files) {
        add(copy, where);
      }
    } else if (const auto* packages = std::get_if<recipe::PackagesStep>(&step.action)) {
      for (const recipe::PackageRequest& request : packages->packages) {
        add(request);
      }
    } else if (std::holds_alternative<recipe::PuppetStep>(step.action)) {
      unsaid(where + "a Puppet manifest");
    } else if (std::holds_alternative<recipe::AnsibleStep>(step.action)) {
      unsaid(where + "an Ansible playbook");
    } else {
      unsaid(where + "cloud-init user-data");
    }
  }

  void add(const recipe::ShellStep& shell) {
    Script script{"/bin/sh", shell.script};
    if (shell.script.starts_with("#!")) {
      const std::size_t end = std::min(shell.script.find('\n'), shell.script.size());
      script.interpreter = shell.script.substr(2, end - 2);
      script.interpreter.erase(0, script.interpreter.find_first_not_of(' '));
      script.text = shell.script.substr(std::min(end + 1, shell.script.size()));
    } else {
      script.text = "set -e\n" + script.text;
    }
    if (!script.text.ends_with('\n')) {
      script.text += '\n';
    }
    machine_.scripts.push_back(std::move(script));
  }

  void add(const recipe::FileCopy& copy, const std::string& where) {
    std::string content = copy.content;
    if (!copy.source.empty()) {
      std::error_code failure;
      const auto read = std::filesystem::is_regular_file(copy.source, failure)
                            ? system::read_file(copy.source, kLargestFile)
                            : Result<std::string>(Error{});
      if (!read) {
        return unsaid(where + copy.target + ", which is a directory, or larger than " +
                      to_text(kLargestFile));
      }
      content = *read;
    }
    const std::string target = system::shell_quoted(copy.target);
    machine_.scripts.push_back({"/bin/sh",
                                "set -e\nmkdir -p \"$(dirname " + target + ")\"\necho " +
                                    base64(content) + " | base64 -d >" + target + "\nchown " +
                                    copy.owner + ":" + copy.group + " " + target + "\nchmod " +
                                    mode_text(copy.mode) + " " + target + "\n"});
  }

  void add_volumes() {
    const recipe::Disk disk = machine_.merged.disk.value_or(recipe::Disk{});
    std::uint64_t left = disk.size.value / (1_MiB).value;
    left -= std::min(left, kBootMib);
    for (const recipe::Partition& part : disk.partitions) {
      if (part.mount == "/") {
        machine_.volumes.push_back({"/", part.filesystem, part.label, 0, true});
        continue;
      }
      const std::uint64_t mib = part.size ? part.size->value / (1_MiB).value : 0;
      left -= std::min(left, mib);
      machine_.volumes.push_back({part.mount, part.filesystem, part.label, mib, false});
    }
    if (disk.partitions.empty()) {
      machine_.volumes.push_back({"/", disk.filesystem, "", 0, true});
    }
    machine_.volumes.back().mib = left;
  }

  /// What only goldmill does; nothing of it is asked by an installer.
  void add_unsaid() {
    const Recipe& merged = machine_.merged;
    const recipe::Baseline& baseline = merged.baseline;
    if (baseline.security == "standard") {
      unsaid("baseline.security: the rules of the policy 'standard'");
    }
    if (merged.os->architecture != "amd64") {
      unsaid("architecture: the installer's own");
    }
    if (says_hardware_) {
      unsaid("hardware: the installer chooses kernel and drivers by the machine that it runs on");
    }
    if (!merged.clouds->empty()) {
      unsaid("clouds: an installed machine gets its identity from nobody");
    }
    if (!merged.repositories.empty()) {
      unsaid("repositories: archives beside the installer's own, with their keys");
    }
    if (!merged.apt_sources.empty()) {
      unsaid("apt.sources: the installer writes those that it used");
    }
    if (baseline.network == "none") {
      unsaid("baseline.network: an installer needs a network");
    }
    const recipe::Promises& promises = merged.promises;
    if (promises.disk_used || promises.image_size || promises.boot_seconds ||
        !promises.commands.empty() || !promises.services.empty() || !promises.ports.empty()) {
      unsaid("promises: nobody checks an installed machine");
    }
  }

  const std::vector<Recipe>& lineage_;
  Machine machine_;
  bool says_hardware_ = false;  // merged, every recipe has some
};

}  // namespace

std::vector<std::string> Machine::kernel_options() const {
  return merged.disk.value_or(recipe::Disk{}).kernel_options;
}

bool Machine::has(recipe::Firmware firmware) const {
  const auto boot = merged.disk.value_or(recipe::Disk{}).boot;
  return std::find(boot.begin(), boot.end(), firmware) != boot.end();
}

Machine whole_machine(const std::vector<Recipe>& lineage) {
  return Gathering(lineage).run();
}

std::string sudo_script(const recipe::User& user) {
  const std::string file = "/etc/sudoers.d/" + user.name;
  return "echo '" + user.name + " ALL=(ALL:ALL) NOPASSWD: ALL' >" + file + "\nchmod 0440 " + file +
         "\n";
}

std::string keys_script(const recipe::User& user) {
  const std::string home = "/home/" + user.name + "/.ssh";
  std::string text = "install -d -m 0700 -o " + user.name + " -g " + user.name + " " + home + "\n";
  for (const std::string& key : user.ssh_keys) {
    text += "echo " + system::shell_quoted(key) + " >>" + home + "/authorized_keys\n";
  }
  return text + "chown " + user.name + ":" + user.name + " " + home + "/authorized_keys\n";
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : between) + word;
  }
  return text;
}

}  // namespace goldmill::answers
