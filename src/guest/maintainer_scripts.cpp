// SPDX-License-Identifier: GPL-3.0-or-later
#include "maintainer_scripts.hpp"

#include <algorithm>

#include <goldmill/guest/dpkg_database.hpp>

namespace goldmill::guest {

namespace {
constexpr std::string_view kMark = "goldmill: failed script: ";

/// As dpkg does: the control files stand in tmp.ci, where debconf looks for the package's name
/// and templates.
constexpr std::string_view kRunPreinst = R"(ci=/var/lib/dpkg/tmp.ci
run_preinst() {
  rm -rf "$ci" && mv "$staged/$3" "$ci" || exit 1
  DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_ARCH=$2 DPKG_MAINTSCRIPT_NAME=preinst \
    DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 "$ci/preinst" install </dev/null ||
    { echo "goldmill: failed script: $1 preinst"; exit 1; }
}
)";

/// The word after `before`, up to white space.
std::string word_after(std::string_view text, std::string_view before) {
  const std::size_t found = text.rfind(before);
  if (found == std::string_view::npos) {
    return {};
  }
  const std::string_view rest = text.substr(found + before.size());
  return std::string(rest.substr(0, rest.find_first_of(" \n\t")));
}
}  // namespace

std::string preinst_script(const Json& order, std::string_view dpkg_version) {
  std::string script;
  for (const Json& package : order) {
    if (!find_bool(package, "preinst").value_or(false)) {
      continue;
    }
    const std::string name = find_string(package, "name").value_or("");
    const std::string file = find_string(package, "file_name").value_or("");
    const std::string architecture = find_string(package, "architecture").value_or("");
    // Names and architectures were checked (is_package_name): nothing in them needs quoting.
    script += "run_preinst " + name + " " + architecture + " " + file + "\n";
  }
  if (script.empty()) {
    return script;
  }
  return "cd / && umask 022\nexport DPKG_ROOT= DPKG_ADMINDIR=/var/lib/dpkg "
         "DPKG_MAINTSCRIPT_DEBUG=0 DPKG_RUNNING_VERSION='" +
         std::string(dpkg_version) + "'\nstaged=" + std::string(kStagedControl) + "\n" +
         std::string(kRunPreinst) + script + "rm -rf \"$ci\" \"$staged\"\n";
}

Error explain_failure(Error error) {
  std::string text = error.text();
  std::string package = word_after(text, kMark);
  std::string script = "preinst";
  if (package.empty()) {
    package = word_after(text, "error processing package ");
    script = word_after(text, "installed " + package + " package ");
  }
  if (package.empty()) {
    package = word_after(text, "Errors were encountered while processing:\n ");
  }
  if (package.empty() || error.kind != ErrorKind::tool_failed) {
    return error;
  }
  const std::string which = script.empty() ? "package " + package + " cannot be configured"
                                           : "the " + script + " script of " + package + " failed";
  error.message = which + ": " + error.message;
  if (error.hint.empty()) {
    error.hint = "the step's log holds all that the script said";
  }
  return error;
}

}  // namespace goldmill::guest
