// SPDX-License-Identifier: GPL-3.0-or-later
#include "session.hpp"

#include <algorithm>
#include <utility>

#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr std::size_t kMostOutput = std::size_t{256} * 1024;
constexpr std::size_t kMostValues = 32;
constexpr std::size_t kMostListEntries = 8;

bool is_word(std::string_view text, std::string_view extra) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || extra.find(c) != std::string_view::npos;
  });
}

bool is_ping_id(std::string_view id) {
  return is_instance_id(id) && id.size() <= 32 && id.find_first_of("._:-") == std::string::npos;
}

/// Reads a comma list whose entries all pass `is_good`; false otherwise.
bool read_list(std::string_view text,
               bool (*is_good)(std::string_view),
               std::vector<std::string>& entries) {
  for (const std::string_view entry : split(text, ',')) {
    if (!is_good(entry) || entries.size() == kMostListEntries) {
      return false;
    }
    entries.emplace_back(entry);
  }
  return true;
}

}  // namespace

std::string_view Message::value(std::string_view key) const {
  const auto found = values.find(key);
  return found == values.end() ? std::string_view{} : std::string_view(found->second);
}

std::optional<Message> parse_line(std::string_view line) {
  const auto is_printable = [](char c) { return c >= 0x20 && c < 0x7F; };
  if (line.size() >= kLongestLine || !std::all_of(line.begin(), line.end(), is_printable)) {
    return std::nullopt;
  }
  const std::vector<std::string_view> parts = split(line, ' ');
  if (parts.empty() || !is_word(parts[0], "-") || parts.size() > kMostValues + 1) {
    return std::nullopt;
  }
  Message message{.verb = std::string(parts[0]), .values = {}};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::size_t equals = parts[i].find('=');
    const std::string_view key = parts[i].substr(0, equals);
    if (equals == std::string_view::npos || !is_word(key, "0123456789_") ||
        !message.values.emplace(key, parts[i].substr(equals + 1)).second) {
      return std::nullopt;
    }
  }
  return message;
}

std::string_view Session::state_name() const {
  constexpr std::string_view kNames[] = {"waiting", "personalised", "ready", "settled"};
  return kNames[static_cast<std::size_t>(state_)];
}

void Session::send(std::string line) {
  // A host that does not read must not fill the guest's memory: the line is dropped.
  if (output_.size() + line.size() < kMostOutput) {
    output_ += std::move(line) + "\n";
  }
}

void Session::connected() {
  send("hello protocol=2 agent=" GOLDMILL_AGENT_VERSION " architecture=" + about_.architecture +
       " state=" + std::string(state_name()) + " boot_id=" + about_.boot_id);
  if (state_ != State::waiting) {
    send_personalised();
  }
  if (state_ == State::ready || state_ == State::settled) {
    send_ready();
  }
}

void Session::disconnected() {
  input_.clear();
  output_.clear();
  is_skipping_ = false;
  draft_.reset();
}

void Session::send_personalised() {
  send("personalised source=" + source_ + " hostname=" + about_.hostname +
       " machine_id=" + about_.machine_id + " boot_id=" + about_.boot_id +
       " ssh_host_key_b64=" + base64_encode(about_.ssh_host_key));
}

void Session::send_ready() {
  send("ready boot_id=" + about_.boot_id + " uptime_ms=" + std::to_string(ready_ms_) +
       " address=" + address_());
}

void Session::personalised(About about, std::string source) {
  about_ = std::move(about);
  source_ = std::move(source);
  draft_.reset();
  state_ = State::personalised;
  send_personalised();
}

void Session::ready(std::uint64_t uptime_ms) {
  if (state_ == State::personalised) {
    ready_ms_ = uptime_ms;
    state_ = State::ready;
    send_ready();
  }
}

void Session::settled() {
  state_ = State::settled;
  send("ok for=settle");
}

void Session::warn(std::string_view about, std::string_view message) {
  send("warning about=" + std::string(about) +
       " message_b64=" + base64_encode(message.substr(0, 1024)));
}

void Session::refuse(std::string_view verb, std::string_view code, std::string_view message) {
  send("error for=" + std::string(verb) + " code=" + std::string(code) +
       " message_b64=" + base64_encode(message));
}

std::vector<Request> Session::receive(std::string_view bytes, std::uint64_t uptime_ms) {
  uptime_ms_ = uptime_ms;
  std::vector<Request> requests;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (!is_skipping_ && input_.size() + piece.size() >= kLongestLine) {
      refuse("line", "invalid", "the line is longer than 65536 bytes");
      is_skipping_ = true;
      input_.clear();
    }
    if (!is_skipping_) {
      input_ += piece;
    }
    if (end == std::string_view::npos) {
      break;
    }
    if (!std::exchange(is_skipping_, false)) {
      take_line(input_, requests);
    }
    input_.clear();
    bytes.remove_prefix(end + 1);
  }
  return requests;
}

void Session::take_line(std::string_view line, std::vector<Request>& requests) {
  const auto message = parse_line(line);
  if (!message) {
    refuse("line", "invalid", "not of the form: verb key=value ...");
    return;
  }
  const std::string& verb = message->verb;
  if (verb == "begin") {
    take_begin(*message);
  } else if (verb == "hostname" || verb == "instance" || verb == "seed" || verb == "ssh-key" ||
             verb == "network" || verb == "user-data" || verb == "link" || verb == "clock" ||
             verb == "end") {
    if (!draft_) {
      refuse(verb, "wrong_state", "there was no begin before it");
    } else if (verb == "end") {
      requests.push_back({.kind = Request::Kind::identity, .identity = std::move(*draft_)});
      draft_.reset();
    } else {
      take_identity_line(*message);
    }
  } else {
    take_command(*message, requests);
  }
}

