// SPDX-License-Identifier: GPL-3.0-or-later
// autounattend.xml, for Windows Setup: the answers that mean something there.
// Source: Unattended Windows Setup Reference of Windows' deployment documentation.
#include <array>
#include <map>

#include <goldmill/base/xml.hpp>

#include "writers.hpp"

namespace goldmill::answers {

namespace {

std::string escaped(const std::string& text) {
  return xml_escaped(text, '"');
}

/// Windows has names of its own; "" for a zone that is not here. Source: CLDR's windowsZones.
std::string windows_zone(const std::string& zone) {
  static const std::map<std::string, std::string> kZones = {
      {"UTC", "UTC"},
      {"Europe/London", "GMT Standard Time"},
      {"Europe/Berlin", "W. Europe Standard Time"},
      {"Europe/Vienna", "W. Europe Standard Time"},
      {"Europe/Zurich", "W. Europe Standard Time"},
      {"Europe/Amsterdam", "W. Europe Standard Time"},
      {"Europe/Rome", "W. Europe Standard Time"},
      {"Europe/Paris", "Romance Standard Time"},
      {"Europe/Madrid", "Romance Standard Time"},
      {"Europe/Brussels", "Romance Standard Time"},
      {"Europe/Warsaw", "Central European Standard Time"},
      {"Europe/Prague", "Central Europe Standard Time"},
      {"Europe/Athens", "GTB Standard Time"},
      {"Europe/Helsinki", "FLE Standard Time"},
      {"Europe/Moscow", "Russian Standard Time"},
      {"America/New_York", "Eastern Standard Time"},
      {"America/Chicago", "Central Standard Time"},
      {"America/Denver", "Mountain Standard Time"},
      {"America/Los_Angeles", "Pacific Standard Time"},
      {"America/Sao_Paulo", "E. South America Standard Time"},
      {"Asia/Tokyo", "Tokyo Standard Time"},
      {"Asia/Shanghai", "China Standard Time"},
      {"Asia/Kolkata", "India Standard Time"},
      {"Asia/Singapore", "Singapore Standard Time"},
      {"Australia/Sydney", "AUS Eastern Standard Time"}};
  const auto found = kZones.find(zone);
  return found == kZones.end() ? "" : found->second;
}

/// "de_DE.UTF-8" -> "de-DE"; "" for C.
std::string windows_locale(const std::string& locale) {
  const std::string name = locale.substr(0, locale.find_first_of(".@"));
  const std::size_t line = name.find('_');
  return line == std::string::npos ? "" : name.substr(0, line) + "-" + name.substr(line + 1);
}

struct Port {
  std::string number;
  std::string protocol;
};

Port port_of(const std::string& text) {
  static const std::map<std::string, std::string> kNumbers = {
      {"ssh", "22"}, {"http", "80"}, {"https", "443"}};
  const auto known = kNumbers.find(text);
  if (known != kNumbers.end()) {
    return {known->second, "TCP"};
  }
  const std::size_t slash = text.find('/');
  return {text.substr(0, slash), text.substr(slash + 1) == "udp" ? "UDP" : "TCP"};
}

class Autounattend {
 public:
  explicit Autounattend(Machine& machine) : machine_(machine) {}

  std::string run() {
    text_ =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
        "<!-- Written by goldmill from the recipe '" +
        machine_.merged.name +
        "'. -->\n"
        "<unattend xmlns=\"urn:schemas-microsoft-com:unattend\"\n"
        "          xmlns:wcm=\"http://schemas.microsoft.com/WMIConfig/2002/State\">\n";
    add_setup();
    add_specialize();
    add_oobe();
    add_unsaid();
    return text_ + "</unattend>\n";
  }

 private:
  void line(int depth, const std::string& text) {
    text_ += std::string(static_cast<std::size_t>(depth) * 2, ' ') + text + "\n";
  }
  void value(int depth, const std::string& name, const std::string& text) {
    line(depth, "<" + name + ">" + escaped(text) + "</" + name + ">");
  }
  void begin_component(const std::string& name) {
    const std::string architecture =
        machine_.merged.os->architecture == "arm64" ? "arm64" : "amd64";
    line(2,
         "<component name=\"" + name + "\" processorArchitecture=\"" + architecture +
             "\" publicKeyToken=\"31bf3856ad364e35\" language=\"neutral\" "
             "versionScope=\"nonSxS\">");
  }
  void unsaid(const std::string& what) { machine_.unsaid.push_back(what); }

  void add_language(const std::string& component, bool is_setup) {
    const std::string locale = windows_locale(*machine_.baseline().locale);
    const std::string used = locale.empty() ? "en-US" : locale;
    begin_component(component);
    if (is_setup) {
      line(3, "<SetupUILanguage>");
      value(4, "UILanguage", used);
      line(3, "</SetupUILanguage>");
    }
    for (const char* name : {"InputLocale", "SystemLocale", "UILanguage", "UserLocale"}) {
      value(3, name, used);
    }
    line(2, "</component>");
  }

