// SPDX-License-Identifier: GPL-3.0-or-later
#include <charconv>

#include <goldmill/launch/launch.hpp>

#include "commands.hpp"
#include "relay.hpp"

namespace goldmill::cli {

namespace {

Result<std::uint16_t> port_of(const std::string& text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc() || end != text.data() + text.size() || port == 0) {
    return Error{ErrorKind::invalid_input, "'" + text + "' is no TCP port", "1 to 65535 are"};
  }
  return port;
}

int run_connect(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const std::uint16_t port = TRY(port_of(parsed.argument(1)));
    const auto connection = TRY(launch::connect(session.home.root(), parsed.argument(0), port));
    terminal.progress().finish();
    relay(connection.get());
    return 0;
  });
}

}  // namespace

Command connect_command() {
  return {
      .name = "connect",
      .summary = "a TCP connection to an instance, as standard input and output",
      .description = {"Joins standard input and output to a port of a running instance, also of "
                      "one on a network of its own (`launch --network netns`), where nothing "
                      "else of this machine reaches it: as ssh's ProxyCommand, or below socat."},
      .arguments =
          {{"INSTANCE", "its name, see `goldmill ps`", Argument::Count::one, Completes::instances},
           {"PORT", "a TCP port"}},
      .examples = {{"goldmill connect db-001 22", "what its SSH server says"},
                   {"socat TCP-LISTEN:8080,bind=127.0.0.1,fork EXEC:'goldmill connect web-001 80'",
                    "its web server on this machine's loopback"}},
      .see_also = {"ssh", "launch"},
      .run = run_connect};
}

}  // namespace goldmill::cli
