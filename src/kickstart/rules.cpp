// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>
#include <map>

#include "command_line.hpp"

namespace goldmill::kickstart {

namespace {
using Check = Result<void> (*)(const Command& line, const Edition& edition);

Error wrong(const Command& line, const std::string& message) {
  return Error{ErrorKind::invalid_input, line.name + ": " + message};
}

bool is_number(std::string_view text, int least, int most) {
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && value >= least &&
         value <= most;
}

bool is_red_hat(const Edition& edition, int first) {
  return edition.rhel >= first;
}

Result<void> check_encryption(const Command& line) {
  const std::string version = line.value("luks-version");
  if (line.has("hw-passphrase") && !version.starts_with("luks2-hw-opal")) {
    return wrong(line, "--hw-passphrase needs --luks-version=luks2-hw-opal");
  }
  return {};
}

Result<void> check_autopart(const Command& line, const Edition& edition) {
  const bool btrfs = line.value("type") == "btrfs";
  if (line.value("fstype") == "btrfs" || (btrfs && line.has("fstype"))) {
    return wrong(line, "btrfs is a --type, which stands without --fstype");
  }
  if (btrfs && is_red_hat(edition, 8)) {
    return wrong(line, "btrfs is not there");
  }
  return check_encryption(line);
}

Result<void> check_filesystem(const Command& line, const Edition& edition) {
  if (line.value("fstype") == "btrfs" && is_red_hat(edition, 8)) {
    return wrong(line, "btrfs is not there");
  }
  if (line.value("fstype") == "tmpfs" && (line.has("grow") || line.has("maxsize"))) {
    return wrong(line, "a tmpfs does not grow");
  }
  return check_encryption(line);
}

Result<void> check_part(const Command& line, const Edition& edition) {
  if (line.has("resize") && !line.has("onpart") && !line.has("usepart")) {
    return wrong(line, "--resize needs --onpart");
  }
  return check_filesystem(line, edition);
}

Result<void> check_logvol(const Command& line, const Edition& edition) {
  if (line.has("percent") && edition.level >= 19 && !is_number(line.value("percent"), 0, 100)) {
    return wrong(line, "--percent is from 0 to 100");
  }
  return check_filesystem(line, edition);
}

/// RAID1, raid1, 1.
bool is_level(std::string level, std::initializer_list<std::string_view> known) {
  std::transform(level.begin(), level.end(), level.begin(), [](unsigned char letter) {
    return static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 32 : letter);
  });
  const std::string_view text = level;
  return std::find(known.begin(), known.end(), text.starts_with("RAID") ? text.substr(4) : text) !=
         known.end();
}

Result<void> check_raid(const Command& line, const Edition& edition) {
  if (!is_level(line.value("level"), {"0", "1", "4", "5", "6", "10", "LINEAR"})) {
    return wrong(line, "there is no RAID level " + line.value("level"));
  }
  const bool has_members = line.words.size() > 1;
  if (has_members == line.has("useexisting")) {
    return wrong(line, "give either members or --useexisting");
  }
  return check_filesystem(line, edition);
}

Result<void> check_btrfs(const Command& line, const Edition& /*edition*/) {
  for (const char* option : {"data", "metadata"}) {
    if (line.has(option) && !is_level(line.value(option), {"0", "1", "10", "SINGLE"})) {
      return wrong(line, "there is no level " + line.value(option));
    }
  }
  return {};
}

Result<void> check_volgroup(const Command& line, const Edition& /*edition*/) {
  const bool has_members = line.words.size() > 1;
  if (has_members == (line.has("useexisting") || line.has("noformat"))) {
    return wrong(line, "give either partitions or --useexisting");
  }
  if (line.has("reserved-space") && !is_number(line.value("reserved-space"), 1, 1 << 30)) {
    return wrong(line, "--reserved-space is at least 1");
  }
  if (line.has("reserved-percent") && !is_number(line.value("reserved-percent"), 1, 99)) {
    return wrong(line, "--reserved-percent is from 1 to 99");
  }
  return {};
}

/// "vlan7", "eth0.7", or a name that looks like neither.
bool is_interface_name(const std::string& name) {
  constexpr int kLast = 4095;
  const std::size_t dot = name.find('.');
  if (dot != std::string::npos) {
    return dot > 0 && !name.starts_with("vlan") && is_number(name.substr(dot + 1), 0, kLast);
  }
  return !name.starts_with("vlan") || is_number(name.substr(4), 0, kLast);
}

Result<void> check_network(const Command& line, const Edition& /*edition*/) {
  if (line.has("interfacename") && !is_interface_name(line.value("interfacename"))) {
    return wrong(line, "a VLAN is named vlanNUMBER or DEVICE.NUMBER, up to 4095");
  }
  std::string options = line.value("bridgeopts");
  while (!options.empty()) {
    const std::size_t comma = std::min(options.find(','), options.size());
    const std::string option = options.substr(0, comma);
    const std::size_t sign = option.find('=');
    if (sign == std::string::npos || option.find_first_of(" =", sign + 1) != std::string::npos) {
      return wrong(line, "--bridgeopts is NAME=VALUE,NAME=VALUE");
    }
    options.erase(0, comma + 1);
  }
  return {};
}

Result<void> check_snapshot(const Command& line, const Edition& /*edition*/) {
  const std::string& volume = line.words.front();
  const std::size_t slash = volume.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == volume.size() ||
      volume.find('/', slash + 1) != std::string::npos) {
    return wrong(line, "a volume is named GROUP/VOLUME");
  }
  return {};
}

