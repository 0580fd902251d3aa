// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `secrets:` and `provision:`.
#include <algorithm>
#include <charconv>
#include <set>

#include <goldmill/base/suggestion.hpp>

#include "cloud_config.hpp"
#include "reader.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace {

Result<ShellStep> read_shell(const Source& source,
                             const Node& node,
                             const std::vector<Secret>& secrets) {
  ShellStep step;
  read_text(node, "script", step.script);
  if (const Node* file = node.find("file")) {
    step.script = TRY(source.content_of(*file, file->text));
    step.file = file->text;
  }
  if (step.script.find_first_not_of(" \t\r\n") == std::string::npos) {
    return source.document.error(node, "the script of this 'shell' step is empty");
  }
  read_boolean(node, "network", step.network);
  const Node* wanted = node.find("secrets");
  if (wanted == nullptr) {
    return step;
  }
  std::vector<std::string> known;
  known.reserve(secrets.size());
  for (const Secret& secret : secrets) {
    known.push_back(secret.name);
  }
  for (const Node& item : wanted->items) {
    if (std::find(known.begin(), known.end(), item.text) == known.end()) {
      return source.document.error(
          item,
          "there is no secret " + as_quote(item.text),
          known.empty() ? "declare it under 'secrets:'" : did_you_mean(item.text, known));
    }
    step.secrets.push_back(item.text);
  }
  return step;
}

/// "0644", "644" and "0o644" all mean octal here, as everywhere where modes are written.
std::uint32_t mode_of(std::string_view text) {
  if (text.starts_with("0o")) {
    text.remove_prefix(2);
  }
  std::uint32_t mode = 0;
  std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  return mode;
}

Result<FileCopy> read_file_copy(const Source& source, const Node& node) {
  FileCopy copy;
  if (const Node* from = node.find("source")) {
    copy.source = TRY(source.existing(*from, from->text));
  }
  read_text(node, "content", copy.content);
  read_text(node, "target", copy.target);
  const std::string inside = copy.target + "/";
  if (inside.find("/../") != std::string::npos || inside.find("/./") != std::string::npos ||
      inside.find("//") != std::string::npos) {
    return source.document.error(*node.find("target"),
                                 as_quote(copy.target) + " is not a plain path of the image",
                                 "write it without '.', '..', '//' and a '/' at its end");
  }
  if (const Node* mode = node.find("mode")) {
    copy.mode = mode_of(mode->text);
  }
  for (const auto& [key, target] : {std::pair{"owner", &copy.owner}, {"group", &copy.group}}) {
    read_text(node, key, *target);
    const bool is_number = std::isdigit(static_cast<unsigned char>(target->front())) != 0;
    if (is_number && std::stoul(*target) > 65535) {
      return source.document.error(
          *node.find(key), as_quote(*target) + " is above 65535", "ids in an image go up to 65535");
    }
  }
  return copy;
}

Result<FilesStep> read_files(const Source& source, const Node& list) {
  FilesStep step;
  if (list.items.empty()) {
    return source.document.error(list, "this 'files' step is empty");
  }
  std::set<std::string> targets;
  for (const Node& item : list.items) {
    step.files.push_back(TRY(read_file_copy(source, item)));
    if (!targets.insert(step.files.back().target).second) {
      return source.document.error(item, "two files go to " + as_quote(step.files.back().target));
    }
  }
  return step;
}

Json json_of(const Node& node) {
  Json json;
  switch (node.kind) {
    case Node::Kind::null:
      return nullptr;
    case Node::Kind::list:
      json = Json::array();
      for (const Node& item : node.items) {
        json.push_back(json_of(item));
      }
      return json;
    case Node::Kind::map:
      json = Json::object();
      for (std::size_t i = 0; i < node.keys.size(); ++i) {
        json[node.keys[i].text] = json_of(node.items[i]);
      }
      return json;
    case Node::Kind::scalar:
      break;
  }
  if (node.style == Node::Style::quoted) {
    return node.text;
  }
  if (node.text == "true" || node.text == "false") {
    return node.text == "true";
  }
  std::int64_t number = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, failure] = std::from_chars(node.text.data(), end, number);
  // 0644 is octal to some readers and not to others: it stays as written.
  if (failure == std::errc{} && stop == end && std::to_string(number) == node.text) {
    return number;
  }
  return node.text;
}

/// "apache", "puppetlabs-apache": what a package can be named after.
bool is_module_name(std::string_view text) {
  return !text.empty() && std::islower(static_cast<unsigned char>(text.front())) != 0 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
}

Result<PuppetModule> read_module(const Source& source, const Node& node) {
  PuppetModule module{node.text, {}, source.document.position(node)};
  if (node.text.find('/') == std::string::npos) {
    if (!is_module_name(node.text)) {
      return source.document.error(node,
                                   as_quote(node.text) + " is no name of a Puppet module",
                                   "write NAME or AUTHOR-NAME for Debian's package of it, or a "
                                   "directory with a '/' in it: ./" +
                                       node.text);
    }
    return module;
  }
  module.directory = TRY(source.existing(node, node.text));
  std::error_code failure;
  if (!std::filesystem::is_directory(module.directory, failure)) {
    return source.document.error(node, as_quote(node.text) + " is not a module's directory");
  }
  return module;
}

