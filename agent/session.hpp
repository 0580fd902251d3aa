// SPDX-License-Identifier: GPL-3.0-or-later
// Session: the guest's side of docs/reference/agent-protocol.md as a state machine without I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity.hpp"

namespace goldmill::agent {

constexpr std::size_t kLongestLine = 65536;

/// One line taken apart: `verb key=value key=value`.
struct Message {
  std::string verb;
  std::map<std::string, std::string, std::less<>> values;

  std::string_view value(std::string_view key) const;
};
/// nullopt for what the grammar does not allow. `line` comes without its LF.
std::optional<Message> parse_line(std::string_view line);

enum class State : std::uint8_t { waiting, personalised, ready, settled };

/// What the guest says about itself.
struct About {
  std::string architecture;
  std::string boot_id;
  std::string hostname;
  std::string machine_id;
  std::string ssh_host_key;  ///< "ssh-ed25519 AAAA...", or ""
};

/// What the host asked for and the caller has to do.
struct Request {
  enum class Kind : std::uint8_t { identity, poweroff, set_time, settle };
  Kind kind = Kind::identity;
  Identity identity = {};
  std::uint64_t unix_ns = 0;
};

class Session {
 public:
  /// `address` is asked, whenever "ready" is said, by which the guest is reached now, or "".
  Session(About about, std::string (*address)()) : about_(std::move(about)), address_(address) {}

  /// A host has connected: says hello and everything that it has missed.
  void connected();
  /// The host has gone: half a line and half an identity go too.
  void disconnected();
  /// Takes bytes as they come; answers go to output().
  std::vector<Request> receive(std::string_view bytes, std::uint64_t uptime_ms);

  void personalised(About about, std::string source);
  void ready(std::uint64_t uptime_ms);
  /// The guest is quiet: its state may be saved, and each copy waits for an identity of its own.
  void settled();
  /// Gives up on an identity that has not come in time: what came so far is dropped.
  void abandon() { draft_.reset(); }
  void warn(std::string_view about, std::string_view message);

  State state() const { return state_; }
  bool has_begun() const { return draft_.has_value(); }
  /// Bytes to send; the caller removes what it has sent.
  std::string& output() { return output_; }

 private:
  void take_line(std::string_view line, std::vector<Request>& requests);
  void take_identity_line(const Message& message);
  void take_command(const Message& message, std::vector<Request>& requests);
  void take_begin(const Message& message);
  void take_resume_line(const Message& message);
  void take_ssh_key(const Message& message);
  void take_network(const Message& message);
  void take_user_data(const Message& message);
  void refuse(std::string_view verb, std::string_view code, std::string_view message);
  void send(std::string line);
  void send_personalised();
  void send_ready();
  std::string_view state_name() const;

  About about_;
  State state_ = State::waiting;
  std::string source_;
  std::optional<Identity> draft_;
  std::string input_;
  bool is_skipping_ = false;
  std::uint64_t uptime_ms_ = 0;
  std::uint64_t ready_ms_ = 0;
  std::string (*address_)();
  std::string output_;
};

}  // namespace goldmill::agent
