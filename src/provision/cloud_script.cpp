// SPDX-License-Identifier: GPL-3.0-or-later
#include "cloud_script.hpp"

#include <goldmill/system/process.hpp>

namespace goldmill::provision {

namespace {

using system::shell_quoted;

constexpr std::string_view kFunctions = R"sh(
refuse() { echo "$1" >&2; exit 1; }
decoded=/run/goldmill/cloud-decoded
put() {  # SOURCE PATH MODE OWNER HOW
  mkdir -p "$(dirname "$2")"
  if [ "$5" = append ]; then cat "$1" >> "$2"; else cat "$1" > "$2"; fi
  chmod "$3" "$2"
  chown "$4" "$2"
}
group() { getent group "$1" > /dev/null || groupadd "$1"; }
rule() {  # NAME RULE
  command -v visudo > /dev/null || refuse "'sudo' of $1: the image has no package sudo"
  file=/etc/sudoers.d/90-cloud-init-users
  touch $file
  chmod 0440 $file
  grep -qxF "$1 $2" $file || echo "$1 $2" >> $file
  visudo -cqf $file || refuse "sudo does not understand the rule of $1: $2"
}
key() {  # NAME LINE
  home=$(getent passwd "$1" | cut -d: -f6)
  install -d -m 0700 -o "$1" -g "$(id -g "$1")" "$home/.ssh"
  file=$home/.ssh/authorized_keys
  touch "$file"
  grep -qxF "$2" "$file" || echo "$2" >> "$file"
  chmod 0600 "$file"
  chown "$1:$(id -g "$1")" "$file"
}
)sh";

std::string option(const Json& user, const char* key, const std::string& name) {
  const auto value = find_string(user, key);
  return value ? " " + name + " " + shell_quoted(*value) : "";
}

bool is_set(const Json& user, const char* key) {
  return find_bool(user, key).value_or(false);
}

std::string file_line(const Json& file, const std::string& source) {
  std::string line;
  std::string from = source;
  if (is_set(file, "base64")) {
    line += "base64 -d < " + from + " > $decoded\n";
    from = "$decoded";
  }
  if (is_set(file, "gzip")) {
    line += "gzip -dc < " + from + " > $decoded.plain\n";
    from = "$decoded.plain";
  }
  return line + "put " + from + " " + shell_quoted(file.value("path", "")) + " " +
         file.value("mode", "0644") + " " + shell_quoted(file.value("owner", "")) + " " +
         (is_set(file, "append") ? "append" : "anew") + "\n";
}

std::string files_script(const Json& config, const std::string& room, bool deferred) {
  std::string script;
  std::size_t count = 0;
  for (const Json& file : config.value("files", Json::array())) {
    const std::string source = room + "file-" + std::to_string(count++);
    script += is_set(file, "defer") == deferred ? file_line(file, source) : "";
  }
  return script;
}

std::string user_add(const Json& user, const std::string& name) {
  std::string line = "id -u " + name + " > /dev/null 2>&1 || useradd";
  line += option(user, "gecos", "--comment") + option(user, "homedir", "--home-dir") +
          option(user, "primary_group", "--gid") + option(user, "shell", "--shell") +
          option(user, "expiredate", "--expiredate") + option(user, "uid", "--uid");
  line += is_set(user, "system") ? " --system" : "";
  line += is_set(user, "system") || is_set(user, "no_create_home") ? " --no-create-home"
                                                                   : " --create-home";
  line += is_set(user, "no_user_group") ? " --no-user-group" : "";
  return line + " " + name + "\n";
}

std::string user_script(const Json& user) {
  const std::string name = user.value("name", "");  // of letters that need no quotes
  std::string script;
  const auto groups = find_strings(user, "groups");
  for (const std::string& group : groups) {
    script += "group " + group + "\n";
  }
  if (const auto primary = find_string(user, "primary_group")) {
    script += "group " + shell_quoted(*primary) + "\n";
  }
  script += user_add(user, name);
  for (const std::string& group : groups) {
    script += "usermod --append --groups " + group + " " + name + "\n";
  }
  if (const auto hash = find_string(user, "passwd")) {
    script += "echo " + shell_quoted(name + ":" + *hash) + " | chpasswd --encrypted\n";
  }
  if (find_bool(user, "lock_passwd").value_or(true)) {
    script += "passwd --lock " + name + " > /dev/null\n";
  }
  for (const std::string& rule : find_strings(user, "sudo")) {
    script += "rule " + name + " " + shell_quoted(rule) + "\n";
  }
  for (const std::string& line : find_strings(user, "keys")) {
    script += "key " + name + " " + shell_quoted(line) + "\n";
  }
  return script;
}

std::string accounts_script(const Json& config) {
  std::string script;
  for (const Json& group : config.value("groups", Json::array())) {
    script += "group " + group.value("name", "") + "\n";
  }
  for (const Json& user : config.value("users", Json::array())) {
    script += user_script(user);
  }
  for (const Json& group : config.value("groups", Json::array())) {
    for (const std::string& member : find_strings(group, "members")) {
      script += "usermod --append --groups " + group.value("name", "") + " " +
                shell_quoted(member) + "\n";
    }
  }
  return script;
}

std::string zone_script(const std::string& zone) {
  const std::string file = "/usr/share/zoneinfo/" + zone;
  return "[ -e " + file + " ] || refuse \"'timezone': the image has no zone " + zone +
         " (package tzdata)\"\nln -sfn " + file + " /etc/localtime\necho " + zone +
         " > /etc/timezone\n";
}

/// The locale's own directory instead of the archive, whose bytes depend on its history.
std::string locale_script(const std::string& locale) {
  std::string script;
  if (!locale.starts_with("C.")) {
    std::string input = locale;
    input.erase(locale.find(".UTF-8"), 6);
    script += "[ -e /usr/share/i18n/locales/" + input.substr(0, input.find('@')) +
              " ] || refuse \"'locale': " + locale +
              " needs the package locales: name it under 'packages'\"\n"
              "localedef --no-archive -i " +
              input + " -f UTF-8 " + locale + "\n";
  }
  return script + "echo LANG=" + locale + " > /etc/default/locale\necho LANG=" + locale +
         " > /etc/locale.conf\n";
}

std::string ntp_script(const Json& ntp) {
  if (!find_bool(ntp, "enabled").value_or(true)) {
    return "systemctl disable systemd-timesyncd.service\n";
  }
  std::string servers;
  for (const char* key : {"servers", "pools"}) {
    for (const std::string& server : find_strings(ntp, key)) {
      servers += (servers.empty() ? "" : " ") + server;
    }
  }
  std::string script =
      "[ -e /usr/lib/systemd/systemd-timesyncd ] || [ -e /lib/systemd/systemd-timesyncd ] ||\n"
      "  refuse \"'ntp': the image has no package systemd-timesyncd: name it under 'packages'\"\n";
  if (!servers.empty()) {
    script +=
        "mkdir -p /etc/systemd/timesyncd.conf.d\n"
        "printf '[Time]\\nNTP=%s\\n' '" +
        servers + "' > /etc/systemd/timesyncd.conf.d/cloud-init.conf\n";
  }
  return script + "systemctl enable systemd-timesyncd.service\n";
}

std::string certificates_script(std::size_t count, const std::string& room) {
  std::string script =
      "command -v update-ca-certificates > /dev/null ||\n"
      "  refuse \"'ca_certs': the image has no package ca-certificates: name it under "
      "'packages'\"\n";
  for (std::size_t i = 0; i < count; ++i) {
    script += "put " + room + "certificate-" + std::to_string(i) +
              " /usr/local/share/ca-certificates/cloud-init-ca-cert-" + std::to_string(i + 1) +
              ".crt 0644 root:root anew\n";
  }
  return script + "update-ca-certificates\n";
}

std::string with_functions(const std::string& script) {
  return script.empty() ? script : std::string(kFunctions) + script;
}

}  // namespace

std::string cloud_script_before_packages(const Json& config, const std::string& room) {
  std::string script = files_script(config, room, false) + accounts_script(config);
  if (const auto zone = find_string(config, "timezone")) {
    script += zone_script(*zone);
  }
  return with_functions(script);
}

std::string cloud_script_after_packages(const Json& config, const std::string& room) {
  std::string script;
  if (const auto locale = find_string(config, "locale")) {
    script += locale_script(*locale);
  }
  if (const Json* ntp = find_value(config, "ntp")) {
    script += ntp_script(*ntp);
  }
  if (const Json* certificates = find_value(config, "ca_certs")) {
    script += certificates_script(certificates->size(), room);
  }
  return with_functions(script + files_script(config, room, true));
}

}  // namespace goldmill::provision
