// SPDX-License-Identifier: GPL-3.0-or-later
// Applies agent, baseline and initramfs steps to a tree by chroot(2), for the boot test in
// baseline_boot.py. usage: guest_baseline_real_test TREE RELEASE KEY_FILE
#include <cstdio>
#include <filesystem>
#include <memory>

#include <fcntl.h>

#include <goldmill/guest/baseline_step.hpp>
#include <goldmill/guest/initramfs_step.hpp>
#include <goldmill/guest/security_policy.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::guest {
namespace {

class ChrootSandbox : public plan::Sandbox {
 public:
  explicit ChrootSandbox(std::string tree) : tree_(std::move(tree)) {}

  Result<void> run(const plan::Execution& execution) override {
    TRY(capture(execution));
    return {};
  }

  Result<std::string> capture(const plan::Execution& execution) override {
    system::Command command;
    command.argv = {"chroot", tree_};
    command.argv.insert(command.argv.end(), execution.argv.begin(), execution.argv.end());
    command.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                           "LC_ALL=C.UTF-8",
                           "DEBIAN_FRONTEND=noninteractive",
                           "HOME=/root",
                           "SOURCE_DATE_EPOCH=1790000000"};
    for (const std::string& variable : execution.environment) {
      command.environment->push_back(variable);
    }
    command.input = execution.input;
    return TRY(system::run_checked(system::process_runner(), command)).text;
  }

  Result<Json> call(std::string_view /*worker*/,
                    const Json& request,
                    const std::vector<int>& /*hands*/,
                    const std::function<void(const Json&)>& /*on_event*/) override {
    const system::UniqueFd root = TRY(system::open_directory(tree_));
    TRY(remove_tree_files(root.get(), find_strings(request, "removed")));
    TRY(write_tree_files(root.get(), TRY(tree_files_from(*find_value(request, "files")))));
    return Json::object();
  }

  Result<std::string> read(std::string_view path) override {
    return system::read_file(tree_ + std::string(path));
  }
  std::int64_t epoch() const override { return 1790000000; }

 private:
  std::string tree_;
};

Result<void> run_step(plan::StepKind& kind, const plan::Step& step, plan::Sandbox& sandbox) {
  plan::Progress progress;
  plan::StepContext context{sandbox, progress, {}};
  TRY(kind.run(step, context).context(step.name));
  return {};
}

recipe::Recipe make_recipe(const std::string& key, const std::vector<std::string>& inbound) {
  recipe::Recipe recipe;
  recipe.name = "base";
  recipe.hardware = {recipe::Hardware::virtio};
  recipe.baseline.timezone = "Europe/Berlin";
  recipe.baseline.firewall_inbound = inbound;
  recipe::User user;
  user.name = "ops";
  user.sudo = true;
  user.ssh_keys = {key};
  recipe.baseline.users = std::vector{user};
  return recipe;
}

Result<void> apply(const std::string& tree, const std::string& release, std::string key) {
  key.erase(key.find('\n'));
  ChrootSandbox sandbox(tree);
  const recipe::Os os{.family = release.find('.') == std::string::npos ? "debian" : "ubuntu",
                      .release = release};
  const recipe::Recipe base = make_recipe(key, {"ssh"});
  TRY(run_step(*agent_step_kind(), TRY(make_agent_step("amd64")), sandbox));
  const auto step = TRY(make_baseline_step(
      {.merged = base,
       .os = os,
       .given = {{"/etc/fstab", "LABEL=root / ext4 defaults,errors=remount-ro 0 1\n", 0644, ""}}}));
  TRY(run_step(*baseline_step_kind(), *step, sandbox));
  InitramfsInput input{.packages = {{"linux-image-amd64", "1"}},
                       .files = initramfs_files(TRY(baseline_files(base, os)))};
  TRY(run_step(*initramfs_step_kind(), *make_initramfs_step(input), sandbox));
  return {};
}

}  // namespace
}  // namespace goldmill::guest

int main(int argc, char** argv) {
  namespace guest = goldmill::guest;
  namespace system = goldmill::system;
  using goldmill::Result;
  if (argc == 2 && std::string_view(argv[1]) == "policy") {
    std::fputs(guest::policy_markdown(guest::standard_policy()).c_str(), stdout);
    return 0;
  }
  if (argc != 4) {
    std::fputs("usage: guest_baseline_real_test TREE RELEASE KEY_FILE | policy\n", stderr);
    return 2;
  }
  const auto key = system::read_file(argv[3]);
  const auto done = key ? guest::apply(argv[1], argv[2], *key) : Result<void>(key.error());
  if (!done) {
    std::fprintf(stderr, "%s\n", done.error().text().c_str());
    return 1;
  }
  return 0;
}
