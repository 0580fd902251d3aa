// SPDX-License-Identifier: GPL-3.0-or-later
// What a profile says of the running system: time, language, network, services.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <sstream>

#include <goldmill/kickstart/recipe_words.hpp>

#include "translation.hpp"
#include "words.hpp"

namespace goldmill::kickstart {

namespace {
/// A service of Fedora. `unit` is Debian's; "": what it does is not a unit of its own there.
/// One that Fedora has without being asked is not always there in Debian.
struct Service {
  std::string unit;
  bool comes_with_fedora = false;
};

Service service_named(const std::string& given) {
  static const std::map<std::string, Service> kServices = {{"sshd", {"ssh"}},
                                                           {"ssh", {"ssh"}},
                                                           {"crond", {"cron", true}},
                                                           {"httpd", {"apache2"}},
                                                           {"chronyd", {"chrony", true}},
                                                           {"ntpd", {"ntpsec", true}},
                                                           {"named", {"named"}},
                                                           {"network", {""}},
                                                           {"nfs", {"nfs-server"}},
                                                           {"smb", {"smbd"}},
                                                           {"nmb", {"nmbd"}},
                                                           {"slapd", {"slapd"}},
                                                           {"mysqld", {"mariadb"}},
                                                           {"dhcpd", {"isc-dhcp-server"}},
                                                           {"cups", {"cups"}},
                                                           {"vmtoolsd", {"open-vm-tools", true}},
                                                           {"waagent", {"walinuxagent", true}},
                                                           {"rsyslogd", {"rsyslog", true}}};
  const std::string name = given.ends_with(".service") ? given.substr(0, given.size() - 8) : given;
  const auto known = kServices.find(name);
  return known == kServices.end() ? Service{name, true} : known->second;
}

bool is_unit_name(const std::string& text) {
  return !text.starts_with('-') &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.@-") == text.npos;
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

bool is_off(const std::string& text) {
  const std::string word = lowered(text);
  return word == "no" || word == "off" || word == "false" || word == "0";
}

/// "8080:udp" -> "8080/udp", as a recipe has it; "" when it has not.
std::string port_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string protocol = colon == std::string::npos ? "tcp" : text.substr(colon + 1);
  std::uint16_t number = 0;
  const char* const end = text.data() + std::min(colon, text.size());
  const auto parsed = std::from_chars(text.data(), end, number);
  const bool is_port = parsed.ec == std::errc{} && parsed.ptr == end && number > 0;
  return is_port && (protocol == "tcp" || protocol == "udp")
             ? std::to_string(number) + "/" + protocol
             : "";
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
  std::string note;
  const auto add = [&note](const std::string& more) { add_note(note, more); };
  if (!command.words.empty()) {
    const std::string& zone = command.words.front();
    if (zone == "GMT" || zone == "Universal" || zone == "Zulu") {
      baseline("timezone") = "UTC";
      add("UTC");
    } else if (is_time_zone(zone)) {
      baseline("timezone") = zone;
    } else {
      add("the zone is not taken over: a recipe has those that are named AREA/CITY, and UTC");
    }
  }
  if (command.has("ntpservers")) {
    add("the recipe's os asks its own time servers");
  }
  if (command.has("nontp")) {
    add("the clock is set by time servers all the same, by systemd-timesyncd");
  }
  if (!command.has("utc") && !command.has("isUtc")) {
    add("the machine's clock is UTC");
  }
  note.empty() ? mapped(command) : changed(command, note);
}

/// "en_US" meant UTF-8; "en_US.utf8" is another spelling.
void Translation::lang(const Command& command) {
  const std::string& given = command.words.front();
  const std::string locale = utf8_locale(given);
  if (locale.empty()) {
    return not_applicable(command, "it is no language that a recipe takes, such as de_DE.UTF-8");
  }
  baseline("locale") = locale;
  std::string note = locale == given ? "" : locale;
  if (command.has("addsupport")) {
    add_note(note, "other languages are not added");
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
  if (whole && is_keyboard(layout)) {
    baseline("keyboard") = layout + "-" + variant;
    return mapped(command);
  }
  if (!is_keyboard(layout)) {
    return not_applicable(command, "it names no layout that a recipe takes");
  }
  baseline("keyboard") = layout;
  const bool all = layout == command.value("vckeymap") || layout == layouts ||
                   (!command.words.empty() && layout == command.words.front());
  all ? mapped(command) : changed(command, "the layout '" + layout + "'");
}

/// A recipe has one interface, the first.
void Translation::network(const Command& command) {
  std::string note;
  const auto add = [&note](const std::string& more) { add_note(note, more); };
  if (command.has("hostname")) {
    add("each instance gets a host name of its own");
  }
  const std::string way = command.value("bootproto");
  const std::string device = command.value("device");
  if (way.empty() && device.empty() && !command.has("ip")) {
    return not_applicable(command,
                          note.empty() ? "an instance's network is given when it starts" : note);
  }
  baseline("network") = "dhcp";
  if (way == "static" || command.has("ip")) {
    add("an image has no fixed address: DHCP");
  } else if (!note.empty() || (!way.empty() && way != "dhcp")) {
    add("DHCP");
  }
  const std::string first = first_device_.empty() ? device : first_device_;
  if (!device.empty() && device != first) {
    add("DHCP on the first interface only, for which " + first + " is taken");
  }
  first_device_ = first;
  if (is_off(command.value("onboot"))) {
    add("the first interface is brought up at boot all the same");
  }
  note.empty() ? mapped(command) : changed(command, note);
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
    if (const std::string number = port_of(port); !number.empty()) {
      open(number);
    } else {
      const bool is_number = std::isdigit(static_cast<unsigned char>(port.front())) != 0;
      services.push_back(is_number ? port : port.substr(0, port.find(':')));
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
  std::string note =
      unknown.empty() ? "" : "not opened, since a recipe has no port for them: " + unknown;
  if (command.has("trust")) {
    add_note(note, "no interface is trusted as a whole");
  }
  note.empty() ? mapped(command) : changed(command, note);
}

/// One step for each line, in its place among the scripts: they may install what it enables. As in
/// Anaconda a unit that is not there does not end it, unless only the profile can have named it.
void Translation::services(const Command& command) {
  std::string script;
  std::string note;
  const auto add = [&](const std::string& verb, const std::string& given) {
    const Service service = service_named(given);
    if (service.unit.empty() || !is_unit_name(service.unit)) {
      note += "; " + given +
              (service.unit.empty() ? ": the baseline's network is always there"
                                    : " is no name of a unit");
      return;
    }
    const bool must_be_there = verb == "enable" && !service.comes_with_fedora;
    script += "systemctl " + verb + " " + service.unit +
              (must_be_there ? "\n" : " || :  # it may not be there\n");
    if (verb == "enable" && !must_be_there) {
      note += "; " + service.unit + " if it is there";
    }
  };
  for (const std::string& service : listed(command.value("enabled"))) {
    add("enable", service);
  }
  for (const std::string& service : listed(command.value("disabled"))) {
    add("disable", service);
  }
  if (script.empty()) {
    return not_applicable(command, note.empty() ? "it names no service" : note.substr(2));
  }
  steps_.push_back({shell(script, false), here_});
  changed(command, "a step with systemctl; units by their names in Debian" + note);
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
  const std::string location = command.value("location");
  if (command.has("disabled") || location == "none" || location == "partition") {
    note += "; in the boot record and the EFI partition";
  }
  note.find(';') == std::string::npos ? mapped(command, note) : changed(command, note);
}

}  // namespace goldmill::kickstart
