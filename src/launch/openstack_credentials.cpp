// SPDX-License-Identifier: GPL-3.0-or-later
#include "openstack_credentials.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <vector>

#include <yaml-cpp/yaml.h>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/suggestion.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
constexpr Bytes kLongestCloudsFile = 1_MiB;

/// By their names in clouds.yaml, those below `auth` too.
using Settings = std::map<std::string, std::string>;

/// What both places know, and the variable that says it.
struct Known {
  const char* setting;
  const char* variable;
};
constexpr std::array kKnown = {
    Known{"auth_url", "OS_AUTH_URL"},
    Known{"auth_type", "OS_AUTH_TYPE"},
    Known{"username", "OS_USERNAME"},
    Known{"user_id", "OS_USER_ID"},
    Known{"password", "OS_PASSWORD"},
    Known{"project_name", "OS_PROJECT_NAME"},
    Known{"project_id", "OS_PROJECT_ID"},
    Known{"user_domain_name", "OS_USER_DOMAIN_NAME"},
    Known{"user_domain_id", "OS_USER_DOMAIN_ID"},
    Known{"project_domain_name", "OS_PROJECT_DOMAIN_NAME"},
    Known{"project_domain_id", "OS_PROJECT_DOMAIN_ID"},
    Known{"application_credential_id", "OS_APPLICATION_CREDENTIAL_ID"},
    Known{"application_credential_name", "OS_APPLICATION_CREDENTIAL_NAME"},
    Known{"application_credential_secret", "OS_APPLICATION_CREDENTIAL_SECRET"},
    Known{"token", "OS_TOKEN"},
    Known{"region_name", "OS_REGION_NAME"},
    Known{"interface", "OS_INTERFACE"},
    Known{"cacert", "OS_CACERT"},
};

std::string at(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? "" : found->second;
}

bool is_printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  });
}

/// One cloud's entry: its scalars, and those of its `auth`.
void take_settings(const YAML::Node& entry, Settings& settings) {
  if (!entry.IsMap()) {
    return;
  }
  for (const auto& pair : entry) {
    const auto key = pair.first.as<std::string>();
    if (pair.second.IsScalar()) {
      settings[key] = pair.second.as<std::string>();
    } else if (key == "auth") {
      take_settings(pair.second, settings);
    }
  }
}

/// The clouds of one file, by name.
Result<std::map<std::string, Settings>> read_clouds(const fs::path& file) {
  const std::string text = TRY(system::read_file(file, kLongestCloudsFile));
  std::map<std::string, Settings> clouds;
  try {
    const YAML::Node root = YAML::Load(text);
    const YAML::Node entries = root.IsMap() ? root["clouds"] : YAML::Node();
    if (entries && entries.IsMap()) {
      for (const auto& pair : entries) {
        take_settings(pair.second, clouds[pair.first.as<std::string>()]);
      }
    }
  } catch (const YAML::Exception& problem) {
    // Not the text beside it: it may be a password.
    return Error{ErrorKind::invalid_input,
                 file.string() + ":" + std::to_string(problem.mark.line + 1) + ": is no YAML"};
  }
  return clouds;
}

std::optional<fs::path> find_clouds_file(const Environment& environment) {
  std::vector<fs::path> places;
  if (const auto named = environment("OS_CLIENT_CONFIG_FILE")) {
    places.emplace_back(*named);
  }
  places.emplace_back("clouds.yaml");
  if (const auto config = environment("XDG_CONFIG_HOME")) {
    places.push_back(fs::path(*config) / "openstack/clouds.yaml");
  } else if (const auto home = environment("HOME")) {
    places.push_back(fs::path(*home) / ".config/openstack/clouds.yaml");
  }
  places.emplace_back("/etc/openstack/clouds.yaml");
  std::error_code ignored;
  const auto found = std::find_if(places.begin(), places.end(), [&ignored](const fs::path& place) {
    return fs::exists(place, ignored);
  });
  return found == places.end() ? std::nullopt : std::optional(*found);
}

Error no_cloud(const std::string& what,
               const std::string& cloud,
               const std::map<std::string, Settings>& clouds) {
  std::vector<std::string> names;
  names.reserve(clouds.size());
  for (const auto& [name, settings] : clouds) {
    names.push_back(name);
  }
  return {ErrorKind::not_found,
          what,
          names.empty()
              ? "name it in clouds.yaml, or set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and "
                "OS_PROJECT_NAME"
              : did_you_mean(cloud, names)};
}

