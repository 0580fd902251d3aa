// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

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
}  // namespace

std::string base64(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group =
          group << 8U | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (unsigned i = 0; i < 4; ++i) {
      const bool padding = i > 1 && at + i > bytes.size();
      text += padding ? '=' : kDigits[group >> (18U - 6U * i) & 63U];
    }
  }
  return text;
}

Result<std::string> decode_base64(std::string_view text) {
  const auto damaged = [] { return Error{ErrorKind::corrupt, "not base64"}; };
  if (text.size() % 4 != 0) {
    return damaged();
  }
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t group = 0;
    std::size_t padding = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const char c = text[at + i];
      const std::size_t digit = kDigits.find(c);
      const bool may_pad = at + 4 == text.size() && i >= 2;
      if (c == '=' && may_pad) {
        ++padding;
      } else if (digit == std::string_view::npos || padding > 0) {
        return damaged();
      }
      group = group << 6U | (c == '=' ? 0U : static_cast<std::uint32_t>(digit));
    }
    for (std::size_t i = 0; i < 3 - padding; ++i) {
      bytes += static_cast<char>(group >> (16U - 8U * static_cast<unsigned>(i)));
    }
  }
  return bytes;
}

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
  if (identity.keys.size() > 64) {
    return refuse("an instance takes at most 64 SSH keys");
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

Result<std::string> identity_lines(const Identity& identity) {
  TRY(check(identity));
  std::string lines = "begin protocol=1\nhostname name=" + identity.hostname + "\n";
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
  return lines + "end\n";
}

Result<AgentChannel> AgentChannel::connect(const std::filesystem::path& socket) {
  return AgentChannel(TRY(connect_unix(socket)));
}

Result<AgentLine> AgentChannel::next_line(Clock::time_point end,
                                          const std::function<std::optional<Error>()>& give_up) {
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
    if (give_up) {
      if (auto reason = give_up()) {
        return *std::move(reason);
      }
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) {
      return Error{
          ErrorKind::cancelled,
          greeted_ ? "the agent did not finish in time" : "the agent did not greet in time"};
    }
    pollfd wait{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 250)));
    if (ready <= 0) {
      continue;
    }
    const ssize_t count = ::read(socket_.get(), piece.data(), piece.size());
    if (count <= 0) {
      return Error{ErrorKind::unavailable, "the machine ended before its agent had finished"};
    }
    pending_.append(piece.data(), static_cast<std::size_t>(count));
  }
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
  report_.personalised = true;
  return {};
}

Result<void> AgentChannel::handle(const AgentLine& line, const std::string& identity) {
  if (line.verb == "hello") {
    greeted_ = true;
    report_.agent_version = line.value("agent").substr(0, 64);
    if (line.value("state") == "waiting") {
      return system::write_all(socket_.get(), identity);
    }
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
    report_.ready = true;
    return {};
  }
  if ((line.verb == "warning" || line.verb == "error") && report_.warnings.size() < kMostWarnings) {
    const auto message = decode_base64(line.value("message_b64"));
    const auto safe = safe_tail(message ? *message : "", 1);
    report_.warnings.push_back(line.value("about") + line.value("for") + ": " + line.value("code") +
                               (safe.empty() ? "" : " " + safe.front()));
  }
  return {};  // verbs of later versions are ignored
}

Result<AgentReport> AgentChannel::personalise(const Identity& identity, const Waiting& waiting) {
  const std::string lines = TRY(identity_lines(identity));
  const auto end = Clock::now() + waiting.limit;
  const auto reached = [this, &waiting] {
    return waiting.goal == Goal::ready          ? report_.ready && report_.personalised
           : waiting.goal == Goal::personalised ? report_.personalised
                                                : greeted_;
  };
  for (int count = 0; !reached(); ++count) {
    if (count > 1000) {
      return broken("it talks without end");
    }
    const AgentLine line = TRY(next_line(end, waiting.give_up));
    TRY(handle(line, lines));
    if (waiting.on_progress) {
      waiting.on_progress(report_);
    }
  }
  return report_;
}

Result<void> AgentChannel::power_off(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  TRY(system::write_all(socket_.get(), "poweroff\n"));
  for (int count = 0; count < 100; ++count) {
    const AgentLine line = TRY(next_line(end, {}));
    if (line.verb == "ok" && line.value("for") == "poweroff") {
      return {};
    }
    if (line.verb == "error" && line.value("for") == "poweroff") {
      return Error{ErrorKind::tool_failed, "the agent refused to power off"};
    }
  }
  return broken("it talks without end");
}

}  // namespace goldmill::machine
