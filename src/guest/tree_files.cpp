// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <goldmill/guest/tree_files.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::guest {
namespace {

constexpr const char* kTemporary = ".goldmill-new";

Result<system::UniqueFd> open_in(int root, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  system::UniqueFd directory(
      static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
  if (!directory) {
    return system_error("opening /" + path + " in the tree", errno);
  }
  return directory;
}

/// The directory `path` ("etc/ssh", "" for the root), made with its parents when missing.
// NOLINTNEXTLINE(misc-no-recursion): as deep as the path, which check_path bounds
Result<system::UniqueFd> make_directory_in(int root, const std::string& path) {
  auto directory = open_in(root, path.empty() ? "." : path);
  if (directory || directory.error().kind != ErrorKind::not_found) {
    return directory;
  }
  const std::size_t slash = path.rfind('/');
  const system::UniqueFd parent =
      TRY(make_directory_in(root, slash == std::string::npos ? "" : path.substr(0, slash)));
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (mkdirat(parent.get(), name.c_str(), 0755) != 0 ||
      fchmodat(parent.get(), name.c_str(), 0755, 0) != 0) {
    return system_error("creating /" + path + " in the tree", errno);
  }
  return open_in(root, path);
}

Result<void> check_path(const std::string& path) {
  const bool is_good = path.size() > 1 && path.size() < 1024 && path[0] == '/' &&
                       path.back() != '/' && (path + "/").find("/../") == std::string::npos &&
                       path.find("//") == std::string::npos && path.find('\0') == std::string::npos;
  if (!is_good) {
    return Error{ErrorKind::invalid_input, "'" + path + "' is no path of a file in the tree"};
  }
  return {};
}

struct FilePlace {
  system::UniqueFd directory;
  std::string name;
};

Result<FilePlace> place_of(int root, const std::string& path) {
  TRY(check_path(path));
  const std::size_t slash = path.rfind('/');
  return FilePlace{TRY(make_directory_in(root, slash == 0 ? "" : path.substr(1, slash - 1))),
                   path.substr(slash + 1)};
}

Result<void> write_one(int root, const TreeFile& file) {
  const FilePlace place = TRY(place_of(root, file.path));
  const int directory = place.directory.get();
  unlinkat(directory, kTemporary, 0);
  if (!file.link.empty()) {
    if (symlinkat(file.link.c_str(), directory, kTemporary) != 0) {
      return system_error("linking " + file.path, errno);
    }
  } else {
    const system::UniqueFd output(
        openat(directory, kTemporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!output) {
      return system_error("creating " + file.path, errno);
    }
    TRY(system::write_all(output.get(), file.content));
    if (fchmod(output.get(), file.mode) != 0) {
      return system_error("setting the mode of " + file.path, errno);
    }
  }
  if (renameat(directory, kTemporary, directory, place.name.c_str()) != 0) {
    return system_error("placing " + file.path, errno);
  }
  return {};
}

/// JSON holds no bytes that are not UTF-8: programs travel as hexadecimal digits.
bool is_plain(const std::string& content) {
  return std::all_of(content.begin(), content.end(), [](char c) {
    return c > 0 && static_cast<unsigned char>(c) < 0x80;
  });
}

std::string to_hex(const std::string& bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4U];
    text += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

Result<std::string> from_hex(const std::string& text) {
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned value = 0;
    const auto [end, failure] = std::from_chars(&text[i], &text[i] + 2, value, 16);
    if (failure != std::errc{} || end != &text[i] + 2) {
      return Error{ErrorKind::invalid_input, "a file's content is not hexadecimal"};
    }
    bytes += static_cast<char>(value);
  }
  return bytes;
}

Result<TreeFile> tree_file_from(const Json& entry) {
  TreeFile file{.path = TRY(string_at(entry, "path")), .content = {}, .link = {}};
  file.link = find_string(entry, "link").value_or("");
  file.content = find_string(entry, "content").value_or("");
  if (const auto digits = find_string(entry, "hex")) {
    file.content = TRY(from_hex(*digits));
  }
  file.mode = static_cast<std::uint32_t>(find_integer(entry, "mode").value_or(0644)) & 07777U;
  return file;
}

}  // namespace

Json to_json(const std::vector<TreeFile>& files) {
  Json list = Json::array();
  for (const TreeFile& file : files) {
    if (file.link.empty()) {
      const bool plain = is_plain(file.content);
      list.push_back({{"path", file.path},
                      {plain ? "content" : "hex", plain ? file.content : to_hex(file.content)},
                      {"mode", file.mode}});
    } else {
      list.push_back({{"path", file.path}, {"link", file.link}});
    }
  }
  return list;
}

Result<std::vector<TreeFile>> tree_files_from(const Json& json) {
  std::vector<TreeFile> files;
  for (const Json& entry : json) {
    files.push_back(TRY(tree_file_from(entry)));
  }
  return files;
}

Result<void> write_tree_files(int root, const std::vector<TreeFile>& files) {
  for (const TreeFile& file : files) {
    TRY(write_one(root, file));
  }
  return {};
}

Result<void> remove_tree_files(int root, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const FilePlace place = TRY(place_of(root, path));
    if (unlinkat(place.directory.get(), place.name.c_str(), 0) != 0 && errno != ENOENT) {
      return system_error("removing " + path, errno);
    }
  }
  return {};
}

Result<void> place_files(plan::Sandbox& sandbox,
                         const std::vector<TreeFile>& files,
                         const std::vector<std::string>& removed) {
  if (files.empty() && removed.empty()) {
    return {};
  }
  const Json request = {{"files", to_json(files)}, {"removed", removed}};
  TRY(sandbox.call(kTreeFilesWorker, request, {}, {}));
  return {};
}

Result<Json> tree_files_worker(system::WorkerContext& context) {
  const Json* files = find_value(context.request(), "files");
  if (files == nullptr) {
    return Error{ErrorKind::internal, "the request names no files"};
  }
  umask(0022);
  TRY(remove_tree_files(context.hand(0), find_strings(context.request(), "removed")));
  TRY(write_tree_files(context.hand(0), TRY(tree_files_from(*files))));
  return Json::object();
}

}  // namespace goldmill::guest
