// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <optional>

#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/file_owners.hpp>

namespace goldmill::guest {

namespace {
constexpr std::string_view kInfo = "/var/lib/dpkg/info";

class FileLists {
 public:
  explicit FileLists(GuestTree& tree) : tree_(tree) {}

  Result<void> read() {
    for (const Diversion& diversion : TRY(DpkgDatabase(tree_).diversions())) {
      diversions_[diversion.from] = diversion;
    }
    return {};
  }

  /// The paths of one file of dpkg's database, which is the package's as well.
  Result<std::vector<std::string>> paths_of(const std::string& package, const std::string& file) {
    std::vector<std::string> paths = {std::string(kInfo) + "/" + file};
    if (!file.ends_with(".list")) {
      return paths;
    }
    const std::string text = TRY(tree_.read(paths.front()));
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      if (auto path = place_of(package, text.substr(at, end - at))) {
        paths.push_back(*std::move(path));
      }
      at = end + 1;
    }
    return paths;
  }

 private:
  /// Nothing for what is not in the tree: dpkg's configuration may leave files out.
  std::optional<std::string> place_of(const std::string& package, const std::string& listed) {
    const auto diversion = diversions_.find(listed);
    const bool moved = diversion != diversions_.end() && diversion->second.package != package;
    const auto place = tree_.place(moved ? diversion->second.to : listed);
    return place ? std::optional(place->path()) : std::nullopt;
  }

  GuestTree& tree_;
  std::map<std::string, Diversion> diversions_;
};

/// "libc6:amd64.list" -> "libc6"; "" for what is no package's ("format").
std::string package_of(const std::string& file) {
  const std::size_t dot = file.rfind('.');
  return dot == std::string::npos ? "" : file.substr(0, std::min(dot, file.find(':')));
}
}  // namespace

Result<Json> file_owners_worker(system::WorkerContext& context) {
  GuestTree tree(context.hand(0));
  FileLists lists(tree);
  TRY(lists.read());
  for (const std::string& file : TRY(tree.names(std::string(kInfo)))) {
    const std::string package = package_of(file);
    if (!package.empty()) {
      const auto paths = TRY(lists.paths_of(package, file).context(file));
      context.send_event({{"package", package}, {"paths", paths}});
    }
  }
  return Json::object();
}

Result<FileOwners> file_owners(plan::Sandbox& tree) {
  FileOwners owners;
  const auto take = [&owners](const Json& event) {
    const std::string package = find_string(event, "package").value_or("");
    for (const std::string& path : find_strings(event, "paths")) {
      std::vector<std::string>& known = owners[path];
      if (known.empty() || known.back() != package) {
        known.push_back(package);
      }
    }
  };
  TRY(tree.call(kFileOwnersWorker, Json::object(), {}, take).context("reading dpkg's file lists"));
  return owners;
}

}  // namespace goldmill::guest
