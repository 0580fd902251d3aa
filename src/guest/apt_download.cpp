// SPDX-License-Identifier: GPL-3.0-or-later
// Package files by libapt's own transports: pipelined, resumed, retried, hashed while they come.
#include <algorithm>
#include <memory>
#include <numeric>

#include <apt-pkg/acquire-item.h>
#include <apt-pkg/configuration.h>
#include <apt-pkg/error.h>
#include <apt-pkg/hashes.h>

#include "apt_request.hpp"
#include "apt_session.hpp"
#include "source_text.hpp"

namespace goldmill::guest {

namespace {

std::string address_of(const Source& source, const PackageFile& package) {
  std::string uri = source.uri + (source.uri.ends_with('/') ? "" : "/");
  if (uri.starts_with("file:")) {
    uri.replace(0, 5, "copy:");  // "file:" would answer with a link into the archive
  }
  return uri + package.pool_path;
}

struct Download {
  PackageFile package;
  std::unique_ptr<pkgAcqFile> item;
};

class Batch {
 public:
  explicit Batch(pkgAcquire& owner) : owner_(owner) {}

  Result<void> add(const Json& file, const std::vector<Source>& sources) {
    const Json* const entry = find_value(file, "package");
    const PackageFile package = TRY(package_from_json(entry == nullptr ? Json() : *entry));
    const Source& source = sources.at(static_cast<std::size_t>(package.source_index));
    HashStringList hashes;
    hashes.push_back(HashString("SHA256", package.sha256));
    downloads_.push_back({package,
                          std::make_unique<pkgAcqFile>(&owner_,
                                                       address_of(source, package),
                                                       hashes,
                                                       package.size,
                                                       package.name + " " + package.version,
                                                       package.name,
                                                       "",
                                                       TRY(string_at(file, "to")))});
    return {};
  }

  /// Bytes of all that was added.
  std::uint64_t size() const {
    return std::accumulate(
        downloads_.begin(), downloads_.end(), std::uint64_t{0}, [](auto sum, const Download& one) {
          return sum + one.package.size;
        });
  }

  /// {"good": [sha256, ...]} and, when one failed, the first failure.
  Json outcome() const {
    Json answer = {{"good", Json::array()}};
    for (const Download& download : downloads_) {
      if (download.item->Status == pkgAcquire::Item::StatDone && download.item->Complete) {
        answer["good"].push_back(download.package.sha256);
      } else if (!answer.contains("message")) {
        describe_failure(download, answer);
      }
    }
    return answer;
  }

 private:
  static void describe_failure(const Download& download, Json& answer) {
    const std::string& reason = download.item->ErrorText;
    const auto has = [&](const char* text) { return reason.find(text) != std::string::npos; };
    ErrorKind kind = ErrorKind::unavailable;
    std::string hint =
        "check the archive's address, the proxy and the network, then build again: "
        "what has come is kept";
    if (download.item->Status == pkgAcquire::Item::StatAuthError || has("Hash Sum") ||
        has("unexpected size")) {
      kind = ErrorKind::corrupt;
      hint = "the archive gives other bytes than its signed index says; try later or elsewhere";
    } else if (has("404")) {
      kind = ErrorKind::not_found;
      hint = "the archive no longer has this version; build with --update";
    } else if (has("No space left")) {
      kind = ErrorKind::no_space;
      hint = "make room, or set GOLDMILL_HOME to a larger disk";
    }
    answer["kind"] = static_cast<int>(kind);
    answer["hint"] = hint;
    answer["message"] = "cannot fetch " + download.package.name + " " + download.package.version +
                        ": " + (reason.empty() ? "not answered" : without_login(reason));
  }

  pkgAcquire& owner_;
  std::vector<Download> downloads_;
};

}  // namespace

Result<Json> download(system::WorkerContext& context, const std::filesystem::path& scratch) {
  const Json* const listed = find_value(context.request(), "sources");
  const Json* const files = find_value(context.request(), "files");
  if (listed == nullptr || files == nullptr) {
    return Error{ErrorKind::internal, "a fetch without sources or files"};
  }
  const std::vector<Source> sources = TRY(sources_from_json(*listed));
  TRY(start_apt({.directory = scratch,  // libapt wants its directories
                 .architecture = "amd64",
                 .sources = {},
                 .proxy = find_string(context.request(), "proxy").value_or("")}));
  AcquireEvents events(context, "packages");
  pkgAcquire fetcher(&events);
  Batch batch(fetcher);
  for (const Json& file : *files) {
    TRY(batch.add(file, sources));
  }
  events.expect(batch.size());
  fetcher.Run();
  Json answer = batch.outcome();
  _error->Discard();
  return answer;
}

}  // namespace goldmill::guest
