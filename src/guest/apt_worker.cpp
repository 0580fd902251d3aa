// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>
#include <filesystem>

#include <goldmill/guest/apt_worker.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/locked_directory.hpp>

#include "apt_request.hpp"
#include "apt_session.hpp"

namespace goldmill::guest {

namespace fs = std::filesystem;

namespace {

Result<Json> list_host_sources(const system::WorkerContext& context) {
  const fs::path root = find_string(context.request(), "root").value_or("/");
  Json sources = Json::array();
  for (const HostSource& source : TRY(read_host_sources_here(root))) {
    sources.push_back(to_json(source));
  }
  return Json{{"sources", std::move(sources)}, {"read_from", host_configuration_paths()}};
}

using Answer = Result<Json> (*)(const AptSettings& settings, const ResolveRequest& request);

/// Starts libapt as the request says, with indexes, and answers.
Result<Json> in_session(system::WorkerContext& context, Answer answer) {
  const ResolveRequest request = TRY(resolve_request_from_json(context.request()));
  const AptSettings settings{
      .directory = state_of(request.state_directory, request.sources, request.architecture),
      .architecture = request.architecture,
      .sources = request.sources,
      .proxy = request.proxy,
      .recommends = request.recommends,
      .new_root = request.new_root};
  TRY(system::make_directories(settings.directory));
  const auto lock = TRY(
      system::FileLock::acquire(settings.directory / "lock", system::FileLock::Mode::exclusive));
  TRY(start_apt(settings));
  TRY(write_scratch(settings.directory / "status", request.dpkg_status));
  TRY(write_scratch(settings.directory / "extended_states", request.extended_states));
  if (request.refresh == Refresh::always || !fs::exists(settings.directory / "refreshed")) {
    TRY(refresh_indexes(settings, context));
  }
  return answer(settings, request);
}

Result<Json> resolve_here(const AptSettings& settings, const ResolveRequest& request) {
  const ResolvedRoot root = TRY(solve(settings, request));
  return Json{{"packages", to_json(root.packages)}, {"tools", to_json(root.tools)}};
}

Result<Json> list_upgrades(const AptSettings& settings, const ResolveRequest& request) {
  Json rows = Json::array();
  for (const Upgrade& upgrade : TRY(compare(settings, request))) {
    rows.push_back(to_json(upgrade));
  }
  return rows;
}

}  // namespace

Result<Json> apt_worker(system::WorkerContext& context) {
  const std::string operation = TRY(string_at(context.request(), "operation"));
  if (operation == "host_sources") {
    return list_host_sources(context);
  }
  const auto scratch =
      TRY(system::LockedDirectory::make(TRY(string_at(context.request(), "work")), "apt-"));
  // Whom libapt starts to check signatures writes there, too: it dies with us and clears nothing.
  ::setenv("TMPDIR", scratch.path().c_str(), 1);
  if (operation == "resolve") {
    return in_session(context, resolve_here);
  }
  if (operation == "upgrades") {
    return in_session(context, list_upgrades);
  }
  if (operation == "fetch") {
    return download(context, scratch.path());
  }
  return Error{ErrorKind::internal, "the apt worker knows no operation '" + operation + "'"};
}

}  // namespace goldmill::guest
