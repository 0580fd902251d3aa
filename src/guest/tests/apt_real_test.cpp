// SPDX-License-Identifier: GPL-3.0-or-later
// Resolving and fetching from the machine's own archive, compared with apt-get itself.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <goldmill/guest/apt_worker.hpp>
#include <goldmill/guest/archive.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::guest {
namespace {

namespace fs = std::filesystem;
using recipe::Hardware;

/// One state directory for all tests, kept between runs when GOLDMILL_TEST_HOME says so.
const fs::path& home() {
  static const fs::path kPath = [] {
    const char* const given = std::getenv("GOLDMILL_TEST_HOME");
    fs::path made = given != nullptr ? given : "/var/tmp/goldmill-apt-test";
    fs::create_directories(made);
    return made;
  }();
  return kPath;
}

template <typename T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().text() << "\nhint: " << result.error().hint;
    throw std::runtime_error(result.error().text());
  }
  return std::move(result).value();
}

void must(Result<void> result) {
  ASSERT_TRUE(result.has_value()) << result.error().text();
}

struct Asked {
  std::string family;
  std::string release;
  std::string architecture = "amd64";
};

std::ostream& operator<<(std::ostream& out, const Asked& asked) {
  return out << asked.family << "/" << asked.release << " " << asked.architecture;
}

ResolveRequest base_request(const Asked& asked) {
  const DebianRelease* const release = must(find_release(asked.family, asked.release));
  ResolveRequest request{.architecture = asked.architecture};
  request.sources = must(sources_for(*release,
                                     {.architecture = asked.architecture,
                                      .repositories = {},
                                      .settings = ArchiveSettings::from_environment(home())}));
  request.new_root = true;
  request.state_directory = home() / "apt";
  request.cache_directory = home() / "packages";
  for (const std::string& name : release->base_packages) {
    request.install.push_back({.name = name});
  }
  request.install.push_back(
      {.name = must(kernel_for(*release, asked.architecture, {Hardware::virtio})).package});
  return request;
}

std::set<std::string> names_of(const Resolution& resolution) {
  std::set<std::string> names;
  for (const PackageFile& package : resolution.packages) {
    names.insert(package.name + " " + package.version);
  }
  return names;
}

