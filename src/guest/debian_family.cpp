// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <iterator>
#include <set>

#include <goldmill/guest/apt_worker.hpp>
#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/baseline_step.hpp>
#include <goldmill/guest/debian_family.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/file_owners.hpp>
#include <goldmill/guest/initramfs_step.hpp>
#include <goldmill/guest/kept_packages.hpp>
#include <goldmill/guest/packages_step.hpp>
#include <goldmill/guest/tree_files.hpp>
#include <goldmill/guest/unpacker.hpp>
#include <goldmill/system/file.hpp>

#include "apt_door.hpp"
#include "apt_session.hpp"
#include "bootloader_step.hpp"
#include "source_text.hpp"

namespace goldmill::guest {

namespace {

constexpr const char* kBootloader = "debian.bootloader";
constexpr const char* kTools = "debian.tools";
constexpr int kToolsVersion = 2;
constexpr const char* kPuppetAgent = "puppet-agent";

}  // namespace

/// Brings package files into the cache; which archives that means is asked only when one is
/// missing, so that a build whose packages are there never looks at the network's settings.
struct DebianFamily::Fetching {
  std::function<Result<std::vector<Source>>()> sources;
  std::string proxy;
  std::filesystem::path kept;
  std::function<void(std::string_view)> note;
  std::vector<PackageFile> known;
  LocalFiles local;

  Result<void> operator()(const Json& resolution,
                          const std::filesystem::path& cache,
                          plan::Progress& progress) const {
    const Json* wanted = find_value(resolution, "packages");
    std::set<std::string> digests;
    for (const Json& package : wanted == nullptr ? Json::array() : *wanted) {
      digests.insert(find_string(package, "sha256").value_or(""));
    }
    FetchRequest request{.cache_directory = cache, .proxy = proxy};
    std::copy_if(known.begin(),
                 known.end(),
                 std::back_inserter(request.packages),
                 [&](const PackageFile& package) { return digests.contains(package.sha256); });
    return bring(std::move(request), progress.show);
  }

  Result<void> bring(FetchRequest request, const FetchProgress& progress) const {
    const auto damaged = TRY(take_kept_packages(request.packages, kept, request.cache_directory));
    for (const std::filesystem::path& file : damaged) {
      if (note) {
        note(file.string() + " is damaged and not used");
      }
    }
    TRY(fetch_local(request, local));
    const bool is_missing = std::any_of(
        request.packages.begin(), request.packages.end(), [&](const PackageFile& package) {
          return !std::filesystem::exists(cached_file(request.cache_directory, package.sha256));
        });
    if (is_missing) {
      request.sources = TRY(sources());
    }
    auto fetched = guest::fetch(request, progress);
    return damaged.empty() ? std::move(fetched)
                           : std::move(fetched).context(damaged.front().string() + " is damaged");
  }
};

namespace {

/// What a packages step is keyed by: not where a package lies in an archive.
Json step_resolution(const Resolution& resolution) {
  Json json = to_json(resolution);
  json.erase("suites");
  json.erase("epoch");
  for (Json& package : json["packages"]) {
    package.erase("pool_path");
    package.erase("source");
  }
  return json;
}

/// Unpacks the boot loader's tools, which the image never holds, and runs them.
class BootloaderWithTools : public plan::StepKind {
 public:
  explicit BootloaderWithTools(FetchPackages fetch) : fetch_(std::move(fetch)) {}
  std::string_view name() const override { return kBootloader; }
  int version() const override { return inner_->version(); }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const Json* tools = find_value(step.options, "tools");
    GOLDMILL_ASSERT(tools != nullptr);
    TRY(fetch_(*tools, context.package_cache, context.progress));
    const system::UniqueFd cache = TRY(system::open_directory(context.package_cache));
    const Json request = {{"phases", {"write"}},
                          {"native", step.options.at("architecture")},
                          {"packages", tools->at("packages")}};
    TRY(context.sandbox.call("unpack", request, {cache.get()}, {})
            .context("while unpacking the boot loader's tools"));
    return inner_->run(step, context);
  }

