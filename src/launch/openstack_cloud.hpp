// SPDX-License-Identifier: GPL-3.0-or-later
// Cloud: a session with one project of an OpenStack cloud: its token, its services' addresses, and
// requests that wait when a server asks for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/http.hpp>

#include "openstack_credentials.hpp"

namespace goldmill::launch {

enum class CloudService : std::uint8_t { compute, image, network };

struct CloudRequest {
  CloudService service = CloudService::compute;
  std::string method = "GET";
  std::string path;  ///< below the service's address: "/servers"
  Json body = {};    ///< null: none
  std::optional<system::HttpUpload> upload = {};
};

struct CloudAnswer {
  int status = 0;
  Json body;  ///< null where the server sent no JSON

  bool is_good() const { return status >= 200 && status < 300; }
};

class Cloud {
 public:
  /// Asks Keystone for a token. One session serves all of this process that name the same cloud.
  /// Errors: those of cloud_credentials(); unavailable (it does not answer, or refuses them).
  static Result<std::shared_ptr<Cloud>> open(const std::string& name);
  explicit Cloud(CloudCredentials credentials)
      : credentials_(std::move(credentials)), http_(credentials_.authorities) {}
  Result<void> enter();

  const std::string& name() const { return credentials_.cloud; }
  const std::string& auth_url() const { return credentials_.auth_url; }
  const std::string& project() const { return project_; }

  /// Any status is an answer. What a server refuses for the moment (429, 413, or 503 with a
  /// Retry-After) is sent again when it says; so is what has no effect by being done twice (all but
  /// POST) after a lost connection or another 5xx. A token that is no longer good is renewed once.
  /// Errors: unavailable, corrupt (larger than can be).
  Result<CloudAnswer> send(const CloudRequest& request);
  /// The body of a good answer. Errors: by status, with what the server says.
  Result<Json> get(CloudService service, const std::string& path);

 private:
  Result<CloudAnswer> send_once(const CloudRequest& request, const std::string& token);
  std::string token() const;
  Result<void> renew(const std::string& spent);
  Result<void> read_token(const system::HttpAnswer& answer);
  Result<std::string> address_of(CloudService service) const;

  CloudCredentials credentials_;
  system::HttpClient http_;
  mutable std::mutex mutex_;  ///< of the next three
  std::string token_;
  std::string project_;
  Json catalogue_;
};

/// What a status that is not good says, by its number and the server's own words, which are cut and
/// made safe to show.
Error refusal(const CloudAnswer& answer, const std::string& what);
/// At most 300 bytes of a stranger's text, safe to show.
std::string said_by(std::string_view text);
/// Letters, digits and hyphens: may stand in a path.
bool is_cloud_id(std::string_view id);

}  // namespace goldmill::launch
