// SPDX-License-Identifier: GPL-3.0-or-later
// AptSession: libapt configured from nothing but a request, inside the "apt" worker.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <apt-pkg/acquire.h>

#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest {

/// libapt's pending errors as one Error; `what` when it has none.
Error take_apt_error(const std::string& what, ErrorKind kind = ErrorKind::unavailable);

struct AptSettings {
  std::filesystem::path directory;  ///< this set of sources' own state
  std::string architecture;
  std::vector<Source> sources;
  std::string proxy;
  bool recommends = false;
  bool new_root = false;
};

/// The state directory of one set of sources, below the shared one.
std::filesystem::path state_of(const std::filesystem::path& state_directory,
                               const std::vector<Source>& sources,
                               const std::string& architecture);

/// Makes the directories, writes the sources and configures libapt; of the machine's own apt
/// configuration only how to reach an archive is taken.
Result<void> start_apt(const AptSettings& settings);

/// Writes what is made again at each start, and so needs not survive a crash. The same content
/// is left alone: libapt reads all indexes again when its source list is newer than its cache.
Result<void> write_scratch(const std::filesystem::path& path, std::string_view content);

/// libapt with the configuration below `root`, to read its source list. In this very process.
Result<std::vector<HostSource>> read_host_sources_here(const std::filesystem::path& root);
/// The files and directories that this answer follows from.
std::vector<std::string> host_configuration_paths();

/// How the names of an archive's indexes begin, as libapt stores them.
std::string index_prefix(const std::string& uri);

/// The local name of a suite's signed index, as libapt stores it.
std::filesystem::path release_file(const std::string& uri, const std::string& suite);

/// Sends an acquisition's progress to the caller as events.
class AcquireEvents : public pkgAcquireStatus {
 public:
  AcquireEvents(system::WorkerContext& context, std::string phase)
      : context_(context), phase_(std::move(phase)) {}
  /// How many bytes will come, where that is known: libapt's own total grows on the way.
  void expect(std::uint64_t bytes) { expected_ = bytes; }
  bool MediaChange(std::string /*media*/, std::string /*drive*/) override { return false; }
  bool Pulse(pkgAcquire* owner) override;

 private:
  system::WorkerContext& context_;
  std::string phase_;
  std::optional<std::uint64_t> expected_;
};

/// Brings the indexes of all sources up to date. Errors: corrupt (signature, hash), unavailable.
Result<void> refresh_indexes(const AptSettings& settings, system::WorkerContext& context);

/// Operation "resolve" of the worker, in a started session with indexes.
Result<ResolvedRoot> solve(const AptSettings& settings, const ResolveRequest& request);

/// Operation "upgrades" of the worker, in the same.
Result<std::vector<Upgrade>> compare(const AptSettings& settings, const ResolveRequest& request);

/// Operation "fetch" of the worker. libapt's own directories stand in `scratch`.
Result<Json> download(system::WorkerContext& context, const std::filesystem::path& scratch);

}  // namespace goldmill::guest
