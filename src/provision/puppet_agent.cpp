// SPDX-License-Identifier: GPL-3.0-or-later
#include "puppet_agent.hpp"

#include <goldmill/system/file.hpp>

#include "file_tree.hpp"
#include "file_writer.hpp"

namespace goldmill::provision {

namespace {

constexpr const char* kProgram = "/usr/lib/goldmill/puppet-identity";

constexpr std::string_view kDropIn =
    "# The agent's certificate bears the name of this instance.\n"
    "[Service]\n"
    "ExecStartPre=/usr/lib/goldmill/puppet-identity\n";

struct NewFile {
  std::string target;
  int mode;
  std::string_view content;
};

Result<void> write_file(const NewFile& file, plan::StepContext& context) {
  const system::UniqueFd content = TRY(system::memory_file(file.content, 0600));
  Json request = {{"target", file.target}, {"mode", file.mode}, {"owner", "0"}, {"group", "0"}};
  request["entries"] = FileTree::of_content(file.content).to_json();
  TRY(context.sandbox.call(
      kFileWriter,
      {{"epoch", context.sandbox.epoch()}, {"files", Json::array({std::move(request)})}},
      {content.get()},
      {}));
  return {};
}

}  // namespace

std::string agent_identity_script(const std::string& server, const std::string& image_name) {
  // Without Ruby: a slow machine would take minutes for what `puppet config set` does.
  std::string script =
      "#!/bin/sh\n"
      "# Once, at the first start: later changes of the host's name leave the certificate alone.\n"
      "set -eu\n"
      "conf=/etc/puppet/puppet.conf\n"
      "grep -q '^certname' $conf && exit 0\n"
      "name=$(uname -n | tr A-Z a-z)\n"
      "# Not given a name of its own: all such instances have the image's.\n"
      "case $name in '" +
      image_name +
      "'|localhost) name=$name-$(cut -c 1-12 /etc/machine-id) ;; esac\n"
      "grep -q '^\\[main\\]' $conf || printf '\\n[main]\\n' >> $conf\n"
      "sed -i \"/^\\[main\\]/a certname = $name\" $conf\n";
  if (!server.empty()) {
    script += "grep -q '^server' $conf || sed -i '/^\\[main\\]/a server = " + server + "' $conf\n";
  }
  return script;
}

Result<void> keep_puppet_agent(const std::string& server, plan::StepContext& context) {
  const auto host = context.sandbox.read("/etc/hostname");
  const std::string image_name = host ? host->substr(0, host->find_first_of("\n'")) : "localhost";
  const std::string script = agent_identity_script(server, image_name);
  TRY(write_file({kProgram, 0755, script}, context));
  TRY(write_file({"/etc/systemd/system/puppet.service.d/goldmill.conf", 0644, kDropIn}, context));
  return context.sandbox.run({.argv = {"systemctl", "enable", "puppet.service"}})
      .context("while enabling Puppet's agent");
}

}  // namespace goldmill::provision
