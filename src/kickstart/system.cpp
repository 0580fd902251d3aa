// SPDX-License-Identifier: GPL-3.0-or-later
// What a profile says of the running system: time, language, network, services.
#include <algorithm>
#include <sstream>

#include <goldmill/kickstart/recipe_words.hpp>

#include "translation.hpp"

namespace goldmill::kickstart {

namespace {
/// Services by their names in Fedora, where Debian's differ.
std::string unit_of(const std::string& service) {
  static const std::map<std::string, std::string> kNames = {{"sshd", "ssh"},
                                                            {"crond", "cron"},
                                                            {"httpd", "apache2"},
                                                            {"chronyd", "chrony"},
                                                            {"ntpd", "ntpsec"},
                                                            {"named", "named"},
                                                            {"nfs", "nfs-server"},
                                                            {"smb", "smbd"},
                                                            {"nmb", "nmbd"},
                                                            {"slapd", "slapd"},
                                                            {"mysqld", "mariadb"},
                                                            {"dhcpd", "isc-dhcp-server"},
                                                            {"cups", "cups"},
                                                            {"rsyslogd", "rsyslog"}};
  const std::string name =
      service.ends_with(".service") ? service.substr(0, service.size() - 8) : service;
  const auto known = kNames.find(name);
  return known == kNames.end() ? name : known->second;
}

/// Ports of firewalld's services; nullptr: not known.
const std::vector<std::string>* ports_of(const std::string& service) {
  static const std::map<std::string, std::vector<std::string>> kPorts = {
      {"ssh", {"ssh"}},          {"http", {"http"}},
      {"https", {"https"}},      {"smtp", {"25/tcp"}},
      {"ftp", {"21/tcp"}},       {"telnet", {"23/tcp"}},
      {"imap", {"143/tcp"}},     {"imaps", {"993/tcp"}},
      {"pop3s", {"995/tcp"}},    {"dns", {"53/tcp", "53/udp"}},
      {"mdns", {"5353/udp"}},    {"ntp", {"123/udp"}},
      {"nfs", {"2049/tcp"}},     {"samba", {"139/tcp", "445/tcp"}},
      {"ldap", {"389/tcp"}},     {"ldaps", {"636/tcp"}},
      {"mysql", {"3306/tcp"}},   {"postgresql", {"5432/tcp"}},
      {"cockpit", {"9090/tcp"}}, {"dhcpv6-client", {}},
      {"samba-client", {}}};
  const auto known = kPorts.find(service);
  return known == kPorts.end() ? nullptr : &known->second;
}

/// The parts of an option that may be given several times, each with a list.
std::vector<std::string> listed_in(const Command& command, const std::string& option) {
  std::vector<std::string> all;
  for (const std::string& list : command.values(option)) {
    const auto parts = listed(list);
    all.insert(all.end(), parts.begin(), parts.end());
  }
  return all;
}
/// A keyboard layout's, as a recipe takes it.
bool is_variant(std::string_view text) {
  return !text.empty() && text.size() <= 16 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string_view::npos;
}

std::vector<std::string> spaced(std::string_view text) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(text)};
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}
}  // namespace

void Translation::timezone(const Command& command) {
  if (!command.words.empty()) {
    const std::string& zone = command.words.front();
    baseline("timezone") = zone;
  }
  if (command.has("ntpservers")) {
    return changed(command, "the recipe's os asks its own time servers");
  }
  mapped(command, "the machine's clock is UTC");
}

/// "en_US" meant UTF-8; "en_US.utf8" is another spelling.
void Translation::lang(const Command& command) {
  std::string locale = command.words.front();
  const std::size_t dot = locale.find('.');
  const std::string language = locale.substr(0, dot);
  const bool utf8 = dot == std::string::npos || locale.substr(dot + 1) == "UTF-8" ||
                    locale.substr(dot + 1) == "utf8";
  locale = language == "C" ? "C.UTF-8" : utf8 ? language + ".UTF-8" : locale;
  baseline("locale") = locale;
  std::string note = locale == command.words.front() ? "" : locale;
  if (command.has("addsupport")) {
    note += std::string(note.empty() ? "" : "; ") + "other languages are not added";
  }
  note.empty() ? mapped(command) : changed(command, note);
}

