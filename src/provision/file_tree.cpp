// SPDX-License-Identifier: GPL-3.0-or-later
#include "file_tree.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/utf8.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::provision {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {

constexpr std::size_t kMostEntries = 100'000;
constexpr int kDeepest = 64;
constexpr Bytes kLargest = 16_GiB;
/// Of one run of a step.
constexpr std::size_t kMostContents = 1000;

Result<std::vector<std::string>> names_in(int directory) {
  // fdopendir takes its descriptor over, the caller's has to stay.
  UniqueFd copy(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy ? ::fdopendir(copy.get()) : nullptr,
                                                   &::closedir);
  if (!stream) {
    return system_error("cannot list", errno);
  }
  (void)copy.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string name = entry->d_name;
    if (name != "." && name != "..") {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Reader {
 public:
  Reader(fs::path top, int sink) : top_(std::move(top)), sink_(sink) {}

  Result<FileTree> read() {
    const UniqueFd file = TRY(system::open_file(top_, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    TRY(add(file.get(), "", 0));
    return std::move(tree_);
  }

 private:
  std::string name_of(const std::string& path) const {
    return escape_controls((path.empty() ? top_ : top_ / path).string());
  }

  Result<void> add(int file, const std::string& path, int depth) {
    struct stat status {};
    if (::fstat(file, &status) != 0) {
      return system_error("cannot read " + name_of(path), errno);
    }
    if (tree_.entries.size() >= kMostEntries || depth > kDeepest) {
      return Error{ErrorKind::invalid_input,
                   top_.string() + " holds too many or too deeply nested files",
                   "at most 100,000 files and 64 levels are copied: put them into a package"};
    }
    if (find_invalid_utf8(path)) {
      return Error{ErrorKind::invalid_input, name_of(path) + ": its name is not UTF-8"};
    }
    if (S_ISDIR(status.st_mode)) {
      tree_.entries.push_back({path, TreeEntry::Type::directory});
      return add_children(file, path, depth);
    }
    if (!S_ISREG(status.st_mode)) {
      return Error{ErrorKind::invalid_input,
                   name_of(path) + " is no file, directory or link",
                   "sockets and devices are not copied"};
    }
    TreeEntry entry{path, TreeEntry::Type::file, (status.st_mode & S_IXUSR) != 0};
    TRY(add_content(file, entry).context(name_of(path)));
    tree_.entries.push_back(std::move(entry));
    return {};
  }

  Result<void> add_content(int file, TreeEntry& entry) {
    Sha256 digest;
    TRY(system::read_pieces(file, [&](std::string_view bytes) -> Result<void> {
      digest.update(bytes);
      entry.size += bytes.size();
      total_ += bytes.size();
      if (total_ > kLargest.value) {
        return Error{ErrorKind::invalid_input, "more than " + to_text(kLargest) + " to copy"};
      }
      return sink_ >= 0 ? system::write_all(sink_, bytes) : Result<void>();
    }));
    entry.content = digest.finish();
    return {};
  }

  Result<void> add_children(int directory, const std::string& path, int depth) {
    for (const std::string& name : TRY(names_in(directory).context(name_of(path)))) {
      const std::string child = path.empty() ? name : path + "/" + name;
      const UniqueFd file(::openat(
          directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
      if (file) {
        TRY(add(file.get(), child, depth + 1));
        continue;
      }
      if (errno != ELOOP) {
        return system_error("cannot open " + name_of(child), errno);
      }
      std::array<char, 4096> target{};
      const ssize_t length = ::readlinkat(directory, name.c_str(), target.data(), target.size());
      if (length < 0) {
        return system_error("cannot read the link " + name_of(child), errno);
      }
      TreeEntry entry{child, TreeEntry::Type::link};
      entry.link.assign(target.data(), static_cast<std::size_t>(length));
      if (find_invalid_utf8(entry.link)) {
        return Error{ErrorKind::invalid_input, name_of(child) + ": its target is not UTF-8"};
      }
      tree_.entries.push_back(std::move(entry));
    }
    return {};
  }

  fs::path top_;
  int sink_;
  std::uint64_t total_ = 0;
  FileTree tree_;
};

const char* name_of(TreeEntry::Type type) {
  switch (type) {
    case TreeEntry::Type::directory:
      return "directory";
    case TreeEntry::Type::link:
      return "link";
    case TreeEntry::Type::file:
      break;
  }
  return "file";
}

/// All that counts of each entry.
Json with_contents(const FileTree& tree) {
  Json list = tree.to_json();
  for (std::size_t i = 0; i < list.size(); ++i) {
    list[i]["content"] = tree.entries[i].content.text();
  }
  return list;
}

/// The path's first names, as many as `depth`: what is deeper belongs to the directory there.
std::string_view cut(std::string_view path, int depth) {
  std::size_t end = depth > 0 ? path.find('/') : 0;
  for (; depth > 1 && end != std::string_view::npos; --depth) {
    end = path.find('/', end + 1);
  }
  return path.substr(0, end);
}

/// The greatest at which the entries are not too many. They are in order, so the same names meet.
int depth_of_contents(const std::vector<TreeEntry>& entries, std::size_t most) {
  std::ptrdiff_t deepest = 1;
  for (const TreeEntry& entry : entries) {
    deepest = std::max(deepest, std::count(entry.path.begin(), entry.path.end(), '/') + 1);
  }
  for (int depth = static_cast<int>(deepest); depth > 0; --depth) {
    std::size_t names = 0;
    std::string_view before;
    for (const TreeEntry& entry : entries) {
      const std::string_view name = cut(entry.path, depth);
      names += name != before ? 1 : 0;
      before = name;
    }
    if (names <= most) {
      return depth;
    }
  }
  return 0;
}

}  // namespace

Result<FileTree> FileTree::read(const fs::path& top, int sink) {
  return Reader(top, sink).read();
}

Result<FileTree> FileTree::read_again(const fs::path& top, int sink, const std::string& digest) {
  FileTree tree = TRY(read(top, sink));
  if (tree.digest().text() != digest) {
    return Error{ErrorKind::conflict, top.string() + " changed during the build", "build again"};
  }
  return tree;
}

FileTree FileTree::of_content(std::string_view content) {
  TreeEntry entry{"", TreeEntry::Type::file};
  entry.size = content.size();
  entry.content = sha256(content);
  return FileTree{{std::move(entry)}};
}

Digest FileTree::digest() const {
  return sha256(canonical(with_contents(*this)));
}

Json FileTree::contents(const std::string& shown, std::size_t trees) const {
  const int depth = depth_of_contents(entries, kMostContents / std::max<std::size_t>(trees, 1));
  const std::string top = shown.ends_with('/') ? shown.substr(0, shown.size() - 1) : shown;
  std::map<std::string, Sha256> digests;
  const Json list = with_contents(*this);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].path.empty() && entries[i].type == TreeEntry::Type::directory) {
      continue;  // the same in all trees
    }
    const std::string below(cut(entries[i].path, depth));
    digests[below.empty() ? top : top + "/" + below].update(canonical(list[i]));
  }
  Json contents = Json::object();
  for (auto& [name, digest] : digests) {
    contents[name] = digest.finish().text();
  }
  return contents;
}

Json FileTree::to_json() const {
  Json list = Json::array();
  for (const TreeEntry& entry : entries) {
    list.push_back({{"path", entry.path},
                    {"type", name_of(entry.type)},
                    {"executable", entry.executable},
                    {"size", entry.size},
                    {"link", entry.link}});
  }
  return list;
}

Result<void> give_input(plan::Step& step,
                        const std::string& name,
                        const fs::path& source,
                        const std::string& shown,
                        std::size_t trees) {
  const FileTree tree = TRY(FileTree::read(source, -1));
  step.inputs[name] = tree.digest().text();
  step.contents[name] = tree.contents(shown, trees);
  step.sources[name] = source;
  return {};
}

}  // namespace goldmill::provision
