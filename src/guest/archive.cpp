// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include <sys/stat.h>

#include <goldmill/guest/archive.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

#include "apt_request.hpp"
#include "source_text.hpp"

namespace goldmill::guest {

namespace fs = std::filesystem;

namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_security(const HostSource& source) {
  return without_slash(source.uri).ends_with("/debian-security") ||
         source.label == "Debian-Security";
}

bool is_debian(const HostSource& source) {
  return !is_security(source) && (without_slash(source.uri).ends_with("/debian") ||
                                  (source.origin == "Debian" && source.label == "Debian"));
}

bool is_ubuntu(const HostSource& source) {
  return without_slash(source.uri).ends_with("/ubuntu") ||
         (source.origin == "Ubuntu" && source.label == "Ubuntu");
}

/// The one with the wanted suite, otherwise the first of the kind.
template <typename Kind>
const HostSource* find_source(const std::vector<HostSource>& host,
                              const std::string& suite,
                              Kind kind) {
  const HostSource* first = nullptr;
  for (const HostSource& source : host) {
    if (kind(source)) {
      if (source.suite == suite) {
        return &source;
      }
      first = first == nullptr ? &source : first;
    }
  }
  return first;
}

/// The machine's key for an archive: an archive that is signed again has one of its own.
fs::path key_of(const HostSource* source, const fs::path& otherwise) {
  return source != nullptr && source->signed_by.starts_with('/') &&
                 source->signed_by.find_first_of(", \n") == std::string::npos
             ? fs::path(source->signed_by)
             : otherwise;
}

struct ArchivePlace {
  std::string uri;
  fs::path key;
};

Result<ArchivePlace> debian_place(const std::vector<HostSource>& host,
                                  const std::string& suite,
                                  const std::string& setting,
                                  const fs::path& keyring) {
  const HostSource* const source = find_source(host, suite, is_debian);
  if (!setting.empty()) {
    return ArchivePlace{setting, key_of(source, keyring)};
  }
  if (source == nullptr) {
    return Error{ErrorKind::unavailable,
                 "this machine's apt knows no archive of Debian",
                 "set GOLDMILL_DEBIAN_URI, as in https://mirror.example.org/debian"};
  }
  return ArchivePlace{without_slash(source->uri), key_of(source, keyring)};
}

Result<ArchivePlace> security_place(const std::vector<HostSource>& host,
                                    const std::string& suite,
                                    const std::string& setting,
                                    const fs::path& keyring) {
  const HostSource* const source = find_source(host, suite, is_security);
  if (!setting.empty()) {
    return ArchivePlace{setting, key_of(source, keyring)};
  }
  if (source == nullptr) {
    return Error{ErrorKind::unavailable,
                 "this machine's apt knows no archive with Debian's security updates",
                 "set GOLDMILL_DEBIAN_SECURITY_URI to its address, or to 'none'"};
  }
  return ArchivePlace{without_slash(source->uri), key_of(source, keyring)};
}

/// The machine's own, or what a mirror of Debian has beside it.
Result<ArchivePlace> ubuntu_place(const std::vector<HostSource>& host,
                                  const std::string& suite,
                                  const ArchiveSettings& settings,
                                  const fs::path& keyring) {
  if (!settings.ubuntu_uri.empty()) {
    return ArchivePlace{without_slash(settings.ubuntu_uri), keyring};
  }
  if (const HostSource* const own = find_source(host, suite, is_ubuntu)) {
    return ArchivePlace{without_slash(own->uri), key_of(own, keyring)};
  }
  const HostSource* const source = find_source(host, "", is_debian);
  if (source != nullptr) {
    const std::string uri = without_slash(source->uri);
    if (uri.ends_with("/debian")) {
      return ArchivePlace{uri.substr(0, uri.size() - 6) + "ubuntu", keyring};
    }
  }
  return Error{ErrorKind::unavailable,
               "no archive of Ubuntu is configured on this machine",
               "set GOLDMILL_UBUNTU_URI, as in https://mirror.example.org/ubuntu"};
}

Result<void> add_repositories(const ArchiveRequest& request, std::vector<Source>& sources) {
  int number = 0;
  for (const recipe::Repository& repository : request.repositories) {
    ++number;
    if (repository.key.empty()) {
      return Error{ErrorKind::invalid_input,
                   "the repository " + repository.uri + " has no key",
                   "add key: file:NAME.asc; packages are used only when they are signed"};
    }
    sources.push_back({.name = "repository-" + std::to_string(number),
                       .uri = repository.uri,
                       .suites = repository.suites,
                       .components = repository.components,
                       .signed_by = repository.key,
                       .architectures = {request.architecture}});
  }
  return {};
}

}  // namespace

ArchiveSettings ArchiveSettings::from_environment(const fs::path& home) {
  return {.debian_uri = variable("GOLDMILL_DEBIAN_URI"),
          .debian_security_uri = variable("GOLDMILL_DEBIAN_SECURITY_URI"),
          .ubuntu_uri = variable("GOLDMILL_UBUNTU_URI"),
          .home = home,
          .proxy = {}};
}