void Translation::keyboard(const Command& command) {
  const std::string layouts = command.value("xlayouts");
  std::string layout = command.has("vckeymap") ? command.value("vckeymap")
                       : command.words.empty() ? layouts.substr(0, layouts.find(','))
                                               : command.words.front();
  // Of the console's own names, "de-latin1", only the layout means something to X's.
  std::string variant;
  if (layout == layouts.substr(0, layouts.find(','))) {  // "cz (qwerty)"
    const std::size_t begin = std::min(layout.find('('), layout.size());
    variant = layout.substr(begin, layout.find(')') - begin);
    variant.erase(0, 1);
  }
  const bool whole = !variant.empty() && is_variant(variant) && layouts.find(',') == layouts.npos;
  layout = layout.substr(0, layout.find_first_of(" -("));
  if (whole) {
    baseline("keyboard") = layout + "-" + variant;
    return mapped(command);
  }
  if (layout.empty()) {
    return not_applicable(command, "it names no layout");
  }
  baseline("keyboard") = layout;
  const bool all = layout == command.value("vckeymap") || layout == layouts ||
                   (!command.words.empty() && layout == command.words.front());
  all ? mapped(command) : changed(command, "the layout '" + layout + "'");
}

void Translation::network(const Command& command) {
  std::string note;
  if (command.has("hostname")) {
    note = "each instance gets a host name of its own; ";
  }
  const std::string way = command.value("bootproto");
  if (way == "static" || command.has("ip")) {
    baseline("network") = "dhcp";
    return changed(command, note + "an image has no fixed address: DHCP");
  }
  if (!way.empty() || command.has("device")) {
    baseline("network") = "dhcp";
    return note.empty() ? mapped(command) : changed(command, note + "DHCP");
  }
  not_applicable(command,
                 note.empty() ? "an instance's network is given when it starts"
                              : note.substr(0, note.size() - 2));
}

void Translation::firewall(const Command& command) {
  if (command.has("disabled") || command.has("disable")) {
    baseline("firewall")["inbound"] = {"ssh"};
    return changed(command, "the firewall stays on and lets SSH in; more under `firewall.inbound`");
  }
  std::vector<std::string> services = {"ssh"};  // which Anaconda leaves open too
  for (const char* flag : {"http", "smtp", "ftp", "telnet"}) {
    if (command.has(flag)) {
      services.emplace_back(flag);
    }
  }
  for (const std::string& service : listed_in(command, "service")) {
    services.push_back(service);
  }
  std::vector<std::string> ports;
  const auto open = [&ports](const std::string& port) {
    if (std::find(ports.begin(), ports.end(), port) == ports.end()) {
      ports.push_back(port);
    }
  };
  for (const std::string& port : listed_in(command, "port")) {  // "1234:udp", "imap:tcp", "ssh"
    const std::size_t colon = port.find(':');
    const std::string name = port.substr(0, colon);
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      open(name + "/" + (colon == std::string::npos ? "tcp" : port.substr(colon + 1)));
    } else {
      services.push_back(name);
    }
  }
  for (const std::string& service : listed_in(command, "remove-service")) {
    std::erase(services, service);
  }
  std::string unknown;
  for (const std::string& service : services) {
    if (const auto* known = ports_of(service)) {
      std::for_each(known->begin(), known->end(), open);
    } else {
      unknown += (unknown.empty() ? "" : ", ") + service;
    }
  }
  baseline("firewall")["inbound"] = ports;
  if (!unknown.empty()) {
    return changed(command, "not opened, since their ports are not known: " + unknown);
  }
  command.has("trust") ? changed(command, "no interface is trusted as a whole") : mapped(command);
}

/// One step for each line, in its place among the scripts: they may install what it enables.
void Translation::services(const Command& command) {
  std::string script;
  for (const std::string& service : listed(command.value("enabled"))) {
    script += "systemctl enable " + unit_of(service) + "\n";
  }
  for (const std::string& service : listed(command.value("disabled"))) {
    script += "systemctl disable " + unit_of(service) + " || :  # it may not be there\n";
  }
  steps_.push_back({shell(script, false), here_});
  changed(command, "a step with systemctl; units by their names in Debian");
}

void Translation::bootloader(const Command& command) {
  std::string note = "GRUB is always installed, for BIOS and UEFI";
  for (const std::string& word : spaced(command.value("append"))) {
    if (is_given_option(word)) {
      note += "; '" + word + "' is the installer's or the image's own matter";
    } else if (is_kernel_option(word)) {
      Json& options = recipe_["disk"]["kernel_options"];
      places_[entry_path("disk.kernel_options", options.size())] = here_;
      options.push_back(word);
    } else {
      note += "; '" + word + "' is no word of the kernel's command line";
    }
  }
  for (const char* option : {"password", "timeout"}) {
    if (command.has(option)) {
      note += std::string("; --") + option + " is not taken over";
    }
  }
  note.find(';') == std::string::npos ? mapped(command, note) : changed(command, note);
}

}  // namespace goldmill::kickstart
