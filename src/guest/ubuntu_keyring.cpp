// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>

#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/locked_directory.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::guest {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFileName = "ubuntu-archive-keyring.gpg";

Result<std::string> keyring_in(const fs::path& package, const fs::path& scratch) {
  TRY(system::run_checked(
      system::process_runner(),
      {.argv = {"dpkg-deb", "-x", package.string(), (scratch / "tree").string()}}));
  const auto file = TRY(
      system::open_file(scratch / "tree/usr/share/keyrings" / kFileName, O_RDONLY | O_NOFOLLOW));
  return system::read_all(file.get(), 1_MiB);
}

/// Debian 12 has no such package; Debian 13's archive has, and its keys are on a Debian 12.
Result<std::string> fetch_keyring(const std::vector<HostSource>& host,
                                  const ArchiveSettings& settings) {
  const DebianRelease* const trixie = TRY(find_release("debian", "13"));
  ArchiveRequest request{.architecture = "amd64", .repositories = {}, .settings = settings};
  request.settings.debian_security_uri = "none";
  const std::vector<Source> sources = TRY(choose_sources(*trixie, host, request, trixie->keyring));
  const auto scratch = TRY(system::LockedDirectory::make(settings.home / "work", "apt-"));
  ResolveRequest resolution{.architecture = "amd64",
                            .sources = {sources.front()},
                            .install = {{.name = "ubuntu-archive-keyring"}},
                            .state_directory = settings.home / "apt",
                            .proxy = settings.proxy};
  const Resolution found = TRY(resolve(resolution));
  TRY(fetch({.packages = found.packages,
             .sources = resolution.sources,
             .cache_directory = settings.home / "packages",
             .proxy = settings.proxy}));
  for (const PackageFile& package : found.packages) {
    auto keyring =
        keyring_in(cached_file(settings.home / "packages", package.sha256), scratch.path());
    if (keyring) {
      return keyring;
    }
  }
  return Error{ErrorKind::not_found, "Debian 13's keyring package of Ubuntu has no keyring"};
}

}  // namespace

Result<fs::path> ubuntu_keyring(const std::vector<HostSource>& host,
                                const ArchiveSettings& settings) {
  const fs::path own = fs::path("/usr/share/keyrings") / kFileName;
  if (fs::exists(own)) {
    return own;
  }
  const fs::path kept = settings.home / "keyrings" / kFileName;
  if (fs::exists(kept)) {
    return kept;
  }
  auto keyring = fetch_keyring(host, settings);
  if (!keyring) {
    Error error = std::move(keyring).error();
    error.context.emplace_back("Ubuntu's archive keyring is not on this machine");
    error.hint = "install the package ubuntu-keyring, or copy the keyring to " + kept.string();
    return error;
  }
  TRY(system::make_directories(kept.parent_path()));
  TRY(system::write_file(kept, *keyring));
  return kept;
}

}  // namespace goldmill::guest