  void add_setup() {
    line(1, "<settings pass=\"windowsPE\">");
    add_language("Microsoft-Windows-International-Core-WinPE", true);
    begin_component("Microsoft-Windows-Setup");
    line(3, "<DiskConfiguration>");
    line(4, "<Disk wcm:action=\"add\">");
    value(5, "DiskID", "0");
    value(5, "WillWipeDisk", "true");
    line(5, "<CreatePartitions>");
    add_partition(1, "EFI", "260");
    add_partition(2, "MSR", "16");
    add_partition(3, "Primary", "");
    line(5, "</CreatePartitions>");
    line(5, "<ModifyPartitions>");
    add_format(1, 1, "FAT32", "System", "");
    add_format(2, 3, "NTFS", "Windows", "C");
    line(5, "</ModifyPartitions>");
    line(4, "</Disk>");
    line(3, "</DiskConfiguration>");
    line(3, "<ImageInstall>");
    line(4, "<OSImage>");
    line(5, "<InstallTo>");
    value(6, "DiskID", "0");
    value(6, "PartitionID", "3");
    line(5, "</InstallTo>");
    line(4, "</OSImage>");
    line(3, "</ImageInstall>");
    line(3, "<UserData>");
    value(4, "AcceptEula", "true");
    line(3, "</UserData>");
    line(2, "</component>");
    line(1, "</settings>");
  }

  void add_partition(int order, const std::string& type, const std::string& mib) {
    line(6, "<CreatePartition wcm:action=\"add\">");
    value(7, "Order", std::to_string(order));
    value(7, "Type", type);
    mib.empty() ? value(7, "Extend", "true") : value(7, "Size", mib);
    line(6, "</CreatePartition>");
  }

  void add_format(int order,
                  int partition,
                  const std::string& format,
                  const std::string& label,
                  const std::string& letter) {
    line(6, "<ModifyPartition wcm:action=\"add\">");
    value(7, "Order", std::to_string(order));
    value(7, "PartitionID", std::to_string(partition));
    value(7, "Format", format);
    value(7, "Label", label);
    if (!letter.empty()) {
      value(7, "Letter", letter);
    }
    line(6, "</ModifyPartition>");
  }

  /// The firewall is closed by itself; what is open is a rule each.
  void add_specialize() {
    line(1, "<settings pass=\"specialize\">");
    begin_component("Microsoft-Windows-Shell-Setup");
    value(3, "ComputerName", "*");
    const std::string& zone = *machine_.baseline().timezone;
    if (const std::string name = windows_zone(zone); !name.empty()) {
      value(3, "TimeZone", name);
    } else {
      unsaid("baseline.timezone: Windows' name of " + zone + " is not known here");
    }
    line(2, "</component>");
    const auto& ports = *machine_.baseline().firewall_inbound;
    if (!ports.empty()) {
      begin_component("Microsoft-Windows-Deployment");
      line(3, "<RunSynchronous>");
      int order = 0;
      for (const std::string& text : ports) {
        const Port port = port_of(text);
        line(4, "<RunSynchronousCommand wcm:action=\"add\">");
        value(5, "Order", std::to_string(++order));
        value(5,
              "Path",
              "netsh advfirewall firewall add rule name=\"" + text +
                  "\" dir=in action=allow protocol=" + port.protocol + " localport=" + port.number);
        line(4, "</RunSynchronousCommand>");
      }
      line(3, "</RunSynchronous>");
      line(2, "</component>");
    }
    line(1, "</settings>");
  }

  void add_oobe() {
    line(1, "<settings pass=\"oobeSystem\">");
    add_language("Microsoft-Windows-International-Core", false);
    begin_component("Microsoft-Windows-Shell-Setup");
    line(3, "<OOBE>");
    value(4, "HideEULAPage", "true");
    value(4, "HideOnlineAccountScreens", "true");
    value(4, "HideWirelessSetupInOOBE", "true");
    value(4, "ProtectYourPC", "1");
    line(3, "</OOBE>");
    line(2, "</component>");
    line(1, "</settings>");
  }

  void add_unsaid() {
    const recipe::Recipe& merged = machine_.merged;
    unsaid("os: Windows, of the medium that reads the file; its licence key is for you to add");
    for (const recipe::User& user : *merged.baseline.users) {
      unsaid("baseline.users: " + user.name +
             ", since Windows takes passwords as plain text only, and no SSH keys");
    }
    if (*merged.baseline.root != "locked") {
      unsaid("baseline.root: Windows takes no hash of a password");
    }
    if (windows_locale(*merged.baseline.locale).empty()) {
      unsaid("baseline.locale: " + *merged.baseline.locale + " has no country: en-US instead");
    }
    if (merged.baseline.keyboard) {
      unsaid("baseline.keyboard: the language's own layout");
    }
    if (machine_.volumes.size() > 1 || !machine_.kernel_options().empty()) {
      unsaid("disk: one partition that fills the disk, and no kernel options");
    }
    if (machine_.has(recipe::Firmware::bios)) {
      unsaid("disk.boot: for UEFI only");
    }
    if (!machine_.install.empty() || !machine_.remove.empty() || !machine_.debconf.empty()) {
      unsaid("packages: " + joined(machine_.install, ", "));
    }
    if (!machine_.scripts.empty()) {
      unsaid("provision: scripts of another system");
    }
    if (!merged.proxy.empty()) {
      unsaid("proxy: nothing is fetched");
    }
  }

  Machine& machine_;
  std::string text_;
};

}  // namespace

std::string write_autounattend(Machine& machine) {
  return Autounattend(machine).run();
}

}  // namespace goldmill::answers
