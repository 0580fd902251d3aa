// SPDX-License-Identifier: GPL-3.0-or-later
#include "tools_ruby.hpp"

namespace goldmill::provision {

namespace fs = std::filesystem;

Result<ToolsRuby> ToolsRuby::find(const fs::path& tools, const std::string& library) {
  ToolsTree tree = TRY(ToolsTree::find(tools, "Ruby"));
  const std::string version = find_name(tools / "usr/lib/ruby", [](const std::string& name) {
    return name.front() >= '0' && name.front() <= '9';
  });
  if (version.empty()) {
    return Error{ErrorKind::not_found,
                 "there is no Ruby in the tools tree " + tools.string(),
                 "remove the directory: the tools are unpacked again"};
  }
  const std::string top = kToolsPlace;
  const std::string ruby = top + "/usr/lib/ruby/";
  ToolsRuby made;
  made.argv = std::move(tree.argv);
  made.argv.push_back(top + "/usr/bin/ruby");
  made.argv.emplace_back("--disable=did_you_mean");
  made.environment = {"RUBYLIB=" + joined_paths({library,
                                                 ruby + "vendor_ruby",
                                                 tree.native + "/ruby/vendor_ruby/" + version,
                                                 ruby + "vendor_ruby/" + version,
                                                 ruby + version,
                                                 tree.native + "/ruby/" + version}),
                      "AUGEAS_LENS_LIB=" + joined_paths({top + "/usr/share/augeas/lenses/dist",
                                                         top + "/usr/share/augeas/lenses"})};
  return made;
}

}  // namespace goldmill::provision
