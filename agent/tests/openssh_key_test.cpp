// SPDX-License-Identifier: GPL-3.0-or-later
#include "openssh_key.hpp"

#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "ed25519.hpp"
#include "judge.hpp"
#include "text.hpp"

namespace goldmill::agent {
namespace {

std::array<std::uint8_t, 32> openssl_public_key(const std::array<std::uint8_t, 32>& seed) {
  EVP_PKEY* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), 32);
  std::array<std::uint8_t, 32> bytes{};
  std::size_t size = bytes.size();
  EVP_PKEY_get_raw_public_key(key, bytes.data(), &size);
  EVP_PKEY_free(key);
  return bytes;
}

TEST(Ed25519, FollowsRfc8032) {
  // RFC 8032, 7.1, test 1.
  const std::array<std::uint8_t, 32> rfc_seed = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
                                                 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                                 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
                                                 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
  const auto key = ed25519_public_key(rfc_seed);
  EXPECT_EQ(hex({reinterpret_cast<const char*>(key.data()), key.size()}),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

TEST(Ed25519, AgreesWithOpenssl) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::array<std::uint8_t, 32> seed;
    for (auto& byte : seed) {
      byte = static_cast<std::uint8_t>(random());
    }
    ASSERT_EQ(ed25519_public_key(seed), openssl_public_key(seed)) << round;
  }
}

TEST(Sha512, AgreesWithOpenssl) {
  for (std::size_t size : {0, 1, 111, 112, 127, 128, 129, 300}) {
    const std::vector<std::uint8_t> message(size, 0x61);
    std::array<std::uint8_t, 64> wanted{};
    EVP_Digest(message.data(), size, wanted.data(), nullptr, EVP_sha512(), nullptr);
    EXPECT_EQ(sha512(message), wanted) << size;
  }
}

TEST(OpensshKey, SshKeygenReadsIt) {
  if (run_judge("command -v ssh-keygen").first != 0) {
    GTEST_SKIP() << "no ssh-keygen here";
  }
  const std::string path = test_directory() + "/key";
  for (std::uint8_t round = 0; round < 4; ++round) {
    std::array<std::uint8_t, 32> seed;
    seed.fill(round);
    const OpensshKey key = make_openssh_key(seed, {1, 2, 3, round});
    run_judge("rm -f " + path);
    std::ofstream(path) << key.private_file;
    run_judge("chmod 600 " + path);
    EXPECT_EQ(run_judge("ssh-keygen -y -f " + path), std::pair(0, key.public_line + "\n"));
    EXPECT_EQ(run_judge("ssh-keygen -lf " + path).first, 0);
    // A signature proves that both halves belong together.
    EXPECT_EQ(run_judge("echo x > " + path + ".m; rm -f " + path +
                        ".m.sig; ssh-keygen -q -Y sign -n t -f " + path + " " + path +
                        ".m && ssh-keygen -Y check-novalidate -n t -s " + path + ".m.sig < " +
                        path + ".m")
                  .first,
              0);
  }
}

}  // namespace
}  // namespace goldmill::agent
