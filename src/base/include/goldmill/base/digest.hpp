// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 digests: the names of layers, images, packages and step keys.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <goldmill/base/result.hpp>

namespace goldmill {

/// A SHA-256 value. Text form is OCI's: "sha256:" and 64 lower-case hexadecimal digits.
class Digest {
 public:
  Digest() = default;
  explicit Digest(const std::array<std::uint8_t, 32>& bytes) : bytes_(bytes) {}

  /// Reads "sha256:HEX" or bare HEX. Errors: invalid_input.
  static Result<Digest> parse(std::string_view text);

  const std::array<std::uint8_t, 32>& bytes() const { return bytes_; }
  std::string hex() const;
  std::string text() const { return "sha256:" + hex(); }
  /// The first 12 hexadecimal digits, for people.
  std::string brief() const { return hex().substr(0, 12); }

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 misreads defaulted comparisons
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

/// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(std::string_view bytes);
  Sha256& update(std::span<const std::byte> bytes);
  /// Ends the computation; the object then starts over.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::string_view bytes);

}  // namespace goldmill
