// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/guest/baseline_step.hpp>
#include <goldmill/guest/initramfs_step.hpp>
#include <goldmill/guest/security_policy.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::guest {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const recipe::Os kBookworm{.family = "debian", .release = "12"};

recipe::Recipe make_recipe() {
  recipe::Recipe recipe;
  recipe.name = "base";
  recipe.os = kBookworm;
  recipe.hardware = {recipe::Hardware::virtio};
  recipe.baseline.firewall_inbound = std::vector<std::string>{"ssh"};
  recipe::User user;
  user.name = "ops";
  user.sudo = true;
  user.ssh_keys = {"ssh-ed25519 AAAA ops"};
  recipe.baseline.users = std::vector{user};
  return recipe;
}

std::map<std::string, TreeFile> files_of(const recipe::Recipe& recipe) {
  std::map<std::string, TreeFile> map;
  const auto files = baseline_files(recipe, kBookworm);
  EXPECT_TRUE(files);
  for (const TreeFile& file : *files) {
    map.emplace(file.path, file);
  }
  return map;
}

/// Remembers what ran; its tree has the accounts and groups that `passwd` and `group` say.
class FakeSandbox : public plan::Sandbox {
 public:
  std::string fails;  ///< a command that ends with a status other than 0
  Result<void> run(const plan::Execution& execution) override {
    std::string line;
    for (const std::string& word : execution.argv) {
      line += (line.empty() ? "" : " ") + word;
    }
    commands.push_back(line);
    real_initramfs = execution.real_initramfs;
    return line == fails ? Result<void>(Error{ErrorKind::tool_failed, line}) : Result<void>();
  }
  Result<std::string> capture(const plan::Execution& execution) override {
    TRY(run(execution));
    return std::string();
  }
  Result<Json> call(std::string_view worker,
                    const Json& request,
                    const std::vector<int>& /*hands*/,
                    const std::function<void(const Json&)>& /*on_event*/) override {
    EXPECT_EQ(worker, kTreeFilesWorker);
    requests.push_back(request);
    return Json::object();
  }
  Result<std::string> read(std::string_view path) override {
    return path == "/etc/group" ? group : passwd;
  }
  std::int64_t epoch() const override { return 1; }

  std::vector<std::string> commands;
  std::vector<Json> requests;
  std::string passwd = "root:x:0:0:root:/root:/bin/bash\n";
  std::string group = "root:x:0:\n";
  bool real_initramfs = false;
};

Result<Json> run_step(plan::StepKind& kind, const plan::Step& step, FakeSandbox& sandbox) {
  plan::Progress progress;
  plan::StepContext context{sandbox, progress, {}};
  return kind.run(step, context);
}

TEST(Ports, AreNumbersOrServices) {
  EXPECT_EQ(*parse_port("ssh"), (Port{22, "tcp"}));
  EXPECT_EQ(*parse_port("53/udp"), (Port{53, "udp"}));
  EXPECT_EQ(*parse_port("8080"), (Port{8080, "tcp"}));
  for (const char* bad : {"", "0/tcp", "65536/tcp", "80/sctp", "80/", "-1", "80 /tcp", "0x50"}) {
    EXPECT_FALSE(parse_port(bad)) << bad;
  }
  EXPECT_THAT(parse_port("htp").error().hint, HasSubstr("http"));
}

TEST(Baseline, FirewallOpensWhatIsNamedOnly) {
  recipe::Recipe recipe = make_recipe();
  recipe.baseline.firewall_inbound = std::vector<std::string>{"http", "ssh", "53/udp", "22/tcp"};
  const std::string rules = files_of(recipe)["/etc/goldmill/firewall.nft"].content;
  EXPECT_THAT(rules, HasSubstr("policy drop;"));
  EXPECT_THAT(rules, HasSubstr("tcp dport { 22, 80 } accept\n    udp dport { 53 } accept\n  }"));
  recipe.baseline.firewall_inbound = std::vector<std::string>{};
  EXPECT_THAT(files_of(recipe)["/etc/goldmill/firewall.nft"].content, Not(HasSubstr("tcp dport")));
  recipe.baseline.firewall_inbound = std::vector<std::string>{"htp"};
  EXPECT_FALSE(baseline_files(recipe, kBookworm));
}

