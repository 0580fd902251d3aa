// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `cloud_config:`: a cloud-init user-data document, or its text as part of the recipe. What
// makes sense for an image is put into one form; what does not is refused with its reason.
#include "cloud_config.hpp"

#include <array>
#include <cctype>

#include <goldmill/system/process.hpp>

#include "cloud_node.hpp"
#include "schema.hpp"
#include "user_data.hpp"

namespace goldmill::recipe {

namespace {

using Key = CloudKey<Json>;

constexpr const char* kInstance = "it says who one instance is";
constexpr const char* kInstanceHint =
    "leave it to the instances' own user-data, or to `goldmill launch`";
constexpr const char* kHostKeys = "host keys are each instance's own";
constexpr const char* kDisk = "the disk is the recipe's";
constexpr const char* kDiskHint = "say it under 'disk:'; the root partition grows by itself";
constexpr const char* kArchive = "packages come from archives whose signatures goldmill checks";
constexpr const char* kArchiveHint =
    "name archives under 'repositories:', and those of the instances under 'apt: {sources}'";
constexpr const char* kBoot = "it is about a boot, and nothing boots here";
constexpr const char* kLogins = "how people log in is the recipe's";
constexpr const char* kLoginsHint =
    "say it under 'baseline:': users with password hashes, root, ssh: {passwords}";
constexpr const char* kOther = "it is for another family of systems";
constexpr const char* kAgents = "its agent would make one identity for all instances";
constexpr const char* kRemove = "remove it";

Result<std::string> path_in(const CloudNode& value) {
  const std::string path = TRY(value.text());
  if (!path.starts_with('/') || path.find('\n') != std::string::npos || path.ends_with('/')) {
    return value.error(as_quote(path) + " is not the absolute path of a file");
  }
  return path;
}

// ---- write_files ----

Result<void> take_path(const CloudNode& value, Json& file) {
  file["path"] = TRY(path_in(value));
  return {};
}

Result<void> take_content(const CloudNode& value, Json& file) {
  const bool is_binary = value.node.style == Node::Style::binary;
  file["content"] = is_binary ? value.node.text : TRY(value.text());
  file["binary"] = is_binary;
  return {};
}

Result<void> take_encoding(const CloudNode& value, Json& file) {
  std::string encoding = TRY(value.text());
  const bool is_gzip = encoding.starts_with("gz");
  if (is_gzip) {
    encoding.erase(0, encoding.starts_with("gzip") ? 4 : 2);
  }
  const bool is_base64 = encoding == "b64" || encoding == "base64" ||
                         (is_gzip && (encoding == "+b64" || encoding == "+base64"));
  if (!is_base64 && encoding != (is_gzip ? "" : "text/plain")) {
    return value.error(as_quote(value.node.text) + " is not an encoding of cloud-init's",
                       "write b64, gz+b64 or text/plain");
  }
  file["base64"] = is_base64;
  file["gzip"] = is_gzip;
  return {};
}

Result<void> take_owner(const CloudNode& value, Json& file) {
  static const Shape kOwner{
      "an owner", "[a-z_0-9][a-z0-9_-]{0,31}(:[a-z_0-9][a-z0-9_-]{0,31})?", "write USER:GROUP"};
  file["owner"] = TRY(value.text(kOwner));
  return {};
}

Result<void> take_permissions(const CloudNode& value, Json& file) {
  static const Shape kPermissions{"a file mode", "0?o?[0-7]{3,4}", "write it quoted: '0644'"};
  const std::string text = TRY(value.text(kPermissions));
  file["mode"] = text.substr(text.find_last_not_of("01234567") + 1);
  return {};
}

Result<void> take_append(const CloudNode& value, Json& file) {
  file["append"] = TRY(value.boolean());
  return {};
}

Result<void> take_defer(const CloudNode& value, Json& file) {
  file["defer"] = TRY(value.boolean());
  return {};
}

constexpr std::array kFileKeys = {
    Key{"path", take_path},
    Key{"content", take_content},
    Key{"encoding", take_encoding},
    Key{"owner", take_owner},
    Key{"permissions", take_permissions},
    Key{"append", take_append},
    Key{"defer", take_defer},
    Key{"source",
        nullptr,
        "a server elsewhere would decide what is in it",
        "copy a file with a 'files' step"},
};

/// Both !!binary and "encoding: b64" leave base64 behind; together they would be twice that.
Result<void> settle_encoding(const CloudNode& item, Json& file) {
  const bool is_binary = file.value("binary", false);
  const bool is_base64 = file.value("base64", false);
  if (is_binary && is_base64) {
    return item.error("'content' is !!binary, and 'encoding' says base64 once more",
                      "keep one of the two");
  }
  if (file.value("gzip", false) && !is_binary && !is_base64) {
    return item.error("compressed 'content' must be !!binary or base64",
                      "write 'encoding: gz+b64'");
  }
  file["base64"] = is_binary || is_base64;
  file.erase("binary");
  if (!file["base64"].get<bool>()) {
    return {};
  }
  std::string letters;
  for (const char letter : file.value("content", "")) {
    const auto byte = static_cast<unsigned char>(letter);
    if (std::isalnum(byte) != 0 || letter == '+' || letter == '/' || letter == '=') {
      letters += letter;
    } else if (std::isspace(byte) == 0) {
      return item.error("'content' of " + as_quote(file.value("path", "")) + " is not base64");
    }
  }
  if (letters.size() % 4 != 0) {
    return item.error("'content' of " + as_quote(file.value("path", "")) + " is not base64",
                      "its length is no multiple of four: a part is missing");
  }
  file["content"] = letters;
  return {};
}

Result<void> read_write_files(const CloudNode& list, Json& config) {
  config["files"] = Json::array();
  return list.each([&config](const CloudNode& item) -> Result<void> {
    Json file = {{"content", ""},
                 {"mode", "0644"},
                 {"owner", "root:root"},
                 {"append", false},
                 {"defer", false},
                 {"gzip", false}};
    TRY(read_by_table(item, kFileKeys, file));
    if (!file.contains("path")) {
      return item.error("an entry of 'write_files' has no 'path'");
    }
    TRY(settle_encoding(item, file));
    config["files"].push_back(std::move(file));
    return {};
  });
}

// ---- the other keys ----

Result<std::string> package_of(const CloudNode& item) {
  static const Shape kName{"a package",
                           "[a-z0-9][a-z0-9+.-]{1,100}(:[a-z0-9]{1,16})?(=[0-9][!-~]{0,100})?",
                           "write NAME, or [NAME, VERSION]"};
  if (item.node.kind == Node::Kind::map) {
    return item.error("packages of a package manager's own are not installed",
                      "write the name alone");
  }
  const std::vector<std::string> words = TRY(item.texts());
  const std::string text = words.size() == 2 ? words[0] + "=" + words[1]
                                             : (words.size() == 1 ? words[0] : std::string());
  TRY(item.check(text, kName));
  return text;
}

Result<void> read_cloud_packages(const CloudNode& list, Json& config) {
  config["packages"] = Json::array();
  return list.each([&config](const CloudNode& item) -> Result<void> {
    config["packages"].push_back(TRY(package_of(item)));
    return {};
  });
}

/// The indexes are those that goldmill has verified, in any case.
Result<void> read_update(const CloudNode& value, Json& /*config*/) {
  TRY(value.boolean());
  return {};
}

Result<void> read_upgrade(const CloudNode& value, Json& /*config*/) {
  if (TRY(value.boolean())) {
    return value.error("'" + value.path +
                           "' is not applied to an image: a new kernel would "
                           "need another initramfs, and the lock would not know",
                       "`goldmill build --update` moves all packages");
  }
  return {};
}

Result<void> read_own_keys(const CloudNode& list, Json& config) {
  config["own_keys"] = TRY(read_cloud_keys(list));
  return {};
}

/// As cloud-init makes its script of them: text is a line, a list is one command's words.
Result<void> read_runcmd(const CloudNode& list, Json& config) {
  std::string script;
  TRY(list.each([&script](const CloudNode& item) -> Result<void> {
    if (item.node.kind == Node::Kind::scalar) {
      script += TRY(item.text()) + "\n";
      return {};
    }
    std::string line;
    for (const std::string& word : TRY(item.texts())) {
      line += (line.empty() ? "" : " ") + system::shell_quoted(word);
    }
    script += line + "\n";
    return {};
  }));
  config["runcmd"] = script;
  return {};
}

Result<void> read_zone(const CloudNode& value, Json& config) {
  static const Shape kZone{"a time zone",
                           "[A-Z][A-Za-z]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}",
                           "write such as Europe/Berlin or UTC"};
  config["timezone"] = TRY(value.text(kZone));
  return {};
}

Result<void> read_language(const CloudNode& value, Json& config) {
  static const Shape kLanguage{"a locale of UTF-8",
                               "(C|[a-z]{2,3}(_[A-Z]{2})?)(\\.(UTF-8|utf8))?(@[a-z]{1,16})?",
                               "write C.UTF-8 or such as de_DE.UTF-8"};
  const std::string text = TRY(value.text(kLanguage));
  const std::size_t end = std::min(text.find_first_of(".@"), text.size());
  const std::size_t at = std::min(text.find('@'), text.size());
  config["locale"] = text.substr(0, end) + ".UTF-8" + text.substr(at);
  return {};
}

template <const char* Name>
Result<void> take_servers(const CloudNode& value, Json& ntp) {
  static const Shape kServer{"a server", "[A-Za-z0-9.:_-]{1,253}", "write a name or an address"};
  ntp[Name] = Json::array();
  for (const std::string& server : TRY(value.texts())) {
    TRY(value.check(server, kServer));
    ntp[Name].push_back(server);
  }
  return {};
}

Result<void> take_enabled(const CloudNode& value, Json& ntp) {
  ntp["enabled"] = TRY(value.boolean());
  return {};
}

Result<void> take_client(const CloudNode& value, Json& /*ntp*/) {
  const std::string client = TRY(value.text());
  if (client != "auto" && client != "systemd-timesyncd") {
    return value.error("time comes by systemd-timesyncd here, not by " + as_quote(client),
                       "install and configure the other with 'packages' and 'write_files'");
  }
  return {};
}

constexpr char kServers[] = "servers";
constexpr char kPools[] = "pools";
constexpr const char* kOneClient = "timesyncd has nothing like it";
constexpr std::array kNtpKeys = {Key{"enabled", take_enabled},
                                 Key{"servers", take_servers<kServers>},
                                 Key{"pools", take_servers<kPools>},
                                 Key{"ntp_client", take_client},
                                 Key{"peers", nullptr, kOneClient, kRemove},
                                 Key{"allow", nullptr, kOneClient, kRemove},
                                 Key{"config", nullptr, kOneClient, kRemove}};

Result<void> read_ntp(const CloudNode& value, Json& config) {
  Json ntp = {{"enabled", true}, {"servers", Json::array()}, {"pools", Json::array()}};
  if (value.node.kind != Node::Kind::null) {
    TRY(read_by_table(value, kNtpKeys, ntp));
  }
  config["ntp"] = std::move(ntp);
  return {};
}

Result<void> take_trusted(const CloudNode& value, Json& config) {
  config["ca_certs"] = Json::array();
  for (const std::string& certificate : TRY(value.texts())) {
    if (certificate.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
      return value.error("an entry of '" + value.path + "' is not a certificate",
                         "write it in PEM form, with its BEGIN and END lines");
    }
    config["ca_certs"].push_back(certificate);
  }
  return {};
}

constexpr const char* kDefaults = "the package ca-certificates keeps them up to date";
constexpr const char* kDefaultsHint = "remove the package, if nothing else is to be trusted";
constexpr std::array kCertificateKeys = {Key{"trusted", take_trusted},
                                         Key{"remove_defaults", nullptr, kDefaults, kDefaultsHint},
                                         Key{"remove-defaults", nullptr, kDefaults, kDefaultsHint}};

Result<void> read_certificates(const CloudNode& value, Json& config) {
  return read_by_table(value, kCertificateKeys, config);
}

/// Source: the properties of cloud-init's schema-cloud-config-v1.json.
constexpr std::array kKeys = {
    Key{"packages", read_cloud_packages},
    Key{"package_update", read_update},
    Key{"apt_update", read_update},
    Key{"package_upgrade", read_upgrade},
    Key{"apt_upgrade", read_upgrade},
    Key{"package_reboot_if_required", read_upgrade},
    Key{"write_files", read_write_files},
    Key{"users", read_cloud_users},
    Key{"groups", read_cloud_groups},
    Key{"ssh_authorized_keys", read_own_keys},
    Key{"runcmd", read_runcmd},
    Key{"timezone", read_zone},
    Key{"locale", read_language},
    Key{"ntp", read_ntp},
    Key{"ca_certs", read_certificates},
    Key{"ca-certs", read_certificates},
    Key{"bootcmd",
        nullptr,
        "it would run at each boot, and nothing boots here",
        "write a systemd unit with 'write_files', and enable it in 'runcmd'"},
    Key{"hostname", nullptr, kInstance, kInstanceHint},
    Key{"fqdn", nullptr, kInstance, kInstanceHint},
    Key{"prefer_fqdn_over_hostname", nullptr, kInstance, kInstanceHint},
    Key{"preserve_hostname", nullptr, kInstance, kInstanceHint},
    Key{"create_hostname_file", nullptr, kInstance, kInstanceHint},
    Key{"manage_etc_hosts", nullptr, kInstance, kInstanceHint},
    Key{"manage_resolv_conf", nullptr, kInstance, kInstanceHint},
    Key{"resolv_conf", nullptr, kInstance, kInstanceHint},
    Key{"network", nullptr, kInstance, kInstanceHint},
    Key{"random_seed", nullptr, kInstance, kInstanceHint},
    Key{"vendor_data", nullptr, kInstance, kInstanceHint},
    Key{"datasource", nullptr, kInstance, kInstanceHint},
    Key{"wireguard", nullptr, kInstance, kInstanceHint},
    Key{"ssh_keys", nullptr, kHostKeys, kRemove},
    Key{"ssh_genkeytypes", nullptr, kHostKeys, kRemove},
    Key{"ssh_deletekeys", nullptr, kHostKeys, kRemove},
    Key{"ssh_publish_hostkeys", nullptr, kHostKeys, kRemove},
    Key{"ssh_quiet_keygen", nullptr, kHostKeys, kRemove},
    Key{"ssh_fp_console_blacklist", nullptr, kHostKeys, kRemove},
    Key{"ssh_key_console_blacklist", nullptr, kHostKeys, kRemove},
    Key{"no_ssh_fingerprints", nullptr, kHostKeys, kRemove},
    Key{"authkey_hash", nullptr, kHostKeys, kRemove},
    Key{"ssh", nullptr, kHostKeys, kRemove},
    Key{"password", nullptr, kLogins, kLoginsHint},
    Key{"chpasswd", nullptr, kLogins, kLoginsHint},
    Key{"ssh_pwauth", nullptr, kLogins, kLoginsHint},
    Key{"disable_root", nullptr, kLogins, kLoginsHint},
    Key{"disable_root_opts", nullptr, kLogins, kLoginsHint},
    Key{"allow_public_ssh_keys", nullptr, kLogins, kLoginsHint},
    Key{"user", nullptr, kLogins, "write a list of 'users'"},
    Key{"ssh_import_id",
        nullptr,
        "a server elsewhere would decide who may log in",
        "write the keys under 'ssh_authorized_keys'"},
    Key{"growpart", nullptr, kDisk, kDiskHint},
    Key{"resize_rootfs", nullptr, kDisk, kDiskHint},
    Key{"disk_setup", nullptr, kDisk, kDiskHint},
    Key{"fs_setup", nullptr, kDisk, kDiskHint},
    Key{"device_aliases", nullptr, kDisk, kDiskHint},
    Key{"mounts", nullptr, kDisk, kDiskHint},
    Key{"mount_default_fields", nullptr, kDisk, kDiskHint},
    Key{"swap", nullptr, kDisk, kDiskHint},
    Key{"grub_dpkg", nullptr, kDisk, kDiskHint},
    Key{"apt", nullptr, kArchive, kArchiveHint},
    Key{"apt_pipelining", nullptr, kArchive, kArchiveHint},
    Key{"apt_sources", nullptr, kArchive, kArchiveHint},
    Key{"apt_proxy", nullptr, kArchive, "say it as 'proxy:' of the recipe"},
    Key{"power_state", nullptr, kBoot, kRemove},
    Key{"final_message", nullptr, kBoot, kRemove},
    Key{"phone_home", nullptr, kBoot, kRemove},
    Key{"output", nullptr, kBoot, kRemove},
    Key{"reporting", nullptr, kBoot, kRemove},
    Key{"updates", nullptr, kBoot, kRemove},
    Key{"cloud_init_modules", nullptr, kBoot, kRemove},
    Key{"cloud_config_modules", nullptr, kBoot, kRemove},
    Key{"cloud_final_modules", nullptr, kBoot, kRemove},
    Key{"merge_how", nullptr, "there is nothing to merge it with", kRemove},
    Key{"merge_type", nullptr, "there is nothing to merge it with", kRemove},
    Key{"keyboard",
        nullptr,
        "the console's keyboard is the recipe's",
        "use 'baseline: {keyboard}'"},
    Key{"rsyslog", nullptr, "it rewrites a service's settings", "use 'packages' and 'write_files'"},
    Key{"ansible", nullptr, "the factory runs Ansible", "use an 'ansible' step"},
    Key{"puppet", nullptr, "the factory runs Puppet", "use a 'puppet' step with 'keep_agent'"},
    Key{"chef", nullptr, kAgents, kRemove},
    Key{"salt_minion", nullptr, kAgents, kRemove},
    Key{"mcollective", nullptr, kAgents, kRemove},
    Key{"landscape", nullptr, kAgents, kRemove},
    Key{"ubuntu_advantage", nullptr, kAgents, kRemove},
    Key{"ubuntu_pro", nullptr, kAgents, kRemove},
    Key{"fan", nullptr, kInstance, kInstanceHint},
    Key{"lxd", nullptr, "it needs a daemon that runs", kRemove},
    Key{"snap", nullptr, "it needs a daemon that runs", kRemove},
    Key{"drivers", nullptr, "the kernel and its drivers are the recipe's", "use 'hardware:'"},
    Key{"byobu_by_default", nullptr, "it is one person's taste", "use 'runcmd'"},
    Key{"autoinstall", nullptr, "it is an installer's answers", "goldmill import reads profiles"},
    Key{"yum_repos", nullptr, kOther, kRemove},
    Key{"yum_repo_dir", nullptr, kOther, kRemove},
    Key{"zypper", nullptr, kOther, kRemove},
    Key{"apk_repos", nullptr, kOther, kRemove},
    Key{"rh_subscription", nullptr, kOther, kRemove},
    Key{"spacewalk", nullptr, kOther, kRemove},
};

/// Those of the document itself are for its first user, as cloud-init has it.
Result<void> give_own_keys(const CloudNode& whole, Json& config) {
  if (!config.contains("own_keys")) {
    return {};
  }
  if (!config.contains("users") || config["users"].empty()) {
    return whole.error("'ssh_authorized_keys' are for the first of 'users', and there is none",
                       "write 'users: [{name: NAME, ssh_authorized_keys: [...]}]'");
  }
  Json& keys = config["users"][0]["keys"];
  for (const Json& key : config["own_keys"]) {
    keys.push_back(key);
  }
  config.erase("own_keys");
  return {};
}

Result<Json> read_whole(const Document& document, const Node& node) {
  const CloudNode whole{document, node, ""};
  Json config = Json::object();
  TRY(read_by_table(whole, kKeys, config));
  TRY(give_own_keys(whole, config));
  return config;
}

}  // namespace

Result<CloudConfigStep> read_cloud_config(const Source& source, const Node& node) {
  if (node.kind == Node::Kind::map) {
    return CloudConfigStep{"", TRY(read_whole(source.document, node))};
  }
  if (node.kind != Node::Kind::scalar) {
    return source.document.error(
        node, "'cloud_config' must be a file's name or a map", "write the user-data's file name");
  }
  const std::string text = TRY(source.content_of(node, node.text));
  const Position start{source.resolve(node, node.text).string(), 1, 1};
  TRY(refuse_template(text, start));
  if (!is_cloud_config(text)) {
    return error_at(start,
                    "this is no cloud-config: its first line is not '#cloud-config'",
                    "scripts are for a 'shell' step: {file: " + node.text + "}");
  }
  const Document document = TRY(parse_document(text, start.file));
  return CloudConfigStep{node.text, TRY(read_whole(document, document.root))};
}

}  // namespace goldmill::recipe
