// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/launch/hosts.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

Json to_json(const launch::HostStatus& status) {
  const auto& capacity = status.capacity;
  return {{"name", status.host.name},
          {"uri", status.host.uri},
          {"pool", status.host.pool},
          {"accelerator", status.host.accelerator.empty() ? Json() : Json(status.host.accelerator)},
          {"memory_bytes", capacity ? Json(capacity->memory.value) : Json()},
          {"cpus", capacity ? Json(capacity->cpus) : Json()},
          {"error", status.error.empty() ? Json() : Json(status.error)}};
}

void show(const std::vector<launch::HostStatus>& hosts, Terminal& terminal) {
  if (terminal.json()) {
    Json rows = Json::array();
    for (const launch::HostStatus& status : hosts) {
      rows.push_back(to_json(status));
    }
    terminal.print_json({{"hosts", std::move(rows)}});
    return;
  }
  Table table{{{"host"},
               {"libvirt"},
               {"memory left", Table::Align::right},
               {"processors", Table::Align::right}},
              {}};
  for (const launch::HostStatus& status : hosts) {
    const auto& capacity = status.capacity;
    table.rows.push_back({status.host.name,
                          status.host.uri,
                          capacity ? to_text(capacity->memory) : "",
                          capacity ? std::to_string(capacity->cpus) : ""});
  }
  terminal.print_table(table);
  for (const launch::HostStatus& status : hosts) {
    if (!status.error.empty()) {
      terminal.warn(status.error);
    }
  }
}

Error wrong_use(const std::string& message) {
  return Error{ErrorKind::invalid_input,
               message,
               "goldmill hosts, goldmill hosts add URI, goldmill hosts remove NAME"};
}

Result<void> carry_out(const Parsed& parsed, const std::filesystem::path& home) {
  const std::string what = parsed.argument(0);
  if (what.empty()) {
    return {};
  }
  if (parsed.arguments().size() != 2) {
    return wrong_use("'hosts " + what + "' needs " + (what == "add" ? "a URI" : "a name"));
  }
  if (what == "remove") {
    return launch::remove_host(home, parsed.argument(1), parsed.has("forget"));
  }
  launch::Host host{parsed.value("name").value_or(""),
                    parsed.argument(1),
                    parsed.value("pool").value_or("goldmill"),
                    parsed.value("accelerator").value_or("")};
  TRY(launch::add_host(home, std::move(host)));
  return {};
}

int run_hosts(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    TRY(carry_out(parsed, session.home.root()));
    show(TRY(launch::list_hosts(session.home.root())), terminal);
    return 0;
  });
}

}  // namespace

Command hosts_command() {
  return {
      .name = "hosts",
      .summary = "name the machines whose libvirt runs instances",
      .description =
          {"`hosts add` takes a libvirt host by its URI, when it answers; `hosts remove` lets it "
           "go. Alone it shows each with what it can give now. `goldmill launch --engine libvirt` "
           "spreads a fleet over them by free memory and processors.",
           "A host needs libvirt and QEMU, and nothing of goldmill: agents are met through "
           "libvirt's own connection. Images go into its storage pool, each file once: of a "
           "variant only what its parent lacks."},
      .arguments = {{"WHAT", "add or remove", Argument::Count::optional, {}, {"add", "remove"}},
                    {"HOST", "a URI to add, a name to remove", Argument::Count::optional}},
      .options = {{.name = "name",
                   .value = "NAME",
                   .doc = "What an added host is called.",
                   .standard = "after its URI"},
                  {.name = "pool",
                   .value = "NAME",
                   .doc = "Its storage pool, of directories; made when it is not there.",
                   .standard = "goldmill"},
                  {.name = "accelerator",
                   .value = "KIND",
                   .doc = "What runs its guests, where libvirt's own answer is not right.",
                   .choices = {"kvm", "tcg"}},
                  {.name = "forget",
                   .doc = "Removes a host that is gone for good, with what is known of its "
                          "instances."}},
      .examples = {{"goldmill hosts add qemu+ssh://root@host1/system", ""},
                   {"goldmill hosts add qemu:///system", "this machine's"},
                   {"goldmill hosts", "what each can give"}},
      .see_also = {"launch", "ps"},
      .run = run_hosts};
}

}  // namespace goldmill::cli
