// SPDX-License-Identifier: GPL-3.0-or-later
#include "translation.hpp"

#include <goldmill/kickstart/recipe_words.hpp>

#include "dropped_options.hpp"
#include "storage.hpp"

namespace goldmill::kickstart {

namespace {
struct Reason {
  const char* names;
  const char* note;
};

/// Commands that an image has no use for.
constexpr Reason kReasons[] = {
    {" text graphical cmdline interactive autostep vnc rdp sshpw logging mediacheck rescue ",
     "it is about how the installer is run, and none runs"},
    {" install upgrade cdrom harddrive nfs liveimg hmc driverdisk updates device deviceprobe "
     "ostreesetup ostreecontainer bootc method ",
     "packages come from the archive of the recipe's os"},
    {" url repo module ", "an archive of RPM packages; the recipe's `repositories:` adds others"},
    {" clearpart zerombr ignoredisk mount snapshot ", "the image's disk is new and its own"},
    {" reboot poweroff halt shutdown ", "nothing runs while an image is built"},
    {" firstboot eula key rhsm syspurpose unsupported_hardware ",
     "the recipe's os asks no such question"},
    {" skipx xconfig monitor mouse ", "a desktop comes with its packages"},
    {" iscsi iscsiname fcoe zfcp zipl dmraid multipath nvdimm lilocheck ",
     "the disk is the virtual machine's"},
    {" langsupport ", "the recipe has one `locale:`"},
    {" auth authconfig authselect ", "PAM is the recipe's os's own: shadow passwords, yescrypt"},
    {" realm ", "joining needs a machine that runs: do it at first boot"},
    {" selinux ", "Debian and Ubuntu confine services by AppArmor, which is on"},
    {" timesource ", "the recipe's os asks its own time servers"}};

const char* reason_for(const std::string& name) {
  for (const Reason& reason : kReasons) {
    if (has_word(reason.names, name)) {
      return reason.note;
    }
  }
  return "goldmill has nothing like it";
}

constexpr const char* kSecretOptions[] = {"password",
                                          "passphrase",
                                          "md5pass",
                                          "reverse-password",
                                          "wepkey",
                                          "wpakey",
                                          "one-time-password",
                                          "activation-key"};

bool is_secret(const std::string& option) {
  return std::find(std::begin(kSecretOptions), std::end(kSecretOptions), option) !=
         std::end(kSecretOptions);
}

/// The command as written; one with a password as it was understood, without it: people keep
/// reports.
std::string without_secrets(const Command& command) {
  const bool has_secret_words = command.name == "rootpw" || command.name == "sshpw";
  const bool has_secrets = std::any_of(command.options.begin(),
                                       command.options.end(),
                                       [](const auto& option) { return is_secret(option.first); });
  if (!has_secrets && (!has_secret_words || command.words.empty())) {
    return command.text;
  }
  std::string text = command.name;
  for (const std::string& word : command.words) {
    text += " " + (has_secret_words ? "..." : word);
  }
  for (const auto& [option, values] : command.options) {
    for (const std::string& value : values) {
      text += " --" + option + (value.empty() ? "" : "=" + (is_secret(option) ? "..." : value));
    }
  }
  return text;
}
}  // namespace

/// An option that nothing becomes of is a change.
ImportRow Translation::row_of(const Command& command, Verdict verdict, std::string note) const {
  if (verdict != Verdict::not_applicable) {
    const std::string dropped = dropped_options(command);
    verdict = dropped.empty() ? verdict : Verdict::changed;
    add_note(note, dropped);
  }
  return {here_.file, command.line, without_secrets(command), verdict, std::move(note)};
}

void Translation::say(const Command& command, Verdict verdict, std::string note) {
  rows_.push_back(row_of(command, verdict, std::move(note)));
}
void Translation::mapped(const Command& command, std::string note) {
  say(command, Verdict::mapped, std::move(note));
}
void Translation::changed(const Command& command, std::string note) {
  say(command, Verdict::changed, std::move(note));
}
void Translation::not_applicable(const Command& command, std::string note) {
  say(command, Verdict::not_applicable, std::move(note));
}

bool Translation::uses(const Section& section) {
  const std::string& name = section.header.name;
  return name == "%packages" || (name == "%post" && !section.header.has("nochroot"));
}

void Translation::command(const Command& command) {
  here_.line = command.line;
  translate(command);
}

void Translation::section(const Section& section) {
  here_.line = section.header.line;
  translate(section);
}

Json& Translation::baseline(const std::string& key) {
  places_["baseline." + key] = here_;
  return baseline_[key];
}

void Translation::translate(const Command& command) {
  using Method = void (Translation::*)(const Command&);
  static const std::map<std::string, Method> kMethods = {{"bootloader", &Translation::bootloader},
                                                         {"firewall", &Translation::firewall},
                                                         {"group", &Translation::group},
                                                         {"keyboard", &Translation::keyboard},
                                                         {"lang", &Translation::lang},
                                                         {"lilo", &Translation::bootloader},
                                                         {"network", &Translation::network},
                                                         {"rootpw", &Translation::rootpw},
                                                         {"services", &Translation::services},
                                                         {"sshkey", &Translation::sshkey},
                                                         {"timezone", &Translation::timezone},
                                                         {"user", &Translation::user}};
  if (is_storage(command.name)) {
    return keep_for_storage(command);
  }
  const auto method = kMethods.find(command.name);
  if (method != kMethods.end()) {
    return (this->*method->second)(command);
  }
  if (command.name == "autopart") {
    return changed(command, "one root file system that fills the disk; no swap, no LVM");
  }
  if (command.name == "reqpart") {
    return mapped(command, "the boot partitions are always added");
  }
  not_applicable(command, reason_for(command.name));
}

void Translation::translate(const Section& section) {
  const std::string& name = section.header.name;
  if (name == "%packages") {
    return packages(section);
  }
  if (name == "%post") {
    return post(section);
  }
  not_applicable(section.header,
                 name == "%addon" ? "an addition to the installer"
                                  : "a script of the installer's own, and none runs");
}

void Translation::keep_for_storage(const Command& command) {
  storage_rows_.push_back(rows_.size());
  storage_lines_.push_back(command);
  mapped(command);
}

void Translation::finish_disk() {
  Storage storage(storage_lines_);
  for (std::size_t at = 0; at < storage_lines_.size(); ++at) {
    ImportRow& row = rows_[storage_rows_[at]];
    here_ = {row.file, row.line};
    Storage::Placement placement = storage.place(storage_lines_[at], here_);
    row = row_of(storage_lines_[at], placement.verdict, std::move(placement.note));
  }
  const Json disk = storage.disk(places_);
  for (const auto& [key, value] : disk.items()) {
    recipe_["disk"][key] = value;
  }
}

Import Translation::finish(const std::string& name, const std::string& os) {
  recipe_["recipe"] = name;
  recipe_["os"] = os;
  finish_accounts();
  finish_disk();
  put(recipe_, "baseline", std::move(baseline_));
  finish_packages();
  finish_steps();
  return {std::move(recipe_), std::move(rows_), std::move(places_)};
}

}  // namespace goldmill::kickstart
