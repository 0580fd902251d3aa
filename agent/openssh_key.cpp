// SPDX-License-Identifier: GPL-3.0-or-later
#include "openssh_key.hpp"

#include <string_view>

#include "ed25519.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

constexpr std::string_view kType = "ssh-ed25519";

std::string number(std::size_t value) {
  std::string bytes;
  for (unsigned shift = 32; shift > 0; shift -= 8) {
    bytes += static_cast<char>(value >> (shift - 8) & 255U);
  }
  return bytes;
}

std::string counted(std::string_view bytes) {
  return number(bytes.size()) + std::string(bytes);
}

template <std::size_t size>
std::string text_of(const std::array<std::uint8_t, size>& bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace

OpensshKey make_openssh_key(const std::array<std::uint8_t, 32>& seed,
                            const std::array<std::uint8_t, 4>& check) {
  const std::string public_key = text_of(ed25519_public_key(seed));
  const std::string public_blob = counted(kType) + counted(public_key);
  std::string secret = text_of(check) + text_of(check) + public_blob +
                       counted(text_of(seed) + public_key) + counted("");
  for (char padding = 1; secret.size() % 8 != 0; ++padding) {
    secret += padding;
  }
  using namespace std::string_view_literals;
  const std::string file = std::string("openssh-key-v1\0"sv) + counted("none") + counted("none") +
                           counted("") + number(1) + counted(public_blob) + counted(secret);
  OpensshKey key{.private_file = "-----BEGIN OPENSSH PRIVATE KEY-----\n",
                 .public_line = std::string(kType) + " " + base64_encode(public_blob)};
  const std::string text = base64_encode(file);
  for (std::size_t i = 0; i < text.size(); i += 70) {
    key.private_file += text.substr(i, 70) + "\n";
  }
  key.private_file += "-----END OPENSSH PRIVATE KEY-----\n";
  return key;
}

}  // namespace goldmill::agent