TEST(Baseline, NftAcceptsTheRules) {
  const auto made = system::TemporaryDirectory::make(testing::TempDir(), "nft");
  ASSERT_TRUE(made);
  recipe::Recipe recipe = make_recipe();
  recipe.baseline.firewall_inbound = std::vector<std::string>{"ssh", "http", "53/udp"};
  const auto file = made->path() / "rules";
  ASSERT_TRUE(system::write_file(file, files_of(recipe)["/etc/goldmill/firewall.nft"].content));
  // In a network of its own, where checking needs no rights on this machine's.
  const auto verdict = system::process_runner().run(
      {.argv = {"unshare", "-rn", "/usr/sbin/nft", "-c", "-f", file.string()}});
  if (!verdict || verdict->status == 127 || verdict->errors.find("unshare") != std::string::npos ||
      verdict->errors.find("not supported") != std::string::npos) {
    GTEST_SKIP() << "no nft, or no network namespaces here";
  }
  EXPECT_EQ(verdict->status, 0) << verdict->errors;
}

TEST(Baseline, VisudoAcceptsTheSudoFiles) {
  const auto made = system::TemporaryDirectory::make(testing::TempDir(), "sudo");
  ASSERT_TRUE(made);
  for (const char* path : {"/etc/sudoers.d/goldmill", "/etc/sudoers.d/goldmill-standard"}) {
    const auto file = made->path() / "sudoers";
    ASSERT_TRUE(system::write_file(file, files_of(make_recipe())[path].content, 0440));
    const auto verdict =
        system::process_runner().run({.argv = {"/usr/sbin/visudo", "-c", "-f", file.string()}});
    if (!verdict) {
      GTEST_SKIP() << "no visudo here";
    }
    EXPECT_EQ(verdict->status, 0) << path << verdict->errors;
  }
}

TEST(Baseline, SudoAsksWhereThereIsAPassword) {
  recipe::Recipe recipe = make_recipe();
  auto files = files_of(recipe);
  EXPECT_THAT(files["/etc/sudoers.d/goldmill"].content,
              HasSubstr("ops ALL=(ALL:ALL) NOPASSWD: ALL\n"));
  EXPECT_EQ(files["/etc/sudoers.d/goldmill"].mode, 0440U);
  EXPECT_EQ(files["/usr/lib/goldmill/default-user"].content, "ops\n");
  (*recipe.baseline.users)[0].password_hash = "$6$x$y";
  files = files_of(recipe);
  EXPECT_THAT(files["/etc/sudoers.d/goldmill"].content, Not(HasSubstr("NOPASSWD")));
}

TEST(Baseline, PasswordsAreRefusedUnlessAskedFor) {
  recipe::Recipe recipe = make_recipe();
  const std::string path = "/etc/ssh/sshd_config.d/30-goldmill.conf";
  EXPECT_THAT(files_of(recipe)[path].content, HasSubstr("\nPasswordAuthentication no\n"));
  recipe.baseline.ssh_passwords = true;
  EXPECT_THAT(files_of(recipe)[path].content, HasSubstr("\nPasswordAuthentication yes\n"));
}

TEST(Baseline, MachineIdIsEmptyAndThere) {
  const auto files = files_of(make_recipe());
  ASSERT_TRUE(files.contains("/etc/machine-id"));
  EXPECT_EQ(files.at("/etc/machine-id").content, "");
}

TEST(Baseline, AKeyboardHasALayoutAndAVariant) {
  recipe::Recipe recipe = make_recipe();
  recipe.baseline.keyboard = "de-nodeadkeys";
  const std::string text = files_of(recipe).at("/etc/default/keyboard").content;
  EXPECT_THAT(text, HasSubstr("XKBLAYOUT=\"de\"\nXKBVARIANT=\"nodeadkeys\"\n"));
}

TEST(Baseline, PolicyCanBeOff) {
  recipe::Recipe recipe = make_recipe();
  EXPECT_TRUE(files_of(recipe).contains("/etc/sysctl.d/60-goldmill-standard.conf"));
  recipe.baseline.security = "none";
  for (const auto& [path, file] : files_of(recipe)) {
    EXPECT_THAT(path, Not(HasSubstr("standard")));
  }
}

