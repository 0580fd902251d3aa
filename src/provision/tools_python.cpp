// SPDX-License-Identifier: GPL-3.0-or-later
#include "tools_python.hpp"

#include <cctype>

#include "tools_tree.hpp"

namespace goldmill::provision {

Result<std::string> tools_python_script(const std::filesystem::path& tools,
                                        const std::string& cache) {
  const ToolsTree tree = TRY(ToolsTree::find(tools, "Python"));
  const std::string python = find_name(tools / "usr/bin", [](const std::string& name) {
    return name.starts_with("python3.") &&
           std::isdigit(static_cast<unsigned char>(name.back())) != 0;
  });
  if (python.empty()) {
    return Error{ErrorKind::not_found,
                 "there is no Python in the tools tree " + tools.string(),
                 "remove the directory: the tools are unpacked again"};
  }
  std::string script = "#!/bin/sh\nexec";
  for (const std::string& word : tree.argv) {
    script += " " + word;
  }
  // Python finds its library beside the program's path, which is the tools'.
  return script + " " + kToolsPlace + "/usr/bin/" + python + " -s -X pycache_prefix=" + cache +
         " \"$@\"\n";
}

}  // namespace goldmill::provision
