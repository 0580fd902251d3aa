// SPDX-License-Identifier: GPL-3.0-or-later
// The table of a recipe's keys.
#include <algorithm>

#include <goldmill/kickstart/recipe_words.hpp>

#include "schema.hpp"

namespace goldmill::recipe {

namespace {

const std::string kName = "[a-z0-9][a-z0-9._-]{0,62}";
const std::string kPort =
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|"
    "655[0-2][0-9]|6553[0-5])";
const std::string kHash = "\\$(y|gy|7|6|5|2[aby])\\$[./A-Za-z0-9$=,]{8,240}";
const std::string kHashHint =
    "make a hash with 'mkpasswd --method=yescrypt' and write it in quotes";

const Shape kRecipeName{"a recipe's name", kName, "lower-case letters, digits, '.', '-' and '_'"};
const Shape kParent{"the name of an image",
                    kName + "(@[1-9][0-9]{0,8}|:" + kName + ")?",
                    "write NAME, NAME@VERSION or NAME:CHANNEL: base, base@7, base:stable"};
const Shape kTimezone{"a time zone",
                      kickstart::kTimeZonePattern,
                      "write it as Area/City, such as Europe/Berlin, or UTC"};
const Shape kLocale{"a locale",
                    "(C|[a-z]{2,3}(_[A-Z]{2})?)\\.UTF-8(@[a-z]{1,16})?",
                    "write C.UTF-8 or such as de_DE.UTF-8"};
const Shape kKeyboard{
    "a keyboard layout", kickstart::kKeyboardPattern, "write such as us, de or de-nodeadkeys"};
const Shape kOpenPort{"a port",
                      "ssh|http|https|" + kPort + "/(tcp|udp)",
                      "write ssh, http, https or NUMBER/tcp, NUMBER/udp: 8080/tcp, 53/udp",
                      {"ssh", "http", "https"}};
const Shape kRootPassword{"locked or a password hash", "locked|" + kHash, kHashHint};
const Shape kPasswordHash{"a password hash", kHash, kHashHint};
const Shape kUserName{"a user name",
                      kickstart::kAccountPattern,
                      "lower-case letters, digits, '-' and '_', at most 32"};
const Shape kGroupName{"a group name",
                       kickstart::kAccountPattern,
                       "lower-case letters, digits, '-' and '_', at most 32"};
const Shape kOwner{"a user or group",
                   "[a-z_][a-z0-9_-]{0,31}|[0-9]{1,5}",
                   "write a name that the image knows, or a number up to 65535"};
const Shape kPath{"an absolute path", "/[^\\n\\t]*", "it starts with '/'"};
const Shape kSourcePath{"a path", "[^\\n\\t]+", "a path is relative to the recipe's directory"};
const Shape kFileReference{
    "a file: entry", "file:[^\\n\\t]+", "write file:PATH, relative to the recipe's directory"};
const Shape kKeyEntry{"an SSH public key",
                      "file:[^\\n\\t]+|(ssh|ecdsa|sk)-[^\\n\\t]+",
                      "write file:PATH or a line such as 'ssh-ed25519 AAAA... name'"};
const Shape kPackage{
    "a package",
    "-?[a-z0-9][a-z0-9+.-]{1,100}(:[a-z0-9]{1,16})?|"
    "[a-z0-9][a-z0-9+.-]{1,100}(:[a-z0-9]{1,16})?=([0-9]{1,6}:)?[0-9][A-Za-z0-9.+~-]{0,100}|"
    "(\\./|\\.\\./|/)[^\\n\\t]+\\.deb",
    "write NAME, NAME=VERSION, -NAME or ./FILE.deb"};
const Shape kPackageOrNothing{
    "a package's name", "([a-z0-9][a-z0-9+.-]{1,100})?", "write Debian's name of it, or \"\""};
const Shape kHttpUri{
    "a proxy", "https?://[A-Za-z0-9._\\[\\]:@%~!$&'()*+,;=-]+/?", "write http://HOST:PORT"};
const Shape kArchiveUri{"an archive's URI",
                        "(https?://|file:/)[!-~]+",
                        "write such as https://mirror.example.org/debian"};
const Shape kSuite{"a suite", "[A-Za-z0-9][A-Za-z0-9._/-]{0,100}|\\./", "write such as bookworm"};
const Shape kComponent{"a component", "[A-Za-z0-9][A-Za-z0-9._/-]{0,100}", "write such as main"};
const Shape kParameterName{
    "a parameter's name", "[a-z][a-z0-9_]{0,62}", "lower-case letters, digits and '_'"};
const Shape kSecretName{
    "a secret's name", "[a-z][a-z0-9_.-]{0,62}", "lower-case letters, digits, '.', '-' and '_'"};
const Shape kSecretVersion{"a version",
                           "[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
                           "raise it when the secret's value changes: steps run again then"};
const Shape kVariable{
    "an environment variable", "[A-Za-z_][A-Za-z0-9_]{0,100}", "letters, digits and '_'"};
const Shape kMode{
    "a file mode", "0?[0-7]{3}|0?[0-7]{4}|0o[0-7]{3,4}", "write it in octal: \"0644\" or \"0755\""};
const Shape kUnit{"a systemd unit", "[A-Za-z0-9:_.@\\\\-]{1,200}", "write such as nginx.service"};
const Shape kKernelOption{"a word of the kernel's command line",
                          "[A-Za-z0-9][A-Za-z0-9._,:=/@+%-]{0,200}",
                          "write one word, such as mitigations=auto"};
const Shape kLabel{"a label", "[A-Za-z0-9._-]{1,11}", "at most 11 letters, digits, '.', '-', '_'"};
const Shape kPartitionName{
    "a partition's name", "[A-Za-z0-9._-]{1,36}", "at most 36 letters, digits, '.', '-', '_'"};
const Shape kMount{
    "a mount point", "/|(/[A-Za-z0-9._-]{1,64}){1,8}", "write such as / or /var/lib"};
const Shape kHostName{"a host's name",
                      "[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?",
                      "write such as puppet.example.org"};
const Shape kHostGroup{
    "a group of hosts", "[A-Za-z_][A-Za-z0-9_]{0,62}", "letters, digits and '_'"};
const Shape kDebconfOwner{
    "a package's name", "[a-z0-9][a-z0-9+.-]{1,100}", "write the package that asks"};
const Shape kQuestion{"a debconf question",
                      "[A-Za-z0-9][A-Za-z0-9+._-]{0,100}(/[A-Za-z0-9+._-]{1,100}){1,5}",
                      "write PACKAGE/QUESTION; 'debconf-show PACKAGE' lists them"};
const Shape kAnswer{"one line of text", "[^\\n]*", "debconf's answers have one line"};
const Shape kLine{"one line of text", "[^\\n]+", "write it on one line"};

Value of(Type type, const Shape* shape = nullptr) {
  Value value;
  value.type = type;
  value.shape = shape;
  return value;
}
Value text(const Shape& shape) {
  return of(Type::text, &shape);
}
Value free_text() {
  return of(Type::text);
}
Value one_of(std::vector<std::string> allowed) {
  Value value = of(Type::text);
  value.allowed = std::move(allowed);
  return value;
}
Value number_or(const Shape& shape) {
  Value value = text(shape);
  value.bare_numbers = true;
  return value;
}
Value hidden(const Shape& shape) {
  Value value = text(shape);
  value.secret = true;
  return value;
}
Value boolean() {
  return of(Type::boolean);
}
Value integer(long long least, long long most) {
  Value value = of(Type::integer);
  value.least = least;
  value.most = most;
  return value;
}
Value size() {
  return of(Type::size);
}
Value anything() {
  return of(Type::anything);
}
Value list_of(Value item) {
  Value value = of(Type::list);
  value.item = std::make_shared<const Value>(std::move(item));
  return value;
}
Value dictionary_of(Value item, const Shape* names) {
  Value value = of(Type::dictionary, names);
  value.item = std::make_shared<const Value>(std::move(item));
  return value;
}
Value map_of(std::vector<Field> fields, std::vector<std::string> one_of = {}) {
  Value value = of(Type::map);
  value.fields = std::move(fields);
  value.one_of = std::move(one_of);
  return value;
}

Value debconf_value() {
  Value value = number_or(kAnswer);
  value.bare_words = true;
  return value;
}

Value user() {
  return map_of({
      {.key = "name",
       .value = text(kUserName),
       .doc = "Login name.",
       .example = "ops",
       .required = true},
      {.key = "sudo",
       .value = boolean(),
       .doc = "May become root with sudo; without asking when the user has no password.",
       .standard = "false"},
      {.key = "ssh_keys",
       .value = list_of(text(kKeyEntry)),
       .doc = "Public keys: whole lines, or file:PATH to a file of them.",
       .standard = "[]",
       .example = "[file:ops.pub]"},
      {.key = "password",
       .value = hidden(kPasswordHash),
       .doc = "A password hash in crypt(5) form; without it the password is locked. A plain "
              "password is refused.",
       .example = R"("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC")"},
      {.key = "shell", .value = text(kPath), .doc = "Login shell.", .standard = "/bin/bash"},
      {.key = "groups",
       .value = list_of(text(kGroupName)),
       .doc = "Further groups.",
       .standard = "[]",
       .example = "[adm]"},
  });
}

Value baseline() {
  const Value firewall = map_of({{.key = "inbound",
                                  .value = list_of(text(kOpenPort)),
                                  .doc = "Ports that stay open; everything else is closed.",
                                  .standard = "[ssh]",
                                  .example = "[ssh, 8080/tcp]"}});
  const Value ssh = map_of({{.key = "passwords",
                             .value = boolean(),
                             .doc = "Whether SSH lets people in with a password.",
                             .standard = "false"}});
  return map_of({
      {.key = "timezone",
       .value = text(kTimezone),
       .doc = "Time zone.",
       .standard = "UTC",
       .example = "Europe/Berlin"},
      {.key = "locale",
       .value = text(kLocale),
       .doc = "Language of the system.",
       .standard = "C.UTF-8",
       .example = "de_DE.UTF-8"},
      {.key = "keyboard",
       .value = text(kKeyboard),
       .doc = "Keyboard layout of the console.",
       .standard = "as the OS has it",
       .example = "de"},
      {.key = "network",
       .value = one_of({"dhcp", "none"}),
       .doc = "How the first network interface gets its address.",
       .standard = "dhcp"},
      {.key = "firewall",
       .value = firewall,
       .doc = "What reaches the instance from outside.",
       .example = "{inbound: [ssh]}"},
      {.key = "root",
       .value = hidden(kRootPassword),
       .doc = "'locked', or root's password hash in crypt(5) form.",
       .standard = "locked"},
      {.key = "users",
       .value = list_of(user()),
       .doc = "People who may log in.",
       .standard = "[]",
       .example = "[{name: ops, sudo: true, ssh_keys: [file:ops.pub]}]"},
      {.key = "ssh", .value = ssh, .doc = "The SSH server.", .example = "{passwords: false}"},
      {.key = "security",
       .value = one_of({"standard", "none"}),
       .doc = "Named set of kernel, network and login settings; 'goldmill explain' lists it.",
       .standard = "standard"},
  });
}

Value disk() {
  const Value partition = map_of({
      {.key = "name",
       .value = text(kPartitionName),
       .doc = "Name in the partition table.",
       .example = "root",
       .required = true},
      {.key = "size",
       .value = size(),
       .doc = "Size; the last one may omit it and gets the rest.",
       .example = "1GiB"},
      {.key = "filesystem",
       .value = one_of({"ext4", "swap", "vfat"}),
       .doc = "File system.",
       .standard = "ext4"},
      {.key = "mount",
       .value = text(kMount),
       .doc = "Where it is mounted; not for swap.",
       .example = "/"},
      {.key = "label",
       .value = text(kLabel),
       .doc = "Label of the file system.",
       .standard = "the partition's name",
       .example = "root"},
  });
  return map_of({
      {.key = "size", .value = size(), .doc = "Size that the guest sees.", .standard = "4GiB"},
      {.key = "filesystem",
       .value = one_of({"ext4"}),
       .doc = "The root file system.",
       .standard = "ext4"},
      {.key = "boot",
       .value = list_of(one_of({"bios", "uefi"})),
       .doc = "Firmware that can start the disk.",
       .standard = "[bios, uefi]"},
      {.key = "kernel_options",
       .value = list_of(number_or(kKernelOption)),
       .doc = "Further words of the kernel's command line.",
       .standard = "[]",
       .example = "[transparent_hugepage=never]"},
      {.key = "partitions",
       .value = list_of(partition),
       .doc = "Partitions in order, instead of one root file system. The last one is the root "
              "and grows with the disk; the boot partitions are added by themselves.",
       .standard = "[]",
       .example = "[{name: swap, size: 512MiB, filesystem: swap}, {name: root, mount: /}]"},
  });
}

Value promises() {
  return map_of({
      {.key = "disk_used",
       .value = size(),
       .doc = "At most this much disk used by files.",
       .example = "400MiB"},
      {.key = "image_size",
       .value = size(),
       .doc = "At most this large as compressed qcow2.",
       .example = "150MiB"},
      {.key = "boot_seconds",
       .value = integer(1, 3600),
       .doc =
           "Boots within this many seconds under KVM; emulated, scaled by its kernel's own start.",
       .example = "10"},
      {.key = "commands",
       .value = list_of(text(kLine)),
       .doc = "Commands that must succeed on the running image.",
       .standard = "[]",
       .example = R"(["java -version"])"},
      {.key = "services",
       .value = list_of(text(kUnit)),
       .doc = "Units that must be active.",
       .standard = "[]",
       .example = "[ssh.service]"},
      {.key = "ports",
       .value = list_of(text(kOpenPort)),
       .doc = "Ports at which something must answer.",
       .standard = "[]",
       .example = "[http]"},
  });
}

Value shell_step() {
  return map_of(
      {
          {.key = "script",
           .value = free_text(),
           .doc = "The script itself, for /bin/sh -e or what its #! line names.",
           .example = R"("echo hello > /etc/motd")"},
          {.key = "file",
           .value = text(kSourcePath),
           .doc = "A file that holds the script.",
           .example = "setup.sh"},
          {.key = "secrets",
           .value = list_of(text(kSecretName)),
           .doc = "Secrets shown at /run/goldmill/secrets/NAME while it runs.",
           .standard = "[]",
           .example = "[token]"},
          {.key = "network",
           .value = boolean(),
           .doc = "Whether it reaches the network.",
           .standard = "false"},
      },
      {"script", "file"});
}

Value file_copy() {
  return map_of(
      {
          {.key = "source",
           .value = text(kSourcePath),
           .doc = "File or directory, relative to the recipe's directory.",
           .example = "motd"},
          {.key = "content",
           .value = free_text(),
           .doc = "The file's text, instead of a source.",
           .example = R"("hello\n")"},
          {.key = "target",
           .value = text(kPath),
           .doc = "Where it goes in the image.",
           .example = "/etc/motd",
           .required = true},
          {.key = "mode",
           .value = number_or(kMode),
           .doc =
               "Permissions in octal. Of a directory: of the files in it; directories, and files "
               "that are executable, get the x bits too.",
           .standard = "\"0644\"",
           .example = "\"0644\""},
          {.key = "owner",
           .value = number_or(kOwner),
           .doc = "Owner, a user of the image.",
           .standard = "root"},
          {.key = "group",
           .value = number_or(kOwner),
           .doc = "Group of the image.",
           .standard = "root"},
      },
      {"source", "content"});
}

Value puppet_step() {
  return map_of({
      {.key = "manifest",
       .value = text(kSourcePath),
       .doc = "The manifest, or a directory of manifests.",
       .example = "web.pp",
       .required = true},
      {.key = "modules",
       .value = list_of(free_text()),
       .doc = "Modules that it needs: a directory (with a '/' in it), or Debian's package "
              "puppet-module-AUTHOR-NAME; NAME alone is puppetlabs'.",
       .standard = "[]",
       .example = "[apache, ./modules/site]"},
      {.key = "hiera",
       .value = text(kSourcePath),
       .doc = "Hiera's configuration with the data directories that it names, or a directory that "
              "holds hiera.yaml.",
       .example = "hiera.yaml"},
      {.key = "environment",
       .value = text(kSourcePath),
       .doc = "An environment's directory: its modules, hiera.yaml and data.",
       .example = "environments/production"},
      {.key = "facts",
       .value = dictionary_of(anything(), nullptr),
       .doc = "Facts beside the image's own; they win.",
       .standard = "{}",
       .example = "{role: web}"},
      {.key = "keep_agent",
       .value = boolean(),
       .doc = "Puts Puppet's agent into the image, enabled; each instance has a name of its own.",
       .standard = "false"},
      {.key = "server",
       .value = text(kHostName),
       .doc = "Server of the kept agent.",
       .standard = "puppet",
       .example = "puppet.example.org"},
      {.key = "booted",
       .value = boolean(),
       .doc = "Applies the manifest in the booted image, for manifests that need live services.",
       .standard = "false"},
  });
}

Value ansible_step() {
  return map_of({
      {.key = "playbook",
       .value = text(kSourcePath),
       .doc =
           "The playbook. What stands beside it in directories of Ansible's own names (roles, "
           "templates, files, group_vars, ...), and files beside it that it names, belong to it.",
       .example = "site.yml",
       .required = true},
      {.key = "roles",
       .value = list_of(text(kSourcePath)),
       .doc = "Roles from elsewhere: each a role's directory, or a directory of roles.",
       .standard = "[]",
       .example = "[../roles]"},
      {.key = "collections",
       .value = list_of(free_text()),
       .doc = "Collections that it needs: NAMESPACE.NAME for one of Debian's package ansible, or "
              "a directory (with a '/' in it).",
       .standard = "[]",
       .example = "[community.postgresql, ./acme]"},
      {.key = "groups",
       .value = list_of(text(kHostGroup)),
       .doc = "Groups that the image is in; it is in 'all' in any case.",
       .standard = "[]",
       .example = "[db]"},
      {.key = "extra_vars",
       .value = dictionary_of(anything(), nullptr),
       .doc = "Variables; they win, as those of --extra-vars do.",
       .standard = "{}",
       .example = "{port: 8080}"},
  });
}

Value provision_step() {
  Value step = of(Type::step);
  step.fields = {
      {.key = "shell",
       .value = shell_step(),
       .doc = "Runs a script in the sandbox.",
       .example = R"({script: "echo hello > /etc/motd"})"},
      {.key = "files",
       .value = list_of(file_copy()),
       .doc = "Copies files into the image.",
       .example = R"([{content: "hello\n", target: /etc/motd}])"},
      {.key = "puppet",
       .value = puppet_step(),
       .doc = "Applies a Puppet manifest from outside; Puppet does not enter the image.",
       .example = "{manifest: web.pp, modules: [apache]}"},
      {.key = "ansible",
       .value = ansible_step(),
       .doc =
           "Applies an Ansible playbook from outside; neither Ansible nor Python enter the image.",
       .example = "{playbook: site.yml}"},
      {.key = "cloud_config",
       .value = anything(),
       .doc = "Applies cloud-init user-data: a file that begins with '#cloud-config', or the "
              "document itself. Keys that make no sense for an image are refused.",
       .example = "user-data.yaml"},
      {.key = "packages",
       .value = list_of(text(kPackage)),
       .doc = "Installs packages, or removes them, at this place in the order; written as under "
              "'packages:' of the recipe.",
       .example = "[htop, -nano]"},
  };
  return step;
}

Value repository() {
  return map_of({
      {.key = "uri",
       .value = text(kArchiveUri),
       .doc = "Where the archive is.",
       .example = "https://mirror.example.org/debian",
       .required = true},
      {.key = "suites",
       .value = list_of(text(kSuite)),
       .doc = "Suites; one ending in '/' is flat.",
       .example = "[bookworm]",
       .required = true},
      {.key = "components",
       .value = list_of(text(kComponent)),
       .doc = "Components; none for a flat archive.",
       .standard = "[]",
       .example = "[main]"},
      {.key = "key",
       .value = text(kFileReference),
       .doc = "The keyring or armoured key that signs it. Signatures are never optional.",
       .example = "file:archive.asc",
       .required = true},
  });
}

Value secret() {
  return map_of(
      {
          {.key = "name",
           .value = text(kSecretName),
           .doc = "The name that steps use.",
           .example = "token",
           .required = true},
          {.key = "version",
           .value = number_or(kSecretVersion),
           .doc = "Part of the steps' keys, in place of the value: raise it with the value.",
           .example = "\"3\"",
           .required = true},
          {.key = "file",
           .value = text(kSourcePath),
           .doc = "The file that holds the value.",
           .example = "token.txt"},
          {.key = "env",
           .value = text(kVariable),
           .doc = "The environment variable of goldmill that holds it.",
           .example = "TOKEN"},
      },
      {"file", "env"});
}

Value debconf_answer() {
  return map_of({
      {.key = "package",
       .value = text(kDebconfOwner),
       .doc = "The package that asks.",
       .example = "postfix",
       .required = true},
      {.key = "question",
       .value = text(kQuestion),
       .doc = "The question's name.",
       .example = "postfix/main_mailer_type",
       .required = true},
      {.key = "type",
       .value = one_of({"string", "boolean", "select", "multiselect"}),
       .doc = "Its type. A password is refused: it would stand in the image for all to read.",
       .example = "select",
       .required = true},
      {.key = "value",
       .value = debconf_value(),
       .doc = "The answer, as the package's untranslated choices have it.",
       .example = "Local only",
       .required = true},
  });
}

std::vector<Field> sources_of_packages() {
  return {
      {.key = "repositories",
       .value = list_of(repository()),
       .doc = "Archives beside the machine's own; used while building.",
       .standard = "[]",
       .example = "[{uri: \"https://mirror.example.org/debian\", suites: [bookworm], "
                  "components: [main], key: \"file:archive.asc\"}]"},
      {.key = "apt",
       .value = map_of({{.key = "sources",
                         .value = list_of(free_text()),
                         .doc = "deb822 stanzas for the guest's own apt.",
                         .standard = "the build's own archives",
                         .example = "[\"Types: deb\\nURIs: https://mirror.example.org/debian\\n"
                                    "Suites: bookworm\\nComponents: main\\n\"]"}}),
       .doc = "The guest's own package manager."},
      {.key = "recommends",
       .value = boolean(),
       .doc = "Whether recommended packages are installed too.",
       .standard = "false"},
      {.key = "packages",
       .value = list_of(text(kPackage)),
       .doc = "Packages: NAME, NAME=VERSION, ./FILE.deb, or -NAME to remove one.",
       .standard = "[]",
       .example = "[default-jre-headless, -nano]"},
      {.key = "debconf",
       .value = list_of(debconf_answer()),
       .doc = "Answers to what packages ask, known before they are installed.",
       .standard = "[]",
       .example = "[{package: postfix, question: postfix/main_mailer_type, type: select, "
                  "value: Local only}]"},
      {.key = "proxy",
       .value = text(kHttpUri),
       .doc = "Proxy for fetching packages; never written into the image.",
       .example = "http://proxy.example.org:3128"},
  };
}

Value parameter_values() {
  Value value = free_text();
  value.bare_numbers = true;
  return dictionary_of(std::move(value), &kParameterName);
}

/// `parts/java.yaml`, or {part: parts/java.yaml, set: {...}}.
Value part_entry() {
  Value value = map_of({{.key = "part",
                         .value = text(kSourcePath),
                         .doc = "The part's file.",
                         .example = "parts/java.yaml",
                         .required = true},
                        {.key = "set",
                         .value = parameter_values(),
                         .doc = "Values for parameters that the part declares.",
                         .standard = "{}",
                         .example = R"({java: "21"})"}});
  value.short_form = "part";
  return value;
}

// NOLINTNEXTLINE(readability-function-size): a table, one entry per key
Value whole_recipe() {
  std::vector<Field> fields = {
      {.key = "recipe",
       .value = text(kRecipeName),
       .doc = "The name of the recipe and its image.",
       .example = "base",
       .required = true},
      {.key = "parameters",
       .value = parameter_values(),
       .doc = "Names with defaults: ${name} in any value is replaced, --set NAME=VALUE changes "
              "it, $${ stands for ${ itself.",
       .standard = "{}",
       .example = R"({java: "17"})"},
      {.key = "os",
       .value = one_of(
           {"debian/11", "debian/12", "debian/13", "debian/sid", "ubuntu/22.04", "ubuntu/24.04"}),
       .doc = "The operating system; this makes the recipe a base.",
       .example = "debian/12"},
      {.key = "architecture",
       .value = one_of({"amd64", "arm64"}),
       .doc = "Processor architecture of a base.",
       .standard = "amd64"},
      {.key = "from",
       .value = text(kParent),
       .doc = "The image to build on; this makes the recipe a variant.",
       .example = "base"},
      {.key = "include",
       .value = list_of(part_entry()),
       .doc = "Parts of recipes that are brought in here, with values for their parameters; see "
              "docs/parts.md.",
       .standard = "[]",
       .example = "[parts/java.yaml, {part: parts/proxy.yaml, set: {port: \"3128\"}}]"},
      {.key = "hardware",
       .value = list_of(one_of({"virtio", "nvme", "vmware", "hyperv", "xen"})),
       .doc = "Where the image must boot: chooses the kernel and the drivers of its initramfs.",
       .standard = "[virtio, nvme, vmware, hyperv, xen]",
       .example = "[virtio]"},
      {.key = "clouds",
       .value = list_of(one_of({"ec2", "openstack"})),
       .doc = "Clouds whose metadata service may give an instance its name, keys and user-data; "
              "asked only where the firmware (DMI) names that cloud.",
       .standard = "[]",
       .example = "[ec2, openstack]"},
      {.key = "baseline",
       .value = baseline(),
       .doc = "What holds on every instance.",
       .example = "{timezone: Europe/Berlin}"},
  };
  for (Field& field : sources_of_packages()) {
    fields.push_back(std::move(field));
  }
  fields.push_back({.key = "secrets",
                    .value = list_of(secret()),
                    .doc = "Values that steps may read while they run and that nothing keeps.",
                    .standard = "[]",
                    .example = R"([{name: token, version: "3", env: TOKEN}])"});
  fields.push_back({.key = "provision",
                    .value = list_of(provision_step()),
                    .doc = "Further steps, in order.",
                    .standard = "[]",
                    .example = R"([{shell: {script: "echo hello > /etc/motd"}}])"});
  fields.push_back({.key = "disk",
                    .value = disk(),
                    .doc = "The disk.",
                    .example = "{size: 4GiB, filesystem: ext4, boot: [bios, uefi]}"});
  fields.push_back({.key = "promises",
                    .value = promises(),
                    .doc = "What 'goldmill test' checks. A variant inherits its base's commands, "
                           "services and ports, not its limits of size and time.",
                    .example = "{disk_used: 400MiB}"});
  return map_of(std::move(fields), {"os", "from"});
}

Value whole_part() {
  Value part = whole_recipe();
  part.one_of.clear();
  std::erase_if(part.fields, [](const Field& field) {
    return field.key == "os" || field.key == "from" || field.key == "architecture";
  });
  part.fields.front() = {.key = "part",
                         .value = text(kRecipeName),
                         .doc = "The name of the part; its file is no recipe by itself.",
                         .example = "java",
                         .required = true};
  return part;
}

Value package_name() {
  Value value = text(kPackageOrNothing);
  value.bare_numbers = true;
  return value;
}

Value whole_settings() {
  return map_of({{.key = "enforce",
                  .value = list_of(part_entry()),
                  .doc = "Parts that every recipe has, whatever it says.",
                  .standard = "[]",
                  .example = "[parts/site.yaml]"},
                 {.key = "package_names",
                  .value = dictionary_of(package_name(), nullptr),
                  .doc = "Names of packages in Fedora and Red Hat with those in Debian, for "
                         "Kickstart profiles; \"\" for what Debian has not.",
                  .standard = "{}",
                  .example = R"({httpd: nginx, site-tools: ""})"}});
}

}  // namespace

const Value& recipe_schema() {
  static const Value kSchema = whole_recipe();
  return kSchema;
}

const Value& part_schema() {
  static const Value kSchema = whole_part();
  return kSchema;
}

const Value& settings_schema() {
  static const Value kSchema = whole_settings();
  return kSchema;
}

const Field& parameters_field() {
  return recipe_schema().fields.at(1);
}

const Value* value_at(const Value& map, std::string_view key) {
  const auto found = std::find_if(
      map.fields.begin(), map.fields.end(), [key](const Field& field) { return field.key == key; });
  return found == map.fields.end() ? nullptr : &found->value;
}

}  // namespace goldmill::recipe
