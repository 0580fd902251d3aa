// SPDX-License-Identifier: GPL-3.0-or-later
#include "apt_request.hpp"

namespace goldmill::guest {

Json to_json(const Source& source) {
  return {{"name", source.name},
          {"uri", source.uri},
          {"suites", source.suites},
          {"components", source.components},
          {"signed_by", source.signed_by.string()},
          {"architectures", source.architectures}};
}

Result<Source> source_from_json(const Json& json) {
  return Source{.name = TRY(string_at(json, "name")),
                .uri = TRY(string_at(json, "uri")),
                .suites = find_strings(json, "suites"),
                .components = find_strings(json, "components"),
                .signed_by = TRY(string_at(json, "signed_by")),
                .architectures = find_strings(json, "architectures")};
}

Result<std::vector<Source>> sources_from_json(const Json& json) {
  std::vector<Source> sources;
  for (const Json& entry : json) {
    sources.push_back(TRY(source_from_json(entry)));
  }
  return sources;
}

Json to_json(const HostSource& source) {
  return {{"uri", source.uri},
          {"suite", source.suite},
          {"components", source.components},
          {"signed_by", source.signed_by},
          {"origin", source.origin},
          {"label", source.label}};
}

Result<HostSource> host_source_from_json(const Json& json) {
  return HostSource{TRY(string_at(json, "uri")),
                    TRY(string_at(json, "suite")),
                    find_strings(json, "components"),
                    TRY(string_at(json, "signed_by")),
                    TRY(string_at(json, "origin")),
                    TRY(string_at(json, "label"))};
}

namespace {
std::map<std::string, std::string> texts_by_name(const Json& json, std::string_view key) {
  std::map<std::string, std::string> texts;
  const Json* const object = find_value(json, key);
  if (object != nullptr && object->is_object()) {
    for (const auto& [name, text] : object->items()) {
      texts[name] = text.is_string() ? text.get<std::string>() : "";
    }
  }
  return texts;
}
}  // namespace

Error located(const ResolveRequest& request, const std::string& name, Error error) {
  const auto place = request.asked_at.find(name);
  if (place != request.asked_at.end()) {
    error.message = place->second + ": " + error.message;
  }
  return error;
}

Json to_json(const ResolveRequest& request) {
  Json sources = Json::array();
  for (const Source& source : request.sources) {
    sources.push_back(to_json(source));
  }
  Json install = Json::array();
  for (const InstallRequest& wanted : request.install) {
    install.push_back(
        {{"name", wanted.name}, {"version", wanted.version}, {"file", wanted.file.string()}});
  }
  return {{"operation", "resolve"},
          {"architecture", request.architecture},
          {"sources", sources},
          {"dpkg_status", request.dpkg_status},
          {"extended_states", request.extended_states},
          {"install", install},
          {"remove", request.remove},
          {"keep", request.keep},
          {"asked_at", request.asked_at},
          {"tools", request.tools},
          {"new_root", request.new_root},
          {"recommends", request.recommends},
          {"state_directory", request.state_directory.string()},
          {"work", work_beside(request.state_directory).string()},
          {"proxy", request.proxy},
          {"refresh", request.refresh == Refresh::always}};
}

Result<ResolveRequest> resolve_request_from_json(const Json& json) {
  ResolveRequest request;
  request.architecture = TRY(string_at(json, "architecture"));
  request.dpkg_status = TRY(string_at(json, "dpkg_status"));
  request.extended_states = TRY(string_at(json, "extended_states"));
  request.state_directory = TRY(string_at(json, "state_directory"));
  request.proxy = TRY(string_at(json, "proxy"));
  request.remove = find_strings(json, "remove");
  request.keep = texts_by_name(json, "keep");
  request.asked_at = texts_by_name(json, "asked_at");
  request.tools = find_strings(json, "tools");
  request.new_root = find_bool(json, "new_root").value_or(false);
  request.recommends = find_bool(json, "recommends").value_or(false);
  request.refresh =
      find_bool(json, "refresh").value_or(false) ? Refresh::always : Refresh::if_missing;
  const Json* const sources = find_value(json, "sources");
  request.sources = TRY(sources_from_json(sources == nullptr ? Json::array() : *sources));
  const Json* const install = find_value(json, "install");
  for (const Json& wanted : install == nullptr ? Json::array() : *install) {
    request.install.push_back({TRY(string_at(wanted, "name")),
                               TRY(string_at(wanted, "version")),
                               TRY(string_at(wanted, "file"))});
  }
  return request;
}

std::filesystem::path work_beside(const std::filesystem::path& directory) {
  return directory.parent_path() / "work";
}

}  // namespace goldmill::guest
