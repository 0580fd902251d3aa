// SPDX-License-Identifier: GPL-3.0-or-later
#include "metadata_source.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <poll.h>

#include "cloud_files.hpp"
#include "link.hpp"
#include "port.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

/// In all. Long enough for a port of a virtual switch that opens late, since an instance without
/// its key is of no use to its owner.
constexpr std::uint64_t kLimitMs = 20000;
/// For an interface that is not the last, so that the next one gets its turn.
constexpr std::uint64_t kTurnMs = 8000;
/// For one reply.
constexpr std::uint64_t kReplyLimitMs = 5000;
constexpr int kPauseMs = 250;
constexpr std::size_t kMostText = 16384;
constexpr std::size_t kMostEc2Keys = 8;  // one question each; EC2 has one

/// What one service answers. A question that fails is written down and has no answer.
class Answers {
 public:
  Answers(const Fetch& fetch, const Log& log) : fetch_(fetch), log_(log) {}

  /// Header lines that go with every question from now on.
  void use_headers(std::string headers) { headers_ = std::move(headers); }

  std::optional<std::string> get(const std::string& path, std::size_t most = kMostText) const {
    return ask({.path = path, .headers = headers_}, most);
  }

  std::optional<std::string> ask(const HttpRequest& request, std::size_t most) const {
    auto reply = fetch_(request, most);
    if (!reply) {
      log_(request.path, reply.error().text());
      return std::nullopt;
    }
    if (reply->status != 200) {
      if (reply->status != 404) {
        log_(request.path, "status " + std::to_string(reply->status));
      }
      return std::nullopt;
    }
    return std::move(reply->body);
  }

 private:
  const Fetch& fetch_;
  const Log& log_;
  std::string headers_;
};

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= 1024 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void take_user_data(std::optional<std::string> user_data, Identity& identity) {
  if (user_data) {
    read_cloud_config(*user_data, identity);
    identity.user_data = std::move(user_data);
  }
}

/// "0=name" per line; the key itself has a page of its own.
void take_ec2_keys(const Answers& answers, Identity& identity) {
  const std::string directory = "/latest/meta-data/public-keys/";
  const std::string list = answers.get(directory).value_or("");
  std::size_t count = 0;
  for (const std::string_view line : lines_of(list)) {
    const std::string_view number = line.substr(0, line.find('='));
    if (!parse_number(number) || count++ == kMostEc2Keys) {
      return;
    }
    const std::string key =
        answers.get(directory + std::string(number) + "/openssh-key").value_or("");
    for (const std::string_view key_line : lines_of(key)) {
      take_key(trimmed(key_line), identity);
    }
  }
}

std::optional<Identity> ask_ec2(Answers answers) {
  // Without a token nothing is asked: what answers without one is IMDSv1, which a request that
  // somebody smuggled into a program of the guest can read too.
  const auto token = answers.ask({.method = "PUT",
                                  .path = "/latest/api/token",
                                  .headers = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
                                             "Content-Length: 0\r\n"},
                                 kMostText);
  if (!token || !is_token(trimmed(*token))) {
    return std::nullopt;
  }
  answers.use_headers("X-aws-ec2-metadata-token: " + std::string(trimmed(*token)) + "\r\n");
  Identity identity;
  identity.instance_id = trimmed(answers.get("/latest/meta-data/instance-id").value_or(""));
  if (!is_instance_id(identity.instance_id)) {
    return std::nullopt;
  }
  // Several names, of several domains, are told with blanks between them.
  const std::string names = answers.get("/latest/meta-data/local-hostname").value_or("");
  take_hostname(names.substr(0, names.find_first_of(" \t\r\n")), identity);
  take_ec2_keys(answers, identity);
  take_user_data(answers.get("/latest/user-data", kMostUserData), identity);
  return identity;
}

std::optional<Identity> ask_openstack(const Answers& answers) {
  const auto meta_data = answers.get("/openstack/latest/meta_data.json", kMostUserData);
  Identity identity;
  if (!meta_data || !read_openstack_meta_data(*meta_data, identity) ||
      identity.instance_id.empty()) {
    return std::nullopt;
  }
  take_user_data(answers.get("/openstack/latest/user_data", kMostUserData), identity);
  return identity;
}

/// Asks again what fails or what the service cannot say yet, until the deadline.
Result<HttpReply> ask_patiently(const Endpoint& endpoint,
                                const HttpRequest& request,
                                std::size_t most_body,
                                std::uint64_t deadline_ms) {
  while (true) {
    const std::uint64_t limit = std::min(deadline_ms, uptime_ms() + kReplyLimitMs);
    auto reply = ask_http(endpoint, request, most_body, limit);
    const bool is_final = reply && reply->status < 500;
    if (is_final || uptime_ms() + kPauseMs >= deadline_ms) {
      return reply;
    }
    poll(nullptr, 0, kPauseMs);
  }
}

std::optional<Identity> ask_over(const std::string& interface,
                                 const std::vector<Cloud>& clouds,
                                 std::uint64_t deadline_ms,
                                 const Log& log) {
  Link link(interface);
  if (const auto started = link.start(deadline_ms); !started) {
    log("metadata", started.error().text());
    return std::nullopt;
  }
  Endpoint endpoint{.device = interface};
  endpoint.address.sin_family = AF_INET;
  endpoint.address.sin_port = htons(80);
  endpoint.address.sin_addr.s_addr = htonl(kMetadataAddress);
  const Fetch fetch = [&](const HttpRequest& request, std::size_t most_body) {
    return ask_patiently(endpoint, request, most_body, deadline_ms);
  };
  for (const Cloud cloud : clouds) {
    if (auto identity = ask_cloud(cloud, fetch, log)) {
      return identity;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Identity> ask_cloud(Cloud cloud, const Fetch& fetch, const Log& log) {
  const Answers answers(fetch, log);
  auto identity = cloud == Cloud::ec2 ? ask_ec2(answers) : ask_openstack(answers);
  if (identity) {
    identity->source = name_of(cloud);
  } else {
    log(name_of(cloud), "its metadata service gives no identity");
  }
  return identity;
}

std::optional<Identity> read_metadata_source(const Log& log) {
  const std::vector<Cloud> clouds = clouds_here("");
  if (clouds.empty()) {
    return std::nullopt;
  }
  const std::uint64_t deadline = uptime_ms() + kLimitMs;
  const std::vector<std::string> interfaces = ethernet_links();
  for (const std::string& interface : interfaces) {
    const std::uint64_t turn = uptime_ms() + kTurnMs;
    const bool is_last = interface == interfaces.back();
    if (auto identity =
            ask_over(interface, clouds, is_last ? deadline : std::min(deadline, turn), log)) {
      return identity;
    }
  }
  return std::nullopt;
}

}  // namespace goldmill::agent
