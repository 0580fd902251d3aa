// SPDX-License-Identifier: GPL-3.0-or-later
#include "random_tree.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/store/layer_tree.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::build::test {

namespace fs = std::filesystem;

namespace {
const std::string kTop = "srv/random";

Error failed(const std::string& what, const std::string& path) {
  return system_error("cannot " + what + " '" + path + "'", errno);
}

class Changes {
 public:
  explicit Changes(std::uint64_t seed) : random_(seed) {}

  Result<void> run(std::int64_t count) {
    (void)::mkdir(kTop.c_str(), 0755);
    for (std::int64_t i = 0; i < count; ++i) {
      TRY(change());
    }
    return {};
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(std::uint64_t chances) { return below(chances) == 0; }

  template <typename T, std::size_t N>
  const T& any(const std::array<T, N>& list) {
    return list.at(below(N));
  }

  /// Few names, so that they meet; odd ones, because guests have them.
  std::string name() {
    static const std::array<std::string, 16> kNames = {"a",
                                                       "b",
                                                       "c",
                                                       "d",
                                                       "-rf",
                                                       " ",
                                                       "two\nlines",
                                                       "caf\xc3\xa9",
                                                       "bad\xff\xfe",
                                                       "*",
                                                       "...",
                                                       ".wh",
                                                       "\\",
                                                       "semi;$(colon)",
                                                       std::string(255, 'n'),
                                                       std::string(120, 'm')};
    return any(kNames);
  }

  std::vector<std::string> all(bool directories_only) {
    std::vector<std::string> found = {kTop};
    for (const auto& entry : fs::recursive_directory_iterator(kTop)) {
      if (!directories_only || entry.symlink_status().type() == fs::file_type::directory) {
        found.push_back(entry.path().string());
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  std::string some_directory() {
    const auto directories = all(true);
    return directories[below(directories.size())];
  }
  /// "" when there is nothing yet.
  std::string something() {
    const auto paths = all(false);
    return paths.size() < 2 ? "" : paths[1 + below(paths.size() - 1)];
  }

  Result<void> change() {
    switch (below(10)) {
      case 0:
        return remove(something());
      case 1:
        return describe(something());
      case 2:
        return replace_directory();
      case 3:
        return link_or_move();
      default:
        return make(some_directory() + "/" + name());
    }
  }

  static Result<void> remove(const std::string& path) {
    return path.empty() ? Result<void>() : system::remove_tree(path);
  }

  /// Also in place of a file or a directory with all that is in it.
  Result<void> make(const std::string& path) {
    if (path.size() > 1500) {
      return {};
    }
    TRY(remove(path));
    switch (below(8)) {
      case 0:
      case 1:
        if (::mkdir(path.c_str(), 0755) != 0) {
          return failed("make the directory", path);
        }
        break;
      case 2: {
        const std::array<std::string, 4> targets = {
            "a", "/etc/passwd", "../../b\xff", std::string(300, 't')};
        if (::symlink(any(targets).c_str(), path.c_str()) != 0) {
          return failed("make the link", path);
        }
        break;
      }
      case 3:
        if (::mkfifo(path.c_str(), 0644) != 0) {
          return failed("make the pipe", path);
        }
        break;
      default:
        TRY(make_file(path));
    }
    return describe(path);
  }

  Result<void> make_file(const std::string& path) {
    const system::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
    if (!file) {
      return failed("make", path);
    }
    if (one_in(6)) {  // a device, as sandboxes keep it
      const std::string node = (one_in(2) ? "c " : "b ") + std::to_string(below(4095)) + " " +
                               std::to_string(below(1000000));
      ::fsetxattr(file.get(), store::kNodeAttribute, node.data(), node.size(), 0);
      return {};
    }
    if (one_in(4)) {  // a hole, then content, then a hole
      if (::ftruncate(file.get(), static_cast<off_t>(below(3000000))) != 0) {
        return failed("make a hole in", path);
      }
      ::lseek(file.get(), static_cast<off_t>(below(2000000)), SEEK_SET);
    }
    std::string content(below(3) * below(70000), '\0');
    std::generate(content.begin(), content.end(), [&] { return static_cast<char>(random_()); });
    return system::write_all(file.get(), content);
  }

  /// Away and made anew: opaque, when a lower layer has it.
  Result<void> replace_directory() {
    const std::string path = some_directory();
    if (path == kTop) {
      return {};
    }
    TRY(remove(path));
    return ::mkdir(path.c_str(), 0700) == 0 ? Result<void>() : failed("make again", path);
  }

  Result<void> link_or_move() {
    const std::string from = something();
    const std::string to = some_directory() + "/" + name();
    if (from.empty() || to.starts_with(from)) {
      return {};
    }
    if (one_in(3)) {
      // Refused for directories of a lower layer (EXDEV) and onto full ones.
      (void)::rename(from.c_str(), to.c_str());
    } else {
      (void)::link(from.c_str(), to.c_str());
    }
    return {};
  }

  /// Owner, mode, attributes and time of whatever is there.
  Result<void> describe(const std::string& path) {
    struct stat status {};
    if (path.empty() || ::lstat(path.c_str(), &status) != 0) {
      return {};
    }
    static const std::array<uid_t, 5> kIds = {0, 33, 1000, 65534, 65535};
    if (::lchown(path.c_str(), any(kIds), any(kIds)) != 0) {
      return failed("change the owner of", path);
    }
    static const std::array<mode_t, 8> kModes = {0644, 0755, 0, 04755, 02755, 01777, 06711, 0400};
    if (!S_ISLNK(status.st_mode) && ::chmod(path.c_str(), any(kModes)) != 0) {
      return failed("change the mode of", path);
    }
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
      TRY(add_attributes(path, S_ISREG(status.st_mode)));
    }
    static const std::array<std::int64_t, 7> kTimes = {
        -86400 * 3650LL, -1, 0, 1, 1234567890, 1700000001, 4102444800};
    const timespec time{any(kTimes), static_cast<long>(below(1000000000))};
    const std::array<timespec, 2> times = {time, time};
    if (::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
      return failed("set the time of", path);
    }
    return {};
  }

  Result<void> add_attributes(const std::string& path, bool is_file) {
    static const std::string kCapability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    if (one_in(3)) {
      std::string value(below(300), '\0');
      std::generate(value.begin(), value.end(), [&] { return static_cast<char>(random_()); });
      const std::string attribute = one_in(2) ? "user.note" : "user.\xff\x01=x";
      if (::setxattr(path.c_str(), attribute.c_str(), value.data(), value.size(), 0) != 0) {
        return failed("set an attribute of", path);
      }
    }
    if (is_file && one_in(4) &&
        ::setxattr(
            path.c_str(), "security.capability", kCapability.data(), kCapability.size(), 0) != 0) {
      return failed("set the capabilities of", path);
    }
    if (one_in(5)) {
      (void)::removexattr(path.c_str(), "user.note");
    }
    return {};
  }

  std::mt19937_64 random_;
};

std::string hex(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits[value >> 4U];
    text += kDigits[value & 15U];
  }
  return text;
}

/// As it is where it can be read, else in hex.
std::string printable(const std::string& bytes) {
  const bool is_plain = std::all_of(
      bytes.begin(), bytes.end(), [](char c) { return c > ' ' && c < 127 && c != '%'; });
  return is_plain ? bytes : "%" + hex(bytes);
}

class Description {
 public:
  Description(int tree, std::int64_t epoch) : tree_(tree), epoch_(epoch) {}

  Result<Json> run() {
    std::set<std::string> paths = {kTop};
    for (const auto& entry : fs::recursive_directory_iterator(kTop)) {
      paths.insert(entry.path().string());
    }
    Json lines = Json::array();
    for (const std::string& path : paths) {
      lines.push_back(TRY(line(path)));
    }
    return Json{{"entries", std::move(lines)}};
  }

 private:
  Result<std::string> line(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
      return failed("look at", path);
    }
    std::array<char, 16> mode{};
    std::snprintf(mode.data(), mode.size(), "%06o", status.st_mode);
    std::string text = printable(path) + " " + mode.data() + " " + std::to_string(status.st_uid) +
                       ":" + std::to_string(status.st_gid);
    if (S_ISREG(status.st_mode)) {
      text += " " + std::to_string(status.st_size) + " " +
              sha256(TRY(system::read_file(path))).hex().substr(0, 16);
    } else if (S_ISLNK(status.st_mode)) {
      text += " -> " + printable(fs::read_symlink(path).string());
    }
    if (!S_ISDIR(status.st_mode)) {
      text += " time=" + std::to_string(std::clamp<std::int64_t>(status.st_mtim.tv_sec, 0, epoch_));
      const auto first = inodes_.emplace(std::pair(status.st_dev, status.st_ino), path).first;
      text += first->second == path ? "" : " same as " + printable(first->second);
    }
    for (const auto& [name, value] : TRY(store::layer_attributes(tree_, path))) {
      text += " " + printable(name) + "=" + hex(value);
    }
    std::array<char, 64> node{};
    if (::lgetxattr(path.c_str(), store::kNodeAttribute, node.data(), node.size() - 1) > 0) {
      text += std::string(" node ") + node.data();
    }
    return text;
  }

  int tree_;
  std::int64_t epoch_;
  std::map<std::pair<dev_t, ino_t>, std::string> inodes_;
};

Result<void> enter(const system::WorkerContext& context) {
  return ::fchdir(context.hand(0)) == 0 ? Result<void>() : system_error("fchdir", errno);
}
}  // namespace

Result<Json> change_at_random(system::WorkerContext& context) {
  TRY(enter(context));
  Changes changes(static_cast<std::uint64_t>(TRY(integer_at(context.request(), "seed"))));
  TRY(changes.run(TRY(integer_at(context.request(), "changes"))));
  return Json::object();
}

Result<Json> describe_tree(system::WorkerContext& context) {
  TRY(enter(context));
  return Description(context.hand(0), TRY(integer_at(context.request(), "epoch"))).run();
}

}  // namespace goldmill::build::test
