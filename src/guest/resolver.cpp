// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <utility>

#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/system/worker.hpp>

#include "apt_request.hpp"

namespace goldmill::guest {

namespace {

constexpr std::array<std::pair<Operation::Kind, std::string_view>, 4> kOperations = {
    {{Operation::Kind::unpack, "unpack"},
     {Operation::Kind::configure, "configure"},
     {Operation::Kind::remove, "remove"},
     {Operation::Kind::purge, "purge"}}};

std::string_view name_of(Operation::Kind kind) {
  for (const auto& [known, name] : kOperations) {
    if (known == kind) {
      return name;
    }
  }
  return "unpack";
}

/// One entry: ["unpack", "name:arch"]; a lock file has hundreds.
Result<Operation> operation_from_json(const Json& json) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
    for (const auto& [kind, name] : kOperations) {
      if (json[0].get_ref<const std::string&>() == name) {
        return Operation{kind, json[1].get<std::string>()};
      }
    }
  }
  return Error{ErrorKind::invalid_input, "not a package operation: " + json.dump()};
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// It is appended to the source's URI: no way out of it, no query.
bool is_pool_path(const std::string& text) {
  return !text.starts_with('/') && text.find("..") == std::string::npos &&
         text.find_first_of("?#\\ \n") == std::string::npos;
}

/// The copy is what is resolved, installed and locked, whatever happens to the original.
Result<void> keep_local_file(InstallRequest& wanted, const std::filesystem::path& cache) {
  if (wanted.file.empty()) {
    return {};
  }
  wanted.name = wanted.file.string();
  wanted.file = cached_file(cache, TRY(add_to_cache(wanted.file, cache)));
  return {};
}

Result<Json> ask_apt(Json request, const FetchProgress& progress) {
  system::WorkerJob job{.name = "apt", .request = std::move(request)};
  job.on_event = [&](const Json& event) {
    if (progress) {
      progress(find_string(event, "phase").value_or(""),
               static_cast<std::uint64_t>(find_integer(event, "done").value_or(0)),
               static_cast<std::uint64_t>(find_integer(event, "total").value_or(0)));
    }
  };
  return system::run_worker(job);
}

}  // namespace

Json to_json(const PackageFile& package) {
  return {{"name", package.name},
          {"version", package.version},
          {"architecture", package.architecture},
          {"sha256", package.sha256},
          {"size", package.size},
          {"installed_size", package.installed_size},
          {"pool_path", package.pool_path},
          {"source", package.source_index},
          {"essential", package.essential},
          {"automatic", package.automatic},
          {"pre_depends", package.pre_depends},
          {"upgrades_from", package.upgrades_from}};
}

Result<PackageFile> package_from_json(const Json& json) {
  PackageFile package{.name = TRY(string_at(json, "name")),
                      .version = TRY(string_at(json, "version")),
                      .architecture = TRY(string_at(json, "architecture")),
                      .sha256 = TRY(string_at(json, "sha256")),
                      .size = static_cast<std::uint64_t>(TRY(integer_at(json, "size"))),
                      .installed_size = static_cast<std::uint64_t>(
                          find_integer(json, "installed_size").value_or(0)),
                      .pool_path = find_string(json, "pool_path").value_or(""),
                      .source_index = static_cast<int>(TRY(integer_at(json, "source"))),
                      .essential = find_bool(json, "essential").value_or(false),
                      .automatic = find_bool(json, "automatic").value_or(false),
                      .pre_depends = find_bool(json, "pre_depends").value_or(false),
                      .upgrades_from = find_string(json, "upgrades_from").value_or("")};
  if (!is_sha256(package.sha256) || !is_pool_path(package.pool_path)) {
    return Error{ErrorKind::invalid_input,
                 "the entry of package '" + package.name + "' has a bad digest or path"};
  }
  return package;
}

Json to_json(const Resolution& resolution) {
  Json packages = Json::array();
  for (const PackageFile& package : resolution.packages) {
    packages.push_back(to_json(package));
  }
  Json operations = Json::array();
  for (const Operation& operation : resolution.operations) {
    operations.push_back(Json::array({name_of(operation.kind), operation.package}));
  }
  return {{"packages", packages},
          {"removed", resolution.removed},
          {"manual", resolution.manual},
          {"operations", operations},
          {"epoch", resolution.epoch},
          {"suites", resolution.suites}};
}

Result<Resolution> resolution_from_json(const Json& json) {
  Resolution resolution;
  resolution.removed = find_strings(json, "removed");
  resolution.manual = find_strings(json, "manual");
  resolution.epoch = TRY(integer_at(json, "epoch"));
  const Json* const packages = find_value(json, "packages");
  if (packages == nullptr || !packages->is_array()) {
    return Error{ErrorKind::invalid_input, "a resolution without its list of packages"};
  }
  for (const Json& entry : *packages) {
    resolution.packages.push_back(TRY(package_from_json(entry)));
  }
  const Json* const operations = find_value(json, "operations");
  for (const Json& entry : operations == nullptr ? Json::array() : *operations) {
    resolution.operations.push_back(TRY(operation_from_json(entry)));
  }
  const Json* const found = find_value(json, "suites");
  const Json suites = found == nullptr || !found->is_object() ? Json::object() : *found;
  for (const auto& [name, date] : suites.items()) {
    resolution.suites[name] = TRY(integer_at(suites, name));
  }
  return resolution;
}

Json to_json(const Upgrade& upgrade) {
  return {{"name", upgrade.name},
          {"installed", upgrade.installed},
          {"available", upgrade.available},
          {"security", upgrade.security}};
}

Result<std::vector<Upgrade>> find_upgrades(const ResolveRequest& request,
                                           const FetchProgress& progress) {
  Json sent = to_json(request);
  sent["operation"] = "upgrades";
  std::vector<Upgrade> upgrades;
  for (const Json& row : TRY(ask_apt(std::move(sent), progress))) {
    upgrades.push_back({TRY(string_at(row, "name")),
                        TRY(string_at(row, "installed")),
                        TRY(string_at(row, "available")),
                        find_bool(row, "security").value_or(false)});
  }
  return upgrades;
}

Result<ResolvedRoot> resolve_root(const ResolveRequest& request, const FetchProgress& progress) {
  ResolveRequest sent = request;
  for (InstallRequest& wanted : sent.install) {
    auto kept = keep_local_file(wanted, request.cache_directory);
    if (!kept) {
      return located(request, wanted.name, std::move(kept).error());
    }
  }
  const Json answer = TRY(ask_apt(to_json(sent), progress));
  return ResolvedRoot{TRY(resolution_from_json(answer.value("packages", Json::object()))),
                      TRY(resolution_from_json(answer.value("tools", Json::object())))};
}

Result<Resolution> resolve(const ResolveRequest& request, const FetchProgress& progress) {
  return TRY(resolve_root(request, progress)).packages;
}

}  // namespace goldmill::guest