 private:
  FetchPackages fetch_;
  std::unique_ptr<plan::StepKind> inner_ = make_bootloader_kind();
};

/// Unpacks packages into a tree of their own. Their scripts are not run: nothing starts from there
/// but by its path.
class ToolsStep : public plan::StepKind {
 public:
  explicit ToolsStep(FetchPackages fetch) : fetch_(std::move(fetch)) {}
  std::string_view name() const override { return kTools; }
  int version() const override { return kToolsVersion; }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const Json& tools = step.options.at("tools");
    TRY(fetch_(tools, context.package_cache, context.progress));
    const system::UniqueFd cache = TRY(system::open_directory(context.package_cache));
    Json request = {{"phases", {"create"}},
                    {"native", step.options.at("architecture")},
                    {"packages", tools.at("packages")}};
    const Json answer = TRY(context.sandbox.call("unpack", request, {cache.get()}, {}));
    request["phases"] = {"place"};
    request["contested"] = answer.at("contested");
    TRY(context.sandbox.call("unpack", request, {cache.get()}, {}));
    return Json::object();
  }

 private:
  FetchPackages fetch_;
};

InitramfsInput initramfs_input(const std::map<std::string, std::string>& installed,
                               const std::vector<TreeFile>& files) {
  InitramfsInput input;
  for (const auto& [name, version] : installed) {
    if (is_initramfs_package(name)) {
      input.packages.emplace(name, version);
    }
  }
  input.files = initramfs_files(files);
  return input;
}

/// Not on this machine only, and without a user's name or password.
bool is_for_guests(std::string_view uri) {
  const std::size_t scheme = uri.find("://");
  if (!uri.starts_with("http") || scheme == std::string_view::npos) {
    return false;
  }
  const std::string_view rest = uri.substr(scheme + 3);
  const std::string_view host = rest.substr(0, rest.find('/'));
  return host.find('@') == std::string_view::npos && !host.starts_with("127.") &&
         !host.starts_with("localhost") && !host.starts_with("[::1]");
}

/// Known since the recipe was read, unless it could not be read.
Result<Digest> file_digest(const recipe::Recipe& own, const std::filesystem::path& file) {
  const auto read = own.files.find(file);
  return read != own.files.end() ? Result<Digest>(read->second) : system::digest_of(file);
}

/// One that cannot be read is none: whoever needs it says so.
LocalFiles local_files(const recipe::Recipe& own) {
  LocalFiles files;
  for (const recipe::PackageRequest& package : own.packages) {
    if (package.kind != recipe::PackageRequest::Kind::local) {
      continue;
    }
    if (const auto digest = file_digest(own, package.file)) {
      files.emplace(digest->hex(), package.file);
    }
  }
  return files;
}

Result<Json> request_json(const recipe::Recipe& own, const ResolveRequest& request) {
  Json install = Json::array();
  for (const InstallRequest& entry : request.install) {
    Json wish = {
        {"name", entry.name}, {"version", entry.version}, {"file", entry.file.filename().string()}};
    if (!entry.file.empty()) {
      wish["sha256"] = TRY(file_digest(own, entry.file)).text();
    }
    install.push_back(std::move(wish));
  }
  return Json{{"architecture", request.architecture},
              {"install", std::move(install)},
              {"remove", request.remove},
              {"recommends", request.recommends}};
}

/// What is read of it, whoever signs that.
Json archive_of(const recipe::Repository& repository) {
  return {{"uri", repository.uri},
          {"suites", repository.suites},
          {"components", repository.components}};
}

/// Its address may hold a password, so that only digests of repositories stand in locks.
Result<std::string> repository_digest(const recipe::Recipe& own,
                                      const recipe::Repository& repository) {
  Json all = archive_of(repository);
  all["key"] = TRY(file_digest(own, repository.key)).text();
  return sha256(canonical(all)).text();
}

}  // namespace

DebianFamily::DebianFamily(const DebianRelease& release, recipe::Os os, FamilySettings settings)
    : release_(&release), os_(std::move(os)), settings_(std::move(settings)) {}
DebianFamily::DebianFamily(DebianFamily&&) noexcept = default;
DebianFamily::~DebianFamily() = default;

Result<DebianFamily> DebianFamily::open(const recipe::Os& os, FamilySettings settings) {
  const DebianRelease* release = TRY(find_release(os.family, os.release));
  return DebianFamily(*release, os, std::move(settings));
}

Result<std::vector<Source>> DebianFamily::sources(const recipe::Recipe& own) const {
  ArchiveRequest request{
      os_.architecture, own.repositories, ArchiveSettings::from_environment(settings_.home)};
  request.settings.proxy = own.proxy;
  return sources_for(*release_, request);
}

