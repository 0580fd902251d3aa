// SPDX-License-Identifier: GPL-3.0-or-later
// `cloud_config`: applies a cloud-init user-data document to the image's tree, without cloud-init:
// in its order, by programs of the tree. What of it can be applied is decided when it is read.
#include <goldmill/base/utf8.hpp>

#include "cloud_script.hpp"
#include "package_installation.hpp"
#include "provisioner.hpp"
#include "tool_room.hpp"

namespace goldmill::provision {

namespace {

const std::string kCloudRoom = "/run/goldmill/cloud/";

/// The texts that scripts take from files.
Result<void> show_texts(const Json& config, ToolRoom& room) {
  std::size_t count = 0;
  for (const Json& file : config.value("files", Json::array())) {
    const std::string name = "file-" + std::to_string(count++);
    TRY(room.show_text(file.value("content", ""), kCloudRoom + name));
  }
  count = 0;
  for (const Json& certificate : config.value("ca_certs", Json::array())) {
    const std::string name = "certificate-" + std::to_string(count++);
    TRY(room.show_text(certificate.get<std::string>(), kCloudRoom + name));
  }
  return {};
}

class CloudConfig final : public Provisioner {
 public:
  std::string_view name() const override { return "provision.cloud_config"; }
  int version() const override { return 1; }

  Result<plan::Step> make_step(const recipe::Recipe& /*recipe*/,
                               const recipe::ProvisionStep& entry) const override {
    const auto& cloud = std::get<recipe::CloudConfigStep>(entry.action);
    plan::Step step;
    step.name = "cloud_config" + (cloud.title.empty() ? "" : ": " + escape_controls(cloud.title));
    step.kind = name();
    step.kind_version = version();
    step.options = {{"config", cloud.config}};
    return step;
  }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const Json& config = step.options.at("config");
    ToolRoom room;
    TRY(show_texts(config, room));
    show(context, "files and accounts", 0);
    TRY(run_script(cloud_script_before_packages(config, kCloudRoom), "before", room, context));
    show(context, "packages", 1);
    if (const auto packages = find_strings(config, "packages"); !packages.empty()) {
      TRY(install_packages(packages, {}, context).context("'packages'"));
    }
    show(context, "settings", 2);
    TRY(run_script(cloud_script_after_packages(config, kCloudRoom), "after", room, context));
    show(context, "runcmd", 3);
    if (const auto script = find_string(config, "runcmd")) {
      TRY(run_script(*script, "runcmd", room, context).context("'runcmd'"));
    }
    show(context, "runcmd", 4);
    return with_discovered(Json::object(), context, LocksNone::no);
  }

 private:
  static void show(plan::StepContext& context, std::string_view phase, std::uint64_t done) {
    if (context.progress.show) {
      context.progress.show(phase, done, 4);
    }
  }

  /// The first command that fails ends it, where cloud-init would go on.
  static Result<void> run_script(const std::string& script,
                                 const std::string& name,
                                 ToolRoom& room,
                                 plan::StepContext& context) {
    if (script.empty()) {
      return {};
    }
    TRY(room.show_text(script, kCloudRoom + name));
    plan::Execution execution{.argv = {"/bin/sh", "-e", kCloudRoom + name},
                              .environment = {},
                              .input = {},
                              .binds = room.binds};
    open_for_scripts(execution, context);
    return context.sandbox.run(execution);
  }
};

}  // namespace

std::unique_ptr<Provisioner> make_cloud_config() {
  return std::make_unique<CloudConfig>();
}

}  // namespace goldmill::provision
