// SPDX-License-Identifier: GPL-3.0-or-later
// The network worker of one boot: in namespaces of its own it makes the network, waits until the
// machine is up, and then checks it from outside and, by SSH, from inside.
//
// Its messages: 'n' + its network namespace (open the tap for me), 't' + the tap, 'r' (ready: start
// the machine). prove answers 'y' to 'n', and then sends the guest's facts as JSON up to the end of
// the stream.
#include <algorithm>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/machine/dhcp_server.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/ssh.hpp>
#include <goldmill/machine/tap.hpp>
#include <goldmill/prove/prove.hpp>
#include <goldmill/system/message.hpp>
#include <goldmill/system/worker.hpp>

#include "expectations.hpp"
#include "inside.hpp"
#include "network.hpp"
#include "port_scan.hpp"

namespace goldmill::prove {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
constexpr const char* kTap = "tap0";
constexpr std::uint16_t kSsh = 22;
constexpr const char* kDirectory = "/tmp/prove";
constexpr std::size_t kTalk = 0;
constexpr std::size_t kKey = 1;

Result<UniqueFd> make_tap(int talk) {
  auto tap = machine::open_tap(kTap, machine::Offload::yes);
  if (tap) {
    return std::move(tap->file);
  }
  if (tap.error().kind != ErrorKind::unavailable) {
    return std::move(tap).error();
  }
  // On machines where only root may open the device, root opens it for our namespace.
  const auto network = TRY(system::open_file("/proc/self/ns/net", O_RDONLY));
  TRY(system::send_message(talk, 'n', network.get()));
  const system::Message answer = TRY(system::receive_message(talk, std::chrono::seconds(10)));
  if (answer.kind != 'y') {
    return std::move(tap).error();
  }
  return UniqueFd();
}

Json rows_to_json(const std::vector<Row>& rows) {
  Json list = Json::array();
  for (const Row& row : rows) {
    list.push_back({{"promise", row.promise},
                    {"expected", row.expected},
                    {"found", row.found},
                    {"passed", row.passed}});
  }
  return list;
}

std::string ports_text(const std::set<std::uint16_t>& ports) {
  std::string text;
  for (const std::uint16_t port : ports) {
    if (text.size() > 200) {
      return text + ", ...";
    }
    text += (text.empty() ? "" : ", ") + std::to_string(port);
  }
  return text.empty() ? "none" : text;
}

/// Everything known about the machine under test.
struct Guest {
  std::string address;
  std::string host_key;
  std::string machine_id;
  std::string user;  ///< with sudo, for when root may not log in
};

/// Exactly the named ports answer; a UDP port that is named need not say anything to a stranger.
std::vector<Row> check_ports(const Guest& guest, const Expectations& expected) {
  Row tcp{"TCP ports open", ports_text(expected.tcp), "", false};
  Row udp{"other UDP ports", "silent", "", false};
  PortScan all;
  for (int round = 0; round < 3; ++round) {
    const auto scan = scan_ports(guest.address, kTap);
    if (!scan) {
      tcp.found = udp.found = scan.error().text();
      return {tcp, udp};
    }
    all.tcp.insert(scan->tcp.begin(), scan->tcp.end());
    all.udp.insert(scan->udp.begin(), scan->udp.end());
    if (scan->lost == 0) {
      break;
    }
  }
  for (const std::uint16_t port : expected.udp) {
    all.udp.erase(port);
  }
  tcp.found = ports_text(all.tcp);
  tcp.passed = all.tcp == expected.tcp;
  udp.found = all.udp.empty() ? "silent" : "answer: " + ports_text(all.udp);
  udp.passed = all.udp.empty();
  return {tcp, udp};
}

/// The authentication methods that sshd offers to anybody.
Row check_password_offer(const machine::SshTarget& target, const Expectations& expected) {
  Row row{"SSH offers no password", expected.ssh_passwords ? "password" : "publickey", "", false};
  std::vector<std::string> argv = machine::ssh_arguments(target);
  argv.insert(argv.begin() + 1,
              {"-oBatchMode=yes", "-oPreferredAuthentications=none", "-oConnectTimeout=60"});
  argv.insert(argv.end(), {"--", "true"});
  const auto output =
      system::process_runner().run(system::Command{.argv = argv, .limit = std::chrono::minutes(2)});
  const std::string said = output ? output->errors : output.error().text();
  const std::size_t open = said.rfind('(');
  const std::size_t close = said.rfind(')');
  if (open != std::string::npos && close != std::string::npos && open < close) {
    row.found = said.substr(open + 1, std::min<std::size_t>(close - open - 1, 100));
  } else {
    row.found = said.substr(0, 200);
  }
  const bool offers = row.found.find("password") != std::string::npos ||
                      row.found.find("keyboard-interactive") != std::string::npos;
  row.passed = row.found.find("publickey") != std::string::npos && offers == expected.ssh_passwords;
  return row;
}

struct Login {
  machine::Ssh ssh;
  std::string prefix;  ///< "" as root, or how to become root
};

Result<Login> log_in(machine::SshTarget target, const std::string& other_user) {
  auto ssh = machine::Ssh::connect(system::process_runner(), target, std::chrono::minutes(2));
  if (ssh) {
    return Login{std::move(ssh).value(), ""};
  }
  if (other_user.empty()) {
    return std::move(ssh).error();
  }
  target.user = other_user;
  return Login{
      TRY(machine::Ssh::connect(system::process_runner(), target, std::chrono::minutes(2))),
      "sudo -n "};
}

/// An image that lets no SSH in is checked from outside alone.
Row without_ssh(const Expectations& expected) {
  const bool asks = !expected.commands.empty() || !expected.services.empty();
  return {"checks from inside",
          asks ? "commands and services" : "none: no SSH comes in",
          asks ? "cannot be asked: the recipe lets no SSH in" : "none: no SSH comes in",
          !asks};
}

std::vector<Row> check_guest(const Guest& guest, const Expectations& expected) {
  std::vector<Row> rows = check_ports(guest, expected);
  for (const std::uint16_t port : expected.udp) {
    const bool answers = may_answer_udp(guest.address, port);
    rows.push_back({"UDP port " + std::to_string(port),
                    "not refused",
                    answers ? "not refused" : "refused",
                    answers});
  }
  if (!expected.tcp.contains(kSsh)) {
    rows.push_back(without_ssh(expected));
    return rows;
  }
  machine::SshTarget target;
  target.address = guest.address;
  target.private_key = fs::path(kDirectory) / "key";
  target.host_key = guest.host_key;
  target.directory = kDirectory;
  auto pinned = machine::pin_host_key(target);
  if (pinned) {
    rows.push_back(check_password_offer(target, expected));
  }
  const auto login = log_in(target, guest.user);
  rows.push_back({"SSH login with the injected key",
                  "as root",
                  login ? (login->prefix.empty() ? "as root" : "as " + guest.user + " with sudo")
                        : login.error().text(),
                  login.has_value()});
  if (!login) {
    return rows;
  }
  const Shell shell = [&login](const std::string& command) -> Result<system::Output> {
    // The PATH of a login as root, also for commands in /usr/sbin.
    return login->ssh.run(login->prefix +
                          "env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
                          "sh -c " +
                          system::shell_quoted(command));
  };
  const std::vector<Row> inside = check_inside(shell, expected, guest.machine_id);
  rows.insert(rows.end(), inside.begin(), inside.end());
  return rows;
}

Result<Json> run_network(system::WorkerContext& context) {
  TRY(system::mount_private_places());
  TRY(system::make_directories(kDirectory, 0700));
  const int talk = context.hand(kTalk);
  const UniqueFd tap = TRY(make_tap(talk));
  TRY(configure_network(kTap));
  const auto dhcp = TRY(machine::start_dhcp(
      {.device = kTap, .range = "198.18.0.10,198.18.0.50,255.255.255.0", .directory = kDirectory}));
  TRY(system::write_file(
      fs::path(kDirectory) / "key", TRY(system::read_all(context.hand(kKey), 64_KiB)), 0600));
  if (tap) {
    TRY(system::send_message(talk, 't', tap.get()));
  }
  TRY(system::send_message(talk, 'r'));

  // Until the machine is up, or its end closes the stream.
  const std::string facts_text = TRY(system::read_all(talk, 1_MiB));
  const std::string mac = TRY(string_at(context.request(), "mac"));
  Guest guest;
  const Json* const sent = find_value(context.request(), "expectations");
  const Expectations expected = expectations_of(sent == nullptr ? Json() : *sent);
  guest.address = machine::leased_address(kDirectory, mac);
  const int patience = expected.network ? 90 : 10;
  for (int second = 0; guest.address.empty() && !facts_text.empty() && second < patience;
       ++second) {
    std::this_thread::sleep_for(std::chrono::seconds(1));  // up, but not yet on the network
    guest.address = machine::leased_address(kDirectory, mac);
  }
  std::vector<Row> rows;
  rows.push_back({"address by DHCP",
                  expected.network ? "a lease" : "none",
                  guest.address.empty() ? "none" : guest.address,
                  guest.address.empty() != expected.network});
  if (!expected.network && !facts_text.empty()) {
    rows.push_back(without_ssh(expected));
  }
  if (expected.network && !facts_text.empty() && !guest.address.empty()) {
    const Json facts = TRY(parse_json(facts_text, "the facts of a guest"));
    guest.host_key = find_string(facts, "host_key").value_or("");
    guest.machine_id = find_string(facts, "machine_id").value_or("");
    guest.user = find_string(context.request(), "sudo_user").value_or("");
    const std::vector<Row> more = check_guest(guest, expected);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return Json{{"rows", rows_to_json(rows)}};
}
}  // namespace

system::WorkerEntry network_worker() {
  return {"prove_network", run_network};
}

}  // namespace goldmill::prove