Result<PuppetStep> read_puppet(const Source& source, const Node& node) {
  PuppetStep step;
  const Node& manifest = *node.find("manifest");
  step.title = manifest.text;
  step.manifest = TRY(source.existing(manifest, manifest.text));
  for (const auto& [key, target] :
       {std::pair{"hiera", &step.hiera}, {"environment", &step.environment}}) {
    if (const Node* path = node.find(key)) {
      *target = TRY(source.existing(*path, path->text));
    }
  }
  if (const Node* modules = node.find("modules")) {
    for (const Node& item : modules->items) {
      step.modules.push_back(TRY(read_module(source, item)));
    }
  }
  if (const Node* facts = node.find("facts")) {
    step.facts = json_of(*facts);
  }
  read_boolean(node, "keep_agent", step.keep_agent);
  read_boolean(node, "booted", step.booted);
  read_text(node, "server", step.server);
  if (!step.server.empty() && !step.keep_agent) {
    return source.document.error(*node.find("server"),
                                 "a server is of no use without an agent in the image",
                                 "add 'keep_agent: true', or remove 'server'");
  }
  return step;
}

/// "community.postgresql": a namespace and a name.
bool is_collection_name(std::string_view text) {
  return std::count(text.begin(), text.end(), '.') == 1 && text.front() != '.' &&
         text.back() != '.' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == std::string_view::npos;
}

Result<AnsiblePart> read_part(const Source& source, const Node& node, bool may_be_packaged) {
  AnsiblePart part{node.text, {}, source.document.position(node)};
  if (may_be_packaged && node.text.find('/') == std::string::npos) {
    if (!is_collection_name(node.text)) {
      return source.document.error(node,
                                   as_quote(node.text) + " is no name of a collection",
                                   "write NAMESPACE.NAME for one that Debian packages, or a "
                                   "directory with a '/' in it");
    }
    return part;
  }
  part.directory = TRY(source.existing(node, node.text));
  std::error_code failure;
  if (!std::filesystem::is_directory(part.directory, failure)) {
    return source.document.error(node, as_quote(node.text) + " is not a directory");
  }
  return part;
}

Result<AnsibleStep> read_ansible(const Source& source, const Node& node) {
  AnsibleStep step;
  const Node& playbook = *node.find("playbook");
  step.title = playbook.text;
  step.playbook = TRY(source.existing_file(playbook, playbook.text));
  for (const auto& [key, target] :
       {std::pair{"roles", &step.roles}, {"collections", &step.collections}}) {
    const Node* list = node.find(key);
    for (const Node& item : list == nullptr ? std::vector<Node>() : list->items) {
      target->push_back(TRY(read_part(source, item, target == &step.collections)));
    }
  }
  if (const Node* groups = node.find("groups")) {
    step.groups = texts_of(*groups);
  }
  if (const Node* variables = node.find("extra_vars")) {
    step.extra_vars = json_of(*variables);
  }
  return step;
}

Result<PackagesStep> read_packages_step(const Source& source, const Node& list) {
  if (list.items.empty()) {
    return source.document.error(list, "this 'packages' step is empty");
  }
  return PackagesStep{TRY(read_packages(source, list))};
}

}  // namespace

Result<std::vector<Secret>> read_secrets(const Source& source, const Node& list) {
  std::vector<Secret> secrets;
  std::set<std::string> names;
  for (const Node& item : list.items) {
    Secret secret;
    read_text(item, "name", secret.name);
    read_text(item, "version", secret.version);
    read_text(item, "env", secret.variable);
    if (const Node* file = item.find("file")) {
      secret.file = source.resolve(*file, file->text);
    }
    if (!names.insert(secret.name).second) {
      return source.document.error(item, "the secret '" + secret.name + "' is there twice");
    }
    secrets.push_back(std::move(secret));
  }
  return secrets;
}

Result<std::vector<ProvisionStep>> read_provision(const Source& source,
                                                  const Node& list,
                                                  const std::vector<Secret>& secrets) {
  std::vector<ProvisionStep> steps;
  for (const Node& item : list.items) {
    const std::string& kind = item.keys.at(0).text;
    const Node& options = item.items.at(0);
    ProvisionStep step;
    step.position = source.document.position(item);
    if (kind == "shell") {
      step.action = TRY(read_shell(source, options, secrets));
    } else if (kind == "files") {
      step.action = TRY(read_files(source, options));
    } else if (kind == "puppet") {
      step.action = TRY(read_puppet(source, options));
    } else if (kind == "ansible") {
      step.action = TRY(read_ansible(source, options));
    } else if (kind == "packages") {
      step.action = TRY(read_packages_step(source, options));
    } else {
      step.action = TRY(read_cloud_config(source, options));
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace goldmill::recipe
