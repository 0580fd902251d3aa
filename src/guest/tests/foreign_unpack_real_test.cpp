// SPDX-License-Identifier: GPL-3.0-or-later
// Debian 12 for arm64, resolved, fetched and unpacked on a machine of any architecture, with
// dpkg-deb as the judge of every path. Its scripts do not run here, so nothing is configured.
#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/guest/apt_worker.hpp>
#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/guest/unpacker.hpp>
#include <goldmill/system/process.hpp>

#include "plain_sandbox.hpp"

namespace goldmill::guest::test_parts {
namespace {

namespace fs = std::filesystem;
constexpr const char* kNotConfigured = ".dpkg-new";
using Listing = std::map<std::string, std::set<std::string>>;  ///< path -> what may be there

/// Where a path lies once /usr is merged.
std::string merged(const std::string& path) {
  static const std::regex kTop("^/(bin|sbin|lib|lib32|lib64|libx32)(/.*)?$");
  return std::regex_replace(path, kTop, "/usr/$1$2");
}

std::string output_of(const std::vector<std::string>& argv) {
  const auto output = system::run_checked(system::process_runner(), {.argv = argv});
  if (!output) {
    ADD_FAILURE() << output.error().text();
    return {};
  }
  return output->text;
}

/// dpkg-deb shows a backslash as two.
std::string plain(const std::string& path) {
  static const std::regex kTwo(R"(\\\\)");
  return std::regex_replace(path, kTwo, R"(\)");
}

/// "-rw-r--r-- root/root  35 2023-01-01 00:00 ./path", with " -> target" or " link to ./other".
void add_contents(const fs::path& deb, Listing& listing) {
  static const std::regex kLine("(.)(.{9}) +[^ ]+ +([0-9]+) [^ ]+ [^ ]+ \\.(/.*)");
  std::istringstream lines(output_of({"dpkg-deb", "--contents", deb.string()}));
  for (std::string line; std::getline(lines, line);) {
    std::smatch part;
    if (!std::regex_match(line, part, kLine)) {
      ADD_FAILURE() << "not understood: " << line;
      continue;
    }
    std::string path = part[4];
    std::string what = part[1];
    if (what == "l") {
      const std::size_t arrow = path.find(" -> ");
      what += " " + path.substr(arrow + 4);
      path.resize(arrow);
    } else if (what == "h" || path.find(" link to ") != std::string::npos) {
      what = "h";
      path.resize(path.find(" link to "));
    } else if (what == "-") {
      what += " " + part[2].str() + " " + part[3].str();
    }
    path.resize(path.size() - (path.ends_with('/') ? 1 : 0));
    listing[plain(merged(path))].insert(what);
  }
}

std::string permissions(mode_t mode) {
  std::string text = "rwxrwxrwx";
  for (std::size_t bit = 0; bit < 9; ++bit) {
    text[bit] = (mode & (0400U >> bit)) != 0 ? text[bit] : '-';
  }
  const std::array<std::pair<mode_t, std::size_t>, 3> special = {
      {{S_ISUID, 2}, {S_ISGID, 5}, {S_ISVTX, 8}}};
  for (const auto& [bit, at] : special) {
    if ((mode & bit) != 0) {
      text[at] = at == 8 ? (text[at] == 'x' ? 't' : 'T') : (text[at] == 'x' ? 's' : 'S');
    }
  }
  return text;
}

std::string on_disk(const fs::path& path) {
  struct stat status {};
  // A configuration file gets its name when its package is configured.
  if (::lstat(path.c_str(), &status) != 0 &&
      ::lstat((path.string() + kNotConfigured).c_str(), &status) != 0) {
    return "nothing";
  }
  if (S_ISDIR(status.st_mode)) {
    return "d";
  }
  if (S_ISLNK(status.st_mode)) {
    return "l " + fs::read_symlink(path).string();
  }
  return "- " + permissions(status.st_mode) + " " + std::to_string(status.st_size);
}

bool agrees(const std::set<std::string>& expected, const std::string& found) {
  return expected.contains(found) || (expected.contains("h") && found.starts_with("-"));
}

class ForeignUnpack : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "the plain sandbox needs root";
    }
    auto made = system::TemporaryDirectory::make("/var/tmp", "gm-foreign-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    ::chmod(scratch_->path().c_str(), 0755);
  }
  fs::path at(const std::string& name) const { return scratch_->path() / name; }

