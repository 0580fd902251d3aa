// SPDX-License-Identifier: GPL-3.0-or-later
// `packages`: installs and removes packages at one place in the order of the steps, by the tree's
// own apt. What the recipe's `packages:` names is there before the first step.
#include <goldmill/system/file.hpp>

#include "file_tree.hpp"
#include "package_installation.hpp"
#include "provisioner.hpp"

namespace goldmill::provision {

namespace {

using Kind = recipe::PackageRequest::Kind;

constexpr std::size_t kMostTitled = 3;
constexpr const char* kLocal = "/run/goldmill/local/";

std::string argument_of(const recipe::PackageRequest& request) {
  switch (request.kind) {
    case Kind::remove:
      return request.name + "-";
    case Kind::local:
      return kLocal + request.file.filename().string();
    case Kind::install:
      break;
  }
  return request.name + (request.version.empty() ? "" : "=" + request.version);
}

std::string names_of(const std::vector<recipe::PackageRequest>& requests) {
  std::string title;
  for (std::size_t i = 0; i < requests.size() && i < kMostTitled; ++i) {
    const recipe::PackageRequest& request = requests[i];
    title += (i == 0 ? "" : ", ") + std::string(request.kind == Kind::remove ? "-" : "") +
             (request.kind == Kind::local ? request.file.filename().string() : request.name);
  }
  if (requests.size() > kMostTitled) {
    title += " (+" + std::to_string(requests.size() - kMostTitled) + ")";
  }
  return title;
}

class Packages final : public Provisioner {
 public:
  std::string_view name() const override { return "provision.packages"; }
  int version() const override { return 2; }

  Result<plan::Step> make_step(const recipe::Recipe& /*recipe*/,
                               const recipe::ProvisionStep& entry) const override {
    const auto& requests = std::get<recipe::PackagesStep>(entry.action).packages;
    plan::Step step;
    step.name = "packages: " + names_of(requests);
    step.kind = name();
    step.kind_version = version();
    Json arguments = Json::array();
    for (const recipe::PackageRequest& request : requests) {
      arguments.push_back(argument_of(request));
      if (request.kind == Kind::local) {
        const std::string file = request.file.filename();
        if (step.sources.contains(file)) {
          return Error{ErrorKind::invalid_input,
                       "two packages of this step have the file name '" + file + "'",
                       "name them in two steps"};
        }
        TRY(give_input(step, file, request.file, file, requests.size()));
      }
    }
    step.options = {{"arguments", std::move(arguments)}};
    return step;
  }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    std::vector<system::UniqueFd> files;
    std::vector<plan::Bind> binds;
    for (const auto& [name, source] : step.sources) {
      files.push_back(TRY(system::memory_file("", 0444)));
      TRY(FileTree::read_again(source, files.back().get(), step.inputs.at(name)));
      binds.push_back({files.back().get(), kLocal + name});
    }
    show(context, 0);
    TRY(install_packages(find_strings(step.options, "arguments"), std::move(binds), context));
    show(context, 1);
    return with_discovered(Json::object(), context, LocksNone::yes);
  }

 private:
  static void show(plan::StepContext& context, std::uint64_t done) {
    if (context.progress.show) {
      context.progress.show("install", done, 1);
    }
  }
};

}  // namespace

std::unique_ptr<Provisioner> make_packages() {
  return std::make_unique<Packages>();
}

}  // namespace goldmill::provision
