// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/base/json.hpp>
#include <goldmill/image/identity.hpp>
#include <goldmill/image/layout.hpp>

namespace goldmill::image {

std::string Uuid::text() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      text += '-';
    }
    text += kDigits[bytes.at(i) >> 4];
    text += kDigits[bytes.at(i) & 15];
  }
  return text;
}

Identity Identity::of(const std::vector<Digest>& diff_ids, const Layout& layout) {
  Json layers = Json::array();
  for (const Digest& diff_id : diff_ids) {
    layers.push_back(diff_id.text());
  }
  return Identity(sha256(canonical(
      {{"layers", layers}, {"layout", layout.to_json()}, {"writer", kDiskWriterVersion}})));
}

Identity Identity::of_lineage(const std::vector<Digest>& diff_ids) {
  const std::string first = diff_ids.empty() ? "" : diff_ids.front().text();
  return Identity(sha256(canonical({{"lineage", first}, {"writer", kDiskWriterVersion}})));
}

namespace {
Digest derived(const Digest& seed, std::string_view role) {
  return sha256(seed.hex() + ' ' + std::string(role));
}
}  // namespace

Uuid Identity::uuid(std::string_view role) const {
  const Digest digest = derived(seed_, role);
  Uuid uuid;
  std::copy_n(digest.bytes().begin(), uuid.bytes.size(), uuid.bytes.begin());
  uuid.bytes[6] = static_cast<std::uint8_t>(0x80 | (uuid.bytes[6] & 0x0f));
  uuid.bytes[8] = static_cast<std::uint8_t>(0x80 | (uuid.bytes[8] & 0x3f));
  return uuid;
}

std::uint32_t Identity::serial(std::string_view role) const {
  const Digest digest = derived(seed_, role);
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    number = number << 8 | digest.bytes().at(i);
  }
  return std::max<std::uint32_t>(number, 1);
}

}  // namespace goldmill::image
