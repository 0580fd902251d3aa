// SPDX-License-Identifier: GPL-3.0-or-later
// DebBuilder: packages for tests, also such as no honest tool would make.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>

namespace goldmill::guest::test_parts {

/// One raw tar entry. The name stands in the archive exactly as it is here.
struct RawEntry {
  std::string name;
  char type = '0';  ///< ustar: 0 file, 1 hard link, 2 link, 3/4 device, 5 directory, 6 pipe
  std::string content = {};
  std::string target = {};
  unsigned mode = 0644;
  unsigned user = 0;
  unsigned group = 0;
};

/// An uncompressed ustar archive (GNU long names where needed).
std::string make_tar(const std::vector<RawEntry>& entries);
std::string make_ar(const std::vector<std::pair<std::string, std::string>>& members);

/// A package's bytes. `control` lacks nothing but what is said here.
struct DebText {
  std::string name = "sample";
  std::string control = {};  ///< more fields, each line with its newline
  std::vector<RawEntry> control_files = {};
  std::vector<RawEntry> entries = {};
  std::string data_member = {};  ///< instead of `entries`: name of the member
  std::string data = {};         ///< and its bytes
};
std::string make_deb(const DebText& text);

/// Puts the package into the cache directory; its JSON for a request to the unpack worker.
Json add_to(const std::filesystem::path& cache, const std::string& name, const std::string& deb);

}  // namespace goldmill::guest::test_parts
