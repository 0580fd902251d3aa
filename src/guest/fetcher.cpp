// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <set>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

#include "apt_request.hpp"
#include "package_file.hpp"

namespace goldmill::guest {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {

fs::path partial_directory(const fs::path& cache) {
  return cache / "partial";
}

/// Who downloads a file. The lock's own file goes with its holder: a waiter checks that what it
/// locked still has the name.
class DownloadLock {
 public:
  /// nullopt: another holds it and `wait` is false.
  static Result<std::optional<DownloadLock>> take(const fs::path& path, bool wait) {
    while (true) {
      UniqueFd file = TRY(system::open_file(path, O_RDWR | O_CREAT, 0600));
      if (::flock(file.get(), wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
          return std::optional<DownloadLock>();
        }
        if (errno == EINTR) {
          continue;
        }
        return system_error("cannot lock " + path.string(), errno);
      }
      struct stat locked {};
      struct stat named {};
      if (::fstat(file.get(), &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
          locked.st_ino == named.st_ino) {
        return std::optional<DownloadLock>(DownloadLock(path, std::move(file)));
      }
    }
  }
  DownloadLock(DownloadLock&&) = default;
  DownloadLock& operator=(DownloadLock&&) = delete;
  ~DownloadLock() {
    if (file_) {
      ::unlink(path_.c_str());
    }
  }

 private:
  DownloadLock(fs::path path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  fs::path path_;
  UniqueFd file_;
};

class Fetch {
 public:
  Fetch(const FetchRequest& request, const FetchProgress& progress)
      : request_(request), progress_(progress) {}

  Result<void> run() {
    std::map<std::string, const PackageFile*> missing = TRY(find_missing());
    if (missing.empty()) {
      return {};
    }
    TRY(system::make_directories(partial_directory(request_.cache_directory)));
    TRY(fetch_ours(missing));
    missing = TRY(find_missing());
    while (!missing.empty()) {
      missing = TRY(find_after_other(missing.begin()->first));
    }
    return {};
  }

 private:
  fs::path target(const std::string& sha256) const {
    return cached_file(request_.cache_directory, sha256);
  }
  fs::path partial(const std::string& sha256) const {
    return partial_directory(request_.cache_directory) / (sha256 + ".deb");
  }
  fs::path lock_name(const std::string& sha256) const {
    return partial_directory(request_.cache_directory) / (sha256 + ".lock");
  }

  Result<bool> is_there(const PackageFile& package) {
    const fs::path path = target(package.sha256);
    const bool hash = request_.verify && !verified_.contains(package.sha256);
    const FileState state = TRY(state_of_file(path, package, hash ? Compare::hash : Compare::size));
    if (state == FileState::damaged) {
      ::unlink(path.c_str());
    } else if (hash && state == FileState::good) {
      verified_.insert(package.sha256);
    }
    return state == FileState::good;
  }

  Result<std::map<std::string, const PackageFile*>> find_missing() {
    std::map<std::string, const PackageFile*> missing;
    for (const PackageFile& package : request_.packages) {
      if (missing.contains(package.sha256) || TRY(is_there(package))) {
        continue;
      }
      if (package.source_index < 0) {
        return Error{ErrorKind::not_found,
                     "the local package " + package.name + " " + package.version +
                         " is not in the cache, and no file of the recipe is it",
                     "put the .deb back that was locked, or lock the one that is there: goldmill "
                     "lock RECIPE"};
      }
      if (static_cast<std::size_t>(package.source_index) >= request_.sources.size()) {
        return Error{ErrorKind::unavailable,
                     "package " + package.name + " comes from a source that is not configured"};
      }
      missing.emplace(package.sha256, &package);
    }
    return missing;
  }

  /// Downloads those that nobody else is downloading.
  Result<void> fetch_ours(const std::map<std::string, const PackageFile*>& missing) {
    std::vector<DownloadLock> locks;
    std::vector<const PackageFile*> ours;
    std::uint64_t bytes = 0;
    for (const auto& [sha256, package] : missing) {
      auto lock = TRY(DownloadLock::take(lock_name(sha256), false));
      if (lock && !TRY(is_there(*package))) {
        locks.push_back(*std::move(lock));
        ours.push_back(package);
        bytes += package->size;
      }
    }
    if (ours.empty()) {
      return {};
    }
    const Bytes free = TRY(system::free_space(request_.cache_directory));
    if (free.value < bytes) {
      return Error{ErrorKind::no_space,
                   "the packages need " + to_text(Bytes{bytes}) + ", but there is " +
                       to_text(free) + " in " + request_.cache_directory.string(),
                   "make room there, or set GOLDMILL_HOME to a larger disk"};
    }
    const Json done = TRY(download_now(ours));
    return place(ours, done);
  }

  Result<Json> download_now(const std::vector<const PackageFile*>& ours) {
    Json sources = Json::array();
    for (const Source& source : request_.sources) {
      sources.push_back(to_json(source));
    }
    Json files = Json::array();
    for (const PackageFile* package : ours) {
      files.push_back({{"package", to_json(*package)}, {"to", partial(package->sha256).string()}});
    }
    system::WorkerJob job{.name = "apt",
                          .request = {{"operation", "fetch"},
                                      {"sources", sources},
                                      {"files", files},
                                      {"work", work_beside(request_.cache_directory).string()},
                                      {"proxy", request_.proxy}}};
    job.on_event = [&](const Json& event) {
      if (progress_) {
        progress_("packages",
                  static_cast<std::uint64_t>(find_integer(event, "done").value_or(0)),
                  static_cast<std::uint64_t>(find_integer(event, "total").value_or(0)));
      }
    };
    return system::run_worker(job);
  }

  /// Gives what has come its name, also when others failed: the next try has less to do.
  Result<void> place(const std::vector<const PackageFile*>& ours, const Json& done) {
    std::set<std::string> good;
    for (const std::string& sha256 : find_strings(done, "good")) {
      good.insert(sha256);
    }
    for (const PackageFile* package : ours) {
      if (!good.contains(package->sha256)) {
        // libapt's name for what had the wrong hash; a part that may be continued stays.
        ::unlink((partial(package->sha256).string() + ".FAILED").c_str());
        continue;
      }
      TRY(place_one(*package));
    }
    if (const auto message = find_string(done, "message")) {
      return Error{static_cast<ErrorKind>(find_integer(done, "kind").value_or(3)),
                   *message,
                   find_string(done, "hint").value_or("")};
    }
    return {};
  }

  Result<void> place_one(const PackageFile& package) {
    const fs::path from = partial(package.sha256);
    {
      const UniqueFd file = TRY(system::open_file(from, O_RDONLY | O_NOFOLLOW));
      if (::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0) {
        return system_error("cannot keep " + from.string(), errno);
      }
    }
    if (::rename(from.c_str(), target(package.sha256).c_str()) != 0) {
      return system_error("cannot keep " + target(package.sha256).string(), errno);
    }
    return {};
  }

  /// Another downloads it; when it failed there, it is ours.
  Result<std::map<std::string, const PackageFile*>> find_after_other(const std::string& sha256) {
    TRY(await_other(sha256));
    TRY(fetch_ours(TRY(find_missing())));
    return find_missing();
  }

  Result<void> await_other(const std::string& sha256) {
    (void)TRY(DownloadLock::take(lock_name(sha256), true));
    return {};
  }

  const FetchRequest& request_;
  const FetchProgress& progress_;
  std::set<std::string> verified_;
};

Result<void> check_is_package(int descriptor, const fs::path& file) {
  std::array<char, 8> magic{};
  if (::pread(descriptor, magic.data(), magic.size(), 0) != 8 ||
      std::string_view(magic.data(), 8) != "!<arch>\n") {
    return Error{ErrorKind::invalid_input, file.string() + " is not a Debian package"};
  }
  return {};
}

}  // namespace

fs::path cached_file(const fs::path& cache_directory, const std::string& sha256) {
  return cache_directory / (sha256 + ".deb");
}

Result<void> fetch(const FetchRequest& request, const FetchProgress& progress) {
  return Fetch(request, progress).run().context("while fetching packages");
}

Result<std::string> add_to_cache(const fs::path& file, const fs::path& cache_directory) {
  const UniqueFd original = TRY(system::open_file(file, O_RDONLY));
  TRY(check_is_package(original.get(), file));
  TRY(system::make_directories(partial_directory(cache_directory)));
  const auto scratch =
      TRY(system::TemporaryDirectory::make(partial_directory(cache_directory), "local-"));
  const fs::path copy = scratch.path() / "package.deb";
  TRY(copy_to(original.get(), copy));
  const UniqueFd copied = TRY(system::open_file(copy, O_RDONLY));
  const std::string sha256 = TRY(system::digest_of(copied.get())).hex();
  if (::rename(copy.c_str(), cached_file(cache_directory, sha256).c_str()) != 0) {
    return system_error("cannot keep a copy of " + file.string(), errno);
  }
  return sha256;
}

Result<void> fetch_local(const FetchRequest& request, const LocalFiles& files) {
  const Compare compare = request.verify ? Compare::hash : Compare::size;
  for (const PackageFile& package : request.packages) {
    const auto file = files.find(package.sha256);
    if (file == files.end()) {
      continue;
    }
    const fs::path cached = cached_file(request.cache_directory, package.sha256);
    if (TRY(state_of_file(cached, package, compare)) != FileState::good) {
      TRY(add_to_cache(file->second, request.cache_directory));
    }
  }
  return {};
}

}  // namespace goldmill::guest
