// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include <goldmill/guest/package_relation.hpp>
#include <goldmill/guest/package_set.hpp>
#include <goldmill/system/file.hpp>

#include "parallel.hpp"

namespace goldmill::guest {

namespace {
bool is_made_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [more](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != more.npos;
  });
}

/// Which members provide a name, so that "awk" leads to mawk.
class Providers {
 public:
  explicit Providers(const std::vector<PackageSet::Member>& members) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      by_name_[members[i].wanted.name].push_back(i);
    }
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (const auto& part : parse_relations(members[i].deb.control().get("Provides"))) {
        for (const PackageRelation& provided : part) {
          auto& providers = by_name_[provided.name];
          if (providers.empty() || providers.back() != i) {
            providers.push_back(i);
          }
        }
      }
    }
  }
  const std::vector<std::size_t>& of(const std::string& name) const {
    static const std::vector<std::size_t> kNone;
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? kNone : found->second;
  }

 private:
  std::map<std::string, std::vector<std::size_t>> by_name_;
};

/// Depth first over "needs"; a cycle is cut where it is met again.
class DependencyWalk {
 public:
  explicit DependencyWalk(const std::vector<PackageSet::Member>& members)
      : members_(members), providers_(members), state_(members.size(), State::fresh) {}

  void visit(std::size_t index) {
    if (state_[index] != State::fresh) {
      return;
    }
    state_[index] = State::entered;
    for (const char* field : {"Pre-Depends", "Depends"}) {
      for (const auto& part : parse_relations(members_[index].deb.control().get(field))) {
        for (const PackageRelation& alternative : part) {
          for (const std::size_t needed : providers_.of(alternative.name)) {
            visit(needed);
          }
        }
      }
    }
    order_.push_back(index);
  }
  const std::vector<std::size_t>& order() const { return order_; }

 private:
  enum class State : std::uint8_t { fresh, entered };
  const std::vector<PackageSet::Member>& members_;
  Providers providers_;
  std::vector<State> state_;
  std::vector<std::size_t> order_;
};

/// Essential packages first: dpkg's users unpack them first too, so that shared directories get
/// base-files' modes.
std::vector<std::size_t> dependency_order(const std::vector<PackageSet::Member>& members) {
  std::vector<std::size_t> start(members.size());
  std::iota(start.begin(), start.end(), 0);
  const auto key = [&](std::size_t i) {
    const bool essential = members[i].deb.control().get("Essential") == "yes";
    return std::tuple(members[i].wanted.name != "base-files",
                      !essential,
                      members[i].wanted.name,
                      members[i].wanted.architecture);
  };
  std::sort(
      start.begin(), start.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  DependencyWalk walk(members);
  for (const std::size_t index : start) {
    walk.visit(index);
  }
  return walk.order();
}

std::vector<Conffile> conffiles_of(const Deb& deb) {
  static constexpr std::string_view kGoneMark = "remove-on-upgrade ";
  std::vector<Conffile> conffiles;
  const ControlFile* file = deb.control_file("conffiles");
  std::string_view rest = file == nullptr ? std::string_view() : file->content;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    const bool gone = line.starts_with(kGoneMark);
    line.remove_prefix(gone ? kGoneMark.size() : 0);
    if (line.starts_with('/')) {
      conffiles.push_back({std::string(line), gone});
    }
  }
  return conffiles;
}

Result<PackageSet::Member> open_member(int cache, WantedPackage wanted, const DebLimits& limits) {
  const std::string file_name = wanted.digest.hex() + ".deb";
  const system::UniqueFd file(
      ::openat(cache, file_name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) {
    return system_error("cannot open " + wanted.name + " in the package cache", errno);
  }
  Deb deb = TRY(Deb::open(file.get(), wanted.digest, limits).context(wanted.name));
  const ControlParagraph& control = deb.control();
  if (control.get("Package") != wanted.name || control.get("Version") != wanted.version ||
      control.get("Architecture") != wanted.architecture) {
    return Error{ErrorKind::corrupt,
                 "the file of " + wanted.name + " " + wanted.version + " holds " +
                     std::string(control.get("Package").substr(0, 80)) + " " +
                     std::string(control.get("Version").substr(0, 80))};
  }
  const bool shared = control.get("Multi-Arch") == "same";
  std::string name = wanted.name + (shared ? ":" + wanted.architecture : "");
  auto conffiles = conffiles_of(deb);
  return PackageSet::Member{
      std::move(wanted), std::move(deb), std::move(name), std::move(conffiles)};
}
}  // namespace

bool is_package_name(std::string_view name) {
  return name.size() >= 2 && name.size() <= 200 && name.front() != '.' && name.front() != '-' &&
         name.front() != '+' && is_made_of(name, "+.-");
}

bool is_architecture_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '-' && is_made_of(name, "-");
}

bool is_version(std::string_view version) {
  return !version.empty() && version.size() <= 200 &&
         std::all_of(version.begin(), version.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || is_made_of(std::string_view(&c, 1), ".+~:-");
         });
}

Result<WantedPackage> WantedPackage::from_json(const Json& json) {
  WantedPackage wanted;
  wanted.name = TRY(string_at(json, "name"));
  wanted.version = TRY(string_at(json, "version"));
  wanted.architecture = TRY(string_at(json, "architecture"));
  wanted.digest = TRY(Digest::parse(TRY(string_at(json, "sha256"))));
  wanted.size = static_cast<std::uint64_t>(find_integer(json, "size").value_or(0));
  wanted.automatic = find_bool(json, "automatic").value_or(false);
  if (!is_package_name(wanted.name) || !is_architecture_name(wanted.architecture) ||
      !is_version(wanted.version)) {
    return Error{ErrorKind::invalid_input,
                 "'" + wanted.name + ":" + wanted.architecture + "' in version '" +
                     wanted.version.substr(0, 80) + "' cannot be a package"};
  }
  return wanted;
}

Result<PackageSet> PackageSet::open(int cache,
                                    std::vector<WantedPackage> wanted,
                                    const DebLimits& limits) {
  std::vector<std::optional<Member>> opened(wanted.size());
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), 0);
  TRY(for_each_parallel(order, usable_processors(), [&](std::size_t i) -> Result<void> {
    opened[i].emplace(TRY(open_member(cache, std::move(wanted[i]), limits)));
    return {};
  }));
  std::vector<Member> members;
  std::set<std::string> names;
  for (auto& member : opened) {
    if (!names.insert(member->wanted.name + ":" + member->wanted.architecture).second) {
      return Error{ErrorKind::invalid_input, "package " + member->wanted.name + " stands twice"};
    }
    members.push_back(std::move(*member));
  }
  PackageSet set;
  for (const std::size_t index : dependency_order(members)) {
    set.members_.push_back(std::move(members[index]));
  }
  return set;
}

std::size_t PackageSet::index_of(std::string_view name, std::string_view architecture) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const Member& member) {
    return member.wanted.name == name && member.wanted.architecture == architecture;
  });
  return static_cast<std::size_t>(found - members_.begin());
}

std::vector<std::size_t> PackageSet::largest_first() const {
  std::vector<std::size_t> order(members_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return members_[a].wanted.size > members_[b].wanted.size;
  });
  return order;
}

std::vector<std::size_t> PackageSet::configured_first() const {
  DependencyWalk walk(members_);
  const auto visit = [&](const auto& wanted) {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (wanted(members_[i])) {
        walk.visit(i);
      }
    }
  };
  visit([](const Member& member) { return member.deb.control().get("Essential") == "yes"; });
  visit([](const Member& member) { return member.wanted.name == "passwd"; });
  return walk.order();
}

}  // namespace goldmill::guest
