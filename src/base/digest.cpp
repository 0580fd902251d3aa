// SPDX-License-Identifier: GPL-3.0-or-later
#include <openssl/evp.h>

#include <goldmill/base/digest.hpp>

namespace goldmill {

namespace {
int value_of(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  return -1;
}
}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const std::string_view prefix = "sha256:";
  std::string_view digits = text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  std::array<std::uint8_t, 32> bytes{};
  if (digits.size() != 2 * bytes.size()) {
    return Error{ErrorKind::invalid_input,
                 "'" + std::string(text.substr(0, 80)) + "' is not a SHA-256 digest",
                 "write sha256: and 64 hexadecimal digits"};
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = value_of(digits[2 * i]);
    const int low = value_of(digits[2 * i + 1]);
    if (high < 0 || low < 0) {
      return Error{ErrorKind::invalid_input,
                   "'" + std::string(text) + "' is not a SHA-256 digest",
                   "write sha256: and 64 lower-case hexadecimal digits"};
    }
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return Digest(bytes);
}

std::string Digest::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes_.size());
  for (const std::uint8_t byte : bytes_) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { start(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
  void start() const {
    GOLDMILL_ASSERT(context != nullptr);
    GOLDMILL_ASSERT(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(std::span<const std::byte> bytes) {
  GOLDMILL_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
  return *this;
}

Sha256& Sha256::update(std::string_view bytes) {
  return update(std::as_bytes(std::span(bytes)));
}

Digest Sha256::finish() {
  std::array<std::uint8_t, 32> bytes{};
  unsigned int size = 0;
  GOLDMILL_ASSERT(EVP_DigestFinal_ex(state_->context, bytes.data(), &size) == 1);
  GOLDMILL_ASSERT(size == bytes.size());
  state_->start();
  return Digest(bytes);
}

Digest sha256(std::string_view bytes) {
  return Sha256().update(bytes).finish();
}

}  // namespace goldmill
