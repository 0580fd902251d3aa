// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/guest_tree.hpp>
#include <goldmill/guest/package_set.hpp>
#include <goldmill/guest/unpacker.hpp>

#include "account_files.hpp"
#include "additions.hpp"
#include "first_boot.hpp"
#include "normaliser.hpp"
#include "placement.hpp"
#include "tree_writer.hpp"

namespace goldmill::guest {

namespace {
// Top-level directories that a merged /usr replaces by links; those not used go again.
constexpr std::array kMerged = {"bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"};

Json to_json(const std::vector<ContestedPath>& contested, const PackageSet& packages) {
  Json list = Json::array();
  for (const ContestedPath& path : contested) {
    Json claims = Json::array();
    for (const PathClaim& claim : path.claims) {
      const WantedPackage& wanted = packages.members()[claim.package].wanted;
      claims.push_back(
          {{"name", wanted.name}, {"architecture", wanted.architecture}, {"path", claim.path}});
    }
    list.push_back({{"place", path.place}, {"claims", std::move(claims)}});
  }
  return list;
}

Result<std::vector<ContestedPath>> contested_from(const Json& list, const PackageSet& packages) {
  std::vector<ContestedPath> contested;
  for (const Json& item : list) {
    ContestedPath path{TRY(string_at(item, "place")), {}};
    for (const Json& claim : item.value("claims", Json::array())) {
      const std::size_t index =
          packages.index_of(TRY(string_at(claim, "name")), TRY(string_at(claim, "architecture")));
      if (index >= packages.members().size()) {
        return Error{ErrorKind::invalid_input, "a contested path names an unknown package"};
      }
      path.claims.push_back({index, TRY(string_at(claim, "path"))});
    }
    contested.push_back(std::move(path));
  }
  return contested;
}

class Unpacker {
 public:
  Unpacker(GuestTree& tree, const PackageSet& packages, const Json& request)
      : tree_(tree), packages_(packages), database_(tree), request_(request) {}

  Result<Json> run() {
    Json answer = describe();
    for (const std::string& phase : find_strings(request_, "phases")) {
      if (phase == "inspect") {
        if (auto reason = TRY(reason_for_dpkg(tree_, packages_))) {
          answer["needs_dpkg"] = *reason;
          return answer;
        }
      } else if (phase == "create") {
        answer["contested"] = TRY(create());
      } else if (phase == "register") {
        TRY(database_.add(packages_, native()));
      } else if (phase == "write") {
        TRY(write());
      } else if (phase == "place") {
        const Json* list = find_value(request_, "contested");
        TRY(place_remaining(
            tree_,
            packages_,
            TRY(contested_from(list == nullptr ? Json::array() : *list, packages_))));
      } else if (phase == "accounts") {
        TRY(add_accounts(tree_, request_.value("accounts", Json::object())));
      } else if (phase == "mark") {
        TRY(database_.mark(packages_,
                           native(),
                           find_strings(request_, "manual"),
                           find_strings(request_, "removed")));
      } else if (phase == "normalise") {
        TRY(normalise(tree_, find_integer(request_, "epoch").value_or(0)));
      } else if (phase == "first-boot") {
        TRY(add_first_boot_units(tree_));
      } else {
        return Error{ErrorKind::internal, "no phase named " + phase};
      }
    }
    return answer;
  }

 private:
  std::string native() const { return find_string(request_, "native").value_or("amd64"); }

  Json describe() const {
    Json order = Json::array();
    for (const PackageSet::Member& member : packages_.members()) {
      order.push_back({{"name", member.wanted.name},
                       {"architecture", member.wanted.architecture},
                       {"file_name", member.file_name},
                       {"preinst", member.deb.control_file("preinst") != nullptr}});
    }
    Json first = Json::array();
    for (const std::size_t index : packages_.configured_first()) {
      first.push_back(packages_.members()[index].file_name);
    }
    return {{"order", std::move(order)},
            {"first", std::move(first)},
            {"contested", Json::array()},
            {"dpkg_version", dpkg_version()},
            {"needs_dpkg", nullptr}};
  }

