// SPDX-License-Identifier: GPL-3.0-or-later
#include "apt_session.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include <apt-pkg/acquire-item.h>
#include <apt-pkg/aptconfiguration.h>
#include <apt-pkg/configuration.h>
#include <apt-pkg/error.h>
#include <apt-pkg/indexfile.h>
#include <apt-pkg/init.h>
#include <apt-pkg/metaindex.h>
#include <apt-pkg/pkgsystem.h>
#include <apt-pkg/sourcelist.h>
#include <apt-pkg/strutl.h>
#include <fcntl.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/system/file.hpp>

#include "source_text.hpp"

namespace goldmill::guest {

namespace fs = std::filesystem;

namespace {

/// Of the machine's apt configuration exactly this is taken: how to reach an archive, with which
/// credentials, and whether an old one is acceptable. The last two because a mirror that is
/// frozen, or a machine whose clock is off, cannot be used otherwise; signatures are checked
/// all the same.
constexpr const char* kHostOptions[] = {"Acquire::Check-Valid-Until", "Acquire::Check-Date"};
constexpr const char* kHostTrees[] = {"Acquire::http::Proxy",
                                      "Acquire::https::Proxy",
                                      "Acquire::https::CaInfo",
                                      "Acquire::https::CaPath",
                                      "Acquire::https::SslCert",
                                      "Acquire::https::SslKey"};
constexpr const char* kHostValues[] = {"Acquire::http::Proxy-Auto-Detect",
                                       "Acquire::https::Proxy-Auto-Detect"};

void copy_tree(const Configuration& from, const char* name) {
  if (from.Exists(name)) {
    _config->Set(name, from.Find(name));
  }
  const Configuration::Item* const top = from.Tree(name);
  for (const auto* item = top == nullptr ? nullptr : top->Child; item != nullptr;
       item = item->Next) {
    _config->Set(std::string(name) + "::" + item->Tag, item->Value);  // one host's own setting
  }
}

void copy_host_options() {
  Configuration host;
  if (!pkgInitConfig(host)) {
    _error->Discard();  // a broken file of the machine: what could be read counts
  }
  for (const char* name : kHostOptions) {
    if (host.Exists(name)) {
      _config->Set(name, host.FindB(name, true) ? "true" : "false");
    }
  }
  for (const char* name : kHostTrees) {
    copy_tree(host, name);
  }
  for (const char* name : kHostValues) {
    if (host.Exists(name)) {
      _config->Set(name, host.Find(name));
    }
  }
  _config->Set("Dir::Etc::netrc", host.FindFile("Dir::Etc::netrc"));
  _config->Set("Dir::Etc::netrcparts", host.FindDir("Dir::Etc::netrcparts"));
}

void set_empty_configuration(const AptSettings& settings) {
  const fs::path& home = settings.directory;
  const std::map<std::string, std::string> values = {
      {"Dir::Etc::main", "/dev/null"},
      {"Dir::Etc::parts", "/dev/null"},
      {"Dir::Etc::preferences", "/dev/null"},
      {"Dir::Etc::preferencesparts", "/dev/null"},
      {"Dir::Etc::sourcelist", (home / "archive.sources").string()},
      {"Dir::Etc::sourceparts", "/dev/null"},
      {"Dir::Etc::trusted", "/dev/null"},
      {"Dir::Etc::trustedparts", "/dev/null"},
      {"Dir::State", home.string() + "/"},
      {"Dir::State::lists", (home / "lists").string() + "/"},
      {"Dir::State::status", (home / "status").string()},
      {"Dir::State::extended_states", (home / "extended_states").string()},
      {"Dir::Cache", home.string() + "/"},
      {"Dir::Cache::archives", (home / "archives").string() + "/"},
      {"Dir::Cache::srcpkgcache", (home / "srcpkgcache.bin").string()},
      {"Dir::Log", home.string() + "/"},
      {"Dir::Bin::Methods", "/usr/lib/apt/methods"},
      {"Dir::Ignore-Files-Silently::", "."},
      {"APT::Sandbox::User", ""},
      {"APT::Architecture", settings.architecture},
      {"APT::Architectures::", settings.architecture},
      {"APT::Install-Recommends", settings.recommends ? "true" : "false"},
      {"APT::Install-Suggests", "false"},
      // An empty root is not filled in apt's order, and some releases' cannot be found.
      {"APT::Immediate-Configure", settings.new_root ? "false" : "true"},
      // Otherwise the machine's id decides which of Ubuntu's updates are seen.
      {"APT::Get::Always-Include-Phased-Updates", "true"},
      {"Acquire::Languages", "none"},
      {"Acquire::PDiffs", "false"},
      {"Acquire::Retries", "3"},
      {"Acquire::http::Timeout", "30"},
      {"Acquire::https::Timeout", "30"},
      {"Acquire::AllowInsecureRepositories", "false"},
      {"Acquire::AllowWeakRepositories", "false"},
      {"Acquire::AllowDowngradeToInsecureRepositories", "false"},
  };
  for (const auto& [name, value] : values) {
    _config->Set(name, value);
  }
}

/// Only Packages: no translations, no AppStream data, whatever files the machine has for them.
void keep_only_package_indexes() {
  std::vector<std::string> others;
  const Configuration::Item* const top = _config->Tree("Acquire::IndexTargets::deb");
  for (const auto* item = top == nullptr ? nullptr : top->Child; item != nullptr;
       item = item->Next) {
    if (item->Tag != "Packages") {
      others.push_back(item->Tag);
    }
  }
  for (const std::string& name : others) {
    _config->Set("Acquire::IndexTargets::deb::" + name + "::DefaultEnabled", "false");
  }
}

bool is_one_word(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') {
      return false;
    }
  }
  return !text.empty();
}

