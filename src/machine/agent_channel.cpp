// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <goldmill/base/base64.hpp>
#include <goldmill/machine/agent_channel.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/machine/qmp.hpp>

namespace goldmill::machine {

namespace {
using Clock = std::chrono::steady_clock;

// The limits of the protocol, version 1.
constexpr std::size_t kLongestLine = 65536;
constexpr std::size_t kMostKeys = 32;
constexpr std::size_t kLongestName = 32;
constexpr std::size_t kMostUserData = 256U << 10U;
constexpr std::size_t kUserDataPart = 32U << 10U;
constexpr std::size_t kMostWarnings = 20;

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

template <typename Test>
bool consists_of(std::string_view text, Test test) {
  return std::all_of(text.begin(), text.end(), test);
}

bool is_verb(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName &&
         consists_of(text, [](char c) { return is_lower(c) || c == '-'; });
}

bool is_key(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName &&
         consists_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '_'; });
}

bool is_hostname(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.front() != '.' && text.back() != '.' &&
         text.find("..") == std::string_view::npos && consists_of(text, [](char c) {
           return is_letter(c) || is_digit(c) || c == '-' || c == '.';
         });
}

bool is_machine_id(std::string_view text) {
  return text.empty() || (text.size() == 32 && consists_of(text, is_hex));
}

bool is_boot_id(std::string_view text) {
  return text.size() == 36 && consists_of(text, [](char c) { return is_hex(c) || c == '-'; });
}

/// "TYPE BASE64" with nothing else, so that it can stand in a known_hosts file.
bool is_host_key(std::string_view text) {
  constexpr std::string_view kType = "ssh-ed25519 ";
  return text.empty() || (text.starts_with(kType) && text.size() > kType.size() &&
                          text.size() < 1024 && consists_of(text.substr(kType.size()), [](char c) {
                            return kDigits.find(c) != std::string_view::npos || c == '=';
                          }));
}

Error broken(std::string what) {
  return Error{ErrorKind::corrupt,
               "the instance's agent broke the protocol: " + std::move(what),
               "the image's agent is damaged or another program holds its port"};
}

Error gone() {
  return {ErrorKind::unavailable, "the machine ended before its agent had finished"};
}

/// One at which a guest can be reached: neither the host itself nor many at once.
bool is_address(const std::string& text) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, text.c_str(), &parsed) != 1) {
    return false;
  }
  const std::uint32_t first = ntohl(parsed.s_addr) >> 24U;
  return first != 0 && first != 127 && first < 224;
}
}  // namespace

std::string AgentLine::value(const std::string& key) const {
  const auto found = values.find(key);
  return found == values.end() ? "" : found->second;
}

Result<AgentLine> parse_agent_line(std::string_view line) {
  if (line.size() >= kLongestLine) {
    return broken("a line is too long");
  }
  AgentLine parsed;
  const std::size_t verb_end = std::min(line.find(' '), line.size());
  parsed.verb = line.substr(0, verb_end);
  if (!is_verb(parsed.verb)) {
    return broken("a line has no verb");
  }
  line.remove_prefix(verb_end);
  while (!line.empty()) {
    line.remove_prefix(1);  // the space
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view pair = line.substr(0, end);
    line.remove_prefix(end);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !is_key(pair.substr(0, equals)) ||
        !consists_of(pair.substr(equals + 1), [](char c) { return c > 0x20 && c < 0x7f; })) {
      return broken("a value of " + parsed.verb + " is malformed");
    }
    const bool fresh =
        parsed.values.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second;
    if (!fresh || parsed.values.size() > kMostKeys) {
      return broken(parsed.verb + " has a key twice or too many");
    }
  }
  return parsed;
}