/// The settings and the name that they go by.
Result<std::pair<std::string, Settings>> find_settings(std::string cloud,
                                                       const Environment& environment) {
  const auto file = find_clouds_file(environment);
  std::map<std::string, Settings> clouds;
  if (cloud.empty()) {
    cloud = environment("OS_CLOUD").value_or(environment("OS_AUTH_URL") ? kCloudOfEnvironment : "");
  }
  if (cloud != kCloudOfEnvironment && file) {
    clouds = TRY(read_clouds(*file));
    const fs::path secure = file->parent_path() / "secure.yaml";
    std::error_code ignored;
    if (fs::exists(secure, ignored)) {
      for (auto& [name, secrets] : TRY(read_clouds(secure))) {
        secrets.merge(clouds[name]);
        clouds[name] = std::move(secrets);
      }
    }
  }
  if (cloud.empty() && clouds.size() == 1) {
    cloud = clouds.begin()->first;
  }
  if (const auto found = clouds.find(cloud); found != clouds.end()) {
    return std::pair<std::string, Settings>(*found);
  }
  if (cloud == kCloudOfEnvironment) {
    Settings settings;
    for (const Known& known : kKnown) {
      if (const auto value = environment(known.variable)) {
        settings[known.setting] = *value;
      }
    }
    return std::pair(cloud, settings);
  }
  if (cloud.empty()) {
    return no_cloud(clouds.empty()
                        ? "no OpenStack cloud is known"
                        : file->string() + " names several clouds: say which, --cloud NAME",
                    "",
                    clouds);
  }
  return no_cloud(
      "there is no cloud '" + cloud + "'" + (file ? " in " + file->string() : ""), cloud, clouds);
}

Json domain_of(const Settings& settings, const std::string& of) {
  if (const std::string id = at(settings, of + "_domain_id"); !id.empty()) {
    return {{"id", id}};
  }
  const std::string name = at(settings, of + "_domain_name");
  return name.empty() ? Json{{"id", "default"}} : Json{{"name", name}};
}

Error missing(const std::string& cloud, const std::string& what) {
  return {ErrorKind::invalid_input,
          "cloud '" + cloud + "' has no " + what,
          cloud == kCloudOfEnvironment ? "set its OS_ variable" : "add it to clouds.yaml"};
}

Json user_of(const Settings& settings) {
  if (const std::string id = at(settings, "user_id"); !id.empty()) {
    return {{"id", id}};
  }
  return {{"name", at(settings, "username")}, {"domain", domain_of(settings, "user")}};
}

/// What is bound to a project by itself.
Json application_login(const Settings& settings) {
  Json credential = {{"secret", at(settings, "application_credential_secret")}};
  if (const std::string id = at(settings, "application_credential_id"); !id.empty()) {
    credential["id"] = id;
  } else {
    credential["name"] = at(settings, "application_credential_name");
    credential["user"] = user_of(settings);
  }
  return {{"identity",
           {{"methods", Json::array({"application_credential"})},
            {"application_credential", credential}}}};
}

Result<Json> login_of(const std::string& cloud, const Settings& settings) {
  if (!at(settings, "application_credential_secret").empty()) {
    return Json{{"auth", application_login(settings)}};
  }
  Json identity;
  if (const std::string token = at(settings, "token"); !token.empty()) {
    identity = {{"methods", Json::array({"token"})}, {"token", {{"id", token}}}};
  } else {
    if (at(settings, "username").empty() && at(settings, "user_id").empty()) {
      return missing(cloud, "username");
    }
    if (at(settings, "password").empty()) {
      return missing(cloud, "password");
    }
    Json user = user_of(settings);
    user["password"] = at(settings, "password");
    identity = {{"methods", Json::array({"password"})}, {"password", {{"user", user}}}};
  }
  Json project;
  if (const std::string id = at(settings, "project_id"); !id.empty()) {
    project = {{"id", id}};
  } else if (const std::string name = at(settings, "project_name"); !name.empty()) {
    project = {{"name", name}, {"domain", domain_of(settings, "project")}};
  } else {
    return missing(cloud, "project_name");
  }
  return Json{{"auth", {{"identity", identity}, {"scope", {{"project", project}}}}}};
}
}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
  };
}

Result<CloudCredentials> cloud_credentials(const std::string& cloud,
                                           const Environment& environment) {
  const auto [name, settings] = TRY(find_settings(cloud, environment));
  for (const auto& [setting, value] : settings) {
    if (!is_printable(value)) {
      return Error{ErrorKind::invalid_input,
                   "cloud '" + name + "': " + setting + " holds control characters"};
    }
  }
  if (const std::string verify = at(settings, "verify");
      verify == "false" || verify == "False" || verify == "no") {
    return Error{ErrorKind::invalid_input,
                 "cloud '" + name + "': certificates are always verified",
                 "instead of `verify: false` give the cloud's own authority: `cacert: FILE`"};
  }
  CloudCredentials credentials;
  credentials.cloud = name;
  credentials.auth_url = at(settings, "auth_url");
  if (credentials.auth_url.empty()) {
    return missing(name, "auth_url");
  }
  credentials.auth_url.erase(credentials.auth_url.find_last_not_of('/') + 1);
  if (!credentials.auth_url.ends_with("/v3")) {
    credentials.auth_url += "/v3";
  }
  credentials.region = at(settings, "region_name");
  credentials.authorities = at(settings, "cacert");
  if (const std::string interface = at(settings, "interface"); !interface.empty()) {
    credentials.interface = interface.substr(0, interface.find("URL"));  // "publicURL", of old
  }
  credentials.login = TRY(login_of(name, settings));
  return credentials;
}

}  // namespace goldmill::launch