Result<ResolveRequest> DebianFamily::request_for(const RecipeView& view,
                                                 const ParentPackages& parent) const {
  ResolveRequest request;
  request.architecture = os_.architecture;
  request.dpkg_status = parent.dpkg_status;
  request.extended_states = parent.extended_states;
  request.new_root = view.parent == nullptr;
  request.recommends = view.merged.recommends.value_or(false);
  request.state_directory = settings_.home / "archives";
  request.cache_directory = settings_.home / "packages";
  request.proxy = view.own.proxy;
  request.refresh = settings_.refresh;
  std::set<std::string> names;
  if (view.parent == nullptr) {
    names.insert(release_->base_packages.begin(), release_->base_packages.end());
    names.insert(TRY(kernel_for(*release_, os_.architecture, view.merged.hardware)).package);
  }
  for (const std::string& name : baseline_packages(view.merged, os_)) {
    names.insert(name);
  }
  if (view.parent != nullptr) {
    for (const std::string& name : baseline_packages(*view.parent, os_)) {
      names.erase(name);
    }
  }
  for (const recipe::ProvisionStep& step : view.own.provision) {
    const auto* puppet = std::get_if<recipe::PuppetStep>(&step.action);
    if (puppet != nullptr && puppet->keep_agent) {
      names.insert(kPuppetAgent);
      request.asked_at[kPuppetAgent] = step.position.text();
    }
  }
  for (const recipe::PackageRequest& package : view.own.packages) {
    names.erase(package.name);
    const bool is_local = package.kind == recipe::PackageRequest::Kind::local;
    request.asked_at[is_local ? package.file.string() : package.name] = package.position.text();
    if (package.kind == recipe::PackageRequest::Kind::remove) {
      request.remove.push_back(package.name);
    } else {
      request.install.push_back({package.name, package.version, package.file});
    }
  }
  for (const std::string& name : names) {
    request.install.push_back({.name = name});
  }
  return request;
}

Result<Json> DebianFamily::wishes(const RecipeView& view) const {
  Json json = TRY(request_json(view.own, TRY(request_for(view, {}))));
  Json repositories = Json::array();
  for (const recipe::Repository& repository : view.own.repositories) {
    repositories.push_back(TRY(repository_digest(view.own, repository)));
  }
  json["repositories"] = std::move(repositories);
  for (const auto& [name, asked_at] : view.step_tools) {
    json["step_tools"].push_back(name);
  }
  return json;
}

Json DebianFamily::archives(const RecipeView& view) {
  Json digests = Json::array();
  for (const recipe::Repository& repository : view.own.repositories) {
    digests.push_back(sha256(canonical(archive_of(repository))).text());
  }
  return digests;
}

Result<PinnedPackages> DebianFamily::resolve(const RecipeView& view,
                                             const ParentPackages& parent,
                                             const std::map<std::string, std::string>& keep,
                                             const FetchProgress& progress) const {
  ResolveRequest request = TRY(request_for(view, parent));
  request.keep = keep;
  PinnedPackages pinned;
  if (!request.install.empty() || !request.remove.empty() || request.new_root) {
    request.sources = TRY(sources(view.own));
    if (request.new_root) {
      request.tools = TRY(grub_packages(*release_, os_.architecture));
    }
    auto root = TRY(guest::resolve_root(request, progress));
    pinned.packages = std::move(root.packages);
    pinned.tools = std::move(root.tools);
  }
  if (!view.step_tools.empty()) {
    pinned.step_tools = TRY(resolve_step_tools(view, std::move(request), progress));
  }
  return pinned;
}

/// As into an empty root, but without what is essential there: only what the tools depend on.
Result<Resolution> DebianFamily::resolve_step_tools(const RecipeView& view,
                                                    ResolveRequest request,
                                                    const FetchProgress& progress) const {
  if (request.sources.empty()) {
    request.sources = TRY(sources(view.own));
  }
  request.dpkg_status.clear();
  request.extended_states.clear();
  request.install.clear();
  request.remove.clear();
  request.tools.clear();
  request.new_root = false;
  request.recommends = false;
  request.asked_at = view.step_tools;
  for (const auto& [name, asked_at] : view.step_tools) {
    request.install.push_back({.name = name});
  }
  return guest::resolve(request, progress);
}

std::optional<plan::Step> DebianFamily::tools_step(const PinnedPackages& pinned) const {
  if (pinned.step_tools.packages.empty()) {
    return std::nullopt;
  }
  plan::Step step;
  step.name = "tools";
  for (const std::string& name : pinned.step_tools.manual) {
    step.name += (step.name == "tools" ? ": " : ", ") + name;
  }
  step.kind = kTools;
  step.kind_version = kToolsVersion;
  step.options = {{"architecture", os_.architecture},
                  {"tools", step_resolution(pinned.step_tools)}};
  step.produces = plan::Produces::tools;
  return step;
}

