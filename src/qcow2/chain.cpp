// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>

#include <goldmill/qcow2/chain.hpp>
#include <goldmill/qcow2/header.hpp>

namespace goldmill::qcow2 {

namespace fs = std::filesystem;

namespace {
/// The path of what an open file stands on; "" for nothing.
Result<fs::path> below(const ChainLink& link) {
  const Header header = TRY(read_header(link.file.get()).context(link.path.string()));
  if (header.backing.find('/') != std::string::npos) {
    return Error{ErrorKind::invalid_input,
                 link.path.string() + " stands on " + header.backing + ", which is not beside it"};
  }
  return header.backing.empty() ? fs::path() : link.path.parent_path() / header.backing;
}

/// Opens one file after the other, and names each before it is opened.
Result<std::vector<ChainLink>> follow(const fs::path& disk, std::vector<fs::path>& paths) {
  std::vector<ChainLink> chain;
  for (fs::path next = disk; !next.empty(); next = TRY(below(chain.back()))) {
    if (chain.size() > kDeepest) {
      return Error{ErrorKind::invalid_input,
                   disk.string() + " stands on more than " + std::to_string(kDeepest) + " files"};
    }
    paths.push_back(next);
    auto file = system::open_file(next, O_RDONLY);
    if (!file && !chain.empty()) {
      return std::move(file).context(chain.back().path.string() + " stands on it").error();
    }
    chain.push_back({next, TRY(std::move(file))});
  }
  return chain;
}
}  // namespace

Result<std::vector<ChainLink>> open_chain(const fs::path& disk) {
  std::vector<fs::path> paths;
  return follow(disk, paths);
}

std::vector<fs::path> chain_of(const fs::path& disk) {
  std::vector<fs::path> paths;
  (void)follow(disk, paths);
  return paths;
}

}  // namespace goldmill::qcow2