/// A copy of the key beside the sources, named as apt-key wants it: armour by its suffix.
Result<fs::path> place_key(const Source& source, const fs::path& directory, std::size_t number) {
  auto key = system::read_file(source.signed_by, 16_MiB);
  if (!key) {
    return Error{ErrorKind::unavailable,
                 "the keyring of the archive '" + source.name +
                     "' cannot be read: " + source.signed_by.string(),
                 "install the package that brings it, or name the right file"};
  }
  const bool armoured = key->find("-----BEGIN PGP") != std::string::npos;
  // RFC 4880, 4.2: a packet's first byte has its highest bit set.
  if (!armoured && (key->empty() || (static_cast<unsigned char>(key->front()) & 0x80U) == 0)) {
    return Error{ErrorKind::invalid_input,
                 "the keyring of the archive '" + source.name +
                     "' is no OpenPGP key: " + source.signed_by.string(),
                 "give the archive's public key, binary or with -----BEGIN PGP"};
  }
  const fs::path copy = directory / (std::to_string(number) + (armoured ? ".asc" : ".gpg"));
  TRY(write_scratch(copy, *key));
  return copy;
}

Result<std::string> stanza(const Source& source, const fs::path& key) {
  std::vector<std::string> words = {source.uri};
  words.insert(words.end(), source.suites.begin(), source.suites.end());
  words.insert(words.end(), source.components.begin(), source.components.end());
  words.insert(words.end(), source.architectures.begin(), source.architectures.end());
  for (const std::string& word : words) {
    if (!is_one_word(word)) {
      return Error{ErrorKind::invalid_input,
                   "the archive '" + source.name + "' has an entry that is empty or has a space"};
    }
  }
  std::string text =
      "Types: deb\nURIs: " + source.uri + "\nSuites:" + field_words(source.suites) + "\n";
  if (!source.components.empty()) {
    text += "Components:" + field_words(source.components) + "\n";
  }
  if (!source.architectures.empty()) {
    text += "Architectures:" + field_words(source.architectures) + "\n";
  }
  return text + "Signed-By: " + key.string() + "\n\n";
}