namespace {

void describe(std::string& text, const fs::path& path, int depth) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return;
  }
  for (const std::int64_t part : {static_cast<std::int64_t>(status.st_ino),
                                  static_cast<std::int64_t>(status.st_size),
                                  static_cast<std::int64_t>(status.st_mtim.tv_sec),
                                  static_cast<std::int64_t>(status.st_mtim.tv_nsec),
                                  static_cast<std::int64_t>(status.st_ctim.tv_sec)}) {
    text += std::to_string(part) + " ";
  }
  text += path.string() + "\n";
  std::error_code ignored;
  if (depth > 0 && fs::is_directory(path, ignored)) {
    std::set<fs::path> entries;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, ignored)) {
      entries.insert(entry.path());
    }
    for (const fs::path& entry : entries) {
      describe(text, entry, depth - 1);
    }
  }
}

/// Changes whenever one of the files does, or what is in one of the directories.
std::string fingerprint_of(const std::vector<std::string>& paths) {
  std::string text = "1 " + variable("APT_CONFIG") + "\n";
  for (const std::string& path : paths) {
    describe(text, path, 1);
  }
  return sha256(text).hex();
}

Result<std::vector<HostSource>> sources_of(const Json& answer) {
  std::vector<HostSource> sources;
  const Json* list = find_value(answer, "sources");
  for (const Json& entry : list == nullptr ? Json::array() : *list) {
    sources.push_back(TRY(host_source_from_json(entry)));
  }
  return sources;
}

/// The kept answer, when nothing has changed since.
std::optional<Json> remembered(const fs::path& memory) {
  const auto text = system::read_file(memory, 1_MiB);
  auto kept = text ? parse_json(*text, memory.string()) : Result<Json>(text.error());
  if (!kept ||
      find_string(*kept, "fingerprint") != fingerprint_of(find_strings(*kept, "read_from"))) {
    return std::nullopt;
  }
  return *std::move(kept);
}

}  // namespace

fs::path host_sources_memory(const fs::path& home) {
  return home / "host-sources.json";
}

Result<std::vector<HostSource>> read_host_sources(const fs::path& memory, const fs::path& root) {
  if (const auto kept = remembered(memory)) {
    if (auto sources = sources_of(*kept)) {
      return sources;
    }
  }
  Json answer = TRY(system::run_worker(
      {.name = "apt", .request = {{"operation", "host_sources"}, {"root", root.string()}}}));
  answer["fingerprint"] = fingerprint_of(find_strings(answer, "read_from"));
  (void)system::write_file(memory, canonical(answer));  // next time it is read again
  return sources_of(answer);
}

Result<std::vector<Source>> choose_sources(const DebianRelease& release,
                                           const std::vector<HostSource>& host,
                                           const ArchiveRequest& request,
                                           const fs::path& keyring) {
  const ArchiveSettings& settings = request.settings;
  const bool has_security =
      !release.security_suites.empty() && settings.debian_security_uri != "none";
  const bool of_ubuntu = release.family == "ubuntu";
  const ArchivePlace main =
      of_ubuntu ? TRY(ubuntu_place(host, release.suites.front(), settings, keyring))
                : TRY(debian_place(host, release.suites.front(), settings.debian_uri, keyring));
  const ArchivePlace security =
      of_ubuntu || !has_security
          ? main
          : TRY(security_place(
                host, release.security_suites.front(), settings.debian_security_uri, keyring));
  std::vector<Source> sources = {{.name = "main",
                                  .uri = main.uri,
                                  .suites = release.suites,
                                  .components = release.components,
                                  .signed_by = main.key,
                                  .architectures = {request.architecture}}};
  if (has_security) {
    sources.push_back({.name = "security",
                       .uri = security.uri,
                       .suites = release.security_suites,
                       .components = release.components,
                       .signed_by = security.key,
                       .architectures = {request.architecture}});
  }
  TRY(add_repositories(request, sources));
  return sources;
}

Result<std::vector<Source>> sources_for(const DebianRelease& release,
                                        const ArchiveRequest& request) {
  const std::vector<HostSource> host =
      TRY(read_host_sources(host_sources_memory(request.settings.home)));
  fs::path keyring = release.keyring;
  if (release.family == "ubuntu") {
    keyring = TRY(ubuntu_keyring(host, request.settings));
  }
  auto sources = TRY(choose_sources(release, host, request, keyring));
  for (const Source& source : sources) {
    if (!fs::exists(source.signed_by)) {
      return Error{ErrorKind::unavailable,
                   "the keyring of " + release.name() +
                       " is not on this machine: " + source.signed_by.string(),
                   "apt-get install " + release.keyring_package};
    }
  }
  return sources;
}

}  // namespace goldmill::guest
