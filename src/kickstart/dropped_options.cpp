// SPDX-License-Identifier: GPL-3.0-or-later
#include "dropped_options.hpp"

#include <string_view>
#include <vector>

#include <goldmill/kickstart/recipe_words.hpp>

namespace goldmill::kickstart {

namespace {
/// Each list has a blank in front and behind; commands by all their names.
struct OptionNote {
  std::string_view commands;
  std::string_view options;
  std::string_view note;  ///< "": the command's translation has a word on them
};

constexpr std::string_view kNotTaken = "not taken over";

/// The first that fits counts; an option that is not here is not taken over.
constexpr OptionNote kNotes[] = {
    {" autopart ", " type nolvm fstype nohome noboot noswap ", ""},
    {" part partition logvol raid btrfs ",
     " fstype size grow label percent recommended hibernation name vgname device level spares "
     "subvol thin thinpool poolname ",
     ""},
    {" part partition ",
     " ondisk ondrive onbiosdisk asprimary active start end type ",
     "the image has one disk, laid out anew"},
    {" part partition logvol raid btrfs volgroup ",
     " onpart usepart noformat useexisting resize ",
     "the file system is made anew"},
    {" part partition logvol ", " maxsize ", "only the root grows, and without a limit"},
    {" btrfs ", " data metadata ", "the host's storage is what is redundant"},
    {" logvol volgroup raid ",
     " pesize chunksize metadatasize cachesize cachepvs cachemode reserved-space "
     "reserved-percent profile ",
     "there are partitions only"},
    {" bootloader lilo ", " append location iscrypted disabled nombr upgrade ", ""},
    {" bootloader lilo ",
     " boot-drive driveorder linear nolinear lba32 useLilo leavebootorder extlinux sdboot ",
     "GRUB is on the image's one disk"},
    {" firewall ",
     " enabled enable disabled disable high medium port trust ssh telnet smtp http ftp service "
     "remove-service ",
     ""},
    {" group ", " name gid ", ""},
    {" keyboard ", " vckeymap xlayouts ", ""},
    {" lang ", " addsupport ", ""},
    {" network ", " bootproto device onboot activate hostname ip netmask gateway ", ""},
    {" network ", " nameserver ipv6gateway ", "DHCP and router advertisements give it"},
    {" network ",
     " vlanid interfacename bondslaves bondopts teamslaves teamconfig bridgeslaves bridgeopts "
     "essid wepkey wpakey ",
     "a recipe has one interface, which is a plain one"},
    {" rootpw ", " iscrypted plaintext lock ", ""},
    {" services ", " enabled disabled ", ""},
    {" sshkey ", " username ", ""},
    {" timezone ", " utc isUtc nontp ntpservers ", ""},
    {" user ", " name groups homedir shell uid password iscrypted lock plaintext gecos gid ", ""},
    {" %packages ", " exclude-weakdeps excludeWeakdeps ", ""},
    {" %packages ", " excludedocs exclude-docs ", "packages keep their documentation"},
    {" %packages ", " inst-langs instLangs ", "packages keep their translations"},
    {" %packages ",
     " ignoremissing ignore-missing ignorebroken ",
     "a package that cannot be installed ends the build"},
    {" %packages ", " ignoredeps resolvedeps ", "what a package depends on is always installed"},
    {" %packages ", " nocore nobase ", "what every image has is there in any case"},
    {" %packages ", " default ", "nothing is installed that is not named"},
    {" %packages ", " multilib ", "packages are of the recipe's architecture only"},
    {" %packages ", " timeout retries ", "fetching is the build's own matter"},
    {" %post ", " erroronfail interpreter log logfile ", ""},
    {" reqpart ", " add-boot ", "/boot is a directory of the root file system"},
};

std::string_view note_of(const std::string& command, const std::string& option) {
  for (const OptionNote& known : kNotes) {
    if (has_word(known.commands, command) && has_word(known.options, option)) {
      return known.note;
    }
  }
  return kNotTaken;
}
}  // namespace

std::string dropped_options(const Command& command) {
  std::vector<std::pair<std::string_view, std::string>> notes;  // in the order of their options
  for (const auto& [option, values] : command.options) {
    const std::string_view note = note_of(command.name, option);
    if (note.empty()) {
      continue;
    }
    if (notes.empty() || notes.back().first != note) {
      notes.emplace_back(note, "--" + option);
    } else {
      notes.back().second += ", --" + option;
    }
  }
  std::string text;
  for (const auto& [note, options] : notes) {
    add_note(text, options + ": " + std::string(note));
  }
  return text;
}

}  // namespace goldmill::kickstart
