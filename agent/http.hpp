// SPDX-License-Identifier: GPL-3.0-or-later
// Http: the little of HTTP/1.1 that a metadata service needs: one request, one bounded reply.
// What answers is hostile input: nothing is followed, what is not plain is refused.
// Source: RFC 9112.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <netinet/in.h>

#include <goldmill/base/result.hpp>

namespace goldmill::agent {

struct HttpRequest {
  std::string method = "GET";
  std::string path = {};
  std::string headers = {};  ///< further header lines, each with its CR LF
};

struct HttpReply {
  int status = 0;
  std::string body;  ///< only with status 200
};

/// Takes a reply apart as its bytes come. Of any status but 200 it reads the head alone.
class HttpReader {
 public:
  enum class State : std::uint8_t { reading, done, refused };

  explicit HttpReader(std::size_t most_body) : most_body_(most_body) {}

  State receive(std::string_view bytes);
  /// The server has closed: the end of a body of unknown length, a refusal before any other.
  State closed();
  HttpReply& reply() { return reply_; }

 private:
  enum class Part : std::uint8_t {
    status,
    headers,
    counted,  ///< `rest_` bytes of the body
    endless,  ///< until the server closes
    chunk_size,
    chunk,  ///< `rest_` bytes of it
    chunk_end,
    trailer,
  };

  bool step();
  bool take_line(std::string& line);
  bool take_line_of(std::string_view line);
  bool take_status(std::string_view line);
  bool take_header(std::string_view line);
  bool end_headers();
  bool take_chunk_size(std::string_view line);
  bool take_body();
  bool expect_body(std::uint64_t size);
  bool refuse();
  bool finish();

  std::size_t most_body_;
  State state_ = State::reading;
  Part part_ = Part::status;
  std::string input_;
  std::size_t head_bytes_ = 0;
  bool has_length_ = false;
  bool is_chunked_ = false;
  std::uint64_t rest_ = 0;
  HttpReply reply_;
};

/// Where a service listens. `device` is the only interface that is used, "" any.
struct Endpoint {
  sockaddr_in address = {};
  std::string device = {};
};

/// One exchange on a connection of its own. Errors: what the system said, cancelled (by the
/// deadline, in uptime_ms()), corrupt (a reply that is refused, or a body above `most_body`).
Result<HttpReply> ask_http(const Endpoint& endpoint,
                           const HttpRequest& request,
                           std::size_t most_body,
                           std::uint64_t deadline_ms);

}  // namespace goldmill::agent
