// SPDX-License-Identifier: GPL-3.0-or-later
// Archive sources: where a release's packages come from, as the machine's own apt is configured.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/debian_release.hpp>
#include <goldmill/recipe/recipe.hpp>

namespace goldmill::guest {

/// One archive: suites that share a URI and a key. There is no way to say that its signature
/// need not be checked. Credentials never stand here: libapt takes them from the host's
/// auth.conf.
struct Source {
  std::string name;  ///< "main", "security", "repository-1"; what reports and locks say
  std::string uri;
  std::vector<std::string> suites;
  std::vector<std::string> components;  ///< empty for a flat archive, whose suite ends in '/'
  std::filesystem::path signed_by;      ///< absolute; a keyring, binary or armoured
  std::vector<std::string> architectures;

  friend bool operator==(const Source&, const Source&) = default;
};

Json to_json(const Source& source);
Result<Source> source_from_json(const Json& json);

/// One archive that the machine's apt is configured to use.
struct HostSource {
  std::string uri;
  std::string suite;
  std::vector<std::string> components;
  std::string signed_by;  ///< as apt has it: a path, fingerprints, or ""
  std::string origin;     ///< of its Release file, "" before the first update
  std::string label;
};

/// The archives of this machine's apt configuration, read by libapt itself (in a worker). The last
/// answer is kept in the file `memory` and holds until a file that it follows from changes.
/// `root` is "/" but in tests. Errors: unavailable, when apt's configuration cannot be read.
Result<std::vector<HostSource>> read_host_sources(const std::filesystem::path& memory,
                                                  const std::filesystem::path& root = "/");
/// Where a home keeps it.
std::filesystem::path host_sources_memory(const std::filesystem::path& home);

/// What overrides the machine's configuration; each member empty when not said.
struct ArchiveSettings {
  std::string debian_uri;           ///< GOLDMILL_DEBIAN_URI
  std::string debian_security_uri;  ///< GOLDMILL_DEBIAN_SECURITY_URI; "none": no security suite
  std::string ubuntu_uri;           ///< GOLDMILL_UBUNTU_URI; also serves its security suite
  std::filesystem::path home;       ///< $GOLDMILL_HOME; fetched keyrings are kept in it
  std::string proxy;                ///< for fetching; "" takes the machine's

  static ArchiveSettings from_environment(const std::filesystem::path& home);
};

struct ArchiveRequest {
  std::string architecture = "amd64";
  std::vector<recipe::Repository> repositories;  ///< the recipe's own, after the release's
  ArchiveSettings settings;
};

/// The sources of a release, the same list in the same order for the same configuration: "main",
/// then "security", then "repository-1", ... A suite of Debian that the machine itself does not
/// use is taken from the same URIs. Ubuntu's archive is, when nobody names it, expected beside
/// the machine's Debian one (.../debian -> .../ubuntu).
/// Errors: unavailable (no such archive is configured, no keyring), invalid_input (repositories).
Result<std::vector<Source>> sources_for(const DebianRelease& release,
                                        const ArchiveRequest& request);

/// The part of sources_for that touches nothing: URIs and suites, with the keyring given.
Result<std::vector<Source>> choose_sources(const DebianRelease& release,
                                           const std::vector<HostSource>& host,
                                           const ArchiveRequest& request,
                                           const std::filesystem::path& keyring);

/// Ubuntu's archive keyring: the machine's own (package ubuntu-keyring), or the one of Debian
/// 13's package, fetched through the verified Debian archive and kept in `home`/keyrings. So the
/// chain of trust is: Debian's keyring on this machine, Debian 13's signed index, the package's
/// SHA-256, the keyring. Errors: unavailable.
Result<std::filesystem::path> ubuntu_keyring(const std::vector<HostSource>& host,
                                             const ArchiveSettings& settings);

}  // namespace goldmill::guest
