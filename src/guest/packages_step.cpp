// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <goldmill/guest/packages_step.hpp>
#include <goldmill/system/file.hpp>

#include "account_files.hpp"
#include "maintainer_scripts.hpp"

namespace goldmill::guest {

namespace {
constexpr std::array kAccountFiles = {"passwd", "group", "shadow", "gshadow"};
constexpr const char* kPackages = "/run/goldmill/packages";

/// Why dpkg must unpack them, as far as it can be told before they are here.
std::optional<std::string> reason_told_by(const Json& resolution) {
  if (!resolution.value("removed", Json::array()).empty()) {
    return "packages are removed";
  }
  for (const Json& package : resolution.at("packages")) {
    if (!find_string(package, "upgrades_from").value_or("").empty()) {
      return find_string(package, "name").value_or("") + " is there in another version";
    }
  }
  return std::nullopt;
}

/// One run of the step.
class Installation {
 public:
  Installation(const plan::Step& step, plan::StepContext& context, int cache)
      : options_(step.options), context_(context), cache_(cache) {}

  Result<Json> run() {
    const Json* resolution = find_value(options_, "resolution");
    if (resolution == nullptr || find_value(*resolution, "packages") == nullptr) {
      return Error{ErrorKind::invalid_input, "a packages step without its resolution"};
    }
    resolution_ = *resolution;
    before_ = TRY(read_accounts());
    const bool is_new = !has_database();
    TRY(is_new ? install_new() : install_onto());
    show("configure", 1, 1);
    TRY(call({"mark", "normalise", "first-boot"}));
    return result();
  }

 private:
  using Accounts = std::map<std::string, std::vector<std::string>>;

  bool has_database() { return context_.sandbox.read("/var/lib/dpkg/status").has_value(); }

  void show(std::string_view phase, std::uint64_t done, std::uint64_t total) {
    if (context_.progress.show) {
      context_.progress.show(phase, done, total);
    }
  }

  Result<Accounts> read_accounts() {
    Accounts accounts;
    for (const char* file : kAccountFiles) {
      auto text = context_.sandbox.read(std::string("/etc/") + file);
      if (!text && text.error().kind != ErrorKind::not_found) {
        return std::move(text).error();
      }
      accounts[file] = text ? account_lines(*text) : std::vector<std::string>();
    }
    return accounts;
  }

  std::string architecture() const {
    return find_string(options_, "architecture").value_or("amd64");
  }

  Result<Json> call(const std::vector<std::string>& phases, Json extra = Json::object()) {
    Json request = std::move(extra);
    request["phases"] = phases;
    request["native"] = architecture();
    request["packages"] = resolution_["packages"];
    request["manual"] = resolution_.value("manual", Json::array());
    request["removed"] = resolution_.value("removed", Json::array());
    request["accounts"] = options_.value("accounts", Json::object());
    request["epoch"] = context_.sandbox.epoch();
    return context_.sandbox.call("unpack", request, {cache_}, [this](const Json& event) {
      show(find_string(event, "phase").value_or("unpack"),
           static_cast<std::uint64_t>(find_integer(event, "done").value_or(0)),
           static_cast<std::uint64_t>(find_integer(event, "total").value_or(0)));
    });
  }

  Result<void> install_new() {
    case_ = "new";
    show("unpack", 0, 1);
    const Json answer = TRY(call({"create"}));
    TRY(run_preinst(answer));
    TRY(call({"place"}, {{"contested", answer["contested"]}}));
    // passwd makes the shadow files, so that accounts can be written whole.
    show("configure", 0, 1);
    const auto first = find_strings(answer, "first");
    if (!first.empty()) {
      std::vector<std::string> names = {"--configure"};
      names.insert(names.end(), first.begin(), first.end());
      TRY(dpkg(names));
    }
    TRY(call({"accounts"}));
    TRY(answer_questions());
    return dpkg({"--configure", "-a"});
  }

  /// Before a package that asks is configured; debconf takes answers to questions that it does not
  /// know yet.
  Result<void> answer_questions() {
    const auto lines = find_strings(options_, "debconf");
    if (lines.empty()) {
      return {};
    }
    if (!context_.sandbox.read("/usr/bin/debconf-set-selections")) {
      return Error{ErrorKind::not_found,
                   "the image has no debconf, whose questions the recipe answers",
                   "add the package debconf, or remove 'debconf:'"};
    }
    return shell("printf '%s\\n' \"$@\" | debconf-set-selections\n", lines)
        .context("answers to debconf");
  }

  Result<void> install_onto() {
    case_ = "added";
    TRY(answer_questions());
    show("unpack", 0, 1);
    if (auto reason = reason_told_by(resolution_)) {
      why_dpkg_ = *reason;
      return install_with_dpkg();
    }
    const Json answer = TRY(call({"inspect"}));
    if (auto reason = find_string(answer, "needs_dpkg")) {
      why_dpkg_ = *reason;
      return install_with_dpkg();
    }
    const bool has_preinst =
        std::any_of(answer["order"].begin(), answer["order"].end(), [](const Json& p) {
          return find_bool(p, "preinst").value_or(false);
        });
    if (has_preinst) {
      TRY(call({"register"}));
      TRY(run_preinst(answer));
      TRY(call({"write", "accounts"}));
    } else {
      TRY(call({"register", "write", "accounts"}));
    }
    show("configure", 0, 1);
    return dpkg({"--configure", "-a"});
  }

