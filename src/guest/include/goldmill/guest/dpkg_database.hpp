// SPDX-License-Identifier: GPL-3.0-or-later
// DpkgDatabase: /var/lib/dpkg of a tree, read and written as dpkg itself does.
// Source: dpkg(1), deb-triggers(5), dpkg's doc/spec/triggers and lib/dpkg of 1.21 to 1.22.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/guest/control_paragraph.hpp>
#include <goldmill/guest/guest_tree.hpp>
#include <goldmill/guest/package_set.hpp>

namespace goldmill::guest {

/// A file of `from` is placed at `to`, unless `package` ships it. "" for a local diversion.
struct Diversion {
  std::string from;
  std::string to;
  std::string package;
};

/// /var/lib/dpkg/diversions: three lines each. Errors: invalid_input.
Result<std::vector<Diversion>> parse_diversions(std::string_view text);

/// The paths of /var/lib/dpkg/statoverride ("user group mode path").
std::vector<std::string> parse_statoverrides(std::string_view text);

/// What a package's file "triggers" says.
struct TriggerInterest {
  std::string name;   ///< a path when it starts with '/'
  bool waits = true;  ///< false for interest-noawait
};
std::vector<TriggerInterest> parse_interests(std::string_view triggers);

/// The interests of `file_triggers` (triggers/File: "path package[/noawait]") that a path
/// touches: the path itself or something below it.
std::set<std::string> touched_triggers(std::string_view file_triggers,
                                       const std::vector<std::string>& paths);

/// Where each package that has a preinst keeps its control files, below its name in "info", until
/// preinst_script() has run.
constexpr std::string_view kStagedControl = "/var/lib/dpkg/tmp.goldmill";

/// A package's paragraph as dpkg writes it once its files are unpacked.
ControlParagraph status_paragraph(const PackageSet::Member& member);

class DpkgDatabase {
 public:
  explicit DpkgDatabase(GuestTree& tree) : tree_(tree) {}

  Result<std::vector<ControlParagraph>> status() const;
  Result<std::vector<Diversion>> diversions() const;
  Result<std::vector<std::string>> statoverrides() const;
  /// Whether dpkg's configuration leaves paths out (path-exclude).
  Result<bool> excludes_paths() const;

  /// Adds the packages: status "install ok unpacked", control files, interests in triggers, the
  /// foreign architectures.
  Result<void> add(const PackageSet& packages, std::string_view native);
  /// info/NAME.list: "/." and the paths, one a line.
  Result<void> write_list(const PackageSet::Member& member, const std::vector<std::string>& paths);
  Result<std::vector<std::string>> read_list(const PackageSet::Member& member) const;
  /// Keeps apt's note of what came automatically (extended_states). `manual`: names that somebody
  /// asked for now; `removed`: "name:architecture".
  Result<void> mark(const PackageSet& packages,
                    std::string_view native,
                    const std::vector<std::string>& manual,
                    const std::vector<std::string>& removed);
  /// Notes activations for the next run of dpkg to take up.
  Result<void> activate(const std::set<std::string>& triggers);

 private:
  Result<void> add_control_files(const PackageSet::Member& member);
  Result<void> stage_control_files(const PackageSet::Member& member);
  Result<void> add_interests(const PackageSet& packages);
  Result<void> add_architectures(const PackageSet& packages, std::string_view native);

  GuestTree& tree_;
};

}  // namespace goldmill::guest
