// SPDX-License-Identifier: GPL-3.0-or-later
#include <sstream>

#include <arpa/inet.h>
#include <fcntl.h>

#include <goldmill/machine/dhcp_server.hpp>

namespace goldmill::machine {

namespace fs = std::filesystem;

Result<system::Child> start_dhcp(const DhcpServer& server) {
  const auto log =
      TRY(system::open_file(server.directory / "dnsmasq.log", O_WRONLY | O_CREAT, 0600));
  system::Command command{.argv = {"dnsmasq",
                                   "--no-daemon",
                                   "--conf-file=/dev/null",
                                   "--user=root",
                                   "--group=root",
                                   "--pid-file=",
                                   "--no-ping",
                                   "--bind-interfaces",
                                   "--interface=" + server.device,
                                   "--dhcp-authoritative",
                                   "--dhcp-lease-max=65536",
                                   "--dhcp-range=" + server.range + ",1h",
                                   "--dhcp-leasefile=" + (server.directory / "leases").string()}};
  if (!server.domain.empty()) {
    const char* const no_way_out = "--dhcp-option=option:router";
    command.argv.insert(command.argv.end(),
                        {"--no-resolv",
                         "--no-hosts",
                         "--domain=" + server.domain,
                         "--local=/" + server.domain + "/",
                         no_way_out});
  } else {
    command.argv.emplace_back("--port=0");
  }
  return system::Child::start(command, log.get());
}

std::string leased_address(const fs::path& directory, const std::string& mac) {
  const auto content = system::read_file(directory / "leases", 1_MiB);
  std::istringstream lines(content ? *content : "");
  std::string found;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string expiry;
    std::string hardware;
    std::string address;
    fields >> expiry >> hardware >> address;
    in_addr parsed{};
    if (hardware == mac && ::inet_pton(AF_INET, address.c_str(), &parsed) == 1) {
      found = address;
    }
  }
  return found;
}

}  // namespace goldmill::machine
