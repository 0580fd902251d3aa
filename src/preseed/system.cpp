// SPDX-License-Identifier: GPL-3.0-or-later
// What answers say of the running system: time, language, network, packages, scripts.
#include <algorithm>
#include <regex>
#include <sstream>

#include <goldmill/kickstart/recipe_words.hpp>

#include "late_command.hpp"
#include "translation.hpp"

namespace goldmill::preseed {

namespace {

bool has_form(const std::string& text, const char* pattern) {
  return text.size() < 200 && std::regex_match(text, std::regex(pattern));
}

bool is_ubuntu(const std::string& os) {
  return os.starts_with("ubuntu/");
}

/// The package of a task; "" for what needs none, "?" for what is not known.
std::string package_of_task(const std::string& task, bool ubuntu) {
  static const std::map<std::string, std::string> kNames = {{"none", ""},
                                                            {"minimal", ""},
                                                            {"server", ""},
                                                            {"ubuntu-server", ""},
                                                            {"openssh-server", "openssh-server"},
                                                            {"ssh-server", "openssh-server"},
                                                            {"samba-server", "samba"},
                                                            {"dns-server", "bind9"},
                                                            {"mail-server", "postfix"},
                                                            {"postgresql-server", "postgresql"},
                                                            {"lamp-server", "?"}};
  const auto known = kNames.find(task);
  if (known != kNames.end()) {
    return known->second;
  }
  const bool is_name = kickstart::is_package_name(task);
  return ubuntu || !is_name ? "?" : "task-" + task;
}
}  // namespace

void Translation::timezone(const Answer& answer) {
  if (answer.value == "UTC" || answer.value == "GMT") {
    baseline_["timezone"] = "UTC";
    return mapped(answer, "baseline.timezone");
  }
  if (!kickstart::is_time_zone(answer.value)) {
    return not_applicable(answer, "no time zone: write it as Area/City");
  }
  baseline_["timezone"] = answer.value;
  mapped(answer, "baseline.timezone");
}

void Translation::utc(const Answer& answer) {
  answer.value == "false"
      ? changed(answer, "", "the machine's clock is UTC, which hypervisors show")
      : mapped(answer, "", "the machine's clock is UTC");
}

void Translation::ntp(const Answer& answer) {
  if (answer.question == "clock-setup/ntp-server" && !answer.value.empty()) {
    return changed(answer, "", "the recipe's os asks its own time servers");
  }
  answer.value == "false" ? changed(answer, "", "the recipe's os asks its own time servers")
                          : mapped(answer, "", "the recipe's os asks its own time servers");
}

/// A locale says all three; a language alone gets its country from the next line.
void Translation::locale(const Answer& answer) {
  if (answer.question.ends_with("/language") || answer.question.ends_with("/country")) {
    return baseline_.contains("locale")
               ? mapped(answer, "", "the locale says it")
               : not_applicable(answer, "a locale says both: debian-installer/locale");
  }
  std::string locale = answer.value.substr(0, answer.value.find('.'));
  const std::size_t at = locale.find('@');
  locale = locale.substr(0, at);
  if (locale == "C" || locale == "POSIX") {
    baseline_["locale"] = "C.UTF-8";
  } else if (has_form(locale, "[a-z]{2,3}_[A-Z]{2}")) {
    baseline_["locale"] = locale + ".UTF-8";
  } else {
    return not_applicable(answer, "no locale: write it as language_COUNTRY.UTF-8");
  }
  const std::string made = baseline_["locale"].get<std::string>();
  made == answer.value ? mapped(answer, "baseline.locale")
                       : changed(answer, "baseline.locale", made);
}

/// Layouts and variants are X's: "de", "de(nodeadkeys)".
void Translation::keyboard(const Answer& answer) {
  if (answer.value.empty()) {
    return mapped(answer, "", "nothing is said");
  }
  if (answer.question.ends_with("variantcode")) {
    const std::string layout = baseline_.value("keyboard", std::string());
    if (layout.empty() || !has_form(answer.value, "[a-z0-9]{1,16}")) {
      return not_applicable(answer, "a variant without a layout before it");
    }
    baseline_["keyboard"] = layout.substr(0, layout.find('-')) + "-" + answer.value;
    return mapped(answer, "baseline.keyboard");
  }
  if (has_form(answer.value, "[a-z]{2,12}\\([a-z0-9]{1,16}\\)")) {
    const std::size_t begin = answer.value.find('(');
    baseline_["keyboard"] = answer.value.substr(0, begin) + "-" +
                            answer.value.substr(begin + 1, answer.value.size() - begin - 2);
    return mapped(answer, "baseline.keyboard");
  }
  const std::string layout = answer.value.substr(0, answer.value.find_first_of(" -(,"));
  if (!has_form(layout, "[a-z]{2,12}")) {
    return not_applicable(answer, "no layout: write its code, such as us or de");
  }
  baseline_["keyboard"] = layout;
  layout == answer.value ? mapped(answer, "baseline.keyboard")
                         : changed(answer, "baseline.keyboard", "the layout '" + layout + "'");
}

void Translation::host_name(const Answer& answer) {
  not_applicable(answer, "each instance gets a host name of its own");
}

void Translation::interface(const Answer& answer) {
  baseline_["network"] = "dhcp";
  answer.value == "auto" ? mapped(answer, "baseline.network")
                         : changed(answer, "baseline.network", "every interface asks DHCP");
}

void Translation::fixed_address(const Answer& answer) {
  if (answer.value == "false" || answer.value.empty()) {
    return mapped(answer, "", "DHCP");
  }
  baseline_["network"] = "dhcp";
  changed(answer, "baseline.network", "an image has no fixed address: DHCP");
}

void Translation::proxy(const Answer& answer) {
  if (answer.value.empty()) {
    return mapped(answer, "", "none");
  }
  if (!has_form(answer.value, "https?://[A-Za-z0-9._\\[\\]:@%~!$&'()*+,;=-]+/?")) {
    return not_applicable(answer, "no proxy: write it as http://HOST:PORT");
  }
  recipe_["proxy"] = answer.value;
  changed(answer, "proxy", "for fetching packages while building; never in the image");
}

void Translation::kernel_options(const Answer& answer) {
  std::string note;
  std::istringstream words(answer.value);
  for (std::string word; words >> word;) {
    if (word == "---" || word == "--" || kickstart::is_given_option(word)) {
      continue;
    }
    if (kickstart::is_kernel_option(word)) {
      Json& options = recipe_["disk"]["kernel_options"];
      place(kickstart::entry_path("disk.kernel_options", options.size()));
      options.push_back(word);
    } else {
      note += (note.empty() ? "not taken over: " : ", ") + word;
    }
  }
  note.empty() ? mapped(answer, "disk.kernel_options", "root= and console= are the image's own")
               : changed(answer, "disk.kernel_options", note);
}

void Translation::include(const Answer& answer) {
  std::string note;
  for (const std::string& name : kickstart::listed(answer.value)) {
    if (kickstart::is_package_name(name)) {
      want(name);
    } else {
      note += (note.empty() ? "no names of packages: " : ", ") + name;
    }
  }
  note.empty() ? mapped(answer, "packages") : changed(answer, "packages", note);
}

void Translation::tasks(const Answer& answer) {
  std::string note;
  const auto add = [&note](const std::string& more) { kickstart::add_note(note, more); };
  for (const std::string& task : kickstart::listed(answer.value)) {
    const std::string package = package_of_task(task, is_ubuntu(os_));
    if (task == "standard") {
      add("'standard' is left out: name what you need of it");
    } else if (package == "?") {
      add("'" + task + "' is no task that is known: name its packages");
    } else if (!package.empty()) {
      want(package);
      add("'" + task + "' is " + package);
    }
  }
  note.empty() ? mapped(answer, "packages") : changed(answer, "packages", note);
}

void Translation::recommends(const Answer& answer) {
  recipe_["recommends"] = answer.value == "true";
  mapped(answer, "recommends");
}

void Translation::update_policy(const Answer& answer) {
  if (answer.value == "unattended-upgrades") {
    want("unattended-upgrades");
    return mapped(answer, "packages");
  }
  answer.value == "none" ? mapped(answer, "", "updates come with a new image version")
                         : changed(answer, "", "updates come with a new image version");
}

void Translation::popularity(const Answer& answer) {
  if (answer.value != "true") {
    return mapped(answer, "", "it is not installed");
  }
  want("popularity-contest");
  debconf({answer.line, answer.text, "popularity-contest", answer.question, "boolean", "true"});
}

void Translation::late_command(const Answer& answer) {
  const LateCommand command = read_late_command(answer.value);
  for (const std::string& name : command.packages) {
    if (kickstart::is_package_name(name)) {
      want(name);
    }
  }
  std::string left_out;
  for (const std::string& entry : command.left_out) {
    left_out +=
        (left_out.empty() ? "left out, since only an installer could run it: " : "; ") + entry;
  }
  if (command.scripts.empty() && command.packages.empty()) {
    return not_applicable(answer, left_out.empty() ? "it does nothing" : left_out);
  }
  for (const std::string& script : command.scripts) {
    steps_.push_back(
        {{"shell", {{"script", kickstart::without_parameters(script)}, {"network", true}}}});
    step_lines_.push_back(answer.line);
  }
  changed(answer,
          command.scripts.empty() ? "packages" : "provision",
          left_out.empty() ? "a step that runs in the image and reaches the network" : left_out);
}

}  // namespace goldmill::preseed