namespace {
Result<void> check(const Identity& identity) {
  const auto refuse = [](std::string what) {
    return Error{ErrorKind::invalid_input, std::move(what)};
  };
  if (!is_hostname(identity.hostname)) {
    return refuse("'" + identity.hostname + "' is no host name");
  }
  if (identity.seed.size() < 16 || identity.seed.size() > 512) {
    return refuse("a seed has 16 to 512 bytes");
  }
  if (identity.keys.size() > kMostSshKeys) {
    return refuse("an instance takes at most " + std::to_string(kMostSshKeys) + " SSH keys");
  }
  for (const AuthorizedKey& key : identity.keys) {
    const bool clean = consists_of(
        key.line, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
    const bool named = !key.user.empty() && key.user.size() <= 32 &&
                       (is_lower(key.user[0]) || key.user[0] == '_') &&
                       consists_of(key.user, [](char c) {
                         return is_lower(c) || is_digit(c) || c == '_' || c == '-';
                       });
    if (!clean || !named || key.line.empty() || key.line.size() > (16U << 10U)) {
      return refuse("an SSH key of user '" + key.user + "' is malformed");
    }
  }
  if (identity.user_data.size() > kMostUserData) {
    return refuse("user data is longer than 256 KiB");
  }
  return {};
}
}  // namespace

namespace {
/// What stands between begin and end.
Result<std::string> lines_between(const Identity& identity) {
  TRY(check(identity));
  std::string lines = "hostname name=" + identity.hostname + "\n";
  if (!identity.instance_id.empty()) {
    lines += "instance id=" + identity.instance_id + "\n";
  }
  lines += "seed bytes_b64=" + base64(identity.seed) + "\n";
  for (const AuthorizedKey& key : identity.keys) {
    lines += "ssh-key user=" + key.user + " line_b64=" + base64(key.line) + "\n";
  }
  for (std::size_t at = 0; at < identity.user_data.size(); at += kUserDataPart) {
    lines += "user-data part_b64=" +
             base64(std::string_view(identity.user_data).substr(at, kUserDataPart)) + "\n";
  }
  return lines;
}
}  // namespace

Result<std::string> identity_lines(const Identity& identity) {
  return "begin protocol=1\n" + TRY(lines_between(identity)) + "end\n";
}

Result<std::string> resumption_lines(const Resumption& resumption) {
  std::string network;
  if (const auto& given = resumption.network) {
    network = "network mac=" + resumption.mac + " address=" + given->address +
              " gateway=" + given->gateway + " dns=" + given->dns + "\n";
  }
  return "begin protocol=2 reason=resume\nclock unix_ns=" +
         std::to_string(resumption.unix_time.count()) + "\nlink mac=" + resumption.mac + "\n" +
         network + TRY(lines_between(resumption.identity)) + "end\n";
}

Result<AgentChannel> AgentChannel::connect(const std::filesystem::path& socket) {
  return AgentChannel(TRY(connect_unix(socket)));
}

Result<bool> AgentChannel::is_ready_for(short event, const Patience& patience) const {
  if (patience.give_up) {
    if (auto reason = patience.give_up()) {
      return *std::move(reason);
    }
  }
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(patience.end - Clock::now());
  if (left.count() <= 0) {
    return Error{ErrorKind::cancelled,
                 greeted_ ? "the agent did not finish in time" : "the agent did not greet in time"};
  }
  pollfd wait{socket_.get(), event, 0};
  return ::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 250))) > 0;
}

Result<AgentLine> AgentChannel::next_line(const Patience& patience) {
  std::array<char, 4096> piece{};
  while (true) {
    const std::size_t line_end = pending_.find('\n');
    if (line_end != std::string::npos) {
      auto line = parse_agent_line(std::string_view(pending_).substr(0, line_end));
      pending_.erase(0, line_end + 1);
      return line;
    }
    if (pending_.size() >= kLongestLine) {
      return broken("a line does not end");
    }
    if (!TRY(is_ready_for(POLLIN, patience))) {
      continue;
    }
    const ssize_t count = ::read(socket_.get(), piece.data(), piece.size());
    if (count <= 0) {
      return gone();
    }
    pending_.append(piece.data(), static_cast<std::size_t>(count));
  }
}

/// A guest that does not read holds nobody up: what does not fit into the socket waits for it only
/// as long as for an answer.
Result<void> AgentChannel::send(std::string_view text, const Patience& patience) {
  while (!text.empty()) {
    if (!TRY(is_ready_for(POLLOUT, patience))) {
      continue;
    }
    const ssize_t count =
        ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      return gone();
    }
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  return {};
}

Result<void> AgentChannel::take_personalised(const AgentLine& line) {
  report_.hostname = line.value("hostname");
  report_.machine_id = line.value("machine_id");
  report_.boot_id = line.value("boot_id");
  report_.ssh_host_key = TRY(decode_base64(line.value("ssh_host_key_b64")));
  if (!is_hostname(report_.hostname) || !is_machine_id(report_.machine_id) ||
      !is_boot_id(report_.boot_id) || !is_host_key(report_.ssh_host_key)) {
    report_ = {};
    return broken("a value of personalised is not of its form");
  }
  if (line.value("source") != "port") {
    report_ = {};
    return Error{ErrorKind::conflict,
                 "the guest started without the identity that it was to get",
                 "goldmill was away for too long, or the machine is overloaded: stop it and start "
                 "it again"};
  }
  report_.personalised = true;
  return {};
}

