// SPDX-License-Identifier: GPL-3.0-or-later
#include <thread>
#include <utility>

#include <goldmill/machine/ssh.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;

Result<KeyPair> own_key(const fs::path& home) {
  const fs::path directory = home / "ssh";
  TRY(system::make_directories(directory, 0700));
  const auto lock =
      TRY(system::FileLock::acquire(directory / "lock", system::FileLock::Mode::exclusive));
  const fs::path key = directory / "id_ed25519";
  std::error_code ignored;
  if (!fs::exists(key, ignored)) {
    // Made under another name: a key cut off by a crash must not be taken for one.
    const fs::path fresh = directory / "new";
    fs::remove(fresh, ignored);
    fs::remove(directory / "new.pub", ignored);
    TRY(system::run_checked(system::process_runner(),
                            system::Command{.argv = {"ssh-keygen",
                                                     "-q",
                                                     "-t",
                                                     "ed25519",
                                                     "-N",
                                                     "",
                                                     "-C",
                                                     "goldmill",
                                                     "-f",
                                                     fresh.string()}})
            .context("while making goldmill's SSH key"));
    fs::rename(directory / "new.pub", directory / "id_ed25519.pub", ignored);
    TRY(system::rename_into_place(fresh, key));
  }
  std::string line = TRY(system::read_file(directory / "id_ed25519.pub", 64_KiB));
  line.erase(line.find_last_not_of('\n') + 1);
  return KeyPair{key, line};
}

Result<void> pin_host_key(const SshTarget& target) {
  return system::write_file(
      target.directory / "known_hosts", "instance " + target.host_key + "\n", 0600);
}

std::vector<std::string> ssh_arguments(const SshTarget& target) {
  const auto option = [](const std::string& text) { return "-o" + text; };
  std::vector<std::string> argv = {
      "ssh",
      "-F",
      "/dev/null",
      "-i",
      target.private_key.string(),
      "-p",
      std::to_string(target.port),
      option("IdentitiesOnly=yes"),
      option("HostKeyAlias=instance"),
      option("UserKnownHostsFile=\"" + (target.directory / "known_hosts").string() + "\""),
      option("GlobalKnownHostsFile=/dev/null"),
      option("StrictHostKeyChecking=yes"),
      option("HostKeyAlgorithms=ssh-ed25519"),
      option("UpdateHostKeys=no"),
      option("CheckHostIP=no"),
      option("LogLevel=ERROR")};
  if (!target.proxy.empty()) {
    argv.push_back(option("ProxyCommand=" + target.proxy));
  }
  argv.push_back(target.user + "@" + target.address);
  return argv;
}

namespace {
std::vector<std::string> with_options(const SshTarget& target,
                                      const std::vector<std::string>& extra) {
  std::vector<std::string> argv = ssh_arguments(target);
  argv.insert(argv.begin() + 1, extra.begin(), extra.end());
  return argv;
}

std::string control_path(const SshTarget& target) {
  return "-oControlPath=\"" + (target.directory / "ssh.sock").string() + "\"";
}
}  // namespace

Result<Ssh> Ssh::connect(system::ProcessRunner& runner,
                         SshTarget target,
                         std::chrono::milliseconds limit) {
  TRY(pin_host_key(target));
  const auto end = std::chrono::steady_clock::now() + limit;
  std::string said;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return Error{ErrorKind::unavailable, "no SSH connection to " + target.address + ": " + said};
    }
    const system::Command command{.argv = with_options(target,
                                                       {"-f",
                                                        "-N",
                                                        "-oControlMaster=yes",
                                                        "-oBatchMode=yes",
                                                        "-oConnectTimeout=30",
                                                        control_path(target)}),
                                  .limit = left};
    const auto output = runner.run(command);
    if (output && output->status == 0) {
      return Ssh(runner, std::move(target));
    }
    said = output ? output->errors.substr(0, 500) : output.error().message;
    if (said.find("Host key verification failed") != std::string::npos) {
      return Error{ErrorKind::corrupt,
                   target.address + " answers with another host key than its agent reported"};
    }
    if (!output && output.error().kind == ErrorKind::not_found) {
      return Error(output.error());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

Ssh::Ssh(Ssh&& other) noexcept
    : runner_(std::exchange(other.runner_, nullptr)), target_(std::move(other.target_)) {}

Ssh::~Ssh() {
  if (runner_ != nullptr) {
    (void)runner_->run(
        system::Command{.argv = with_options(target_, {"-Oexit", control_path(target_)}),
                        .limit = std::chrono::seconds(10)});
  }
}

Result<system::Output> Ssh::run(const std::string& command, std::chrono::milliseconds limit) const {
  std::vector<std::string> argv =
      with_options(target_, {"-oControlMaster=no", "-oBatchMode=yes", control_path(target_)});
  argv.emplace_back("--");
  argv.push_back(command);
  return runner_->run(system::Command{.argv = std::move(argv), .limit = limit});
}

}  // namespace goldmill::machine
