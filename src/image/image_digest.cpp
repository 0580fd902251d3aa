// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <ctime>

#include <goldmill/image/digest.hpp>
#include <goldmill/image/identity.hpp>

namespace goldmill::image {

namespace {
std::string date_text(std::int64_t epoch) {
  const std::time_t seconds = epoch;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), length};
}
}  // namespace

Json oci_config(const ImageFacts& facts) {
  Json diff_ids = Json::array();
  for (const Digest& diff_id : facts.diff_ids) {
    diff_ids.push_back(diff_id.text());
  }
  const std::string created = date_text(facts.epoch);
  Json history = Json::array();
  for (const std::string& line : facts.history) {
    history.push_back({{"created", created}, {"created_by", line}});
  }
  Json labels = facts.labels;
  labels["org.goldmill.name"] = facts.name;
  labels["org.goldmill.layout"] = canonical(facts.layout.to_json());
  labels["org.goldmill.lock"] = facts.lock.text();
  labels["org.goldmill.disk-writer"] = std::to_string(kDiskWriterVersion);
  if (facts.parent) {
    labels["org.goldmill.parent"] = facts.parent->text();
  }
  Json config = {{"architecture", facts.layout.architecture},
                 {"os", "linux"},
                 {"created", created},
                 {"config", {{"Labels", labels}}},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
  if (!history.empty()) {
    config["history"] = history;
  }
  return config;
}

Digest image_digest(const Json& config) {
  return sha256(canonical(config));
}

}  // namespace goldmill::image