Result<void> AgentChannel::handle(const AgentLine& line) {
  if (line.verb == "hello") {
    greeted_ = true;
    report_.agent_version = line.value("agent").substr(0, 64);
    report_.protocol = line.value("protocol") == "2" ? 2 : 1;
    return {};
  }
  if (line.verb == "personalised") {
    return take_personalised(line);
  }
  if (line.verb == "ready") {
    const std::string text = line.value("uptime_ms").substr(0, 15);
    std::int64_t uptime = 0;
    std::from_chars(text.data(), text.data() + text.size(), uptime);
    report_.uptime = std::chrono::milliseconds(std::max<std::int64_t>(uptime, 0));
    report_.address = line.value("address");
    if (!report_.address.empty() && !is_address(report_.address)) {
      report_ = {};
      return broken("a value of ready is not of its form");
    }
    report_.ready = true;
    return {};
  }
  if ((line.verb == "warning" || line.verb == "error") && report_.warnings.size() < kMostWarnings) {
    const auto message = decode_base64(line.value("message_b64"));
    const auto safe = safe_tail(message ? *message : "", 1);
    const auto word = [&line](const char* key) { return line.value(key).substr(0, kLongestName); };
    report_.warnings.push_back(word("about") + word("for") + ": " + word("code") +
                               (safe.empty() ? "" : " " + safe.front()));
  }
  return {};  // verbs of later versions are ignored
}

Result<AgentReport> AgentChannel::personalise(const Identity& identity, const Waiting& waiting) {
  const std::string lines = TRY(identity_lines(identity));
  const Patience patience{Clock::now() + waiting.limit, waiting.give_up};
  const auto reached = [this, &waiting] {
    return waiting.goal == Goal::ready          ? report_.ready && report_.personalised
           : waiting.goal == Goal::personalised ? report_.personalised
                                                : greeted_;
  };
  for (int count = 0; !reached(); ++count) {
    if (count > 1000) {
      return broken("it talks without end");
    }
    const AgentLine line = TRY(next_line(patience));
    TRY(handle(line));
    if (line.verb == "hello" && line.value("state") == "waiting") {
      TRY(send(lines, patience));
    }
    if (waiting.on_progress) {
      waiting.on_progress(report_);
    }
  }
  return report_;
}

Result<void> AgentChannel::demand(const std::string& verb, std::chrono::milliseconds limit) {
  const Patience patience{Clock::now() + limit, {}};
  TRY(send(verb + "\n", patience));
  for (int count = 0; count < 100; ++count) {
    const AgentLine line = TRY(next_line(patience));
    if (line.verb == "ok" && line.value("for") == verb) {
      return {};
    }
    if (line.verb == "error" && line.value("for") == verb) {
      return Error{ErrorKind::tool_failed, "the agent refused to " + verb};
    }
  }
  return broken("it talks without end");
}

Result<void> AgentChannel::power_off(std::chrono::milliseconds limit) {
  return demand("poweroff", limit);
}

Result<AgentReport> AgentChannel::status(std::chrono::milliseconds limit) {
  const Patience patience{Clock::now() + limit, {}};
  TRY(send("status\n", patience));
  report_.ready = false;
  for (int count = 0; !report_.ready || !report_.personalised; ++count) {
    if (count > 100) {
      return broken("it talks without end");
    }
    TRY(handle(TRY(next_line(patience))));
  }
  return report_;
}

Result<void> AgentChannel::settle(std::chrono::milliseconds limit) {
  if (report_.protocol < 2) {
    return Error{ErrorKind::unavailable,
                 "the image's agent cannot be saved in a warm state",
                 "build the image again with this goldmill"};
  }
  return demand("settle", limit);
}

Result<AgentReport> AgentChannel::resume(const Resumption& resumption,
                                         std::chrono::milliseconds limit,
                                         const std::function<std::optional<Error>()>& give_up) {
  const Patience patience{Clock::now() + limit, give_up};
  // At once, without its hello: of a settled guest it is known what it waits for.
  TRY(send(TRY(resumption_lines(resumption)), patience));
  bool renewed = false;
  for (int count = 0; !renewed || !report_.ready; ++count) {
    const AgentLine line = TRY(next_line(patience));
    if (count > 100 || (line.verb == "error" && line.value("for") == "begin")) {
      return broken("it does not take an identity");
    }
    // What it had before it was saved comes first, when it says hello.
    renewed = renewed || (line.verb == "personalised" &&
                          line.value("hostname") == resumption.identity.hostname);
    report_.ready = report_.ready && renewed;
    TRY(handle(line));
  }
  return report_;
}

}  // namespace goldmill::machine
