// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/agent_image/agent_image.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/guest/baseline_step.hpp>

namespace goldmill::guest {
namespace {

constexpr const char* kAgentKind = "goldmill.agent";
constexpr const char* kUnits[] = {"goldmill-agent.service", "goldmill-agent-ready.service"};
constexpr const char* kUnitDirectory = "/usr/lib/systemd/system/";

TreeFile embedded(std::string path, std::string_view content, std::uint32_t mode) {
  return {std::move(path), std::string(content), mode, ""};
}

class AgentStep : public plan::StepKind {
 public:
  std::string_view name() const override { return kAgentKind; }
  int version() const override { return 1; }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const std::string architecture = TRY(string_at(step.options, "architecture"));
    std::vector<TreeFile> files;
    files.push_back(embedded("/etc/ssh/sshd_config.d/40-goldmill-agent.conf",
                             agent_image::agent_file("sshd.conf"),
                             0644));
    for (const char* unit : kUnits) {
      files.push_back(
          embedded(std::string(kUnitDirectory) + unit, agent_image::agent_file(unit), 0644));
    }
    files.push_back(embedded(
        "/usr/lib/goldmill/goldmill-agent", agent_image::agent_binary(architecture), 0755));
    TRY(place_files(context.sandbox, files));
    TRY(context.sandbox.run({.argv = {"systemctl", "--quiet", "enable", kUnits[0], kUnits[1]},
                             .environment = {"SYSTEMD_OFFLINE=1"}}));
    return Json::object();
  }
};

}  // namespace

Result<plan::Step> make_agent_step(std::string_view architecture) {
  const std::string_view binary = agent_image::agent_binary(architecture);
  if (binary.empty()) {
    return Error{.kind = ErrorKind::unavailable,
                 .message = "this goldmill holds no agent for " + std::string(architecture),
                 .hint =
                     "build it where the cross compiler is installed "
                     "(g++-aarch64-linux-gnu or g++-x86-64-linux-gnu)"};
  }
  plan::Step step;
  step.name = "agent";
  step.kind = kAgentKind;
  step.options = {{"architecture", architecture}};
  step.inputs["agent"] = sha256(binary).text();
  for (const char* file : {kUnits[0], kUnits[1], "sshd.conf"}) {
    step.inputs[file] = sha256(agent_image::agent_file(file)).text();
  }
  return step;
}

std::unique_ptr<plan::StepKind> agent_step_kind() {
  return std::make_unique<AgentStep>();
}

}  // namespace goldmill::guest
