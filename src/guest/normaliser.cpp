// SPDX-License-Identifier: GPL-3.0-or-later
#include "normaliser.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace goldmill::guest {

namespace {
constexpr std::int64_t kDay = 86400;

/// Files that only tell of the build itself. The seal checks them again over all layers.
constexpr std::array kLeftovers = {"/etc/passwd-",
                                   "/etc/group-",
                                   "/etc/shadow-",
                                   "/etc/gshadow-",
                                   "/etc/subuid-",
                                   "/etc/subgid-",
                                   "/etc/.pwd.lock",
                                   "/var/lib/dpkg/lock",
                                   "/var/lib/dpkg/lock-frontend",
                                   "/var/lib/dpkg/triggers/Lock",
                                   "/var/log/dpkg.log",
                                   "/var/log/alternatives.log",
                                   "/var/log/bootstrap.log",
                                   "/var/log/fontconfig.log",
                                   "/var/cache/ldconfig/aux-cache",
                                   "/var/lib/dpkg/available-old",
                                   "/var/lib/dpkg/status-old",
                                   "/var/lib/dpkg/diversions-old",
                                   "/var/lib/dpkg/statoverride-old",
                                   "/var/lib/dpkg/cmethopt-old",
                                   "/var/cache/debconf/config.dat-old",
                                   "/var/cache/debconf/templates.dat-old",
                                   "/var/cache/debconf/passwords.dat-old"};

/// Replaces the content, keeping the file itself with its owner and mode.
Result<void> rewrite(GuestTree& tree, const std::string& path, std::string_view content) {
  const GuestPlace place = TRY(tree.place(path));
  const system::UniqueFd file(::openat(
      place.descriptor(), place.name.c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC));
  if (!file) {
    return system_error("cannot rewrite " + path, errno);
  }
  return system::write_all(file.get(), content).context(path);
}

Result<void> remove_leftovers(GuestTree& tree) {
  for (const char* path : kLeftovers) {
    const auto status = TRY(tree.look(path));
    if (status && !S_ISDIR(status->st_mode)) {
      TRY(tree.remove_file(path));
    }
  }
  return {};
}

/// man-db's databases hold the time of each page's inode; its timer makes them again.
Result<void> remove_manual_databases(GuestTree& tree) {
  for (const std::string& name : TRY(tree.names("/var/cache/man"))) {
    const std::string in_language = "/var/cache/man/" + name + "/index.db";
    if (TRY(tree.look(in_language))) {
      TRY(tree.remove_file(in_language));
    }
    if (name == "index.db") {
      TRY(tree.remove_file("/var/cache/man/index.db"));
    }
  }
  return {};
}

/// ssl-cert links its certificate under a hash of this machine's name; the certificate is sealed
/// away, and an instance's own gets a link of its own.
Result<void> remove_certificate_links(GuestTree& tree) {
  const std::string directory = "/etc/ssl/certs/";
  constexpr std::string_view kCertificate = "ssl-cert-snakeoil.pem";
  if (!TRY(tree.look(directory + std::string(kCertificate)))) {
    return {};
  }
  for (const std::string& name : TRY(tree.names(directory.substr(0, directory.size() - 1)))) {
    const GuestPlace place = TRY(tree.place(directory + name));
    std::array<char, 64> target{};
    const ssize_t size =
        ::readlinkat(place.descriptor(), name.c_str(), target.data(), target.size());
    if (size > 0 &&
        std::string_view(target.data(), static_cast<std::size_t>(size)) == kCertificate) {
      TRY(tree.remove_file(directory + name));
    }
  }
  return {};
}

Result<void> rewrite_shadow(GuestTree& tree, std::int64_t epoch) {
  const std::string old = TRY(tree.read_or_empty("/etc/shadow"));
  const std::string fresh = with_days_until(old, epoch);
  return fresh == old ? Result<void>() : rewrite(tree, "/etc/shadow", fresh);
}

Result<void> rewrite_keystore(GuestTree& tree, std::int64_t epoch) {
  constexpr const char* kPath = "/etc/ssl/certs/java/cacerts";
  const auto status = TRY(tree.look(kPath));
  if (!status || !S_ISREG(status->st_mode)) {
    return {};
  }
  const std::string old = TRY(tree.read(kPath));
  const auto fresh = with_dates(old, epoch);
  return !fresh || *fresh == old ? Result<void>() : rewrite(tree, kPath, *fresh);
}

/// Big-endian reader and writer of Java's DataOutputStream.
class JavaBytes {
 public:
  explicit JavaBytes(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    for (const char byte : take(width)) {
      value = value << 8U | static_cast<unsigned char>(byte);
    }
    return value;
  }
  std::string_view take(std::size_t count) {
    if (count > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  bool good() const { return good_; }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::string java_number(std::uint64_t value, std::size_t width) {
  std::string bytes(width, '\0');
  for (std::size_t i = width; i > 0; --i, value >>= 8U) {
    bytes[i - 1] = static_cast<char>(value & 0xffU);
  }
  return bytes;
}

/// The store's own check value: SHA-1 over the password in UTF-16, a fixed text and the store.
std::string keystore_digest(std::string_view store) {
  std::string salted;
  for (const char letter : std::string_view("changeit")) {
    salted += '\0';
    salted += letter;
  }
  salted += "Mighty Aphrodite";
  salted += store;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  ::EVP_Digest(salted.data(), salted.size(), digest.data(), &size, ::EVP_sha1(), nullptr);
  std::string bytes;
  for (unsigned i = 0; i < size; ++i) {
    bytes += static_cast<char>(digest.at(i));
  }
  return bytes;
}
}  // namespace

std::string with_days_until(std::string_view shadow, std::int64_t epoch) {
  std::string text;
  while (!shadow.empty()) {
    const std::size_t end = std::min(shadow.find('\n'), shadow.size());
    const std::string_view line = shadow.substr(0, end);
    shadow.remove_prefix(std::min(shadow.size(), end + 1));
    const std::size_t name = line.find(':');
    const std::size_t password = name == line.npos ? name : line.find(':', name + 1);
    std::int64_t day = -1;
    if (password != line.npos) {
      std::from_chars(line.data() + password + 1, line.data() + line.size(), day);
    }
    if (day > epoch / kDay) {
      const std::size_t after = std::min(line.find(':', password + 1), line.size());
      text += line.substr(0, password + 1);
      text += std::to_string(epoch / kDay);
      text += line.substr(after);
    } else {
      text += line;
    }
    text += '\n';
  }
  return text;
}

std::optional<std::string> with_dates(std::string_view keystore, std::int64_t epoch) {
  constexpr std::size_t kDigestSize = 20;
  if (keystore.size() < 12 + kDigestSize) {
    return std::nullopt;
  }
  const std::string_view store = keystore.substr(0, keystore.size() - kDigestSize);
  JavaBytes bytes(store);
  const std::uint64_t magic = bytes.number(4);
  const std::uint64_t version = bytes.number(4);
  const std::uint64_t count = bytes.number(4);
  if (magic != 0xfeedfeed || version != 2 ||
      keystore_digest(store) != keystore.substr(keystore.size() - kDigestSize)) {
    return std::nullopt;
  }
  std::vector<std::string> entries;
  for (std::uint64_t i = 0; i < count && bytes.good(); ++i) {
    if (bytes.number(4) != 2) {  // a private key: no store of certificates of a package
      return std::nullopt;
    }
    std::string entry = java_number(2, 4);
    const std::uint64_t alias = bytes.number(2);
    entry += java_number(alias, 2) + std::string(bytes.take(alias));
    bytes.number(8);
    entry += java_number(static_cast<std::uint64_t>(epoch) * 1000, 8);
    const std::uint64_t type = bytes.number(2);
    entry += java_number(type, 2) + std::string(bytes.take(type));
    const std::uint64_t size = bytes.number(4);
    entry += java_number(size, 4) + std::string(bytes.take(size));
    entries.push_back(std::move(entry));
  }
  if (!bytes.good() || bytes.left() != 0) {
    return std::nullopt;
  }
  std::sort(entries.begin(), entries.end());
  std::string fresh(store.substr(0, 12));
  for (const std::string& entry : entries) {
    fresh += entry;
  }
  return fresh + keystore_digest(fresh);
}

Result<void> normalise(GuestTree& tree, std::int64_t epoch) {
  TRY(remove_leftovers(tree));
  TRY(remove_manual_databases(tree));
  TRY(remove_certificate_links(tree));
  TRY(rewrite_shadow(tree, epoch));
  return rewrite_keystore(tree, epoch);
}

}  // namespace goldmill::guest
