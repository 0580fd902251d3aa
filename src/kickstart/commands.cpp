// SPDX-License-Identifier: GPL-3.0-or-later
// Source: the documentation of pykickstart and Anaconda, and what pykickstart says to lines.
#include "commands.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include <goldmill/base/result.hpp>

namespace goldmill::kickstart {

namespace {

/// One command. `span` is a Span. `words`: "1", "0-1", "1-" (any number), "*" (anything at all);
/// several with spans of their own: "2@3-7 1@8". `options`: NAME is a flag, NAME= takes text,
/// NAME=# a number, NAME=% yes or no, NAME=? text or nothing, NAME=a|b one of these; "!" in front:
/// it must be there; "@SPAN" behind. `rules`: "one:a,b" exactly one, "any:a,b" at least one,
/// "not:a,b" at most one, "if:a,b" a only with b; a "." stands for words; "@SPAN" behind.
struct Row {
  const char* names;
  const char* span;
  const char* words;
  const char* options;
  const char* rules;
};

#define CRYPT                                                                                 \
  "encrypted@9,R5 passphrase=@9,R5 escrowcert=@12 backuppassphrase@12 cipher=@18,R6 "         \
  "luks-version=luks1|luks2|luks2-hw-opal|luks2-hw-opal-only@28 pbkdf=@28 pbkdf-memory=#@28 " \
  "pbkdf-time=#@28 pbkdf-iterations=#@28 hw-passphrase=@41 "
#define CRYPT_RULES "not:pbkdf-time,pbkdf-iterations if:hw-passphrase,luks-version "

constexpr Row kCommands[] = {
    {"auth authconfig", "", "*", "", ""},
    {"authselect", "28", "*", "", ""},
    {"autopart",
     "",
     "0",
     CRYPT "nolvm@16,R6 type=plain|partition|lvm|btrfs|thinp@17 fstype=@21,R7 nohome@26,R7 "
           "noboot@26,R7 noswap@26,R7 hibernation@38,R9",
     CRYPT_RULES "not:hibernation,noswap not:nolvm,type"},
    {"autostep", "3-39", "0", "autoscreenshot", ""},
    {"bootc", "43", "0", "!source-imgref= stateroot= target-imgref=", ""},
    {"bootloader lilo",
     "",
     "0",
     "append= location=mbr|partition|none|boot password= md5pass= driveorder= linear@3-13 "
     "nolinear@3-13 lba32@3-13 upgrade useLilo@3-13 timeout=#@8 default=@8 iscrypted@15,R6 "
     "boot-drive=@17 leavebootorder@18 hvargs=@5-10,R5,R6 extlinux@19 disabled@20,R7 nombr@21,R7 "
     "sdboot@39",
     "not:sdboot,extlinux"},
    {"btrfs",
     "17",
     "2-",
     "noformat useexisting label= data= metadata= subvol name= mkfsoptions=@23,R7",
     "if:subvol,name not:mkfsoptions,noformat not:mkfsoptions,useexisting"},
    {"cdrom", "", "0", "", ""},
    {"clearpart", "", "0", "linux all none initlabel drives= list=@17 disklabel=@21,R7 cdl@28", ""},
    {"device", "3-33", "2@3-7 1@8", "opts=", ""},
    {"deviceprobe", "3-33", "*", "", ""},
    {"graphical text", "", "0", "non-interactive@26,R7", ""},
    {"cmdline", "", "0", "", ""},
    {"dmraid", "6-33", "0", "!name= !dev=", ""},
    {"driverdisk", "", "0-1", "type= source= biospart=@4", "one:.,source,biospart"},
    {"eula", "20,R7", "0", "agreed agree accepted accept", "any:agreed,agree,accepted,accept"},
    {"fcoe", "12", "0", "!nic= dcb@13 autovlan@28,R7", ""},
    {"firewall",
     "",
     "0",
     "enabled enable disabled disable high@3-9 medium@3-9 port= trust= ssh telnet@3-9 smtp http "
     "ftp "
     "service=@10 remove-service=@20 use-system-defaults@28",
     ""},
    {"firstboot", "", "0", "enable enabled disable disabled reconfig", ""},
    {"group", "12", "0", "!name= gid=#", ""},
    {"halt", "18", "0", "eject", ""},
    {"poweroff shutdown", "", "0", "eject@6 kexec@23", ""},
    {"reboot", "", "0", "eject@6 kexec@23", ""},
    {"harddrive", "", "0", "!dir= partition= biospart=@3-32", "one:partition,biospart"},
    {"hmc", "28,R7", "0", "", ""},
    {"ignoredisk",
     "",
     "0",
     "drives= only-use=@8 interactive@R6",
     "one:drives,only-use,interactive"},
    {"install", "3-33", "0", "root-device=@11", ""},
    {"interactive", "3-14", "0", "", ""},
    {"iscsi",
     "6",
     "0",
     "!ipaddr= target= port=# user= password= reverse-user=@10 reverse-password=@10 iface=@17,R6",
     ""},
    {"iscsiname", "6", "1", "", ""},
    {"key", "R5", "0-1", "skip", "one:.,skip"},
    {"keyboard",
     "",
     "1@3-17 0-1@18",
     "vckeymap=@18 xlayouts=@18 switch=@18",
     "any:.,vckeymap,xlayouts"},
    {"lang", "", "1", "addsupport=@19", ""},
    {"langsupport", "3-4", "0-", "default=", ""},
    {"lilocheck", "3-4", "0", "", ""},
    {"liveimg", "19", "0", "!url= proxy= noverifyssl checksum=", ""},
    {"logging",
     "6",
     "0",
     "level=debug|info|warning|error|critical@6-39 host= port=",
     "if:port,host"},
    {"logvol",
     "",
     "1",
     "fstype= grow maxsize=# !name= noformat percent=# recommended size=# useexisting !vgname= "
     "bytes-per-inode=#@4 fsoptions=@4 fsprofile=@9,R5 label=@15,R6 resize@17 hibernation@18,R6 "
     "thinpool@20,R6,R7 thin@20,R6,R7 poolname=@20,R6,R7 chunksize=#@20,R6,R7 "
     "metadatasize=#@20,R6,R7 profile=@21,R6,R7 mkfsoptions=@23,R7 cachesize=#@23,R7 "
     "cachepvs=@23,R7 cachemode=writeback|writethrough@23,R7 " CRYPT,
     CRYPT_RULES
     "not:thin,thinpool if:thin,poolname if:chunksize,thinpool if:metadatasize,thinpool "
     "if:resize,size,useexisting not:mkfsoptions,noformat not:mkfsoptions,fsprofile "
     "if:cachesize,cachepvs if:cachepvs,cachesize if:cachemode,cachesize not:cachesize,useexisting "
     "not:cachesize,noformat not:cachesize,thin not:size,percent@20,R7 "
     "any:size,percent,useexisting,noformat@18"},
    {"mediacheck", "4", "0", "", ""},
    {"module", "29,R8", "0", "!name= stream= disable@29,R8", ""},
    {"monitor", "3-33", "0", "hsync= vsync= monitor= noprobe@6", ""},
    {"mount", "27", "2", "reformat=? mkfsoptions= mountoptions=", "if:mkfsoptions,reformat"},
    {"mouse", "3-4", "1", "device= emulthree", ""},
    {"multipath", "6-33", "0", "!name= !device= !rule=", ""},
    {"network",
     "",
     "0",
     "bootproto=dhcp|bootp|static|query|ibft device= dhcpclass= essid= ethtool= gateway= hostname= "
     "ip= mtu= netmask= nameserver= nodns onboot=% wepkey= class=@3-4 notksdevice@4 noipv4@6 "
     "noipv6@6 ipv6=@8 activate@16,R6 nodefroute@16,R6 wpakey=@16 bondslaves=@19,R6 "
     "bondopts=@19,R6 "
     "vlanid=@19,R6 ipv6gateway=@19 teamslaves=@20,R7 teamconfig=@20,R7 interfacename=@21,R7 "
     "bridgeslaves=@22,R7 bridgeopts=@22,R7 no-activate@25,R7 bindto=mac@25,R7 "
     "ipv4-dns-search=@39,R9 "
     "ipv6-dns-search=@39,R9 ipv4-ignore-auto-dns@39,R9 ipv6-ignore-auto-dns@39,R9",
     "if:bridgeopts,bridgeslaves if:ipv4-dns-search,device if:ipv6-dns-search,device "
     "if:ipv4-ignore-auto-dns,device if:ipv6-ignore-auto-dns,device"},
    {"nfs", "", "0", "!server= !dir= opts=@6", ""},
    {"nvdimm", "28", "1", "namespace= blockdevs= mode=sector sectorsize=#", ""},
    {"ostreecontainer",
     "38,R9",
     "0",
     "!url= stateroot= remote= transport= no-signature-verification",
     ""},
    {"ostreesetup", "21,R7", "0", "!osname= !url= !ref= remote= nogpg", ""},
    {"part partition",
     "",
     "1",
     "active asprimary end=# fstype= grow maxsize=# noformat onbiosdisk= ondisk= ondrive= onpart= "
     "usepart= recommended size=# start=# badblocks@3-4 type=@3-4 bytes-per-inode=#@4 fsoptions=@4 "
     "label=@4 fsprofile=@9,R5 hibernation@18,R6 resize@17 mkfsoptions=@23,R7 " CRYPT,
     CRYPT_RULES "if:resize,size not:mkfsoptions,noformat not:mkfsoptions,fsprofile"},
    {"raid",
     "",
     "1-",
     "!device= fstype= !level= noformat spares=# useexisting fsoptions=@4 fsprofile=@9,R5 "
     "bytes-per-inode=#@5 label=@15,R6 mkfsoptions=@23,R7 chunksize=#@25 " CRYPT,
     CRYPT_RULES "not:mkfsoptions,noformat not:mkfsoptions,fsprofile not:mkfsoptions,useexisting"},
    {"rdp", "43", "0", "username= password=", ""},
    {"realm", "19", "*", "", ""},
    {"repo",
     "6",
     "0",
     "!name= baseurl= mirrorlist= metalink=@27 cost=#@8,R5 excludepkgs=@8,R5 includepkgs=@8,R5 "
     "ignoregroups=%@11 proxy=@13 noverifyssl@14,R6 install@21,R7 sslcacert=@30 sslclientcert=@30 "
     "sslclientkey=@30",
     "one:baseurl,mirrorlist,metalink"},
    {"reqpart", "23,R7", "0", "add-boot", ""},
    {"rescue", "10", "0", "nomount romount", "not:nomount,romount"},
    {"rhsm",
     "R8,R9,R10",
     "0",
     "!organization= !activation-key= connect-to-insights server-hostname= rhsm-baseurl= proxy= "
     "flatpak-registry-url=@R10",
     ""},
    {"rootpw", "", "0-1", "iscrypted plaintext@8,R5 lock@8,R5 allow-ssh@37,R9", "any:.,lock"},
    {"selinux", "", "0", "permissive enforcing disabled", ""},
    {"services", "6", "0", "enabled= disabled=", "any:enabled,disabled"},
    {"skipx", "", "0", "", ""},
    {"snapshot", "26", "1", "!name= !when=post-install|pre-install", ""},
    {"sshkey", "22", "1", "!username=", ""},
    {"sshpw", "13", "1@13-23 1-@24", "!username= iscrypted plaintext lock sshkey@24", ""},
    {"syspurpose", "R8,R9,R10", "0", "role= sla= usage= addon=", ""},
    {"timesource",
     "33,R9",
     "0",
     "ntp-server= ntp-pool= ntp-disable nts",
     "one:ntp-server,ntp-pool,ntp-disable not:nts,ntp-disable"},
    {"timezone",
     "",
     "1@3-18 0-1@20 0-1@R7",
     "utc isUtc@6 nontp@18,R7 ntpservers=@18,R7",
     "not:nontp,ntpservers any:.,utc,isUtc,nontp,ntpservers"},
    {"unsupported_hardware", "R6,R7", "0", "", ""},
    {"updates", "7", "0-1", "", ""},
    {"upgrade", "3-19", "0", "root-device=@11", ""},
    {"url",
     "",
     "0",
     "url= proxy=@13 noverifyssl@14,R6 mirrorlist=@18,R7 metalink=@27 sslcacert=@30 "
     "sslclientcert=@30 "
     "sslclientkey=@30",
     "one:url,mirrorlist,metalink"},
    {"user",
     "6",
     "0",
     "!name= groups= homedir= shell= uid=# password= iscrypted lock@8,R5 plaintext@8,R5 gecos=@12 "
     "gid=#@19",
     ""},
    {"vnc", "", "0", "connect=@3-8 password= host=@6 port=@6 enabled@3-8", "if:port,host@9"},
    {"volgroup",
     "",
     "1-",
     "noformat useexisting pesize=# reserved-space=#@16 reserved-percent=#@16",
     "any:.,noformat,useexisting"},
    {"xconfig",
     "",
     "0",
     "defaultdesktop= startxonboot card=@3-9 hsync=@3-9 vsync=@3-9 monitor=@3-5 noprobe@3-5 "
     "depth=#@3-13 resolution=@3-13 videoram=@3-13 server=@3-9 driver=@6-13",
     ""},
    {"zerombr", "", "0-@3-8 0@9", "", ""},
    {"zfcp",
     "",
     "0",
     "!devnum= wwpn= fcplun= scsiid=@3-11 scsilun=@3-11",
     "if:wwpn,fcplun if:fcplun,wwpn if:devnum,wwpn,fcplun@3-36 if:devnum,scsiid,scsilun@3-11"},
    {"zipl", "32", "0", "secure-boot force-secure-boot no-secure-boot", ""},
};

constexpr Row kSections[] = {
    {"%packages",
     "",
     "0",
     "default@7 excludedocs ignoremissing ignoredeps@3-5 resolvedeps@3-5 ignorebroken@30,R8,R9,R10 "
     "nobase@8-21 nocore@21,R7 instLangs=@9 inst-langs=@24 exclude-weakdeps@24 excludeWeakdeps@24 "
     "multilib@18 timeout=#@25 retries=#@25 exclude-docs@30 ignore-missing@30",
     ""},
    {"%pre %pre-install", "", "0", "erroronfail interpreter= log= logfile=", ""},
    {"%post", "", "0", "erroronfail interpreter= log= logfile= nochroot", ""},
    {"%onerror", "26", "0", "erroronfail interpreter= log= logfile=", ""},
    {"%traceback", "", "0", "erroronfail interpreter= log= logfile= nochroot", ""},
    {"%addon", "18", "*", "", ""},
    {"%anaconda", "22,R7", "0", "", ""},
    {"%certificate", "42", "0", "!filename= dir=", ""},
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) {
      parts.push_back(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::vector<std::string> texts(std::string_view text, char separator) {
  const auto parts = split(text, separator);
  return {parts.begin(), parts.end()};
}

/// Takes "@SPAN" off the end.
Span take_span(std::string_view& text) {
  const std::size_t at = text.find('@');
  const std::string_view span = at == std::string_view::npos ? "" : text.substr(at + 1);
  text = text.substr(0, at);
  return Span(span);
}

OptionSpec option_of(std::string_view text) {
  OptionSpec option;
  option.span = take_span(text);
  option.required = text.front() == '!';
  text.remove_prefix(option.required ? 1 : 0);
  const std::size_t sign = text.find('=');
  option.name = text.substr(0, sign);
  if (sign == std::string_view::npos) {
    return option;
  }
  using Type = OptionSpec::Kind;
  const std::string_view type = text.substr(sign + 1);
  option.kind = type.empty()  ? Type::text
                : type == "#" ? Type::integer
                : type == "%" ? Type::boolean
                : type == "?" ? Type::optional_text
                              : Type::choice;
  if (option.kind == Type::choice) {
    option.choices = texts(type, '|');
  }
  return option;
}

std::size_t count_of(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

WordsSpec words_of(std::string_view text) {
  WordsSpec words;
  words.span = take_span(text);
  const std::size_t dash = text.find('-');
  words.least = count_of(text.substr(0, dash));
  words.most = dash == std::string_view::npos ? words.least
               : dash + 1 == text.size()      ? std::size_t(-1)
                                              : count_of(text.substr(dash + 1));
  return words;
}

Rule rule_of(std::string_view text) {
  Rule rule;
  rule.span = take_span(text);
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  rule.kind = kind == "one"   ? Rule::Kind::exactly_one
              : kind == "any" ? Rule::Kind::at_least_one
              : kind == "not" ? Rule::Kind::at_most_one
                              : Rule::Kind::needs;
  rule.names = texts(text.substr(colon + 1), ',');
  return rule;
}

CommandSpec command_of(const Row& row) {
  CommandSpec command;
  command.names = texts(row.names, ' ');
  command.span = Span(row.span);
  command.is_raw = std::string_view(row.words) == "*";
  for (const std::string_view words : split(row.words, ' ')) {
    command.words.push_back(words_of(words));
  }
  for (const std::string_view option : split(row.options, ' ')) {
    command.options.push_back(option_of(option));
  }
  for (const std::string_view rule : split(row.rules, ' ')) {
    command.rules.push_back(rule_of(rule));
  }
  return command;
}

/// In the order of the rows, and found by any of their names: each line of a profile is looked up
/// once for each edition.
class Table {
 public:
  template <std::size_t count>
  explicit Table(const Row (&rows)[count]) {
    specs_.reserve(count);
    for (const Row& row : rows) {
      specs_.push_back(command_of(row));
    }
    for (const CommandSpec& spec : specs_) {
      for (const std::string& name : spec.names) {
        by_name_.emplace(name, &spec);
      }
    }
  }
  Table(const Table&) = delete;

  const std::vector<CommandSpec>& specs() const { return specs_; }
  const CommandSpec* find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

 private:
  std::vector<CommandSpec> specs_;
  std::unordered_map<std::string_view, const CommandSpec*> by_name_;
};

const Table& commands() {
  static const Table kTable(kCommands);
  return kTable;
}
}  // namespace

const OptionSpec* CommandSpec::find(std::string_view name,
                                    const Edition& edition,
                                    std::vector<std::string>& candidates) const {
  const OptionSpec* found = nullptr;
  for (const OptionSpec& option : options) {
    if (!option.span.contains(edition) || !option.name.starts_with(name)) {
      continue;
    }
    if (option.name == name) {
      return &option;
    }
    candidates.push_back(option.name);
    found = &option;
  }
  return candidates.size() == 1 ? found : nullptr;
}

const CommandSpec* find_command(std::string_view name) {
  return commands().find(name);
}

const CommandSpec* find_section(std::string_view name) {
  static const Table kTable(kSections);
  return kTable.find(name);
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandSpec& command : commands().specs()) {
    names.insert(names.end(), command.names.begin(), command.names.end());
  }
  return names;
}

}  // namespace goldmill::kickstart
