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
  std::string size_field = {};  ///< the header's 12 bytes for the size, when they lie
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
  std::string data_member = {};     ///< instead of `entries`: name of the member
  std::string data = {};            ///< and its bytes
  std::string control_member = {};  ///< likewise instead of `control` and `control_files`
  std::string control_data = {};
};
std::string make_deb(const DebText& text);

/// "LENGTH KEY=VALUE\n": the content of an entry of type x.
std::string pax_record(const std::string& key, const std::string& value);

/// Compresses what `times` repetitions of `piece` between two ends would be, without making it.
struct Repeated {
  std::string before = {};
  std::string piece = {};
  std::size_t times = 0;
  std::string after = {};
};
std::string zstd_of(const Repeated& content);
std::string xz_of(const std::string& content);
std::string gzip_of(const std::string& content);

/// Puts the package into the cache directory; its JSON for a request to the unpack worker.
Json add_to(const std::filesystem::path& cache, const std::string& name, const std::string& deb);

}  // namespace goldmill::guest::test_parts
