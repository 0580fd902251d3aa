// SPDX-License-Identifier: GPL-3.0-or-later
#include "file_sums.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include <openssl/evp.h>

namespace goldmill::guest {

namespace {
class Md5 {
 public:
  Md5() : state_(::EVP_MD_CTX_new(), ::EVP_MD_CTX_free) {
    GOLDMILL_ASSERT(::EVP_DigestInit_ex(state_.get(), ::EVP_md5(), nullptr) == 1);
  }

  void update(std::string_view bytes) {
    ::EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size());
    size_ += bytes.size();
  }

  /// What lies between pieces is a hole.
  void fill_to(std::uint64_t offset) {
    static constexpr std::array<char, 4096> kZeros{};
    while (size_ < offset) {
      update({kZeros.data(), std::min<std::size_t>(kZeros.size(), offset - size_)});
    }
  }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned length = 0;
    ::EVP_DigestFinal_ex(state_.get(), bytes.data(), &length);
    std::string text;
    for (unsigned i = 0; i < length; ++i) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      text += kDigits[bytes.at(i) >> 4U];
      text += kDigits[bytes.at(i) & 15U];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> state_;
  std::uint64_t size_ = 0;
};

Result<std::string> sum_of(const TarEntry& entry, const DataSource& data) {
  Md5 sum;
  while (const auto piece = TRY(data())) {
    sum.fill_to(piece->offset);
    sum.update(piece->bytes);
  }
  sum.fill_to(entry.size);
  return sum.hex();
}
}  // namespace

Result<std::string> file_sums(const PackageSet::Member& member) {
  std::string text;
  std::map<std::string, std::string> known;  // of which a later hard link is another name
  TRY(member.deb.visit([&](const TarEntry& entry, const DataSource& data) -> Result<void> {
    if (entry.kind == TarEntry::Kind::file) {
      known[entry.path] = TRY(sum_of(entry, data));
    } else if (entry.kind == TarEntry::Kind::hardlink) {
      known[entry.path] = known[entry.target];
    } else {
      return {};
    }
    text += known[entry.path] + "  " + entry.path.substr(1) + "\n";
    return {};
  }));
  return text;
}

}  // namespace goldmill::guest
