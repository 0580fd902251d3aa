// SPDX-License-Identifier: GPL-3.0-or-later
#include "puppet_inputs.hpp"

#include <regex>
#include <set>

#include <goldmill/base/json.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::provision {

namespace fs = std::filesystem;

namespace {

/// By its metadata.json, else by the directory: "puppetlabs-apache" and "apache" are module apache.
std::string module_name(const fs::path& directory) {
  std::string name = directory.filename();
  if (name.empty()) {
    name = directory.parent_path().filename();
  }
  if (const auto text = system::read_file(directory / "metadata.json", 1_MiB)) {
    if (const auto json = parse_json(*text, "metadata.json")) {
      name = find_string(*json, "name").value_or(name);
    }
  }
  return name.substr(name.find_last_of("-/") + 1);
}

/// The values of `datadir:`, wherever they stand in a hiera.yaml; Hiera's own default without any.
std::set<std::string> data_directories(const std::string& text) {
  static const std::regex kDirectory(R"re((?:^|[\s{,])datadir:\s*["']?([^"'\s,}#]+))re");
  std::set<std::string> names;
  for (std::sregex_iterator match(text.begin(), text.end(), kDirectory), end; match != end;
       ++match) {
    names.insert((*match)[1].str());
  }
  return names.empty() ? std::set<std::string>{"data"} : names;
}

Result<void> add_hiera(std::vector<ToolInput>& inputs, const fs::path& hiera) {
  std::error_code ignored;
  const std::string shown = hiera.filename();
  if (fs::is_directory(hiera, ignored)) {
    if (!fs::exists(hiera / "hiera.yaml", ignored)) {
      return Error{ErrorKind::invalid_input,
                   "there is no hiera.yaml in " + hiera.string(),
                   "name the file, or a directory that holds one"};
    }
    inputs.push_back({"hiera", hiera, "hiera", shown});
    return {};
  }
  inputs.push_back({"hiera", hiera, "hiera/hiera.yaml", shown});
  for (const std::string& name : data_directories(TRY(system::read_file(hiera, 1_MiB)))) {
    const fs::path relative = fs::path(name).lexically_normal();
    if (relative.is_absolute() || relative.string().starts_with("..")) {
      return Error{ErrorKind::invalid_input,
                   "the datadir '" + name + "' of " + hiera.string() + " is not beside it",
                   "keep the data in a directory beside hiera.yaml, and name it relative to that"};
    }
    const fs::path data = hiera.parent_path() / relative;
    if (fs::is_directory(data, ignored)) {
      inputs.push_back({"hiera " + name, data, "hiera/" + relative.string(), relative});
    }
  }
  return {};
}

}  // namespace

Result<std::vector<ToolInput>> puppet_inputs(const recipe::PuppetStep& step) {
  const std::string file = step.manifest.filename();
  std::vector<ToolInput> inputs = {{"manifest", step.manifest, "manifest/" + file, step.title}};
  std::set<std::string> names;
  for (const recipe::PuppetModule& module : step.modules) {
    if (module.directory.empty()) {
      continue;
    }
    const std::string name = module_name(module.directory);
    if (!names.insert(name).second) {
      return Error{ErrorKind::invalid_input,
                   "two directories under 'modules:' are the module '" + name + "'"};
    }
    inputs.push_back({"module " + module.name, module.directory, "modules/" + name, module.name});
  }
  if (!step.environment.empty()) {
    inputs.push_back(
        {"environment", step.environment, "environments/production", step.environment.filename()});
  }
  if (!step.hiera.empty()) {
    TRY(add_hiera(inputs, step.hiera));
  }
  return inputs;
}

std::string module_package(const std::string& name) {
  const bool has_author = name.find('-') != std::string::npos;
  return std::string("puppet-module-") + (has_author ? "" : "puppetlabs-") + name;
}

}  // namespace goldmill::provision
