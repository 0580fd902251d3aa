// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>

#include <goldmill/store/home.hpp>
#include <goldmill/store/oci_layout.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::store {

namespace fs = std::filesystem;

namespace {
struct Entry {
  std::string_view name;
  mode_t mode;
};
// Guest ids create in those for all and read packages; none of them can walk through the root.
constexpr std::array kEntries = {Entry{"archives", 0700},
                                 Entry{"assets", 0777},
                                 Entry{"blobs", 0700},
                                 Entry{"disks", 0700},
                                 Entry{"hosts", 0700},
                                 Entry{"instances", 0700},
                                 Entry{"keyrings", 0700},
                                 Entry{"logs", 0700},
                                 Entry{"packages", 0755},
                                 Entry{"snapshots", 0700},
                                 Entry{"trees", 0777},
                                 Entry{"work", 0777}};
constexpr const char* kOciLayout = "{\"imageLayoutVersion\":\"1.0.0\"}\n";

Result<fs::path> default_root() {
  // NOLINTBEGIN(concurrency-mt-unsafe): nothing here changes the environment
  if (const char* home = std::getenv("GOLDMILL_HOME"); home != nullptr && *home != '\0') {
    return fs::absolute(home);
  }
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    return fs::path(data) / "goldmill";
  }
  if (const char* user = std::getenv("HOME"); user != nullptr && *user == '/') {
    return fs::path(user) / ".local" / "share" / "goldmill";
  }
  // NOLINTEND(concurrency-mt-unsafe)
  return Error{ErrorKind::unavailable,
               "neither GOLDMILL_HOME nor HOME is set",
               "set GOLDMILL_HOME to a directory on a disk with space"};
}

/// mkdir obeys the umask; these modes must be exact.
Result<void> make_exact(const fs::path& path, mode_t mode) {
  TRY(system::make_directories(path, mode));
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 07777) != mode &&
      ::chmod(path.c_str(), mode) != 0) {
    return system_error("cannot set the mode of " + path.string(), errno);
  }
  return {};
}

/// A directory that is there and is no home of ours may be anything: its mode is not ours to set.
Result<void> check_free(const fs::path& root) {
  std::error_code ignored;
  if (!fs::exists(root, ignored) || fs::exists(root / "oci-layout", ignored) ||
      fs::exists(root / "catalogue.db", ignored)) {
    return {};
  }
  if (!fs::is_directory(root, ignored)) {
    return Error{ErrorKind::invalid_input,
                 root.string() + " is no directory",
                 "set GOLDMILL_HOME to a directory of its own"};
  }
  // A home whose making was cut off has some of these and nothing else.
  for (const fs::directory_entry& entry : fs::directory_iterator(root, ignored)) {
    const std::string name = entry.path().filename();
    const bool ours = std::any_of(
        kEntries.begin(), kEntries.end(), [&](const Entry& known) { return known.name == name; });
    if (!ours && name != "lost+found") {  // the root of a disk
      return Error{ErrorKind::invalid_input,
                   root.string() + " holds other things, such as " + name,
                   "set GOLDMILL_HOME to a directory of its own"};
    }
  }
  return {};
}
}  // namespace

Result<Home> Home::open() {
  return open(TRY(default_root()));
}

Result<Home> Home::open(const fs::path& root) {
  TRY(check_free(root));
  TRY(make_exact(root, 0700));
  for (const Entry& entry : kEntries) {
    TRY(make_exact(root / entry.name, entry.mode));
  }
  TRY(system::make_directories(root / "blobs" / "sha256", 0700));
  Home home(root);
  // One that got lost beside a catalogue is for `check` to tell: empty would be wrong.
  if (!fs::exists(root / "index.json") && !fs::exists(root / "catalogue.db")) {
    TRY(write_index(home, {}));
  }
  const auto layout = system::read_file(root / "oci-layout", 64_KiB);
  if (!layout || *layout != kOciLayout) {  // others read it first
    TRY(system::write_file(root / "oci-layout", kOciLayout));
  }
  return home;
}

Result<Digest> Home::put_blob(std::string_view content) const {
  const Digest digest = sha256(content);
  struct stat status {};
  if (::stat(blob(digest).c_str(), &status) == 0 &&
      static_cast<std::size_t>(status.st_size) == content.size() &&
      ::utimensat(AT_FDCWD, blob(digest).c_str(), nullptr, 0) == 0) {  // young again, for gc
    return digest;
  }
  TRY(system::write_file(blob(digest), content, 0600));
  return digest;
}

Result<std::string> Home::get_blob(const Digest& digest) const {
  std::string content = TRY(system::read_file(blob(digest), 1_GiB));
  if (sha256(content) != digest) {
    return Error{ErrorKind::corrupt,
                 "the stored object " + digest.text() + " is damaged",
                 "remove " + blob(digest).string() + " and build again"};
  }
  return content;
}

}  // namespace goldmill::store