std::vector<TreeFile> DebianFamily::given_files(const GivenFiles& given) const {
  std::vector<TreeFile> files;
  if (!given.fstab.empty()) {
    files.push_back({"/etc/fstab", given.fstab, 0644, ""});
  }
  if (!given.apt_sources.empty()) {
    files.push_back(
        {"/etc/apt/sources.list.d/" + release_->family + ".sources", given.apt_sources, 0644, ""});
  }
  return files;
}

Result<std::string> DebianFamily::guest_sources(const recipe::Recipe& merged) const {
  std::string text;
  for (const std::string& stanza : merged.apt_sources) {
    text += stanza + (stanza.ends_with('\n') ? "\n" : "\n\n");
  }
  if (!text.empty()) {
    return text;
  }
  const ArchiveRequest request{
      os_.architecture, {}, ArchiveSettings::from_environment(settings_.home)};
  const auto sources =
      TRY(choose_sources(*release_,
                         TRY(read_host_sources(host_sources_memory(settings_.home))),
                         request,
                         release_->keyring));
  for (const Source& source : sources) {
    if (!is_for_guests(source.uri)) {
      return Error{ErrorKind::invalid_input,
                   "the archive that this image is built from, " + without_login(source.uri) +
                       ", is of no use in a guest, or needs a password",
                   "say what the guest's apt gets: `apt: {sources: [...]}` in the recipe (the "
                   "archive itself is the machine's, or GOLDMILL_DEBIAN_URI's)"};
    }
    text += "Types: deb\nURIs: " + source.uri + "\nSuites:" + field_words(source.suites) +
            "\nComponents:" + field_words(source.components) +
            "\nSigned-By: " + release_->keyring.string() + "\n\n";
  }
  return text;
}

Result<std::vector<Upgrade>> DebianFamily::upgrades(const recipe::Recipe& merged,
                                                    const std::string& dpkg_status,
                                                    const FetchProgress& progress) const {
  ResolveRequest request;
  request.architecture = os_.architecture;
  request.sources = TRY(sources(merged));
  request.dpkg_status = dpkg_status;
  request.state_directory = settings_.home / "archives";
  request.cache_directory = settings_.home / "packages";
  request.proxy = merged.proxy;
  request.refresh = settings_.refresh;
  return find_upgrades(request, progress);
}

Result<DebianFamily::Steps> DebianFamily::steps(const RecipeView& view,
                                                const StepsInput& input) const {
  Steps steps;
  const PinnedPackages& pinned = input.pinned;
  if (!pinned.packages.packages.empty() || !pinned.packages.removed.empty() ||
      !view.own.debconf.empty()) {
    plan::Step packages;
    packages.name = "packages";
    packages.kind = "debian.packages";
    packages.kind_version = PackagesStep({}).version();
    packages.options = {{"architecture", os_.architecture},
                        {"resolution", step_resolution(pinned.packages)},
                        {"accounts", pinned.accounts}};
    for (const recipe::DebconfAnswer& answer : view.own.debconf) {
      packages.options["debconf"].push_back(answer.package + " " + answer.question + " " +
                                            answer.type + " " + answer.value);
    }
    packages.manner = unpacked_by(packages.options["resolution"], view.parent == nullptr);
    steps.before.push_back(std::move(packages));
  }
  if (view.parent == nullptr) {
    steps.before.push_back(TRY(make_agent_step(os_.architecture)));
  }
  auto baseline = TRY(make_baseline_step(
      {view.merged, os_, view.parent, given_files(input.given), given_files(input.parent_given)}));
  if (baseline) {
    steps.before.push_back(*std::move(baseline));
  }
  const InitramfsInput now =
      initramfs_input(input.installed, TRY(baseline_files(view.merged, os_)));
  InitramfsInput before;
  if (view.parent != nullptr) {
    before = initramfs_input(input.parent_installed, TRY(baseline_files(*view.parent, os_)));
  }
  auto initramfs = make_initramfs_step(now, view.parent == nullptr ? nullptr : &before);
  if (initramfs) {
    steps.after.push_back(*std::move(initramfs));
  }
  if (view.parent == nullptr) {
    plan::Step bootloader = bootloader_step(os_.family, os_.architecture);
    bootloader.options["tools"] = step_resolution(pinned.tools);
    steps.after.push_back(std::move(bootloader));
  }
  return steps;
}