Result<void> check_nvdimm(const Command& line, const Edition& /*edition*/) {
  const std::string& action = line.words.front();
  if (action == "use") {
    return line.has("namespace") != line.has("blockdevs") && !line.has("mode")
               ? Result<void>()
               : wrong(line, "use takes either --namespace or --blockdevs");
  }
  if (action != "reconfigure") {
    return wrong(line, "there is no action " + action);
  }
  return line.has("namespace") && line.has("mode") && line.has("sectorsize") &&
                 !line.has("blockdevs")
             ? Result<void>()
             : wrong(line, "reconfigure takes --namespace, --mode and --sectorsize");
}

/// As the program realmd takes them: options, then one realm.
Result<void> check_realm(const Command& line, const Edition& /*edition*/) {
  constexpr std::string_view kTakeValues[] = {"--client-software=",
                                              "--server-software=",
                                              "--membership-software=",
                                              "--one-time-password=",
                                              "--computer-ou="};
  if (line.words.empty() || line.words.front() != "join") {
    return wrong(line, "it only knows `realm join`");
  }
  std::size_t realms = 0;
  for (std::size_t index = 1; index < line.words.size(); ++index) {
    const std::string& word = line.words[index];
    const bool known =
        word == "--no-password" ||
        std::any_of(std::begin(kTakeValues), std::end(kTakeValues), [&](std::string_view option) {
          return word.starts_with(option);
        });
    if (word.starts_with("--") && (!known || realms > 0)) {
      return wrong(line, "'" + word + "' is not taken there");
    }
    realms += word.starts_with("--") ? 0 : 1;
  }
  return realms == 1 ? Result<void>() : wrong(line, "it needs one realm");
}

Result<void> check_ostreesetup(const Command& line, const Edition& /*edition*/) {
  for (const char* scheme : {"http", "https", "file"}) {
    if (line.value("url").starts_with(std::string(scheme) + ":")) {
      return {};
    }
  }
  return wrong(line, "the url is http, https or file");
}

Result<void> check_rhsm(const Command& line, const Edition& /*edition*/) {
  const auto keys = line.values("activation-key");
  return std::find(keys.begin(), keys.end(), "") == keys.end()
             ? Result<void>()
             : wrong(line, "an --activation-key is empty");
}

Result<void> check_root_device(const Command& line, const Edition& /*edition*/) {
  return line.has("root-device") && line.value("root-device").empty()
             ? wrong(line, "--root-device is empty")
             : Result<void>();
}

Result<void> check_bootloader(const Command& line, const Edition& /*edition*/) {
  return line.value("boot-drive").find(',') == std::string::npos
             ? Result<void>()
             : wrong(line, "--boot-drive is one disk");
}

/// What the table of commands has no words for.
const std::map<std::string_view, Check>& checks() {
  static const std::map<std::string_view, Check> kChecks = {{"autopart", check_autopart},
                                                            {"bootloader", check_bootloader},
                                                            {"btrfs", check_btrfs},
                                                            {"install", check_root_device},
                                                            {"logvol", check_logvol},
                                                            {"network", check_network},
                                                            {"nvdimm", check_nvdimm},
                                                            {"ostreesetup", check_ostreesetup},
                                                            {"part", check_part},
                                                            {"raid", check_raid},
                                                            {"realm", check_realm},
                                                            {"rhsm", check_rhsm},
                                                            {"snapshot", check_snapshot},
                                                            {"upgrade", check_root_device},
                                                            {"volgroup", check_volgroup}};
  return kChecks;
}

std::string joined(const std::vector<std::string>& names, const char* last) {
  std::string text;
  for (std::size_t index = 0; index < names.size(); ++index) {
    text += index == 0 ? "" : index + 1 == names.size() ? last : ", ";
    text += names[index] == "." ? "a word" : "--" + names[index];
  }
  return text;
}

Result<void> check_rule(const Rule& rule, const Command& line) {
  const auto has = [&line](const std::string& name) {
    return name == "." ? !line.words.empty() : line.has(name);
  };
  const auto given = std::count_if(rule.names.begin(), rule.names.end(), has);
  switch (rule.kind) {
    case Rule::Kind::exactly_one:
      return given == 1 ? Result<void>()
                        : wrong(line, "give one of " + joined(rule.names, " and "));
    case Rule::Kind::at_least_one:
      return given > 0 ? Result<void>() : wrong(line, "give " + joined(rule.names, " or "));
    case Rule::Kind::at_most_one:
      return given < 2 ? Result<void>()
                       : wrong(line, joined(rule.names, " and ") + " do not go together");
    case Rule::Kind::needs:
      return !has(rule.names.front()) || static_cast<std::size_t>(given) == rule.names.size()
                 ? Result<void>()
                 : wrong(line,
                         "--" + rule.names.front() + " needs " +
                             joined({rule.names.begin() + 1, rule.names.end()}, " and "));
  }
  return {};
}
}  // namespace

Result<void> check_rules(const CommandSpec& command, const Command& line, const Edition& edition) {
  for (const Rule& rule : command.rules) {
    if (rule.span.contains(edition)) {
      TRY(check_rule(rule, line));
    }
  }
  const auto check = checks().find(command.names.front());
  return check == checks().end() ? Result<void>() : check->second(line, edition);
}

}  // namespace goldmill::kickstart
