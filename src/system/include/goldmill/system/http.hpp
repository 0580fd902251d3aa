// SPDX-License-Identifier: GPL-3.0-or-later
// HttpClient: requests to servers of other people, by libcurl. What they answer is hostile input:
// bounded in size and time, and taken apart by the caller.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::system {

/// A file as the body of a request, from its start.
struct HttpUpload {
  int file = -1;
  Bytes size;
};

inline constexpr std::chrono::seconds kHttpLimit(60);

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers = {};  ///< "Name: value"
  std::string body = {};
  std::optional<HttpUpload> upload = {};    ///< instead of `body`; it must only keep moving
  std::chrono::seconds limit = kHttpLimit;  ///< for all of it, when nothing is uploaded
  Bytes most = 32_MiB;                      ///< of the answer
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers = {};  ///< by names in lower case
  std::string body = {};

  bool is_good() const { return status >= 200 && status < 300; }
};

/// Keeps connections open between requests; several threads may send at once. Certificates are
/// always verified, redirects never followed.
class HttpClient {
 public:
  /// `authorities`: a file of certificates to trust instead of the system's; "": those.
  explicit HttpClient(std::filesystem::path authorities = {});
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  /// Errors: unavailable (no connection, no answer in time, a certificate that is not trusted),
  /// invalid_input (no URL), corrupt (larger than `most`). Any status is an answer.
  Result<HttpAnswer> send(const HttpRequest& request);

 private:
  struct Idle;
  std::filesystem::path authorities_;
  std::unique_ptr<Idle> idle_;
};

/// A text as part of a URL's path or query.
std::string url_escaped(std::string_view text);

}  // namespace goldmill::system
