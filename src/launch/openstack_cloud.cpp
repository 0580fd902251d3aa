// SPDX-License-Identifier: GPL-3.0-or-later
#include "openstack_cloud.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <thread>

#include <goldmill/base/utf8.hpp>

namespace goldmill::launch {

namespace {
/// Nova 17 (2018) and later: networks by "none", and tags that a server has from its first moment.
constexpr const char* kComputeVersion = "OpenStack-API-Version: compute 2.52";
constexpr int kMostAttempts = 6;
/// A server that asks for a longer pause is not waited for.
constexpr std::chrono::seconds kLongestPause(60);
constexpr std::size_t kLongestWords = 300;

const char* type_of(CloudService service) {
  switch (service) {
    case CloudService::compute:
      return "compute";
    case CloudService::image:
      return "image";
    case CloudService::network:
      return "network";
  }
  return "";
}

/// Catalogues name a service with its version or without.
std::string versioned(std::string url, CloudService service) {
  url.erase(url.find_last_not_of('/') + 1);
  const auto adds = [&url](const char* version) {
    return url.find("/v2") == std::string::npos ? url + version : url;
  };
  switch (service) {
    case CloudService::compute:
      return adds("/v2.1");
    case CloudService::image:
      return adds("/v2");
    case CloudService::network:
      return adds("/v2.0");
  }
  return url;
}

/// Refused before anything was done, to be asked again.
bool is_refused_for_now(const system::HttpAnswer& answer) {
  return answer.status == 429 || answer.status == 413 ||
         (answer.status == 503 && answer.headers.contains("retry-after"));
}

/// What the server asks for, else twice as long each time. Nothing: longer than anybody waits.
std::optional<std::chrono::seconds> pause_before(int attempt, const system::HttpAnswer* answer) {
  if (answer != nullptr) {
    if (const auto wish = answer->headers.find("retry-after"); wish != answer->headers.end()) {
      long count = -1;  // a date is passed over
      const std::string& text = wish->second;
      const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
      if (failure == std::errc{} && end == text.data() + text.size() && count >= 0) {
        return count > kLongestPause.count() ? std::nullopt
                                             : std::optional(std::chrono::seconds(count));
      }
    }
  }
  return std::chrono::seconds(1LL << std::min(attempt, 4));
}

/// The first "message" that stands in it: {"badRequest": {"message"}}, {"NeutronError": ...}.
std::string message_in(const Json& body) {
  if (!body.is_object()) {
    return "";
  }
  if (const auto message = find_string(body, "message")) {
    return *message;
  }
  for (const auto& [key, inner] : body.items()) {
    if (const auto message = find_string(inner, "message")) {
      return *message;
    }
  }
  return "";
}

ErrorKind kind_of(int status) {
  switch (status) {
    case 400:
      return ErrorKind::invalid_input;
    case 404:
      return ErrorKind::not_found;
    case 409:
      return ErrorKind::conflict;
    default:
      return ErrorKind::unavailable;
  }
}

CloudAnswer read_answer(const system::HttpAnswer& answer) {
  auto json = parse_json(answer.body, "its answer");
  return {answer.status, json ? std::move(json).value() : Json()};
}
}  // namespace

std::string said_by(std::string_view text) {
  const bool whole = text.size() <= kLongestWords;
  return escape_controls(text.substr(0, kLongestWords)) + (whole ? "" : "...");
}

Error refusal(const CloudAnswer& answer, const std::string& what) {
  const std::string message = message_in(answer.body);
  return {kind_of(answer.status),
          what + ": " +
              (message.empty() ? "status " + std::to_string(answer.status) : said_by(message))};
}

bool is_cloud_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<std::shared_ptr<Cloud>> Cloud::open(const std::string& name) {
  // A token lasts for hours: a command that works on hundreds of instances asks for one.
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<Cloud>> open;
  const std::lock_guard guard(mutex);
  if (const auto found = open.find(name); found != open.end()) {
    return found->second;
  }
  auto credentials = TRY(cloud_credentials(name, process_environment()));
  if (const auto found = open.find(credentials.cloud); found != open.end()) {
    return found->second;
  }
  const auto cloud = std::make_shared<Cloud>(std::move(credentials));
  TRY(cloud->enter());
  open[name] = cloud;
  open[cloud->name()] = cloud;
  return cloud;
}

Result<void> Cloud::enter() {
  return renew("");
}

/// Unless somebody else has renewed it meanwhile.
Result<void> Cloud::renew(const std::string& spent) {
  const std::lock_guard guard(mutex_);
  if (token_ != spent) {
    return {};
  }
  const system::HttpRequest request{
      .method = "POST",
      .url = credentials_.auth_url + "/auth/tokens",
      .headers = {"Content-Type: application/json", "Accept: application/json"},
      .body = credentials_.login.dump()};
  for (int attempt = 0;; ++attempt) {
    const auto answer = TRY(http_.send(request).context("cloud " + name()));
    if (answer.is_good()) {
      return read_token(answer).context("cloud " + name());
    }
    const auto pause = is_refused_for_now(answer) ? pause_before(attempt, &answer) : std::nullopt;
    if (!pause || attempt + 1 >= kMostAttempts) {
      Error error = refusal(read_answer(answer), "Keystone refuses to let us in");
      error.kind = ErrorKind::unavailable;
      error.hint = answer.status == 401 ? "user, password, project and their domains must be right"
                                        : "is this Keystone's address: " + auth_url() + "?";
      return error;
    }
    std::this_thread::sleep_for(*pause);
  }
}

Result<void> Cloud::read_token(const system::HttpAnswer& answer) {
  const auto header = answer.headers.find("x-subject-token");
  const Json body = TRY(parse_json(answer.body, "Keystone's answer"));
  const Json* about = find_value(body, "token");
  const Json* project = about == nullptr ? nullptr : find_value(*about, "project");
  const Json* catalogue = about == nullptr ? nullptr : find_value(*about, "catalog");
  const auto id = project == nullptr ? std::nullopt : find_string(*project, "id");
  if (header == answer.headers.end() || !id || !is_cloud_id(*id) || catalogue == nullptr) {
    return Error{ErrorKind::unavailable,
                 "Keystone gives no token for a project, or no catalogue of services",
                 "name the project"};
  }
  if (!project_.empty() && project_ != *id) {
    return Error{ErrorKind::conflict, "Keystone's new token is for another project"};
  }
  token_ = header->second;
  project_ = *id;
  catalogue_ = *catalogue;
  return {};
}

std::string Cloud::token() const {
  const std::lock_guard guard(mutex_);
  return token_;
}

Result<std::string> Cloud::address_of(CloudService service) const {
  const std::lock_guard guard(mutex_);
  std::set<std::string> urls;
  for (const Json& entry : catalogue_.is_array() ? catalogue_ : Json::array()) {
    const Json* endpoints = find_value(entry, "endpoints");
    if (find_string(entry, "type") != type_of(service) || endpoints == nullptr) {
      continue;
    }
    for (const Json& endpoint : *endpoints) {
      const auto region = find_string(endpoint, "region_id");
      const bool fits = credentials_.region.empty() || region == credentials_.region;
      const auto url = find_string(endpoint, "url");
      if (fits && url && find_string(endpoint, "interface") == credentials_.interface) {
        urls.insert(*url);
      }
    }
  }
  if (urls.size() == 1) {
    return versioned(*urls.begin(), service);
  }
  return Error{ErrorKind::not_found,
               "cloud " + name() + " has " + (urls.empty() ? "no" : "more than one") + " " +
                   type_of(service) + " service" +
                   (credentials_.region.empty() ? "" : " in region " + credentials_.region),
               urls.empty() ? "are region_name and interface right?" : "say which: region_name"};
}

Result<CloudAnswer> Cloud::send(const CloudRequest& request) {
  const std::string used = token();
  CloudAnswer answer = TRY(send_once(request, used));
  if (answer.status == 401) {
    TRY(renew(used));
    answer = TRY(send_once(request, token()));
  }
  return answer;
}

Result<CloudAnswer> Cloud::send_once(const CloudRequest& request, const std::string& token) {
  system::HttpRequest http{.method = request.method,
                           .url = TRY(address_of(request.service)) + request.path,
                           .headers = {"X-Auth-Token: " + token, "Accept: application/json"},
                           .upload = request.upload};
  if (request.service == CloudService::compute) {
    http.headers.emplace_back(kComputeVersion);
  }
  if (request.upload) {
    http.headers.emplace_back("Content-Type: application/octet-stream");
  } else if (!request.body.is_null()) {
    http.headers.emplace_back("Content-Type: application/json");
    http.body = request.body.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  const bool may_repeat = request.method != "POST";
  for (int attempt = 0;; ++attempt) {
    const auto answer = http_.send(http);
    const bool again = answer ? is_refused_for_now(*answer) || (may_repeat && answer->status >= 500)
                              : may_repeat && answer.error().kind == ErrorKind::unavailable;
    const auto pause = pause_before(attempt, answer ? &*answer : nullptr);
    // A server that cannot be reached at all is asked twice: `ps` should not wait for it.
    const int most = answer ? kMostAttempts : 2;
    if (!again || !pause || attempt + 1 >= most) {
      return answer ? Result<CloudAnswer>(read_answer(*answer))
                    : Result<CloudAnswer>(answer.error()).context("cloud " + name());
    }
    std::this_thread::sleep_for(*pause);
  }
}

Result<Json> Cloud::get(CloudService service, const std::string& path) {
  const CloudAnswer answer = TRY(send({.service = service, .path = path}));
  if (!answer.is_good()) {
    return refusal(answer, std::string("the ") + type_of(service) + " service of cloud " + name());
  }
  if (!answer.body.is_object()) {
    return Error{ErrorKind::unavailable,
                 std::string("the ") + type_of(service) + " service of cloud " + name() +
                     " answers with something else than JSON",
                 "is its address in the catalogue right?"};
  }
  return answer.body;
}

}  // namespace goldmill::launch