TEST(Baseline, PackagesFollowTheRelease) {
  const recipe::Recipe recipe = make_recipe();
  EXPECT_THAT(
      baseline_packages(recipe, kBookworm),
      ElementsAre(
          "nftables", "openssh-server", "sudo", "systemd-resolved", "systemd-timesyncd", "tzdata"));
  EXPECT_THAT(baseline_packages(recipe, {.family = "debian", .release = "11"}),
              Not(Contains("systemd-resolved")));
  EXPECT_THAT(baseline_packages(recipe, {.family = "ubuntu", .release = "22.04"}),
              Not(Contains("systemd-resolved")));
  EXPECT_THAT(baseline_packages(recipe, {.family = "ubuntu", .release = "24.04"}),
              Contains("systemd-resolved"));
  recipe::Recipe german = recipe;
  german.baseline.locale = "de_DE.UTF-8";
  EXPECT_THAT(baseline_packages(german, kBookworm), Contains("locales"));
}

TEST(Baseline, AVariantWritesWhatDiffers) {
  const recipe::Recipe base = make_recipe();
  recipe::Recipe web = base;
  const auto same = make_baseline_step({.merged = web, .os = kBookworm, .parent = &base});
  ASSERT_TRUE(same);
  EXPECT_FALSE(same->has_value()) << same->value().options.dump(1);
  web.baseline.firewall_inbound = std::vector<std::string>{"ssh", "http"};
  web.baseline.security = "none";
  const auto step = make_baseline_step({.merged = web, .os = kBookworm, .parent = &base});
  ASSERT_TRUE(step && step->has_value());
  const Json& options = (*step)->options;
  ASSERT_EQ(options["files"].size(), 1U);
  EXPECT_EQ(options["files"][0]["path"], "/etc/goldmill/firewall.nft");
  EXPECT_EQ(options["removed"].size(), 5U);
  EXPECT_TRUE(options["users"].empty());
  EXPECT_FALSE(options.contains("root"));
}

TEST(Baseline, CloudsReachTheAgentWhereTheyAreListed) {
  const std::string path = "/usr/lib/goldmill/clouds";
  const recipe::Recipe base = make_recipe();
  EXPECT_FALSE(files_of(base).contains(path));
  recipe::Recipe cloud = base;
  cloud.clouds = std::vector<std::string>{};
  const auto plain = make_baseline_step({.merged = base, .os = kBookworm});
  const auto none = make_baseline_step({.merged = cloud, .os = kBookworm});
  ASSERT_TRUE(plain && none);
  EXPECT_EQ((*plain)->options, (*none)->options) << "recipes that list none keep their keys";
  cloud.clouds = std::vector<std::string>{"openstack", "ec2", "ec2"};
  EXPECT_EQ(files_of(cloud)[path].content, "ec2\nopenstack\n");

  const auto added = make_baseline_step({.merged = cloud, .os = kBookworm, .parent = &base});
  ASSERT_TRUE(added && added->has_value());
  ASSERT_EQ((*added)->options["files"].size(), 1U) << (*added)->options.dump(1);
  EXPECT_EQ((*added)->options["files"][0]["path"], path);
  const auto gone = make_baseline_step({.merged = base, .os = kBookworm, .parent = &cloud});
  ASSERT_TRUE(gone && gone->has_value());
  EXPECT_EQ((*gone)->options["removed"], Json::array({path}));
}

TEST(Baseline, AVariantsListOfUsersReplaces) {
  const recipe::Recipe base = make_recipe();
  recipe::Recipe web = base;
  web.name = "my_web";
  (*web.baseline.users)[0].name = "web";
  const auto step = make_baseline_step({.merged = web, .os = kBookworm, .parent = &base});
  ASSERT_TRUE(step && step->has_value());
  FakeSandbox sandbox;
  sandbox.passwd += "ops:x:1000:1000::/home/ops:/bin/bash\n";
  ASSERT_TRUE(run_step(*baseline_step_kind(), **step, sandbox));
  ASSERT_GE(sandbox.commands.size(), 2U);
  EXPECT_EQ(sandbox.commands[0], "userdel --remove ops");
  EXPECT_THAT(sandbox.commands[1], HasSubstr("useradd"));
  EXPECT_EQ(files_of(web)["/etc/hostname"].content, "my-web\n");
}

/// Base and variant have the user ops, whom the variant changes.
struct Change {
  recipe::User before = {.name = "ops"};
  recipe::User now = {.name = "ops"};

  plan::Step step() const {
    recipe::Recipe base = make_recipe();
    recipe::Recipe web = base;
    base.baseline.users = std::vector{before};
    web.baseline.users = std::vector{now};
    const auto made = make_baseline_step({.merged = web, .os = kBookworm, .parent = &base});
    EXPECT_TRUE(made && made->has_value());
    return made && made->has_value() ? **made : plan::Step();
  }

