// SPDX-License-Identifier: GPL-3.0-or-later
// `ansible`: applies a playbook to the image's tree from outside, as `puppet` does a manifest.
// Ansible and its Python stand in a tools tree; ansible/apply.py runs there, and modules are
// started by the same Python. It is run twice, really: a dry run would skip each command.
#include <algorithm>

#include "ansible_inputs.hpp"
#include "ansible_program.hpp"
#include "package_installation.hpp"
#include "provisioner.hpp"
#include "run_report.hpp"
#include "tool_room.hpp"
#include "tools_python.hpp"
#include "tools_tree.hpp"

namespace goldmill::provision {

namespace {

const std::string kAnsibleRoom = "/run/goldmill/ansible";

constexpr ReportWords kAnsibleWords{
    .tool = "Ansible",
    .refused = "the playbook does nothing here:",
    .refused_hint = "write `hosts: all` in the playbook, or name its group under 'groups:'",
    .again_hint =
        "say when a task has nothing to do: `creates`, `removes`, `when` or "
        "`changed_when` of a command"};

class Ansible final : public Provisioner {
 public:
  std::string_view name() const override { return "provision.ansible"; }
  int version() const override { return 1; }

  /// The package `ansible` is ansible-core with the collections.
  std::map<std::string, std::string> tools(const recipe::ProvisionStep& entry) const override {
    const auto& ansible = std::get<recipe::AnsibleStep>(entry.action);
    const auto packaged = std::find_if(
        ansible.collections.begin(), ansible.collections.end(), [](const auto& collection) {
          return collection.directory.empty();
        });
    const bool is_whole = packaged != ansible.collections.end();
    return {{is_whole ? "ansible" : "ansible-core",
             is_whole ? packaged->position.text() : entry.position.text()},
            {"python3-apt", entry.position.text()}};
  }

  Result<plan::Step> make_step(const recipe::Recipe& recipe,
                               const recipe::ProvisionStep& entry) const override {
    const auto& ansible = std::get<recipe::AnsibleStep>(entry.action);
    plan::Step step;
    step.name = "ansible: " + ansible.title;
    step.kind = name();
    step.kind_version = version();
    step.tools = tools(entry);
    Json trees = TRY(give_inputs(step, TRY(ansible_inputs(ansible))));
    step.options = {{"name", recipe.name},
                    {"playbook", "playbook/" + ansible.playbook.filename().string()},
                    {"trees", std::move(trees)},
                    {"groups", ansible.groups},
                    {"extra_vars", ansible.extra_vars}};
    return step;
  }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const ToolRoom room = TRY(furnish(step, context));
    show(context, "apply", 0);
    RunReport report = TRY(apply(step, context, room));
    show(context, "apply again", 1);
    const RunReport second = TRY(apply(step, context, room));
    TRY(second.check_unchanged(kAnsibleWords).context(step.name));
    show(context, "apply again", 2);
    report.services = second.services;
    return with_discovered({{"ansible", report.to_json()}}, context, LocksNone::yes);
  }

 private:
  static void show(plan::StepContext& context, std::string_view phase, std::uint64_t done) {
    if (context.progress.show) {
      context.progress.show(phase, done, 2);
    }
  }

  static Result<ToolRoom> furnish(const plan::Step& step, const plan::StepContext& context) {
    ToolRoom room = TRY(ToolRoom::furnish(step, context, kAnsibleRoom));
    const std::string python =
        TRY(tools_python_script(context.tools, kAnsibleRoom + "/state/python"));
    TRY(room.show_text(python, kAnsibleRoom + "/python", 0555));
    TRY(room.show_text(ansible_apply(), kAnsibleRoom + "/apply.py"));
    TRY(room.show_text(ansible_become(), kAnsibleRoom + "/become/sudo.py"));
    TRY(room.show_text(ansible_callback(), kAnsibleRoom + "/callback/goldmill.py"));
    TRY(room.show_text(ansible_service(), kAnsibleRoom + "/library/goldmill_service.py"));
    return room;
  }

  static Result<RunReport> apply(const plan::Step& step,
                                 plan::StepContext& context,
                                 const ToolRoom& room) {
    plan::Execution execution{.argv = {kAnsibleRoom + "/python", kAnsibleRoom + "/apply.py"},
                              .environment = {},
                              .input = {},
                              .binds = room.binds};
    if (context.packages != nullptr) {
      TRY(context.packages->open(execution));
    }
    const std::string answer = TRY(context.sandbox.capture(execution).context(step.name));
    return RunReport::read(answer, paths_of(step), kAnsibleWords);
  }

  static std::map<std::string, std::string> paths_of(const plan::Step& step) {
    auto shown = shown_inputs(step, kAnsibleRoom);
    shown.emplace(std::string(kToolsPlace) + "/usr/lib/python3/dist-packages/", "");
    return shown;
  }
};

}  // namespace

std::unique_ptr<Provisioner> make_ansible() {
  return std::make_unique<Ansible>();
}

}  // namespace goldmill::provision
