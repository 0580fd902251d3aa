// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/agent_image/agent_image.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/guest/baseline_step.hpp>

namespace goldmill::guest {
namespace {

constexpr const char* kAgentKind = "goldmill.agent";
constexpr const char* kUnits[] = {"goldmill-agent.service", "goldmill-agent-ready.service"};

/// A file that the agent brings along, and its place.
struct Placed {
  const char* file;
  const char* path;
};
constexpr Placed kPlaced[] = {
    {kUnits[0], "/usr/lib/systemd/system/goldmill-agent.service"},
    {kUnits[1], "/usr/lib/systemd/system/goldmill-agent-ready.service"},
    {"sshd.conf", "/etc/ssh/sshd_config.d/40-goldmill-agent.conf"},
    {"ssh-store.conf", "/usr/lib/systemd/system/ssh.service.d/goldmill.conf"},
    {"ssh-store.conf", "/usr/lib/systemd/system/ssh@.service.d/goldmill.conf"},
};

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
    for (const Placed& placed : kPlaced) {
      files.push_back(embedded(placed.path, agent_image::agent_file(placed.file), 0644));
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
  for (const Placed& placed : kPlaced) {
    step.inputs[placed.file] = sha256(agent_image::agent_file(placed.file)).text();
  }
  return step;
}

std::unique_ptr<plan::StepKind> agent_step_kind() {
  return std::make_unique<AgentStep>();
}

}  // namespace goldmill::guest
