// SPDX-License-Identifier: GPL-3.0-or-later
#include "tools_tree.hpp"

#include <algorithm>

namespace goldmill::provision {

namespace fs = std::filesystem;

namespace {

/// "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1": below lib64 or lib, by the architecture.
std::string find_loader(const fs::path& tools) {
  for (const char* place : {"/usr/lib64", "/usr/lib"}) {
    const std::string name = find_name(tools.string() + place, [](const std::string& file) {
      return file.starts_with("ld-linux-") && file.find(".so.") != std::string::npos;
    });
    if (!name.empty()) {
      return std::string(place) + "/" + name;
    }
  }
  return "";
}

}  // namespace

std::string find_name(const fs::path& directory,
                      const std::function<bool(const std::string&)>& fits) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    if (fits(entry.path().filename())) {
      names.push_back(entry.path().filename());
    }
  }
  return names.empty() ? "" : *std::min_element(names.begin(), names.end());
}

std::string joined_paths(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) {
    text += (text.empty() ? "" : ":") + path;
  }
  return text;
}

Result<ToolsTree> ToolsTree::find(const fs::path& tools, const std::string& needs) {
  const std::string loader = find_loader(tools);
  const std::string triplet = find_name(tools / "usr/lib", [](const std::string& name) {
    return name.find("-linux-gnu") != std::string::npos;
  });
  if (loader.empty() || triplet.empty()) {
    return Error{ErrorKind::not_found,
                 "there is no " + needs + " in the tools tree " + tools.string(),
                 "remove the directory: the tools are unpacked again"};
  }
  const std::string top = kToolsPlace;
  ToolsTree made;
  made.native = top + "/usr/lib/" + triplet;
  made.argv = {top + loader, "--library-path", joined_paths({made.native, top + "/usr/lib"})};
  return made;
}

}  // namespace goldmill::provision