Result<void> write_sources(const AptSettings& settings) {
  const fs::path keys = settings.directory / "keys";
  TRY(system::make_directories(keys));
  std::string text;
  for (std::size_t i = 0; i < settings.sources.size(); ++i) {
    const fs::path key = TRY(place_key(settings.sources[i], keys, i));
    text += TRY(stanza(settings.sources[i], key));
  }
  // The name's suffix tells libapt that it is deb822.
  return write_scratch(settings.directory / "archive.sources", text);
}

ErrorKind kind_of(const std::string& message) {
  for (const char* sign : {"not signed",
                           "GPG error",
                           "NO_PUBKEY",
                           "BADSIG",
                           "EXPKEYSIG",
                           "Hash",
                           "invalid signature",
                           "signatures",
                           "Clearsigned",
                           "unexpected size"}) {
    if (message.find(sign) != std::string::npos) {
      return ErrorKind::corrupt;
    }
  }
  if (message.find("No space left") != std::string::npos) {
    return ErrorKind::no_space;
  }
  return ErrorKind::unavailable;
}

std::string hint_for(ErrorKind kind, const std::string& message) {
  if (message.find("NO_PUBKEY") != std::string::npos) {
    return "the archive's keyring on this machine has no such key; update its package";
  }
  if (message.find("is expired") != std::string::npos ||
      message.find("not valid yet") != std::string::npos) {
    return "the archive is an old copy, or this machine's clock is wrong; whether that is "
           "acceptable is for apt's Acquire::Check-Valid-Until and Acquire::Check-Date to say";
  }
  switch (kind) {
    case ErrorKind::corrupt:
      return "packages are used only when a key that the source names has signed their index";
    case ErrorKind::no_space:
      return "make room below the state directory";
    default:
      return "check the archive's address, the proxy and the network";
  }
}

}  // namespace

