// SPDX-License-Identifier: GPL-3.0-or-later
// `shell`: runs a script in the sandbox. It stands at /run/goldmill/script for that time, its
// secrets at /run/goldmill/secrets/NAME.
#include <algorithm>
#include <array>
#include <sstream>

#include <goldmill/base/utf8.hpp>

#include "package_installation.hpp"
#include "provisioner.hpp"
#include "secret_value.hpp"

namespace goldmill::provision {

namespace {

constexpr const char* kScript = "/run/goldmill/script";
constexpr std::size_t kTitleLength = 40;

/// The first line that does something, for the step's name.
std::string title_of(const std::string& script) {
  std::istringstream lines(script);
  std::string line;
  while (std::getline(lines, line)) {
    line.erase(0, line.find_first_not_of(" \t"));
    if (line.empty() || line.starts_with('#') || line.starts_with("set -")) {
      continue;
    }
    if (line.size() <= kTitleLength) {
      return escape_controls(line);
    }
    std::size_t end = kTitleLength;  // not within a character
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80) {
      --end;
    }
    return escape_controls(line.substr(0, end)) + "...";
  }
  return "script";
}

/// How the kernel would run it; a shell stops at the first failing command in any case.
std::vector<std::string> command_for(const std::string& script) {
  std::vector<std::string> argv = {"/bin/sh"};
  if (script.starts_with("#!")) {
    const std::string line = script.substr(2, script.find('\n') - 2);
    std::istringstream words(line);
    std::string interpreter;
    std::string option;
    words >> interpreter >> std::ws;
    std::getline(words, option);
    option.erase(option.find_last_not_of(" \t\r") + 1);
    argv = {interpreter.empty() ? "/bin/sh" : interpreter};
    if (!option.empty()) {
      argv.push_back(option);
    }
  }
  static constexpr std::array<std::string_view, 4> kShells = {"sh", "bash", "dash", "ash"};
  const std::string program = argv[0].substr(argv[0].rfind('/') + 1);
  if (std::find(kShells.begin(), kShells.end(), program) != kShells.end()) {
    argv.emplace_back("-e");
  }
  argv.emplace_back(kScript);
  return argv;
}

class Shell final : public Provisioner {
 public:
  std::string_view name() const override { return "provision.shell"; }
  int version() const override { return 1; }

  Result<plan::Step> make_step(const recipe::Recipe& recipe,
                               const recipe::ProvisionStep& entry) const override {
    const auto& shell = std::get<recipe::ShellStep>(entry.action);
    plan::Step step;
    step.name =
        "shell: " + (shell.file.empty() ? title_of(shell.script) : escape_controls(shell.file));
    step.kind = name();
    step.kind_version = version();
    step.options = {{"script", shell.script}, {"network", shell.network}};
    step.network = shell.network;
    for (const std::string& secret : shell.secrets) {
      TRY(add_secret(step, recipe, secret));
    }
    return step;
  }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const std::string script = TRY(string_at(step.options, "script"));
    std::vector<system::UniqueFd> files;
    plan::Execution execution{.argv = command_for(script), .network = step.network};
    files.push_back(TRY(system::memory_file(script, 0500)));
    execution.binds.push_back({files.back().get(), kScript});
    for (const std::string& secret : step.secrets) {
      files.push_back(TRY(open_secret(step, secret)));
      execution.binds.push_back({files.back().get(), "/run/goldmill/secrets/" + secret});
    }
    if (!step.network) {
      open_for_scripts(execution, context);
    }
    if (context.progress.show) {
      context.progress.show(step.name, 0, 1);
    }
    TRY(context.sandbox.run(execution).context(step.name));
    if (context.progress.show) {
      context.progress.show(step.name, 1, 1);
    }
    return with_discovered(Json::object(), context, LocksNone::no);
  }
};

}  // namespace

std::unique_ptr<Provisioner> make_shell() {
  return std::make_unique<Shell>();
}

}  // namespace goldmill::provision
