// SPDX-License-Identifier: GPL-3.0-or-later
#include "inside.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>

#include <goldmill/machine/dossier.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::prove {

using system::shell_quoted;

namespace {
constexpr Bytes kAlignment = 2_MiB;  // with the second partition table

std::string one_line(const std::string& text) {
  std::string line;
  for (const std::string& part : machine::safe_tail(text, 4)) {
    line += (line.empty() ? "" : "; ") + part;
  }
  return line.substr(0, 300);
}

/// The blob of a key in a line of authorized_keys(5), read as sshd does: options that come first
/// may hold blanks, and other keys, in quotes. "": the line is no key.
std::string key_in(const std::string& line) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  bool is_quoted = false;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= line.size(); ++i) {
    if (i == line.size() || (!is_quoted && is_blank(line[i]))) {
      const std::string word = line.substr(start, i - start);
      if (word.starts_with("AAAA")) {  // 00 00 00: the length of what the blob begins with
        return word;
      }
      if (word.starts_with('#')) {
        return "";
      }
      start = i + 1;
    } else if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '"') {
      ++i;
    } else if (line[i] == '"') {
      is_quoted = !is_quoted;
    }
  }
  return "";
}

std::set<std::string> keys_in(const std::string& text) {
  std::set<std::string> keys;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    keys.insert(key_in(line));
  }
  keys.erase("");
  return keys;
}

class Inside {
 public:
  Inside(const Shell& shell, const Expectations& expected) : shell_(shell), expected_(expected) {}

  std::vector<Row> run(const std::string& machine_id) {
    check_units();
    check_identity(machine_id);
    check_locale();
    check_ssh();
    check_root();
    for (const ExpectedUser& user : expected_.users) {
      check_user(user);
    }
    check_firewall();
    check_growth();
    for (const std::string& service : expected_.services) {
      const Answer answer = ask("systemctl is-active " + shell_quoted(service));
      add("service " + service, "active", answer.text, answer.text == "active");
    }
    for (const std::string& command : expected_.commands) {
      const Answer answer = ask(command);
      add("command " + command,
          "status 0",
          "status " + std::to_string(answer.status) +
              (answer.text.empty() ? "" : ": " + answer.text),
          answer.status == 0);
    }
    return std::move(rows_);
  }

 private:
  struct Answer {
    int status = -1;
    std::string text;  ///< last lines of both streams, safe
    std::string raw;   ///< standard output
  };

  Answer ask(const std::string& command) {
    const auto output = shell_(command);
    if (!output) {
      return {-1, output.error().text(), ""};
    }
    return {output->status, one_line(output->text + output->errors), output->text};
  }

  void add(std::string promise, std::string expected, std::string found, bool passed) {
    rows_.push_back({std::move(promise),
                     std::move(expected),
                     found.empty() ? "nothing" : std::move(found),
                     passed});
  }

  void check_units() {
    const Answer answer =
        ask("systemctl --failed --no-legend --plain | cut -d' ' -f1 | while read -r u; do echo "
            "\"$u: $(journalctl -b -o cat -u \"$u\" | grep -v '^systemd' | head -n 3 | "
            "tr '\\n' ' ')\"; done");
    const bool none = answer.status == 0 && answer.text.empty();
    add("no failed unit", "none", none ? "none" : answer.text, none);
  }

  void check_identity(const std::string& machine_id) {
    const Answer answer = ask("cat /etc/machine-id");
    add("machine-id",
        "as its agent reported",
        answer.text,
        answer.text.size() == 32 && answer.text == machine_id);
  }

  void check_locale() {
    if (!expected_.timezone.empty()) {
      // Many zones have several names ("UTC", "Etc/UTC"), so files are compared.
      const std::string zone = shell_quoted(expected_.timezone);
      const Answer answer =
          ask("t=$(readlink -f /etc/localtime); z=$(readlink -f /usr/share/zoneinfo/" + zone +
              "); if [ ! -s \"$t\" ]; then echo \"$t, which is not there\"; "
              "elif [ \"$t\" = \"$z\" ]; then echo " +
              zone + "; else echo \"${t#/usr/share/zoneinfo/}\"; fi");
      add("time zone", expected_.timezone, answer.text, answer.text == expected_.timezone);
    }
    if (!expected_.locale.empty()) {
      const Answer answer =
          ask("cat /etc/locale.conf /etc/default/locale 2>/dev/null | sed -n 's/^LANG=//p' | "
              "tr -d '\"' | sort -u; LC_ALL=" +
              shell_quoted(expected_.locale) + " locale charmap 2>&1 | grep -i cannot");
      add("locale", expected_.locale, answer.text, answer.text == expected_.locale);
    }
  }

  // Names in the output of `sshd -T` are in small letters before OpenSSH 10.1, mixed since.
  void check_ssh() {
    const std::string wanted = expected_.ssh_passwords ? "yes" : "no";
    const Answer answer =
        ask("mkdir -p /run/sshd; sshd -T | sed -n 's/^passwordauthentication //Ip'");
    add("SSH password login", wanted, answer.text, answer.text == wanted);
  }

