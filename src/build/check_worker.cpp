// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of check_image(): reads every layer of a finished image.
#include <array>
#include <cerrno>
#include <set>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/build/seal.hpp>

#include "layer_workers.hpp"
#include "secret_scan.hpp"
#include "tree_walk.hpp"

namespace goldmill::build {

using system::UniqueFd;

namespace {
constexpr off_t kLargestScanned = 1 << 20;

class Checker {
 public:
  Checker(system::WorkerContext& context, std::set<std::string> allowed)
      : context_(context), allowed_(std::move(allowed)) {}
  Result<void> layer(int tree, std::size_t index, bool declared) {
    layer_ = index;
    declared_ = declared;
    const UniqueFd open = TRY(open_subdirectory(tree, "."));
    return directory(open.get(), "", 0);
  }

 private:
  Result<void> directory(int descriptor, const std::string& path, std::size_t depth);
  Result<void> entry(int parent,
                     const std::string& name,
                     const std::string& path,
                     const struct stat& status);
  Result<bool> holds_private_key(int parent, const std::string& name, const std::string& path);
  void report(std::string_view rule, const std::string& path) {
    context_.send_event({{"rule", rule}, {"path", path}, {"layer", layer_}});
  }

  system::WorkerContext& context_;
  std::set<std::string> allowed_;
  std::size_t layer_ = 0;
  bool declared_ = false;
};

Result<bool> Checker::holds_private_key(int parent,
                                        const std::string& name,
                                        const std::string& path) {
  const UniqueFd file(
      ::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    return system_error("cannot open " + path, errno);
  }
  return has_private_key(TRY(system::read_all(file.get(), 2_MiB)));
}

Result<void> Checker::entry(int parent,
                            const std::string& name,
                            const std::string& path,
                            const struct stat& status) {
  if (is_whiteout(status) || allowed_.contains(path)) {
    return {};
  }
  const SealRule* rule = rule_for(path, S_ISLNK(status.st_mode));
  const bool is_empty = !S_ISREG(status.st_mode) || status.st_size == 0;
  if (rule != nullptr && !(rule->action == SealAction::empty && is_empty) &&
      !(rule->action == SealAction::declare && declared_) &&
      !holds_text(parent, name, rule->unless_it_holds)) {
    report(rule->name, path);
    return {};
  }
  if (S_ISREG(status.st_mode) && status.st_size > 0 && status.st_size <= kLargestScanned &&
      may_hold_secrets(path) && TRY(holds_private_key(parent, name, path))) {
    report("private-key", path);
  }
  return {};
}

Result<void> Checker::directory(int descriptor, const std::string& path, std::size_t depth) {
  TRY(check_depth(path, depth));
  for (const std::string& name : TRY(names_in(descriptor))) {
    struct stat status {};
    if (::fstatat(descriptor, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return system_error("cannot look at " + path + name, errno);
    }
    if (S_ISDIR(status.st_mode)) {
      const UniqueFd inside = TRY(open_subdirectory(descriptor, name));
      TRY(directory(inside.get(), path + name + "/", depth + 1));
    } else {
      TRY(entry(descriptor, name, path + name, status));
    }
  }
  return {};
}
}  // namespace

Result<Json> check_worker(system::WorkerContext& context) {
  const Json* const declared = find_value(context.request(), "declared");
  if (declared == nullptr) {
    return Error{ErrorKind::internal, "a check without layers"};
  }
  const auto allowed = find_strings(context.request(), "allowed");
  Checker checker(context, {allowed.begin(), allowed.end()});
  for (std::size_t i = 0; i < declared->size(); ++i) {
    TRY(checker.layer(context.hand(i), i, (*declared)[i] == true));
  }
  return Json::object();
}

}  // namespace goldmill::build