std::set<std::string> without(const std::set<std::string>& all, const std::set<std::string>& some) {
  std::set<std::string> rest;
  std::ranges::set_difference(all, some, std::inserter(rest, rest.end()));
  return rest;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Of a processor, so that a busy machine says the same.
double worker_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class EveryRelease : public testing::TestWithParam<Asked> {};

TEST_P(EveryRelease, ResolvesToABootableBase) {
  const ResolveRequest request = base_request(GetParam());
  (void)must(resolve(request));  // reads the indexes
  const double before = worker_seconds();
  const Resolution resolution = must(resolve(request));
  const double seconds = worker_seconds() - before;
  std::uint64_t download = 0;
  std::uint64_t installed = 0;
  std::set<std::string> names;
  for (const PackageFile& package : resolution.packages) {
    download += package.size;
    installed += package.installed_size;
    names.insert(package.name);
    EXPECT_FALSE(package.pool_path.empty()) << package.name;
    EXPECT_EQ(package.sha256.size(), 64U) << package.name;
  }
  std::cout << GetParam().family << "/" << GetParam().release << " " << GetParam().architecture
            << ": " << resolution.packages.size() << " packages, " << to_text(Bytes{download})
            << " to fetch, " << to_text(Bytes{installed}) << " installed, " << seconds
            << " s of CPU\n";
  for (const char* needed : {"base-files", "apt", "dpkg", "systemd-sysv", "openssh-server"}) {
    EXPECT_TRUE(names.contains(needed)) << needed;
  }
  EXPECT_GT(resolution.epoch, 1'600'000'000);
  EXPECT_EQ(must(resolution_from_json(to_json(resolution))), resolution);
  if (std::getenv("GOLDMILL_TEST_LIST") != nullptr) {
    for (const PackageFile& package : resolution.packages) {
      std::cout << package.installed_size / 1024 << "\t" << package.name << "\n";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Archive,
                         EveryRelease,
                         testing::Values(Asked{"debian", "11"},
                                         Asked{"debian", "12"},
                                         Asked{"debian", "13"},
                                         Asked{"debian", "sid"},
                                         Asked{"ubuntu", "22.04"},
                                         Asked{"ubuntu", "24.04"},
                                         Asked{"debian", "12", "arm64"}),
                         [](const auto& asked) {
                           std::string name = asked.param.family + asked.param.release + "_" +
                                              asked.param.architecture;
                           std::erase(name, '.');
                           return name;
                         });

TEST(Archive12, ABaseIsFetched) {
  const ResolveRequest request = base_request({"debian", "12"});
  const Resolution resolution = must(resolve(request));
  const auto scratch = must(system::TemporaryDirectory::make(home(), "cache-"));
  FetchRequest wanted{.packages = resolution.packages,
                      .sources = request.sources,
                      .cache_directory = scratch.path() / "packages"};
  std::uint64_t seen = 0;
  std::uint64_t total = 0;
  auto start = std::chrono::steady_clock::now();
  must(fetch(wanted, [&](std::string_view /*phase*/, std::uint64_t done, std::uint64_t all) {
    EXPECT_LE(done, all);
    seen = done;
    total = all;
  }));
  std::cout << "fetched " << to_text(Bytes{total}) << " in " << seconds_since(start) << " s\n";
  EXPECT_EQ(seen, total) << "the last report says that all is there";
  for (const PackageFile& package : resolution.packages) {
    const fs::path file = cached_file(wanted.cache_directory, package.sha256);
    ASSERT_TRUE(fs::exists(file)) << package.name;
    const std::string field =
        must(system::run_checked(system::process_runner(),
                                 {.argv = {"dpkg-deb", "-f", file.string(), "Package"}}))
            .text;
    EXPECT_EQ(field, package.name + "\n");
  }
  start = std::chrono::steady_clock::now();
  must(fetch(wanted));
  const double looked = seconds_since(start);
  wanted.verify = true;
  start = std::chrono::steady_clock::now();
  must(fetch(wanted));
  const double verified = seconds_since(start);
  std::cout << "again: " << looked << " s, verified: " << verified << " s\n";
  EXPECT_LT(looked, verified) << "what is there is not read again unless asked";
}

/// The judge: apt-get itself, with a configuration and an empty root of its own.
class Judge {
 public:
  explicit Judge(const ResolveRequest& request)
      : directory_(must(system::TemporaryDirectory::make("/var/tmp", "goldmill-judge-"))) {
    const fs::path& root = directory_.path();
    for (const char* name : {"etc/apt/apt.conf.d",
                             "etc/apt/preferences.d",
                             "lists/partial",
                             "cache/archives/partial",
                             "etc/apt/sources.list.d"}) {
      fs::create_directories(root / name);
    }
    std::string list;
    for (const Source& source : request.sources) {
      for (const std::string& suite : source.suites) {
        list += "deb [signed-by=" + source.signed_by.string() + "] " + source.uri + " " + suite;
        for (const std::string& component : source.components) {
          list += " " + component;
        }
        list += "\n";
      }
    }
    must(system::write_file(root / "sources.list", list));
    must(system::write_file(root / "status", ""));
    must(system::write_file(
        root / "apt.conf",
        "Dir::Etc \"" + (root / "etc/apt").string() + "\";\nDir::Etc::sourcelist \"" +
            (root / "sources.list").string() + "\";\nDir::State::lists \"" +
            (root / "lists").string() + "\";\nDir::State::status \"" + (root / "status").string() +
            "\";\nDir::State::extended_states \"" + (root / "extended").string() +
            "\";\nDir::Cache \"" + (root / "cache").string() + "\";\nAPT::Architecture \"" +
            request.architecture + "\";\nAPT::Architectures { \"" + request.architecture +
            "\"; };\nAPT::Install-Recommends \"0\";\nAcquire::Languages \"none\";\n"
            "Acquire::Check-Valid-Until \"false\";\nAcquire::Check-Date \"false\";\n"
            "APT::Sandbox::User \"\";\nAPT::Get::Always-Include-Phased-Updates \"1\";\n"
            "APT::Immediate-Configure \"0\";\nDebug::NoLocking \"1\";\n"));
    run({"update"});
  }

  std::set<std::string> installs(const ResolveRequest& request) {
    std::vector<std::string> arguments = {
        "-s", "install", "?and(?essential,?architecture(" + request.architecture + "))", "apt"};
    for (const InstallRequest& wanted : request.install) {
      arguments.push_back(wanted.name);
    }
    std::istringstream lines(run(arguments));
    std::set<std::string> found;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("Inst ")) {  // Inst NAME (VERSION ...
        std::istringstream words(line);
        std::string word;
        std::string name;
        std::string version;
        words >> word >> name >> version;
        found.insert(name.substr(0, name.find(':')) + " " + version.substr(1));
      }
    }
    return found;
  }

 private:
  std::string run(const std::vector<std::string>& arguments) {
    system::Command command{.argv = {"apt-get"}};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.environment = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                           "LC_ALL=C.UTF-8",
                           "APT_CONFIG=" + (directory_.path() / "apt.conf").string()};
    return must(system::run_checked(system::process_runner(), command)).text;
  }
  system::TemporaryDirectory directory_;
};

class SameAsApt : public testing::TestWithParam<Asked> {};

TEST_P(SameAsApt, ChoosesTheSamePackages) {
  ResolveRequest request = base_request(GetParam());
  request.refresh = Refresh::always;  // the judge reads the archive as it is now
  const std::set<std::string> ours = names_of(must(resolve(request)));
  Judge judge(request);
  const double begin = worker_seconds();
  const std::set<std::string> apts = judge.installs(request);
  const double apts_seconds = worker_seconds() - begin;
  request.refresh = Refresh::if_missing;
  (void)must(resolve(request));
  const double our_seconds = worker_seconds() - begin - apts_seconds;
  std::cout << our_seconds << " s of CPU, apt-get " << apts_seconds << " s\n";
  EXPECT_LT(our_seconds, apts_seconds);
  EXPECT_EQ(without(ours, apts), std::set<std::string>{}) << "only goldmill chooses these";
  EXPECT_EQ(without(apts, ours), std::set<std::string>{}) << "only apt-get chooses these";
  EXPECT_GT(apts.size(), 50U);
}

INSTANTIATE_TEST_SUITE_P(Archive,
                         SameAsApt,
                         testing::Values(Asked{"debian", "12"},
                                         Asked{"ubuntu", "24.04"},
                                         Asked{"debian", "12", "arm64"}),
                         [](const auto& asked) {
                           std::string name = asked.param.family + asked.param.release + "_" +
                                              asked.param.architecture;
                           std::erase(name, '.');
                           return name;
                         });

}  // namespace
}  // namespace goldmill::guest

int main(int argc, char** argv) {
  static constexpr std::array<goldmill::system::WorkerEntry, 1> kWorkers = {
      {{"apt", goldmill::guest::apt_worker}}};
  goldmill::system::become_worker_if_asked(argc, argv, kWorkers);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