  void check_root() {
    if (expected_.root_locked) {
      const Answer answer = ask("getent shadow root | cut -d: -f2 | cut -c1");
      const bool locked = answer.text == "!" || answer.text == "*";
      add("root is locked", "no password", locked ? "no password" : "a password", locked);
    }
  }

  void check_user(const ExpectedUser& user) {
    const std::string name = shell_quoted(user.name);
    const Answer account = ask("getent passwd " + name + " | cut -d: -f1");
    add("user " + user.name,
        "exists",
        account.text.empty() ? "missing" : "exists",
        account.text == user.name);
    // Who has a password must give it: then the rules are asked instead.
    const std::string may = user.password ? "sudo -l -U " + name + " | grep -q 'may run'"
                                          : "runuser -u " + name + " -- sudo -n true";
    const Answer sudo = ask("{ " + may + "; } >/dev/null 2>&1 && echo yes || echo no");
    add("user " + user.name + ": sudo",
        user.sudo ? "yes" : "no",
        sudo.text,
        sudo.text == (user.sudo ? "yes" : "no"));
    check_keys(user, name);
  }

  /// Each key that the recipe names lets the user in, and no other.
  void check_keys(const ExpectedUser& user, const std::string& name) {
    // The files that sshd itself would read for this user; %u and %h as in sshd_config(5). The key
    // that this test was let in by is no part of the image: the agent, which replaces all files of
    // its directory, wrote it there, and for root always.
    const Answer answer =
        ask("u=" + name +
            "; h=$(getent passwd \"$u\" | cut -d: -f6); d=/etc/goldmill/authorized_keys; "
            "t=$(head -n 1 \"$d/root\" 2>/dev/null); "
            "l=$(sshd -T -C user=\"$u\",host=h,addr=192.0.2.1 | "
            "sed -n 's/^authorizedkeysfile //Ip' | sed \"s,%u,$u,g; s,%h,$h,g\"); "
            "[ -n \"$l\" ] || exit 1; for f in $l; do case \"$f\" in "
            "\"$d\"/*) grep -vxF -e \"$t\" \"$f\";; /*) cat \"$f\";; *) cat \"$h/$f\";; "
            "esac 2>/dev/null; echo; done");
    const std::set<std::string> found = keys_in(answer.raw);
    std::set<std::string> others = found;
    std::size_t present = 0;
    for (const std::string& key : user.keys) {  // its options and comment may differ
      present += found.contains(key_in(key)) ? 1U : 0U;
      others.erase(key_in(key));
    }
    for (const std::string& key : user.more_keys) {
      others.erase(key_in(key));
    }
    const std::string more =
        others.empty() ? "" : ", and " + std::to_string(others.size()) + " not in the recipe";
    add("user " + user.name + ": SSH keys",
        std::to_string(user.keys.size()),
        answer.status == 0 ? std::to_string(present) + more : answer.text,
        answer.status == 0 && present == user.keys.size() && others.empty());
  }

  void check_firewall() {
    if (expected_.firewall) {
      const Answer answer = ask(
          "nft list ruleset | grep -q 'hook input.*policy drop' && echo loaded || echo missing");
      add("firewall", "loaded", answer.text, answer.text == "loaded");
    }
  }

  /// The machine's disk is larger than the image: root's partition must end where the disk ends,
  /// and its file system where the partition does.
  void check_growth() {
    const Answer answer =
        ask("d=$(readlink -f \"$(findmnt -no SOURCE /)\"); p=/sys/class/block/${d##*/}; "
            "w=$(readlink -f \"$p\"); echo $(cat \"${w%/*}/size\" \"$p/start\" \"$p/size\") "
            "$(dumpe2fs -h \"$d\" 2>/dev/null | sed -n 's/^Block \\(count\\|size\\): *//p')");
    std::array<std::uint64_t, 5> numbers{};  // sectors, sectors, sectors, blocks, bytes
    std::istringstream words(answer.raw);
    for (std::uint64_t& number : numbers) {
      words >> number;
    }
    const auto [disk, start, size, blocks, block_size] = numbers;
    constexpr std::uint64_t kSector = 512;
    const bool reads = static_cast<bool>(words) && disk >= start + size;
    const Bytes beside{(disk - start - size) * kSector};
    const Bytes below{size * kSector - std::min(size * kSector, blocks * block_size)};
    add("a larger disk is used",
        "root to its end",
        reads ? to_text(Bytes{blocks * block_size}) + ", " +
                    to_text(Bytes{beside.value + below.value}) + " unused"
              : answer.text,
        reads && beside <= kAlignment && below <= kAlignment);
  }

  const Shell& shell_;
  const Expectations& expected_;
  std::vector<Row> rows_;
};
}  // namespace

std::vector<Row> check_inside(const Shell& shell,
                              const Expectations& expected,
                              const std::string& machine_id) {
  return Inside(shell, expected).run(machine_id);
}

}  // namespace goldmill::prove
