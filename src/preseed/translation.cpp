// SPDX-License-Identifier: GPL-3.0-or-later
#include "translation.hpp"

#include <algorithm>
#include <set>

#include <goldmill/kickstart/recipe_words.hpp>

namespace goldmill::preseed {

namespace {

struct Reason {
  std::string_view beginning;  ///< of a question
  const char* note;
};

/// What an image has no use for; the first that fits counts.
constexpr Reason kReasons[] = {
    {"partman-crypto/", "an image holds no key: the host's storage is what is encrypted"},
    {"partman-auto/disk", "the image's disk is new and its own"},
    {"partman-auto/expert_recipe_file", "the file is the installer's: write the recipe here"},
    {"partman", "the image's disk is new and its own, and nobody asks for confirmation"},
    {"grub-installer/password", "it is not taken over: who reaches the console owns the disk"},
    {"grub-installer/", "GRUB is always installed, for BIOS and UEFI"},
    {"lilo-installer/", "GRUB is always installed, for BIOS and UEFI"},
    {"grub-pc/", "GRUB is always installed, for BIOS and UEFI"},
    {"mirror/", "packages come from the archives of the machine that builds"},
    {"choose-mirror", "packages come from the archives of the machine that builds"},
    {"apt-setup/local", "the recipe's `repositories:` adds archives, each with its key"},
    {"apt-setup/", "instances use the archives that the image was built from, see `apt.sources`"},
    {"apt-cdrom-setup/", "packages come from an archive, not from a CD"},
    {"apt-mirror-setup/", "packages come from the archives of the machine that builds"},
    {"cdrom-", "packages come from an archive, not from a CD"},
    {"cdrom/", "packages come from an archive, not from a CD"},
    {"base-installer/", "kernel and base system follow from the recipe's os and hardware"},
    {"bootstrap-base/", "kernel and base system follow from the recipe's os and hardware"},
    {"netcfg/", "an instance's network is given when it starts"},
    {"network-console/", "it is about how the installer is run, and none runs"},
    {"ethdetect/", "drivers come with the kernel; `hardware:` chooses it"},
    {"hw-detect/", "drivers come with the kernel; `hardware:` chooses it"},
    {"preseed/early_command", "a script of the installer's own, and none runs"},
    {"partman/early_command", "a script of the installer's own, and none runs"},
    {"preseed/include", "one file is read: put what the other says into it"},
    {"preseed/run", "a script of the installer's own, and none runs"},
    {"preseed/", "it is about where answers come from"},
    {"finish-install/", "nothing runs while an image is built"},
    {"debian-installer/", "it is about how the installer is run, and none runs"},
    {"debconf/", "it is about how the installer asks, and none runs"},
    {"auto-install/", "it is about how the installer is run, and none runs"},
    {"anna/", "it is about how the installer is run, and none runs"},
    {"rescue/", "it is about how the installer is run, and none runs"},
    {"console-setup/", "the keyboard's layout says enough"},
    {"keyboard-configuration/", "the keyboard's layout says enough"},
    {"localechooser/", "the recipe has one `locale:`"},
    {"clock-setup/", "the machine's clock is UTC, set by the hypervisor"},
    {"tzsetup/", "the time zone says enough"},
    {"time/", "the time zone says enough"},
    {"user-setup/", "nobody asks for confirmation"},
    {"passwd/", "accounts are the recipe's: see `baseline.users`"},
    {"pkgsel/", "packages are the newest of the archive, without translations"},
    {"tasksel/", "tasks are packages: see `packages`"},
    {"nobootloader/", "GRUB is always installed, for BIOS and UEFI"},
    {"oem-config/", "it is about how the installer is run, and none runs"},
    {"ubiquity/", "it is about how the installer is run, and none runs"},
    {"live-installer/", "packages come from an archive"},
    {"save-logs/", "it is about how the installer is run, and none runs"}};

const char* reason_for(const std::string& question) {
  for (const Reason& reason : kReasons) {
    if (question.starts_with(reason.beginning)) {
      return reason.note;
    }
  }
  return "a question of the installer that has no meaning for an image";
}

/// Owners whose questions are the installer's, whoever asks them first.
bool is_installer(const std::string& owner) {
  static const std::set<std::string> kOwners = {"d-i",
                                                "tasksel",
                                                "ubiquity",
                                                "base-config",
                                                "debian-installer",
                                                "unknown",
                                                "choose-mirror-bin",
                                                "partman-auto",
                                                "partman-partitioning",
                                                "user-setup-udeb",
                                                "netcfg",
                                                "grub-installer",
                                                "clock-setup",
                                                "tzsetup-udeb",
                                                "oem-config-udeb",
                                                "preseed-common",
                                                "pkgsel"};
  return kOwners.contains(owner) || owner.ends_with("-udeb");
}
}  // namespace

void Translation::say(const Answer& answer,
                      Verdict verdict,
                      std::string note,
                      const std::string& key) {
  kickstart::ImportRow row{file_, answer.line, answer.text, verdict, std::move(note)};
  if (answer.type == "password" && !answer.value.empty()) {  // reports go into logs
    row.text = answer.owner + " " + answer.question + " " + answer.type + " ...";
  }
  if (!key.empty()) {
    place(key);
  }
  rows_.push_back(std::move(row));
}
void Translation::mapped(const Answer& answer, const std::string& key, std::string note) {
  say(answer, Verdict::mapped, std::move(note), key);
}
void Translation::changed(const Answer& answer, const std::string& key, std::string note) {
  say(answer, Verdict::changed, std::move(note), key);
}
void Translation::not_applicable(const Answer& answer, std::string note) {
  say(answer, Verdict::not_applicable, std::move(note));
}

const std::map<std::string, Translation::Method>& Translation::methods() {
  using T = Translation;
  static const std::map<std::string, Method> kMethods = {
      {"time/zone", &T::timezone},
      {"tzconfig/choose_country_zone/UTC", &T::timezone},
      {"clock-setup/utc", &T::utc},
      {"clock-setup/ntp", &T::ntp},
      {"clock-setup/ntp-server", &T::ntp},
      {"debian-installer/locale", &T::locale},
      {"debian-installer/language", &T::locale},
      {"debian-installer/country", &T::locale},
      {"locale", &T::locale},
      {"keymap", &T::keyboard},
      {"keyboard-configuration/xkb-keymap", &T::keyboard},
      {"keyboard-configuration/layoutcode", &T::keyboard},
      {"keyboard-configuration/variantcode", &T::keyboard},
      {"console-keymaps-at/keymap", &T::keyboard},
      {"console-setup/layoutcode", &T::keyboard},
      {"debian-installer/keymap", &T::keyboard},
      {"netcfg/get_hostname", &T::host_name},
      {"netcfg/get_domain", &T::host_name},
      {"netcfg/hostname", &T::host_name},
      {"hostname", &T::host_name},
      {"domain", &T::host_name},
      {"netcfg/choose_interface", &T::interface},
      {"interface", &T::interface},
      {"netcfg/get_ipaddress", &T::fixed_address},
      {"netcfg/get_netmask", &T::fixed_address},
      {"netcfg/get_gateway", &T::fixed_address},
      {"netcfg/get_nameservers", &T::fixed_address},
      {"netcfg/disable_dhcp", &T::fixed_address},
      {"netcfg/disable_autoconfig", &T::fixed_address},
      {"mirror/http/proxy", &T::proxy},
      {"mirror/https/proxy", &T::proxy},
      {"debian-installer/add-kernel-opts", &T::kernel_options},
      {"pkgsel/include", &T::include},
      {"tasksel/first", &T::tasks},
      {"tasksel/tasks", &T::tasks},
      {"base-installer/install-recommends", &T::recommends},
      {"pkgsel/update-policy", &T::update_policy},
      {"popularity-contest/participate", &T::popularity},
      {"preseed/late_command", &T::late_command},
      {"partman-auto/method", &T::method},
      {"partman-auto/choose_recipe", &T::choose_recipe},
      {"partman-auto/expert_recipe", &T::expert_recipe},
      {"partman/default_filesystem", &T::default_filesystem},
      {"passwd/root-login", &T::root_login},
      {"passwd/root-password", &T::root_password},
      {"passwd/root-password-crypted", &T::root_password},
      {"passwd/root-password-again", &T::again},
      {"passwd/user-password-again", &T::again},
      {"passwd/make-user", &T::make_user},
      {"passwd/username", &T::user_detail},
      {"passwd/user-fullname", &T::user_detail},
      {"passwd/user-password", &T::user_detail},
      {"passwd/user-password-crypted", &T::user_detail},
      {"passwd/user-uid", &T::user_detail},
      {"passwd/user-default-groups", &T::user_detail}};
  return kMethods;
}

void Translation::place(const std::string& path) {
  places_[path] = {file_, line_};
}

void Translation::answer(const Answer& answer) {
  line_ = answer.line;
  if (answer.type == "seen") {
    return not_applicable(answer, "whether a question was seen; no question is asked");
  }
  if (!is_type(answer.type)) {
    return not_applicable(answer, "debconf knows no type '" + answer.type + "' and skips the line");
  }
  // d-i's own short names stand for a question, with a package's too.
  const auto method = methods().find(answer.question);
  if (method != methods().end()) {
    return (this->*method->second)(answer);
  }
  if (is_installer(answer.owner)) {
    return not_applicable(answer, reason_for(answer.question));
  }
  debconf(answer);
}

void Translation::debconf(const Answer& answer) {
  if (answer.type == "password") {
    return not_applicable(answer,
                          answer.value.empty()
                              ? "no password"
                              : "it would stand in the image for all to read; give it to "
                                "each instance");
  }
  if (answer.type != "string" && answer.type != "boolean" && answer.type != "select" &&
      answer.type != "multiselect") {
    return not_applicable(answer, "a text that a package shows, not an answer");
  }
  const bool is_boolean = answer.value == "true" || answer.value == "false";
  if (answer.question.find('/') == std::string::npos || !kickstart::is_package_name(answer.owner) ||
      (answer.type == "boolean" && !is_boolean)) {
    return not_applicable(answer, "debconf has no such question or answer");
  }
  const auto [known, is_new] =
      debconf_indices_.try_emplace({answer.owner, answer.question}, debconf_.size());
  place(kickstart::entry_path("debconf", known->second));
  const Json entry = {{"package", answer.owner},
                      {"question", answer.question},
                      {"type", answer.type},
                      {"value", answer.value}};
  if (!is_new) {
    debconf_[known->second] = entry;
    return mapped(answer, "", "it replaces an earlier line");
  }
  debconf_.push_back(entry);
  mapped(answer, "");
}

void Translation::want(const std::string& name) {
  if (wanted_.insert(name).second) {
    place(kickstart::entry_path("packages", packages_.size()));
    packages_.push_back(name);
  }
}

kickstart::Import Translation::finish(const std::string& name) {
  recipe_["recipe"] = name;
  recipe_["os"] = os_;
  finish_accounts();
  const Json disk = volumes_.disk(places_);
  for (const auto& [key, value] : disk.items()) {
    recipe_["disk"][key] = value;
  }
  kickstart::put(recipe_, "baseline", std::move(baseline_));
  kickstart::put(recipe_, "packages", packages_);
  kickstart::put(recipe_, "debconf", std::move(debconf_));
  for (std::size_t index = 0; index < step_lines_.size(); ++index) {
    places_[kickstart::entry_path("provision", index)] = {file_, step_lines_[index]};
  }
  kickstart::put(recipe_, "provision", std::move(steps_));
  return {std::move(recipe_), std::move(rows_), std::move(places_)};
}

}  // namespace goldmill::preseed
