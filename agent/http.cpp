// SPDX-License-Identifier: GPL-3.0-or-later
#include "http.hpp"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/socket.h>

#include "files.hpp"
#include "port.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr std::size_t kMostHead = std::size_t{16} * 1024;  // all lines that are not body

bool is_same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char left, char right) {
    return lower(left) == lower(right);
  });
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.empty() || text.size() > 8) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  for (const char c : text) {
    const std::size_t digit = std::string_view("0123456789abcdef0123456789ABCDEF").find(c);
    if (digit == std::string_view::npos) {
      return std::nullopt;
    }
    number = number * 16 + digit % 16;
  }
  return number;
}

/// Waits until the socket can be read or written; false when the deadline came first.
bool wait_for(int file, short events, std::uint64_t deadline_ms) {
  pollfd request{.fd = file, .events = events, .revents = 0};
  for (std::uint64_t now = uptime_ms(); now < deadline_ms; now = uptime_ms()) {
    if (poll(&request, 1, static_cast<int>(std::min<std::uint64_t>(deadline_ms - now, 1000))) > 0) {
      return true;
    }
  }
  return false;
}

Error too_late(const char* what) {
  return Error{.kind = ErrorKind::cancelled,
               .message = std::string("no time was left while ") + what};
}

Result<Descriptor> connect_to(const Endpoint& endpoint, std::uint64_t deadline_ms) {
  Descriptor file(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const std::string& device = endpoint.device;
  if (!file || (!device.empty() && setsockopt(file.get(),
                                              SOL_SOCKET,
                                              SO_BINDTODEVICE,
                                              device.data(),
                                              static_cast<socklen_t>(device.size())) != 0)) {
    return system_error("making a socket", errno);
  }
  if (connect(file.get(),
              reinterpret_cast<const sockaddr*>(&endpoint.address),
              sizeof(endpoint.address)) == 0) {
    return file;
  }
  if (errno != EINPROGRESS) {
    return system_error("connecting", errno);
  }
  if (!wait_for(file.get(), POLLOUT, deadline_ms)) {
    return too_late("connecting");
  }
  int failure = 0;
  socklen_t size = sizeof(failure);
  if (getsockopt(file.get(), SOL_SOCKET, SO_ERROR, &failure, &size) != 0 || failure != 0) {
    return system_error("connecting", failure);
  }
  return file;
}

Result<void> send_all(int file, std::string_view bytes, std::uint64_t deadline_ms) {
  while (!bytes.empty()) {
    const ssize_t count = send(file, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EAGAIN && errno != EINTR) {
      return system_error("sending", errno);
    } else if (!wait_for(file, POLLOUT, deadline_ms)) {
      return too_late("sending");
    }
  }
  return {};
}

}  // namespace

HttpReader::State HttpReader::receive(std::string_view bytes) {
  if (state_ == State::reading) {
    input_ += bytes;
    while (state_ == State::reading && step()) {
    }
  } else if (reply_.status == 200 && !bytes.empty()) {
    refuse();
  }
  return state_;
}

HttpReader::State HttpReader::closed() {
  if (state_ == State::reading) {
    state_ = part_ == Part::endless ? State::done : State::refused;
  }
  return state_;
}

/// Each of these says whether there may be more to do with what has come.
bool HttpReader::refuse() {
  state_ = State::refused;
  return false;
}

bool HttpReader::finish() {
  // More than the length that was given: nobody knows where the body ends.
  state_ = reply_.status == 200 && !input_.empty() ? State::refused : State::done;
  return false;
}

bool HttpReader::step() {
  if (part_ == Part::counted || part_ == Part::endless || part_ == Part::chunk) {
    return take_body();
  }
  std::string line;
  return take_line(line) && take_line_of(line);
}

bool HttpReader::take_line(std::string& line) {
  const std::size_t end = input_.find("\r\n");
  const std::size_t size = end == std::string::npos ? input_.size() : end + 2;
  // Of chunks the lines are many where the body is large: they count only while they are read.
  const bool is_of_chunk = part_ == Part::chunk_size || part_ == Part::chunk_end;
  if (size + (is_of_chunk ? 0 : head_bytes_) > kMostHead) {
    return refuse();
  }
  if (end == std::string::npos) {
    return false;
  }
  head_bytes_ += is_of_chunk ? 0 : size;
  line = input_.substr(0, end);
  input_.erase(0, size);
  return true;
}