  /// On an account that is in groups of the base's recipe, of a package and of a step.
  FakeSandbox run() const {
    FakeSandbox sandbox;
    sandbox.passwd += "ops:x:1000:1000::/home/ops:/bin/bash\n";
    sandbox.group =
        "root:x:0:\nadm:x:4:ops\nsudo:x:27:dev,ops\ngames:x:60:devops\nops:x:1000:\n"
        "docker:x:998:dev,ops\nteam:x:1001:ops,dev\n";
    EXPECT_TRUE(run_step(*baseline_step_kind(), step(), sandbox));
    return sandbox;
  }
};

const std::string kKeysOfOps = "/home/ops/.ssh/authorized_keys";

TEST(Baseline, AVariantTakesAwayWhatItsUserNoLongerHas) {
  const Change change{.before = {.name = "ops",
                                 .sudo = true,
                                 .ssh_keys = {"ssh-ed25519 AAAA ops"},
                                 .password_hash = "$6$x$y",
                                 .groups = {"adm", "sudo"}}};
  const FakeSandbox sandbox = change.run();
  EXPECT_THAT(sandbox.commands,
              ElementsAre("usermod --password * --shell /bin/bash --groups docker,team ops",
                          "rm --force " + kKeysOfOps));
  const Json removed = change.step().options["removed"];
  EXPECT_THAT(removed, Contains("/etc/sudoers.d/goldmill"));
  EXPECT_THAT(removed, Contains("/usr/lib/goldmill/default-user"));
  for (const Json& request : sandbox.requests) {
    EXPECT_THAT(request.dump(), Not(HasSubstr(kKeysOfOps))) << "it is not written again";
  }
}

TEST(Baseline, AVariantLeavesTheGroupsThatNoRecipeNamed) {
  Change change{.before = {.name = "ops", .groups = {"adm", "sudo"}},
                .now = {.name = "ops", .groups = {"games", "adm"}}};
  EXPECT_THAT(
      change.run().commands,
      ElementsAre("usermod --password * --shell /bin/bash --groups games,adm,docker,team ops"));
  change.before.groups = {"adm", "sudo", "docker", "team"};
  change.now.groups = {};
  EXPECT_THAT(change.run().commands,
              ElementsAre("usermod --password * --shell /bin/bash --groups  ops"))
      << "an empty word: no group";
}

TEST(Baseline, AVariantsOtherKeysReplace) {
  const Change change{.before = {.name = "ops", .ssh_keys = {"ssh-ed25519 AAAA one"}},
                      .now = {.name = "ops", .ssh_keys = {"ssh-ed25519 AAAA two"}}};
  const FakeSandbox sandbox = change.run();
  EXPECT_THAT(sandbox.commands, Not(Contains(HasSubstr("rm "))));
  ASSERT_FALSE(sandbox.requests.empty());
  const Json file = sandbox.requests.back()["files"][0];
  EXPECT_EQ(file["path"], kKeysOfOps);
  EXPECT_EQ(file["content"], "ssh-ed25519 AAAA two\n");
}

/// Keys that a step of the base gave a user to whom its recipe gave none are not the baseline's.
TEST(Baseline, AVariantTakesAwayKeysThatTheBaselineWrote) {
  Change change{.now = {.name = "ops", .groups = {"games"}}};
  const FakeSandbox sandbox = change.run();
  EXPECT_THAT(sandbox.commands, Not(Contains(HasSubstr("rm "))));
  const Digest key = plan::key_of(change.step(), {});
  change.before.ssh_keys = {"ssh-ed25519 AAAA ops"};
  EXPECT_NE(plan::key_of(change.step(), {}), key) << "the step runs, though the user is the same";
}

TEST(Baseline, RunsTheGuestsOwnProgramsInOrder) {
  const recipe::Recipe base = make_recipe();
  const auto step = make_baseline_step(
      {.merged = base, .os = kBookworm, .given = {{"/etc/fstab", "LABEL=root /\n", 0644, ""}}});
  ASSERT_TRUE(step && step->has_value());
  FakeSandbox sandbox;
  ASSERT_TRUE(run_step(*baseline_step_kind(), **step, sandbox));
  EXPECT_THAT(
      sandbox.commands,
      ElementsAre("test -s /usr/share/zoneinfo/Etc/UTC",
                  "usermod --password * root",
                  "useradd --create-home --user-group --password * --shell /bin/bash ops",
                  "install -d -m 0700 -o ops -g ops /home/ops/.ssh",
                  "chown --no-dereference ops:ops /home/ops/.ssh/authorized_keys",
                  "systemctl --quiet enable systemd-networkd.service systemd-resolved.service "
                  "goldmill-firewall.service"));
  ASSERT_EQ(sandbox.requests.size(), 2U);
  EXPECT_THAT(sandbox.requests[0].dump(), HasSubstr("/etc/fstab"));
  FakeSandbox again;
  again.passwd += "ops:x:1000:1000::/home/ops:/bin/bash\n";
  ASSERT_TRUE(run_step(*baseline_step_kind(), **step, again));
  EXPECT_THAT(again.commands, Contains("usermod --password * --shell /bin/bash ops"));
}