  Result<void> run_preinst(const Json& answer) {
    const std::string script = preinst_script(answer["order"], dpkg_version(answer));
    return script.empty() ? Result<void>() : shell(script, {});
  }

  static std::string dpkg_version(const Json& answer) {
    return find_string(answer, "dpkg_version").value_or("1.21.0");
  }

  /// Through a shell so that errors and output come in one stream, in their order.
  Result<void> shell(const std::string& script, std::vector<std::string> arguments) {
    plan::Execution execution;
    execution.argv = {"/bin/sh", "-c", "exec 2>&1\n" + script, "sh"};
    execution.argv.insert(execution.argv.end(), arguments.begin(), arguments.end());
    execution.environment = {"DEBIAN_FRONTEND=noninteractive",
                             "DEBCONF_NONINTERACTIVE_SEEN=true",
                             "UCF_FORCE_CONFFOLD=1"};
    execution.binds = {plan::Bind{cache_, kPackages, false}};
    auto done = context_.sandbox.run(execution);
    if (!done) {
      return explain_failure(std::move(done).error());
    }
    return {};
  }

  Result<void> dpkg(const std::vector<std::string>& arguments) {
    return shell("exec dpkg --force-confdef --force-confold --force-unsafe-io \"$@\"\n", arguments);
  }

  // ---- case 3: the tree's own dpkg ----

  Result<void> install_with_dpkg() {
    case_ = "dpkg";
    TRY(call({"accounts"}));
    const Json operations = resolution_.value("operations", Json::array());
    for (std::size_t i = 0; i < operations.size();) {
      const std::string kind = operations[i].at(0).get<std::string>();
      std::vector<std::string> arguments = arguments_for(kind);
      for (; i < operations.size() && operations[i].at(0) == kind; ++i) {
        arguments.push_back(TRY(argument_of(kind, operations[i].at(1).get<std::string>())));
      }
      show("dpkg", i, operations.size());
      TRY(dpkg(arguments));
    }
    return dpkg({"--configure", "-a"});
  }

  static std::vector<std::string> arguments_for(const std::string& kind) {
    if (kind == "unpack") {
      return {"--no-triggers", "--auto-deconfigure", "--unpack"};
    }
    if (kind == "configure") {
      return {"--no-triggers", "--configure"};
    }
    // As apt does: what the removed package's users need comes in the same run.
    return {"--no-triggers", "--force-depends", kind == "purge" ? "--purge" : "--remove"};
  }

  Result<std::string> argument_of(const std::string& kind, const std::string& package) const {
    const std::size_t colon = package.find(':');
    const std::string name = package.substr(0, colon);
    const std::string arch = colon == std::string::npos ? "" : package.substr(colon + 1);
    if (kind != "unpack") {
      return arch.empty() || arch == architecture() ? name : package;
    }
    for (const Json& candidate : resolution_["packages"]) {
      const std::string found = find_string(candidate, "architecture").value_or("");
      if (find_string(candidate, "name") == name &&
          (arch.empty() || found == arch || found == "all")) {
        return std::string(kPackages) + "/" + TRY(string_at(candidate, "sha256")) + ".deb";
      }
    }
    return Error{ErrorKind::invalid_input,
                 "the resolution unpacks " + package + ", which is not among its packages"};
  }

  Result<Json> result() {
    Json accounts = Json::object();
    for (const auto& [file, lines] : TRY(read_accounts())) {
      std::set<std::string> old;
      for (const std::string& line : before_[file]) {
        old.insert(account_of(line));
      }
      Json fresh = Json::array();
      for (const std::string& line : lines) {
        if (!old.contains(account_of(line))) {
          fresh.push_back(line);
        }
      }
      accounts[file] = std::move(fresh);
    }
    return Json{{"case", case_},
                {"why_dpkg", why_dpkg_.empty() ? Json(nullptr) : Json(why_dpkg_)},
                {"packages", resolution_["packages"].size()},
                {"accounts", std::move(accounts)}};
  }

  const Json& options_;
  plan::StepContext& context_;
  int cache_;
  Json resolution_;
  Accounts before_;
  std::string case_;
  std::string why_dpkg_;
};
}  // namespace

Result<Json> PackagesStep::run(const plan::Step& step, plan::StepContext& context) {
  if (fetch_) {
    TRY(fetch_(
        step.options.value("resolution", Json::object()), context.package_cache, context.progress));
  }
  const system::UniqueFd cache = TRY(system::open_directory(context.package_cache));
  return Installation(step, context, cache.get()).run();
}

std::string unpacked_by(const Json& resolution, bool new_root) {
  if (new_root) {
    return "unpacked by goldmill into an empty tree";
  }
  const auto reason = reason_told_by(resolution);
  return reason ? "unpacked by the image's dpkg, since " + *reason
                : "unpacked by goldmill if they only add paths, else by the image's dpkg";
}

}  // namespace goldmill::guest