  Result<Resolution> fetch_base() {
    const DebianRelease* const release = TRY(find_release("debian", "12"));
    ResolveRequest request{.architecture = "arm64", .new_root = true};
    request.sources = TRY(sources_for(*release,
                                      {.architecture = "arm64",
                                       .repositories = {},
                                       .settings = ArchiveSettings::from_environment(at("home"))}));
    request.state_directory = at("home/archives");
    for (const std::string& name : release->base_packages) {
      request.install.push_back({.name = name});
    }
    request.install.push_back(
        {.name = TRY(kernel_for(*release, "arm64", {recipe::Hardware::virtio})).package});
    Resolution resolution = TRY(resolve(request));
    TRY(fetch({.packages = resolution.packages,
               .sources = request.sources,
               .cache_directory = at("cache")}));
    return resolution;
  }

  Result<void> unpack(const Resolution& resolution) {
    PlainSandbox sandbox = TRY(PlainSandbox::open(at("tree"), resolution.epoch));
    const system::UniqueFd cache = TRY(system::open_directory(at("cache")));
    Json request = to_json(resolution);
    request["native"] = "arm64";
    request["phases"] = {"create"};
    const Json answer = TRY(sandbox.call("unpack", request, {cache.get()}, {}));
    request["phases"] = {"place"};
    request["contested"] = answer.at("contested");
    TRY(sandbox.call("unpack", request, {cache.get()}, {}));
    return {};
  }

  std::optional<system::TemporaryDirectory> scratch_;
};

TEST_F(ForeignUnpack, TreeHoldsExactlyWhatThePackagesHold) {
  const auto resolution = fetch_base();
  ASSERT_TRUE(resolution) << resolution.error().text();
  const auto unpacked = unpack(*resolution);
  ASSERT_TRUE(unpacked) << unpacked.error().text();
  Listing expected;
  for (const PackageFile& package : resolution->packages) {
    EXPECT_TRUE(package.architecture == "arm64" || package.architecture == "all") << package.name;
    add_contents(cached_file(at("cache"), package.sha256), expected);
  }
  std::size_t compared = 0;
  for (const auto& [path, what] : expected) {
    const std::string found = on_disk(at("tree" + path));
    EXPECT_TRUE(agrees(what, found)) << path << ": " << *what.begin() << ", found " << found;
    ++compared;
  }
  for (const auto& entry : fs::recursive_directory_iterator(at("tree"))) {
    std::string path = "/" + entry.path().lexically_relative(at("tree")).string();
    path = path.substr(0, path.rfind(kNotConfigured));
    EXPECT_TRUE(expected.contains(path) || path.starts_with("/var/lib/dpkg/") ||
                (merged(path) != path && entry.is_symlink()))
        << path << " is in no package";
  }
  EXPECT_GT(compared, 5000U);
  std::cout << resolution->packages.size() << " packages, " << compared << " paths\n";
  const std::string shell =
      output_of({"od", "-An", "-tu2", "-j18", "-N2", at("tree/usr/bin/dash")});
  EXPECT_EQ(std::stoi(shell), 183) << "EM_AARCH64";
  const std::string states = output_of({"dpkg-query",
                                        "--admindir=" + at("tree/var/lib/dpkg").string(),
                                        "-W",
                                        "-f",
                                        "${db:Status-Abbrev}${Architecture}\\n"});
  EXPECT_EQ(static_cast<std::size_t>(std::count(states.begin(), states.end(), '\n')),
            resolution->packages.size());
  EXPECT_EQ(states.find("amd64"), std::string::npos);
}

}  // namespace
}  // namespace goldmill::guest::test_parts

int main(int argc, char** argv) {
  using goldmill::system::WorkerEntry;
  const std::array workers = {WorkerEntry{"apt", goldmill::guest::apt_worker},
                              WorkerEntry{"unpack", goldmill::guest::unpack_worker}};
  goldmill::system::become_worker_if_asked(argc, argv, workers);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