DebianFamily::Fetching DebianFamily::fetching(const RecipeView& view,
                                              const PinnedPackages& pinned) const {
  Fetching fetching{[this, own = view.own] { return sources(own); },
                    view.own.proxy,
                    settings_.kept,
                    settings_.note,
                    pinned.packages.packages,
                    local_files(view.own)};
  for (const Resolution* more : {&pinned.tools, &pinned.step_tools}) {
    fetching.known.insert(fetching.known.end(), more->packages.begin(), more->packages.end());
  }
  for (const auto& [step, packages] : pinned.step_packages) {
    fetching.known.insert(fetching.known.end(), packages.begin(), packages.end());
  }
  return fetching;
}

Result<void> DebianFamily::fetch(const RecipeView& view,
                                 const PinnedPackages& pinned,
                                 const FetchProgress& progress) const {
  const Fetching fetching = this->fetching(view, pinned);
  return fetching.bring({.packages = fetching.known,
                         .cache_directory = settings_.home / "packages",
                         .proxy = view.own.proxy,
                         .verify = true},
                        progress);
}

/// The directory of the sources' verified indexes, which are read when they never were.
Result<std::filesystem::path> DebianFamily::indexes(const std::vector<Source>& sources,
                                                    const std::string& proxy) const {
  const auto directory = state_of(settings_.home / "archives", sources, os_.architecture);
  std::error_code ignored;
  if (!std::filesystem::exists(directory / "refreshed", ignored)) {
    TRY(guest::resolve({.architecture = os_.architecture,
                        .sources = sources,
                        .state_directory = settings_.home / "archives",
                        .cache_directory = settings_.home / "packages",
                        .proxy = proxy}));
  }
  return directory / "lists";
}

std::unique_ptr<plan::PackageDoor> DebianFamily::door(const RecipeView& view,
                                                      const PinnedPackages& pinned,
                                                      const DoorInput& input) const {
  AptDoorRequest request{.architecture = os_.architecture,
                         .scratch = input.scratch,
                         .cache = settings_.home / "packages",
                         .recommends = view.merged.recommends.value_or(false)};
  if (const auto known = pinned.step_packages.find(input.step);
      known != pinned.step_packages.end()) {
    request.locked = known->second;
  }
  request.only_locked = input.only_locked;
  request.sources = [this, own = view.own] { return sources(own); };
  request.indexes = [this, proxy = view.own.proxy](const std::vector<Source>& sources) {
    return indexes(sources, proxy);
  };
  request.fetch = [fetching = fetching(view, pinned),
                   cache = request.cache](const PackageFile& package) {
    return fetching.bring(
        {.packages = {package}, .cache_directory = cache, .proxy = fetching.proxy}, {});
  };
  return std::make_unique<AptDoor>(std::move(request));
}

std::vector<std::unique_ptr<plan::StepKind>> DebianFamily::kinds(
    const RecipeView& view, const PinnedPackages& pinned) const {
  const Fetching fetching = this->fetching(view, pinned);
  std::vector<std::unique_ptr<plan::StepKind>> kinds;
  kinds.push_back(std::make_unique<PackagesStep>(fetching));
  kinds.push_back(agent_step_kind());
  kinds.push_back(baseline_step_kind());
  kinds.push_back(initramfs_step_kind());
  kinds.push_back(std::make_unique<BootloaderWithTools>(fetching));
  kinds.push_back(std::make_unique<ToolsStep>(fetching));
  return kinds;
}

std::span<const system::WorkerEntry> workers() {
  static constexpr system::WorkerEntry kWorkers[] = {{"apt", apt_worker},
                                                     {"unpack", unpack_worker},
                                                     {kTreeFilesWorker, tree_files_worker},
                                                     {kFileOwnersWorker, file_owners_worker}};
  return kWorkers;
}

std::map<std::string, std::string> installed_packages(std::string_view dpkg_status) {
  std::map<std::string, std::string> installed;
  std::string name;
  std::string version;
  bool is_installed = false;
  const auto finish = [&] {
    if (is_installed && !name.empty()) {
      installed.emplace(name, version);
    }
    name.clear();
    version.clear();
    is_installed = false;
  };
  while (!dpkg_status.empty()) {
    const std::size_t end = std::min(dpkg_status.find('\n'), dpkg_status.size());
    const std::string_view line = dpkg_status.substr(0, end);
    dpkg_status.remove_prefix(std::min(end + 1, dpkg_status.size()));
    if (line.empty()) {
      finish();
    } else if (line.starts_with("Package: ")) {
      name = line.substr(9);
    } else if (line.starts_with("Version: ")) {
      version = line.substr(9);
    } else if (line.starts_with("Status: ")) {
      is_installed = line.ends_with(" installed");
    }
  }
  finish();
  return installed;
}

}  // namespace goldmill::guest
