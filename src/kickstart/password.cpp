// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <crypt.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/kickstart/password.hpp>

namespace goldmill::kickstart {

namespace {
/// Salted with the beginning of the text's digest.
std::string crypted(const std::string& password, const std::string& text) {
  crypt_data data{};
  const std::string salt = "$6$" + sha256(text).hex().substr(0, 16) + "$";
  const char* const hash = ::crypt_r(password.c_str(), salt.c_str(), &data);
  return hash == nullptr ? "" : hash;
}
}  // namespace

std::string hashed_password(const std::string& name, const std::string& password) {
  // A salt made of the password by a quick digest would let a guess be tried as quickly.
  return crypted(password, crypted(password, name));
}

bool is_strong_hash(const std::string& text) {
  constexpr std::string_view kCharacters =
      "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$=,";
  for (const std::string_view kind : {"$5$", "$6$", "$y$", "$7$", "$2a$", "$2b$", "$gy$"}) {
    if (text.starts_with(kind)) {
      const std::string rest = text.substr(kind.size());
      return rest.size() >= 8 && rest.size() <= 240 &&
             rest.find_first_not_of(kCharacters) == std::string::npos;
    }
  }
  return false;
}

}  // namespace goldmill::kickstart
