// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of compare_trees(): walks both trees at once, and looks into a file only when nothing
// else tells it from the other.
#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <goldmill/base/utf8.hpp>
#include <goldmill/build/text_difference.hpp>
#include <goldmill/store/layer_tree.hpp>

#include "layer_workers.hpp"
#include "layered_directory.hpp"
#include "secret_scan.hpp"
#include "tree_walk.hpp"

namespace goldmill::build {

using system::UniqueFd;

namespace {
constexpr off_t kLongestText = 64 << 10;
constexpr std::size_t kMostText = 2U << 20;  // of all differences together

/// "c 5 1" for a device that stands as a placeholder in a layer, else "".
std::string device_of(const PlacedFile& file, const struct stat& status) {
  std::array<char, 64> text{};
  if (!S_ISREG(status.st_mode) || status.st_size != 0) {
    return "";
  }
  const ssize_t size = ::lgetxattr(path_by_descriptor(file.parent, file.name).c_str(),
                                   store::kNodeAttribute,
                                   text.data(),
                                   text.size());
  return {text.data(), size < 0 ? 0 : static_cast<std::size_t>(size)};
}

const char* type_of(const struct stat& status) {
  switch (status.st_mode & S_IFMT) {
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "link";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    default:
      return "file";
  }
}

/// One side of a comparison; `entry` is nullptr when it is not there.
struct Side {
  const LayerEntry* entry = nullptr;
  PlacedFile file = {};
  Json facts = {};