void Session::take_command(const Message& message, std::vector<Request>& requests) {
  const std::string& verb = message.verb;
  if (verb == "ping") {
    const std::string id(message.value("id"));
    if (!is_ping_id(id)) {
      refuse(verb, "invalid", "id is 1-32 letters and digits");
      return;
    }
    send("pong id=" + id + " state=" + std::string(state_name()) +
         " uptime_ms=" + std::to_string(uptime_ms_));
  } else if (verb == "status") {
    connected();
  } else if (verb == "time") {
    const auto time = parse_number(message.value("unix_ns"));
    if (!time) {
      refuse(verb, "invalid", "unix_ns is decimal nanoseconds since 1970");
      return;
    }
    requests.push_back({.kind = Request::Kind::set_time, .unix_ns = *time});
    send("ok for=time");
  } else if (verb == "poweroff") {
    if (state_ == State::waiting) {
      refuse(verb, "wrong_state", "the system has not started yet");
      return;
    }
    requests.push_back({.kind = Request::Kind::poweroff});
    send("ok for=poweroff");
  } else if (verb == "settle") {
    if (state_ != State::ready) {
      refuse(verb, "wrong_state", "the system is not ready");
      return;
    }
    requests.push_back({.kind = Request::Kind::settle});
  } else {
    refuse(verb, "unknown_verb", "this agent speaks protocol 2");
  }
}

void Session::take_begin(const Message& message) {
  const bool resumes = message.value("protocol") == "2" && message.value("reason") == "resume";
  if (!resumes && (message.value("protocol") != "1" || message.values.contains("reason"))) {
    refuse("begin", "unsupported", "this agent speaks protocol 1, and 2 with reason=resume");
  } else if (state_ != (resumes ? State::settled : State::waiting) || draft_) {
    refuse("begin",
           "wrong_state",
           "the identity is given once: before the network starts, or to a settled guest");
  } else {
    draft_.emplace();
    draft_->source = "port";
    draft_->resumes = resumes;
  }
}

void Session::take_identity_line(const Message& message) {
  if (message.verb == "hostname") {
    if (!is_host_name(message.value("name"))) {
      refuse(message.verb, "invalid", "name is not a host name of at most 64 characters");
      return;
    }
    draft_->hostname = message.value("name");
  } else if (message.verb == "instance") {
    if (!is_instance_id(message.value("id"))) {
      refuse(message.verb, "invalid", "id is 1-128 of A-Z a-z 0-9 . _ : -");
      return;
    }
    draft_->instance_id = message.value("id");
  } else if (message.verb == "seed") {
    auto seed = base64_decode(message.value("bytes_b64"));
    if (!seed || seed->size() < 16 || seed->size() > 512) {
      refuse(message.verb, "invalid", "bytes_b64 is base64 of 16-512 bytes");
    } else if (draft_->seeds.size() == kMostSeeds) {
      refuse(message.verb, "too_much", "at most 8 seeds");
    } else {
      draft_->seeds.push_back(std::move(*seed));
    }
  } else if (message.verb == "ssh-key") {
    take_ssh_key(message);
  } else if (message.verb == "network") {
    take_network(message);
  } else if (message.verb == "link" || message.verb == "clock") {
    take_resume_line(message);
  } else {
    take_user_data(message);
  }
}

void Session::take_resume_line(const Message& message) {
  const auto time = parse_number(message.value("unix_ns"));
  if (!draft_->resumes) {
    refuse(message.verb, "wrong_state", "only after begin reason=resume");
  } else if (message.verb == "clock" && time) {
    draft_->unix_ns = *time;
  } else if (message.verb == "link" && is_mac(message.value("mac"))) {
    draft_->mac = message.value("mac");
  } else {
    refuse(message.verb, "invalid", "link needs mac=, clock needs unix_ns=");
  }
}

void Session::take_ssh_key(const Message& message) {
  auto line = base64_decode(message.value("line_b64"));
  if (!is_user_name(message.value("user")) || !line || !is_key_line(*line)) {
    refuse(message.verb, "invalid", "user is a user's name, line_b64 base64 of one key line");
  } else if (draft_->ssh_keys.size() == kMostKeys) {
    refuse(message.verb, "too_much", "at most 64 keys");
  } else {
    draft_->ssh_keys.push_back(
        {.user = std::string(message.value("user")), .line = std::move(*line)});
  }
}

void Session::take_network(const Message& message) {
  Network network;
  network.mac = message.value("mac");
  if (!is_mac(network.mac) ||
      !read_list(message.value("address"), is_address_with_prefix, network.addresses) ||
      !read_list(message.value("gateway"), is_address, network.gateways) ||
      !read_list(message.value("dns"), is_address, network.dns) ||
      !read_list(message.value("domains"), is_host_name, network.domains)) {
    refuse(message.verb, "invalid", "needs mac=; address=, gateway=, dns=, domains= are lists");
  } else if (draft_->networks.size() == kMostNetworks) {
    refuse(message.verb, "too_much", "at most 8 interfaces");
  } else {
    draft_->networks.push_back(std::move(network));
  }
}

void Session::take_user_data(const Message& message) {
  const auto part = base64_decode(message.value("part_b64"));
  if (!part) {
    refuse(message.verb, "invalid", "part_b64 is base64");
    return;
  }
  std::string& all = draft_->user_data ? *draft_->user_data : draft_->user_data.emplace();
  if (all.size() + part->size() > kMostUserData) {
    refuse(message.verb, "too_much", "user-data is at most 256 KiB");
    return;
  }
  all += *part;
}

}  // namespace goldmill::agent