TEST(Baseline, AnAccountOfAPackageIsNobodysUser) {
  const auto step = make_baseline_step({.merged = make_recipe(), .os = kBookworm});
  ASSERT_TRUE(step && step->has_value());
  FakeSandbox sandbox;
  sandbox.passwd += "ops:x:105:110::/var/lib/ops:/usr/sbin/nologin\n";
  const auto refused = run_step(*baseline_step_kind(), **step, sandbox);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the user 'ops' is an account of the system, with number 105");
  EXPECT_THAT(sandbox.commands, Not(Contains(HasSubstr("ops"))));
}

TEST(Baseline, AZoneThatTheGuestLacksIsNamed) {
  recipe::Recipe base = make_recipe();
  base.baseline.timezone = "Europe/Berln";
  const auto step = make_baseline_step({.merged = base, .os = kBookworm});
  ASSERT_TRUE(step && step->has_value());
  FakeSandbox sandbox;
  sandbox.fails = "test -s /usr/share/zoneinfo/Europe/Berln";
  const auto result = run_step(*baseline_step_kind(), **step, sandbox);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::invalid_input);
  EXPECT_THAT(result.error().message, HasSubstr("'Europe/Berln'"));
}

TEST(Policy, EveryRuleSaysWhyAndWhence) {
  std::map<std::string, int> seen;
  for (const PolicyRule& rule : standard_policy()) {
    EXPECT_FALSE(rule.why.empty()) << rule.setting;
    EXPECT_FALSE(rule.source.empty()) << rule.setting;
    EXPECT_EQ(seen[std::string(rule.setting)]++, 0) << rule.setting;
    EXPECT_THAT(policy_markdown(standard_policy()), HasSubstr(std::string(rule.setting)));
  }
}

TEST(Agent, IsPartOfTheKey) {
  const auto step = make_agent_step("amd64");
  ASSERT_TRUE(step) << step.error().text();
  EXPECT_THAT(step->inputs.at("agent"), HasSubstr("sha256:"));
  EXPECT_EQ(step->inputs.size(), 5U);
  for (const char* file : {"goldmill-agent.service", "sshd.conf", "ssh-store.conf"}) {
    EXPECT_THAT(step->inputs.at(file), HasSubstr("sha256:")) << file;
  }
  EXPECT_FALSE(make_agent_step("sparc"));
}

TEST(Initramfs, FollowsKernelsHooksAndModules) {
  const auto files = initramfs_files(*baseline_files(make_recipe(), kBookworm));
  ASSERT_EQ(files.size(), 2U);
  EXPECT_THAT(files[1].content, HasSubstr("\nvirtio_blk\n"));
  EXPECT_THAT(files[1].content, Not(HasSubstr("nvme")));
  const InitramfsInput base{.packages = {{"linux-image-6.1", "1"}, {"bash", "1"}}, .files = files};
  const auto step = make_initramfs_step(base);
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->inputs.contains("package linux-image-6.1"));
  EXPECT_FALSE(step->inputs.contains("package bash"));
  EXPECT_FALSE(make_initramfs_step({.packages = {{"bash", "1"}}, .files = files}));

  InitramfsInput variant = base;
  variant.packages["bash"] = "2";
  EXPECT_FALSE(make_initramfs_step(variant, &base));
  variant.packages["linux-image-6.1"] = "2";
  EXPECT_TRUE(make_initramfs_step(variant, &base));
  FakeSandbox sandbox;
  ASSERT_TRUE(run_step(*initramfs_step_kind(), *step, sandbox));
  EXPECT_THAT(sandbox.commands, ElementsAre("update-initramfs -c -k all"));
  EXPECT_TRUE(sandbox.real_initramfs);
}

}  // namespace
}  // namespace goldmill::guest