  Side(const LayeredEntry& found, const std::string& name) {
    if (found.shown.empty()) {
      return;
    }
    entry = &found.shown.front();
    file = {entry->parent, name};
    const struct stat& status = entry->status;
    facts = {{"type", type_of(status)},
             {"mode", status.st_mode & 07777},
             {"user", status.st_uid},
             {"group", status.st_gid}};
    if (const std::string device = device_of(file, status); !device.empty()) {
      facts["type"] = "device";
      facts["device"] = device;
    } else if (S_ISREG(status.st_mode)) {
      facts["size"] = status.st_size;
    } else if (S_ISLNK(status.st_mode)) {
      facts["target"] = target_of(file.parent, name);
      facts.erase("mode");  // always 0777, and of no effect
    }
  }
  const struct stat& status() const { return entry->status; }
  bool is_file() const { return entry != nullptr && facts["type"] == "file"; }
};

/// A content for showing, or why it is none.
struct Showable {
  std::string content;
  std::string reason;
};

Result<Showable> showable_content(const Side& side) {
  if ((side.status().st_mode & S_IROTH) == 0) {
    return Showable{"", "not shown: not everybody may read it in the guest"};
  }
  if (side.status().st_size > kLongestText) {
    return Showable{"", "not shown: too long"};
  }
  const UniqueFd file(::openat(
      side.file.parent, side.file.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    return system_error("cannot open " + side.file.name, errno);
  }
  std::string content = TRY(system::read_all(file.get(), Bytes{kLongestText}));
  if (has_private_key(content)) {
    return Showable{"", "not shown: it holds a private key"};
  }
  if (content.find('\0') != std::string::npos || find_invalid_utf8(content)) {
    return Showable{"", "not text"};
  }
  return Showable{std::move(content), ""};
}

class TreeComparer {
 public:
  explicit TreeComparer(system::WorkerContext& context) : context_(context) {}
  Result<void> directories(const LayeredDirectory& before,
                           const LayeredDirectory& after,
                           const std::string& path,
                           std::size_t depth);

 private:
  Result<void> entry(const std::string& name,
                     const std::string& path,
                     const LayeredEntry& before,
                     const LayeredEntry& after);
  Result<void> add_text(Json& change, const Side& before, const Side& after);

  system::WorkerContext& context_;
  std::size_t told_ = 0;  // bytes of text
};

Result<void> TreeComparer::directories(const LayeredDirectory& before,
                                       const LayeredDirectory& after,
                                       const std::string& path,
                                       std::size_t depth) {
  TRY(check_depth(path, depth));
  const std::size_t shared = before.shared_with(after);
  std::set<std::string> names = TRY(before.names_above(shared));
  names.merge(TRY(after.names_above(shared)));
  for (const std::string& name : names) {
    const LayeredEntry left = TRY(before.find(name).context(path));
    const LayeredEntry right = TRY(after.find(name).context(path));
    const std::string below = path + "/" + name;
    TRY(entry(name, below, left, right));
    if (left.is_directory() || right.is_directory()) {
      const auto inside = [&name](const LayeredEntry& found) {
        return found.is_directory() ? LayeredDirectory::open(found, name) : LayeredDirectory();
      };
      const LayeredDirectory left_inside = TRY(inside(left));
      const LayeredDirectory right_inside = TRY(inside(right));
      TRY(directories(left_inside, right_inside, below, depth + 1));
    }
  }
  return {};
}

/// What of two entries of the same path differs, in the order that a person asks for it.
Result<Json> differences(const Side& before, const Side& after) {
  Json what = Json::array();
  if (before.facts["type"] != after.facts["type"]) {
    what.push_back("type");
    return what;
  }
  const auto differs = [&](const char* key) {
    return before.facts.value(key, Json()) != after.facts.value(key, Json());
  };
  if (differs("mode")) {
    what.push_back("mode");
  }
  if (differs("user") || differs("group")) {
    what.push_back("owner");
  }
  if (before.is_file() && (differs("size") || !TRY(same_content(before.file, after.file)))) {
    what.push_back("content");
  }
  if (differs("target")) {
    what.push_back("target");
  }
  if (differs("device")) {
    what.push_back("device");
  }
  if (TRY(store::layer_attributes(before.file.parent, before.file.name)) !=
      TRY(store::layer_attributes(after.file.parent, after.file.name))) {
    what.push_back("attributes");
  }
  return what;
}

Result<void> TreeComparer::entry(const std::string& name,
                                 const std::string& path,
                                 const LayeredEntry& before,
                                 const LayeredEntry& after) {
  if (before.shown.empty() && after.shown.empty()) {
    return {};
  }
  const Side left(before, name);
  const Side right(after, name);
  Json change = {{"path", path}, {"before", left.facts}, {"after", right.facts}};
  if (left.entry != nullptr && right.entry != nullptr) {
    if (left.entry->layer == right.entry->layer) {
      return {};
    }
    Json what = TRY(differences(left, right).context(path));
    if (what.empty()) {
      return {};
    }
    const bool reads_on = std::find(what.begin(), what.end(), "content") != what.end();
    change["what"] = std::move(what);
    if (reads_on && path.starts_with("/etc/")) {
      TRY(add_text(change, left, right).context(path));
    }
  }
  context_.send_event(change);
  return {};
}

Result<void> TreeComparer::add_text(Json& change, const Side& before, const Side& after) {
  const Showable left = TRY(showable_content(before));
  const Showable right = TRY(showable_content(after));
  const std::string& reason = left.reason.empty() ? right.reason : left.reason;
  if (!reason.empty() || told_ > kMostText) {
    change["untold"] = reason.empty() ? "not shown: too many" : reason;
    return {};
  }
  std::string text = TRY(text_difference(left.content, right.content));
  told_ += text.size();
  change["text"] = std::move(text);
  return {};
}

/// A stack of layers as the request names it: places in the hands, bottom to top.
Result<LayeredDirectory> open_stack(system::WorkerContext& context, const char* key) {
  const Json* places = find_value(context.request(), key);
  std::vector<LayerRoot> layers;
  for (const Json& place : places == nullptr ? Json::array() : *places) {
    const auto index = place.get<std::size_t>();
    layers.push_back({context.hand(index), index});
  }
  return LayeredDirectory::open_root(layers);
}
}  // namespace

Result<Json> compare_worker(system::WorkerContext& context) {
  const LayeredDirectory before = TRY(open_stack(context, "before"));
  const LayeredDirectory after = TRY(open_stack(context, "after"));
  TRY(TreeComparer(context).directories(before, after, "", 0));
  return Json::object();
}

}  // namespace goldmill::build
