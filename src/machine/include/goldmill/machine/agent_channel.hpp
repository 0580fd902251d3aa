// SPDX-License-Identifier: GPL-3.0-or-later
// The host's side of the agent's protocol (docs/reference/agent-protocol.md): gives an instance
// its identity and hears when it is personalised and ready. Every byte from the guest is hostile.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

/// The name of the serial port at which a guest's agent listens.
inline constexpr std::string_view kAgentPort = "org.goldmill.agent.0";

inline constexpr std::size_t kMostSshKeys = 64;  ///< that an instance takes

struct AuthorizedKey {
  std::string user;
  std::string line;  ///< one line of authorized_keys(5)
};

struct Identity {
  std::string hostname;
  std::string instance_id;
  std::string seed;  ///< raw bytes, 16 to 512
  std::vector<AuthorizedKey> keys;
  std::string user_data;  ///< at most 256 KiB
};

/// What an interface gets where nobody has to be asked.
struct StaticNetwork {
  std::string address;  ///< with prefix length: 192.0.2.10/24
  std::string gateway;
  std::string dns;
};

/// The identity of a copy of a settled guest, which had another before.
struct Resumption {
  Identity identity;
  std::string mac;
  std::optional<StaticNetwork> network;  ///< none: by DHCP
  std::chrono::nanoseconds unix_time{0};
};

/// What the guest said of itself; every value has the form that the protocol gives it.
struct AgentReport {
  std::string agent_version;
  int protocol = 1;  ///< the highest that the agent speaks
  std::string hostname;
  std::string machine_id;  ///< 32 hexadecimal digits
  std::string boot_id;
  std::string ssh_host_key;  ///< "ssh-ed25519 AAAA...", or "": no SSH server
  bool personalised = false;
  bool ready = false;
  std::string address;                  ///< of its network interface, "192.0.2.10"; "": none yet
  std::chrono::milliseconds uptime{0};  ///< of the guest, when it got ready
  std::vector<std::string> warnings;    ///< safe to show
};

/// One line: verb and its values. Errors: corrupt, when it breaks the grammar.
struct AgentLine {
  std::string verb;
  std::map<std::string, std::string> values;
  std::string value(const std::string& key) const;
};
Result<AgentLine> parse_agent_line(std::string_view line);

/// The lines from begin to end that give this identity. Errors: invalid_input, when a value is
/// beyond the protocol's limits.
Result<std::string> identity_lines(const Identity& identity);
Result<std::string> resumption_lines(const Resumption& resumption);

class AgentChannel {
 public:
  /// Connect before the guest's kernel starts: a guest that finds its port closed goes on alone.
  static Result<AgentChannel> connect(const std::filesystem::path& socket);
  explicit AgentChannel(system::UniqueFd socket) : socket_(std::move(socket)) {}

  enum class Goal : std::uint8_t { hello, personalised, ready };
  struct Waiting {
    Goal goal = Goal::ready;
    std::chrono::milliseconds limit{0};
    /// Asked a few times a second: a reason to give up, or nullopt.
    std::function<std::optional<Error>()> give_up = {};
    std::function<void(const AgentReport&)> on_progress = {};
  };

  /// Sends the identity when the guest asks for one, and listens until the goal is reached.
  /// Errors: cancelled (time), corrupt (the guest broke the protocol), unavailable (port closed),
  /// or give_up's.
  Result<AgentReport> personalise(const Identity& identity, const Waiting& waiting);

  /// What a ready guest says of itself now. Errors: as personalise().
  Result<AgentReport> status(std::chrono::milliseconds limit);

  /// Makes a ready guest quiet, so that its state can be saved. Errors: as personalise();
  /// unavailable (its agent is too old).
  Result<void> settle(std::chrono::milliseconds limit);

  /// Gives a copy of a settled guest its identity. Errors: as personalise().
  Result<AgentReport> resume(const Resumption& resumption,
                             std::chrono::milliseconds limit,
                             const std::function<std::optional<Error>()>& give_up = {});

  /// Asks a personalised guest to shut down in order. Does not wait for the end.
  Result<void> power_off(std::chrono::milliseconds limit);

 private:
  /// How long one call may take, and what ends it earlier.
  struct Patience {
    std::chrono::steady_clock::time_point end;
    std::function<std::optional<Error>()> give_up;
  };

  /// Waits a moment for it; false when it has to be asked again.
  Result<bool> is_ready_for(short event, const Patience& patience) const;
  Result<AgentLine> next_line(const Patience& patience);
  Result<void> send(std::string_view text, const Patience& patience);
  Result<void> handle(const AgentLine& line);
  Result<void> take_personalised(const AgentLine& line);
  Result<void> demand(const std::string& verb, std::chrono::milliseconds limit);

  system::UniqueFd socket_;
  std::string pending_;
  AgentReport report_;
  bool greeted_ = false;
};

}  // namespace goldmill::machine
