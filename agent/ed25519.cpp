// SPDX-License-Identifier: GPL-3.0-or-later
#include "ed25519.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

// The field and curve arithmetic follows TweetNaCl 20140427 (public domain; D. J. Bernstein and
// others), which is constant-time. Only making a key pair is here: the agent signs nothing.
namespace goldmill::agent {
namespace {

using Field = std::array<std::int64_t, 16>;
struct Point {
  Field x, y, z, t;
};

constexpr std::uint64_t kRoundConstants[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};
constexpr std::uint64_t kInitialHash[8] = {0x6a09e667f3bcc908,
                                           0xbb67ae8584caa73b,
                                           0x3c6ef372fe94f82b,
                                           0xa54ff53a5f1d36f1,
                                           0x510e527fade682d1,
                                           0x9b05688c2b3e6c1f,
                                           0x1f83d9abfb41bd6b,
                                           0x5be0cd19137e2179};

std::uint64_t rotated(std::uint64_t value, unsigned count) {
  return value >> count | value << (64U - count);
}

void hash_block(std::array<std::uint64_t, 8>& hash, const std::uint8_t* block) {
  std::uint64_t words[80];
  for (std::size_t i = 0; i < 16; ++i) {
    words[i] = 0;
    for (std::size_t j = 0; j < 8; ++j) {
      words[i] = words[i] << 8U | block[i * 8 + j];
    }
  }
  for (std::size_t i = 16; i < 80; ++i) {
    const std::uint64_t a = words[i - 15];
    const std::uint64_t b = words[i - 2];
    words[i] = words[i - 16] + (rotated(a, 1) ^ rotated(a, 8) ^ a >> 7U) + words[i - 7] +
               (rotated(b, 19) ^ rotated(b, 61) ^ b >> 6U);
  }
  std::array<std::uint64_t, 8> v = hash;
  for (std::size_t i = 0; i < 80; ++i) {
    const std::uint64_t first = v[7] + (rotated(v[4], 14) ^ rotated(v[4], 18) ^ rotated(v[4], 41)) +
                                ((v[4] & v[5]) ^ (~v[4] & v[6])) + kRoundConstants[i] + words[i];
    const std::uint64_t second = (rotated(v[0], 28) ^ rotated(v[0], 34) ^ rotated(v[0], 39)) +
                                 ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    v = {first + second, v[0], v[1], v[2], v[3] + first, v[4], v[5], v[6]};
  }
  for (std::size_t i = 0; i < 8; ++i) {
    hash[i] += v[i];
  }
}

void carry(Field& o) {
  for (std::size_t i = 0; i < 16; ++i) {
    o[i] += 1LL << 16U;
    const std::int64_t c = o[i] >> 16;
    o[i < 15 ? i + 1 : 0] += c - 1 + (i == 15 ? 37 * (c - 1) : 0);
    o[i] -= c * 65536;
  }
}

void swap_if(Field& p, Field& q, std::int64_t bit) {
  const std::int64_t mask = ~(bit - 1);
  for (std::size_t i = 0; i < 16; ++i) {
    const std::int64_t difference = mask & (p[i] ^ q[i]);
    p[i] ^= difference;
    q[i] ^= difference;
  }
}

Field operator+(const Field& a, const Field& b) {
  Field o;
  for (std::size_t i = 0; i < 16; ++i) {
    o[i] = a[i] + b[i];
  }
  return o;
}

Field operator-(const Field& a, const Field& b) {
  Field o;
  for (std::size_t i = 0; i < 16; ++i) {
    o[i] = a[i] - b[i];
  }
  return o;
}

Field operator*(const Field& a, const Field& b) {
  std::array<std::int64_t, 31> t{};
  for (std::size_t i = 0; i < 16; ++i) {
    for (std::size_t j = 0; j < 16; ++j) {
      t[i + j] += a[i] * b[j];
    }
  }
  Field o;
  for (std::size_t i = 0; i < 16; ++i) {
    o[i] = t[i] + (i < 15 ? 38 * t[i + 16] : 0);
  }
  carry(o);
  carry(o);
  return o;
}

Field inverse(const Field& value) {
  Field c = value;
  for (int a = 253; a >= 0; --a) {
    c = c * c;
    if (a != 2 && a != 4) {
      c = c * value;
    }
  }
  return c;
}

std::array<std::uint8_t, 32> pack(const Field& value) {
  Field t = value;
  carry(t);
  carry(t);
  carry(t);
  for (int round = 0; round < 2; ++round) {
    Field m;
    m[0] = t[0] - 0xffed;
    for (std::size_t i = 1; i < 15; ++i) {
      m[i] = t[i] - 0xffff - ((m[i - 1] >> 16) & 1);
      m[i - 1] &= 0xffff;
    }
    m[15] = t[15] - 0x7fff - ((m[14] >> 16) & 1);
    const std::int64_t is_negative = (m[15] >> 16) & 1;
    m[14] &= 0xffff;
    swap_if(t, m, 1 - is_negative);
  }
  std::array<std::uint8_t, 32> bytes;
  for (std::size_t i = 0; i < 16; ++i) {
    bytes[2 * i] = static_cast<std::uint8_t>(t[i] & 0xff);
    bytes[2 * i + 1] = static_cast<std::uint8_t>(t[i] >> 8);
  }
  return bytes;
}

constexpr Field kTwiceD = {0xf159,
                           0x26b2,
                           0x9b94,
                           0xebd6,
                           0xb156,
                           0x8283,
                           0x149a,
                           0x00e0,
                           0xd130,
                           0xeef3,
                           0x80f2,
                           0x198e,
                           0xfce7,
                           0x56df,
                           0xd9dc,
                           0x2406};
constexpr Field kBaseX = {0xd51a,
                          0x8f25,
                          0x2d60,
                          0xc956,
                          0xa7b2,
                          0x9525,
                          0xc760,
                          0x692c,
                          0xdc5c,
                          0xfdd6,
                          0xe231,
                          0xc0a4,
                          0x53fe,
                          0xcd6e,
                          0x36d3,
                          0x2169};
constexpr Field kBaseY = {0x6658,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666,
                          0x6666};
constexpr Field kOne = {1};

Point sum(const Point& p, const Point& q) {
  const Field a = (p.y - p.x) * (q.y - q.x);
  const Field b = (p.x + p.y) * (q.x + q.y);
  const Field c = p.t * q.t * kTwiceD;
  const Field d = p.z * q.z;
  const Field e = b - a;
  const Field f = d + d - c;
  const Field g = d + d + c;
  const Field h = b + a;
  return {e * f, h * g, g * f, e * h};
}

void swap_if(Point& p, Point& q, std::int64_t bit) {
  swap_if(p.x, q.x, bit);
  swap_if(p.y, q.y, bit);
  swap_if(p.z, q.z, bit);
  swap_if(p.t, q.t, bit);
}

}  // namespace

std::array<std::uint8_t, 64> sha512(std::span<const std::uint8_t> message) {
  std::vector<std::uint8_t> padded(message.begin(), message.end());
  padded.push_back(0x80);
  while (padded.size() % 128 != 112) {
    padded.push_back(0);
  }
  padded.insert(padded.end(), 8, 0);  // the length has 128 bits
  const std::uint64_t bits = static_cast<std::uint64_t>(message.size()) * 8;
  for (unsigned shift = 64; shift > 0; shift -= 8) {
    padded.push_back(static_cast<std::uint8_t>(bits >> (shift - 8)));
  }
  std::array<std::uint64_t, 8> hash;
  std::copy(std::begin(kInitialHash), std::end(kInitialHash), hash.begin());
  for (std::size_t i = 0; i < padded.size(); i += 128) {
    hash_block(hash, padded.data() + i);
  }
  std::fill(padded.begin(), padded.end(), std::uint8_t{0});
  std::array<std::uint8_t, 64> bytes;
  for (std::size_t i = 0; i < 64; ++i) {
    bytes[i] = static_cast<std::uint8_t>(hash[i / 8] >> (56 - i % 8 * 8));
  }
  return bytes;
}

std::array<std::uint8_t, 32> ed25519_public_key(const std::array<std::uint8_t, 32>& seed) {
  auto scalar = sha512(seed);
  scalar[0] &= 248;
  scalar[31] = static_cast<std::uint8_t>((scalar[31] & 127U) | 64U);
  Point p{{}, kOne, kOne, {}};
  Point q{kBaseX, kBaseY, kOne, kBaseX * kBaseY};
  for (std::size_t i = 256; i-- > 0;) {
    const std::int64_t bit = (scalar[i / 8] >> (i % 8)) & 1;
    swap_if(p, q, bit);
    q = sum(q, p);
    p = sum(p, p);
    swap_if(p, q, bit);
  }
  scalar.fill(0);
  const Field z = inverse(p.z);
  auto bytes = pack(p.y * z);
  bytes[31] = static_cast<std::uint8_t>(bytes[31] ^ (pack(p.x * z)[0] & 1U) << 7U);
  return bytes;
}

}  // namespace goldmill::agent