  /// What scripts see as the running dpkg's version: the new tree's own.
  std::string dpkg_version() const {
    for (const PackageSet::Member& member : packages_.members()) {
      if (member.wanted.name == "dpkg") {
        return member.wanted.version;
      }
    }
    return "1.21.0";
  }

  Result<std::set<std::string>> make_merged_links() {
    std::set<std::string> links;
    for (const std::string name : kMerged) {
      TRY(tree_.directory("/usr/" + name, Missing::create));
      const GuestPlace place = TRY(tree_.place("/" + name));
      if (::symlinkat(("usr/" + name).c_str(), place.descriptor(), name.c_str()) == 0) {
        tree_.note_created(place);
        links.insert("/" + name);
      } else if (errno != EEXIST) {
        return system_error("cannot make the link /" + name, errno);
      }
    }
    return links;
  }

  Result<void> remove_unused_links(const TreeWriter& writer, const std::set<std::string>& links) {
    for (const std::string& link : links) {
      const std::string directory = "/usr" + link;
      if (writer.is_claimed_directory(directory) || !TRY(tree_.names(directory)).empty()) {
        continue;
      }
      const GuestPlace place = TRY(tree_.place(directory));
      ::unlinkat(place.descriptor(), place.name.c_str(), AT_REMOVEDIR);
      TRY(tree_.remove_file(link));
    }
    return {};
  }

  Result<Json> create() {
    auto links = TRY(make_merged_links());
    TreeWriter writer(tree_, packages_, {.diversions = {}, .accounts = {}, .links = links});
    auto written = writer.write_all(TreeWriter::Order::parallel);
    const bool needs_order = !written && (written.error().kind == ErrorKind::conflict ||
                                          written.error().kind == ErrorKind::not_found);
    if (needs_order) {
      TRY(tree_.undo());
      links = TRY(make_merged_links());
      written = writer.write_all(TreeWriter::Order::serial);
    }
    TRY(std::move(written));
    TRY(remove_unused_links(writer, links));
    TRY(database_.add(packages_, native()));
    TRY(write_lists(writer));
    TRY(writer.finish_directories());
    if (::fchmod(TRY(tree_.directory("/"))->descriptor.get(), 0755) != 0) {
      return system_error("cannot set the mode of the root directory", errno);
    }
    return to_json(writer.contested(), packages_);
  }

  Result<void> write() {
    TreeWriter writer(tree_,
                      packages_,
                      {.diversions = TRY(database_.diversions()),
                       .accounts = TRY(AccountNames::read(tree_)),
                       .links = {}});
    TRY(writer.write_all(TreeWriter::Order::parallel));
    if (!writer.contested().empty()) {
      return Error{ErrorKind::conflict,
                   writer.contested().front().place + " is in two of the packages"};
    }
    TRY(write_lists(writer));
    std::vector<std::string> all;
    for (const auto& list : writer.lists()) {
      all.insert(all.end(), list.begin(), list.end());
    }
    TRY(database_.activate(
        touched_triggers(TRY(tree_.read_or_empty("/var/lib/dpkg/triggers/File")), all)));
    return writer.finish_directories();
  }

  Result<void> write_lists(const TreeWriter& writer) {
    for (std::size_t i = 0; i < packages_.members().size(); ++i) {
      TRY(database_.write_list(packages_.members()[i], writer.lists()[i]));
    }
    return {};
  }

  GuestTree& tree_;
  const PackageSet& packages_;
  DpkgDatabase database_;
  const Json& request_;
};
}  // namespace

Result<Json> unpack_worker(system::WorkerContext& context) {
  std::vector<WantedPackage> wanted;
  const Json* list = find_value(context.request(), "packages");
  if (list == nullptr || !list->is_array()) {
    return Error{ErrorKind::invalid_input, "the request names no packages"};
  }
  for (const Json& item : *list) {
    wanted.push_back(TRY(WantedPackage::from_json(item)));
  }
  const PackageSet packages = TRY(PackageSet::open(context.hand(1), std::move(wanted)));
  GuestTree tree(context.hand(0));
  return Unpacker(tree, packages, context.request()).run();
}

}  // namespace goldmill::guest