Result<void> write_scratch(const fs::path& path, std::string_view content) {
  const auto present = system::read_file(path);
  if (present && *present == content) {
    return {};
  }
  const auto file = TRY(system::open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  return system::write_all(file.get(), content);
}

Error take_apt_error(const std::string& what, ErrorKind kind) {
  std::string messages;
  std::string message;
  while (!_error->empty(GlobalError::DEBUG)) {
    const bool is_error = _error->PopMessage(message);
    if (is_error && messages.find(message) == std::string::npos) {
      messages += (messages.empty() ? "" : "; ") + message;
    }
  }
  return Error{kind, without_login(messages.empty() ? what : what + ": " + messages)};
}

fs::path state_of(const fs::path& state_directory,
                  const std::vector<Source>& sources,
                  const std::string& architecture) {
  Json all = Json::array({architecture});
  for (const Source& source : sources) {
    all.push_back(to_json(source));
  }
  return state_directory / sha256(canonical(all)).hex().substr(0, 32);
}

Result<void> start_apt(const AptSettings& settings) {
  for (const char* name : {"lists/partial", "archives/partial", "dpkg"}) {
    TRY(system::make_directories(settings.directory / name));
  }
  TRY(write_sources(settings));
  ::unsetenv("APT_CONFIG");
  copy_host_options();
  set_empty_configuration(settings);
  if (!pkgInitConfig(*_config)) {
    return take_apt_error("libapt cannot be configured", ErrorKind::internal);
  }
  // Now: pkgInitConfig takes an empty value for none.
  _config->Set("Dir::Cache::pkgcache", "");  // has the root's status in it: never the same
  _config->Set("Dir::Log::Planner", "");     // a dump of the problem, as large as the archive
  keep_only_package_indexes();
  if (!settings.proxy.empty()) {
    for (const char* scheme : {"http", "https"}) {
      const std::string name = std::string("Acquire::") + scheme + "::Proxy";
      _config->Clear(name);
      _config->Set(name, settings.proxy);
      _config->Clear(name + "-Auto-Detect");
    }
  }
  if (!pkgInitSystem(*_config, _system)) {
    return take_apt_error("libapt cannot be started", ErrorKind::internal);
  }
  return {};
}

std::string index_prefix(const std::string& uri) {
  return URItoFileName(uri.ends_with('/') ? uri : uri + "/");
}

fs::path release_file(const std::string& uri, const std::string& suite) {
  const std::string base = uri.ends_with('/') ? uri : uri + "/";
  const std::string index =
      suite.ends_with('/') ? base + (suite == "/" ? "" : suite) : base + "dists/" + suite + "/";
  return fs::path(_config->FindDir("Dir::State::lists")) / URItoFileName(index + "InRelease");
}

bool AcquireEvents::Pulse(pkgAcquire* owner) {
  pkgAcquireStatus::Pulse(owner);
  std::uint64_t done = CurrentBytes;
  std::uint64_t total = expected_.value_or(TotalBytes);
  if (expected_) {
    done = std::min(done, total);  // an attempt that failed is counted too
  } else if (done >= total) {
    total = 0;  // what is known to come grows while it comes: all of it so far is not the end
  }
  context_.send_event({{"phase", phase_}, {"done", done}, {"total", total}});
  return true;
}

Result<void> refresh_indexes(const AptSettings& settings, system::WorkerContext& context) {
  pkgSourceList list;
  if (!list.ReadMainList()) {
    return take_apt_error("the sources cannot be read", ErrorKind::invalid_input);
  }
  AcquireEvents events(context, "indexes");
  pkgAcquire fetcher(&events);
  if (!list.GetIndexes(&fetcher)) {
    return take_apt_error("the archive's indexes cannot be listed");
  }
  const auto outcome = fetcher.Run();
  std::string failures;
  for (auto item = fetcher.ItemsBegin(); item != fetcher.ItemsEnd(); ++item) {
    if ((*item)->Status != pkgAcquire::Item::StatDone && !(*item)->ErrorText.empty()) {
      failures += "; " + (*item)->DescURI() + ": " + (*item)->ErrorText;
    }
    (*item)->Finished();
  }
  if (outcome == pkgAcquire::Continue && failures.empty() && !_error->PendingError()) {
    _error->Discard();
    return system::write_file(settings.directory / "refreshed", "");
  }
  Error error = take_apt_error("the archive's indexes cannot be had" + failures);
  error.kind = kind_of(error.message);
  error.hint = hint_for(error.kind, error.message);
  return error;
}

Result<std::vector<HostSource>> read_host_sources_here(const fs::path& root) {
  if (root != "/") {
    _config->Set("Dir", root.string() + "/");
    ::unsetenv("APT_CONFIG");
  }
  pkgSourceList list;
  if (!pkgInitConfig(*_config) || !pkgInitSystem(*_config, _system) || !list.ReadMainList()) {
    return take_apt_error("this machine's apt configuration cannot be read");
  }
  std::vector<HostSource> found;
  for (metaIndex* const index : list) {
    HostSource source{index->GetURI(), index->GetDist(), {}, index->GetSignedBy(), {}, {}};
    for (const IndexTarget& target : index->GetIndexTargets()) {
      const std::string component = target.Option(IndexTarget::COMPONENT);
      if (std::find(source.components.begin(), source.components.end(), component) ==
          source.components.end()) {
        source.components.push_back(component);
      }
    }
    const std::unique_ptr<metaIndex> loaded(index->UnloadedClone());
    const fs::path file = release_file(source.uri, source.suite);
    if (fs::exists(file) && loaded->Load(file.string(), nullptr)) {
      source.origin = loaded->GetOrigin();
      source.label = loaded->GetLabel();
    }
    found.push_back(std::move(source));
  }
  _error->Discard();
  return found;
}

std::vector<std::string> host_configuration_paths() {
  std::vector<std::string> paths = {_config->FindFile("Dir::Etc::main"),
                                    _config->FindDir("Dir::Etc::parts"),
                                    _config->FindFile("Dir::Etc::sourcelist"),
                                    _config->FindDir("Dir::Etc::sourceparts"),
                                    _config->FindDir("Dir::State::lists")};
  if (const char* more = std::getenv("APT_CONFIG"); more != nullptr) {
    paths.emplace_back(more);
  }
  return paths;
}

}  // namespace goldmill::guest
