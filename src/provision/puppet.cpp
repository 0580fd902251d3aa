// SPDX-License-Identifier: GPL-3.0-or-later
// `puppet`: applies a manifest to the image's tree from outside. Puppet, Ruby and packaged modules
// stand in a tools tree (plan::Produces::tools), shown at /run/goldmill/tools; puppet/apply.rb runs
// there. It is run twice: what a second run still changes is no image that can be built again. With
// `booted: true` all of this happens in the booted image, where services really run.
#include "package_installation.hpp"
#include "provisioner.hpp"
#include "puppet_agent.hpp"
#include "puppet_inputs.hpp"
#include "puppet_program.hpp"
#include "run_report.hpp"
#include "tool_room.hpp"
#include "tools_ruby.hpp"

namespace goldmill::provision {

namespace {

constexpr const char* kAgent = "puppet-agent";
const std::string kRoom = "/run/goldmill/puppet";

constexpr ReportWords kWords{
    .tool = "Puppet",
    .refused = "modules do not fit together:",
    .refused_hint =
        "take a version of the module that fits (Debian's packages of one release do), "
        "or name the module that it needs under 'modules:'",
    .again_hint =
        "say when a resource has nothing to do: `unless`, `onlyif`, `creates` or "
        "`refreshonly` of an exec"};

class Puppet final : public Provisioner {
 public:
  std::string_view name() const override { return "provision.puppet"; }
  int version() const override { return 2; }

  std::map<std::string, std::string> tools(const recipe::ProvisionStep& entry) const override {
    const auto& puppet = std::get<recipe::PuppetStep>(entry.action);
    std::map<std::string, std::string> packages = {{kAgent, entry.position.text()}};
    for (const recipe::PuppetModule& module : puppet.modules) {
      if (module.directory.empty()) {
        packages.emplace(module_package(module.name), module.position.text());
      }
    }
    return packages;
  }

  Result<plan::Step> make_step(const recipe::Recipe& recipe,
                               const recipe::ProvisionStep& entry) const override {
    const auto& puppet = std::get<recipe::PuppetStep>(entry.action);
    plan::Step step;
    step.name = "puppet: " + puppet.title;
    step.kind = name();
    step.kind_version = version();
    step.tools = tools(entry);
    Json trees = TRY(give_inputs(step, TRY(puppet_inputs(puppet))));
    step.options = {{"name", recipe.name},
                    {"manifest", "manifest/" + puppet.manifest.filename().string()},
                    {"hiera", puppet.hiera.empty() ? Json() : Json("hiera/hiera.yaml")},
                    {"trees", std::move(trees)},
                    {"facts", puppet.facts}};
    step.boots = puppet.booted;
    if (puppet.booted) {
      step.options["booted"] = true;
    }
    if (puppet.keep_agent) {
      step.options["agent"] = {{"server", puppet.server}};
    }
    return step;
  }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    ToolRoom room = TRY(furnish(step, context));
    show(context, "apply", 0);
    RunReport report = TRY(apply(step, context, room));
    show(context, "apply again", 1);
    const RunReport second = TRY(apply(step, context, room));
    TRY(second.check_unchanged(kWords).context(step.name));
    show(context, "apply again", 2);
    if (step.boots) {
      TRY(context.booted->close());
    }
    report.services = second.services;
    if (const Json* agent = find_value(step.options, "agent")) {
      TRY(keep_puppet_agent(find_string(*agent, "server").value_or(""), context));
    }
    return with_discovered({{"puppet", report.to_json()}}, context, LocksNone::yes);
  }

 private:
  static void show(plan::StepContext& context, std::string_view phase, std::uint64_t done) {
    if (context.progress.show) {
      context.progress.show(phase, done, 2);
    }
  }

  static Result<ToolRoom> furnish(const plan::Step& step, const plan::StepContext& context) {
    ToolRoom room = TRY(ToolRoom::furnish(step, context, kRoom));
    TRY(room.show_text(puppet_apply(), kRoom + "/apply.rb"));
    TRY(room.show_text(puppet_guest_facts(), kRoom + "/guest_facts.rb"));
    TRY(room.show_text(step.boots ? puppet_live_service() : puppet_systemd_service(),
                       kRoom + "/lib/puppet/provider/service/systemd.rb"));
    return room;
  }

  static Result<RunReport> apply(const plan::Step& step,
                                 plan::StepContext& context,
                                 const ToolRoom& room) {
    ToolsRuby ruby = TRY(ToolsRuby::find(context.tools, kRoom + "/lib"));
    plan::Execution execution{.argv = std::move(ruby.argv),
                              .environment = std::move(ruby.environment),
                              .input = {},
                              .binds = room.binds};
    execution.argv.push_back(kRoom + "/apply.rb");
    return step.boots ? apply_booted(step, context, execution)
                      : apply_to_files(step, context, execution);
  }

  static Result<RunReport> apply_to_files(const plan::Step& step,
                                          plan::StepContext& context,
                                          plan::Execution& execution) {
    if (context.packages != nullptr) {
      TRY(context.packages->open(execution));
    }
    const std::string answer = TRY(context.sandbox.capture(execution).context(step.name));
    return RunReport::read(answer, shown_paths(step), kWords);
  }

  static Result<RunReport> apply_booted(const plan::Step& step,
                                        plan::StepContext& context,
                                        const plan::Execution& execution) {
    const std::string answer = TRY(context.booted->capture(execution).context(step.name));
    auto report = RunReport::read(answer, shown_paths(step), kWords);
    if (!report && report.error().message.find("apt-get") != std::string::npos) {
      report.error().hint =
          "the booted image has no network: name the packages under 'packages:', or install them "
          "in a step before this one that is not booted";
    }
    return report;
  }

  static std::map<std::string, std::string> shown_paths(const plan::Step& step) {
    auto shown = shown_inputs(step, kRoom);
    shown.emplace(std::string(kToolsPlace) + "/usr/share/puppet/modules.available", "modules");
    return shown;
  }
};

}  // namespace

std::unique_ptr<Provisioner> make_puppet() {
  return std::make_unique<Puppet>();
}

}  // namespace goldmill::provision