bool HttpReader::take_line_of(std::string_view line) {
  switch (part_) {
    case Part::status:
      return take_status(line);
    case Part::headers:
      return line.empty() ? end_headers() : take_header(line);
    case Part::chunk_size:
      return take_chunk_size(line);
    case Part::chunk_end:
      part_ = Part::chunk_size;
      return line.empty() || refuse();
    default:
      return line.empty() ? finish() : true;  // trailer
  }
}

bool HttpReader::take_status(std::string_view line) {
  const bool is_known = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  const auto status = parse_number(line.substr(std::min<std::size_t>(line.size(), 9), 3));
  if (!is_known || !status || *status < 200 || *status > 599 ||
      (line.size() > 12 && line[12] != ' ')) {
    return refuse();
  }
  reply_.status = static_cast<int>(*status);
  part_ = Part::headers;
  return true;
}

bool HttpReader::take_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() ||
      name.find_first_of(" \t") != std::string_view::npos) {
    return refuse();  // also a line that goes on with the one before it
  }
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (is_same_word(name, "Transfer-Encoding")) {
    is_chunked_ = !is_chunked_ && is_same_word(value, "chunked");
    return is_chunked_ || refuse();
  }
  if (is_same_word(name, "Content-Length")) {
    const auto length = parse_number(value);
    if (has_length_ || !length) {
      return refuse();
    }
    has_length_ = true;
    rest_ = *length;
  }
  return true;
}

bool HttpReader::end_headers() {
  if (reply_.status != 200) {
    return finish();
  }
  if (is_chunked_) {
    part_ = Part::chunk_size;
    return !has_length_ || refuse();
  }
  part_ = has_length_ ? Part::counted : Part::endless;
  return expect_body(rest_);
}

bool HttpReader::expect_body(std::uint64_t size) {
  return size <= most_body_ - reply_.body.size() || refuse();
}

bool HttpReader::take_chunk_size(std::string_view line) {
  const auto size = parse_hex(trimmed(line.substr(0, line.find(';'))));
  if (!size) {
    return refuse();
  }
  rest_ = *size;
  part_ = rest_ == 0 ? Part::trailer : Part::chunk;
  return expect_body(rest_);
}

bool HttpReader::take_body() {
  if (part_ == Part::endless) {
    if (expect_body(input_.size())) {
      reply_.body += input_;
      input_.clear();
    }
    return false;
  }
  const std::size_t count = std::min<std::uint64_t>(rest_, input_.size());
  reply_.body.append(input_, 0, count);
  input_.erase(0, count);
  rest_ -= count;
  if (rest_ != 0) {
    return false;
  }
  if (part_ == Part::counted) {
    return finish();
  }
  part_ = Part::chunk_end;
  return true;
}

Result<HttpReply> ask_http(const Endpoint& endpoint,
                           const HttpRequest& request,
                           std::size_t most_body,
                           std::uint64_t deadline_ms) {
  const Descriptor file = TRY(connect_to(endpoint, deadline_ms));
  TRY(send_all(file.get(),
               request.method + " " + request.path +
                   " HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: goldmill-agent\r\n"
                   "Accept: */*\r\nConnection: close\r\n" +
                   request.headers + "\r\n",
               deadline_ms));
  HttpReader reader(most_body);
  HttpReader::State state = HttpReader::State::reading;
  while (state == HttpReader::State::reading) {
    if (!wait_for(file.get(), POLLIN, deadline_ms)) {
      return too_late("waiting for an answer");
    }
    char buffer[4096];
    const ssize_t count = recv(file.get(), buffer, sizeof(buffer), 0);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      return system_error("receiving", errno);
    }
    if (count >= 0) {
      state =
          count == 0 ? reader.closed() : reader.receive({buffer, static_cast<std::size_t>(count)});
    }
  }
  if (state == HttpReader::State::refused) {
    return Error{.kind = ErrorKind::corrupt,
                 .message = "the answer is not plain HTTP, or too long"};
  }
  return std::move(reader.reply());
}

}  // namespace goldmill::agent
