// SPDX-License-Identifier: GPL-3.0-or-later
// A small archive of our own on loopback, to see what must be refused, resumed and shared.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/guest/fetcher.hpp>
#include <goldmill/guest/resolver.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::guest {
namespace {

namespace fs = std::filesystem;

const std::string kSources = GOLDMILL_TEST_SOURCES;

class Archive : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto made = system::TemporaryDirectory::make("/var/tmp", "goldmill-archive-");
    ASSERT_TRUE(made);
    shared = std::make_unique<system::TemporaryDirectory>(std::move(made).value());
    const auto built = system::run_checked(
        system::process_runner(),
        {.argv = {"sh", kSources + "/make_archive.sh", shared->path().string()}});
    ASSERT_TRUE(built) << built.error().text();
  }
  static void TearDownTestSuite() { shared.reset(); }

  void SetUp() override {
    ASSERT_TRUE(shared);
    auto made = system::TemporaryDirectory::make("/var/tmp", "goldmill-home-");
    ASSERT_TRUE(made);
    home_ = std::make_unique<system::TemporaryDirectory>(std::move(made).value());
    start_server();
  }

  void start_server() {
    fs::remove(home() / "port");
    auto child = system::Child::start({.argv = {"python3",
                                                kSources + "/archive_server.py",
                                                (shared->path() / "www").string(),
                                                (home() / "port").string(),
                                                (home() / "log").string()}});
    ASSERT_TRUE(child) << child.error().text();
    server_ = std::make_unique<system::Child>(std::move(child).value());
    for (int i = 0; i < 300 && !fs::exists(home() / "port"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    const auto port = system::read_file(home() / "port");
    ASSERT_TRUE(port) << "the server did not start";
    address_ = "http://127.0.0.1:" + *port;
  }

  fs::path home() const { return home_->path(); }
  fs::path www() const { return shared->path() / "www"; }

  ResolveRequest request(const std::string& mode,
                         const std::string& suite,
                         const std::string& key = "key.asc") const {
    ResolveRequest made;
    made.sources = {{.name = "main",
                     .uri = address_ + "/" + mode,
                     .suites = {suite},
                     .components = {"main"},
                     .signed_by = shared->path() / key,
                     .architectures = {"amd64"}}};
    made.state_directory = home() / "apt";
    made.cache_directory = home() / "packages";
    made.install = {{.name = "tool"}};
    return made;
  }

  FetchRequest fetch_request(const ResolveRequest& asked, const Resolution& found) const {
    return {.packages = found.packages,
            .sources = asked.sources,
            .cache_directory = asked.cache_directory};
  }

  std::string log() const {
    const auto text = system::read_file(home() / "log");
    return text ? *text : "";
  }

  static std::string names(const Resolution& resolution) {
    std::string text;
    for (const PackageFile& package : resolution.packages) {
      text += (text.empty() ? "" : " ") + package.name + "=" + package.version;
    }
    return text;
  }

  static void expect_all(const FetchRequest& request) {
    for (const PackageFile& package : request.packages) {
      const auto content = system::read_file(cached_file(request.cache_directory, package.sha256));
      ASSERT_TRUE(content) << package.name;
      EXPECT_EQ(sha256(*content).hex(), package.sha256) << package.name;
    }
    EXPECT_TRUE(fs::is_empty(request.cache_directory / "partial"));
  }

  std::unique_ptr<system::Child> server_;
  std::string address_;

 private:
  static inline std::unique_ptr<system::TemporaryDirectory> shared;
  std::unique_ptr<system::TemporaryDirectory> home_;
};

TEST_F(Archive, KeepsVersionsThatNothingNeedsNewer) {
  const auto resolved = [&](std::vector<std::string> wanted,
                            std::map<std::string, std::string> keep) {
    ResolveRequest asked = request("plain", "good");
    asked.install.clear();
    for (std::string& name : wanted) {
      asked.install.push_back({.name = std::move(name)});
    }
    asked.keep = std::move(keep);
    const auto found = resolve(asked);
    return found ? names(*found) : found.error().text();
  };
  EXPECT_EQ(resolved({"tool"}, {{"lib", "1.0"}}), "early=1.0 lib=1.0 tool=1.0");
  EXPECT_EQ(resolved({"tool"}, {{"lib", "0.9"}}), "early=1.0 lib=2.0 tool=1.0") << "it is gone";
  EXPECT_EQ(resolved({"tool"}, {{"nobody", "1"}}), "early=1.0 lib=2.0 tool=1.0");
  EXPECT_EQ(resolved({"wants-new"}, {{"lib", "1.0"}, {"early", "1.0"}}),
            "lib=2.0 through=1.0 wants-new=1.0")
      << "a kept one that is too old, two dependencies away";
  EXPECT_EQ(resolved({"exact", "lib"}, {{"exact", "1.0"}}), "exact=2.0 lib=2.0")
      << "a kept one that wants others older";
  EXPECT_EQ(resolved({"exact", "lib"}, {{"exact", "1.0"}, {"lib", "1.0"}}), "exact=1.0 lib=1.0");
}

TEST_F(Archive, ComparesWithWhatIsInstalled) {
  ResolveRequest asked = request("plain", "good");
  asked.sources[0].suites.emplace_back("good-security");
  asked.install.clear();
  const auto installed = [](const std::string& name, const std::string& version) {
    return "Package: " + name +
           "\nStatus: install ok installed\nArchitecture: all\nVersion: " + version +
           "\nDescription: test\n\n";
  };
  asked.dpkg_status = installed("early", "0.5") + installed("lib", "1.0") +
                      installed("tool", "1.0") + installed("quiet", "2.0") +
                      installed("ours", "1.0");
  const auto upgrades = find_upgrades(asked);
  ASSERT_TRUE(upgrades) << upgrades.error().text();
  ASSERT_EQ(upgrades->size(), 2U) << "equal, newer and unknown ones are no upgrades";
  EXPECT_EQ(
      to_json(upgrades->front()),
      Json({{"name", "lib"}, {"installed", "1.0"}, {"available", "2.0"}, {"security", true}}));
  EXPECT_EQ(upgrades->back().name, "early");
  EXPECT_FALSE(upgrades->back().security);
}

TEST_F(Archive, ResolvesOrdersAndFetches) {
  const ResolveRequest asked = request("plain", "good");
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(names(*found), "early=1.0 lib=2.0 tool=1.0");
  EXPECT_EQ(found->manual, std::vector<std::string>{"tool"});
  EXPECT_TRUE(found->packages[0].automatic);
  EXPECT_FALSE(found->packages[2].automatic);
  EXPECT_TRUE(found->packages[2].pre_depends);
  EXPECT_GT(found->epoch, 1'700'000'000);
  EXPECT_EQ(found->suites.at("main/good"), found->epoch);
  const auto place = [&](Operation::Kind kind, const char* name) {
    const auto& all = found->operations;
    return std::find(all.begin(), all.end(), Operation{kind, std::string(name) + ":amd64"}) -
           all.begin();
  };
  EXPECT_EQ(found->operations.size(), 4U) << "three to unpack, one needed before another";
  EXPECT_LT(place(Operation::Kind::configure, "early"), place(Operation::Kind::unpack, "tool"));
  const FetchRequest wanted = fetch_request(asked, *found);
  const auto fetched = fetch(wanted);
  ASSERT_TRUE(fetched) << fetched.error().text();
  expect_all(wanted);
}

TEST_F(Archive, NewRootsHaveWhatIsEssential) {
  ResolveRequest asked = request("plain", "good");
  asked.new_root = true;
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(names(*found), "apt=1.0 basis=1.0 early=1.0 lib=2.0 tool=1.0");
  EXPECT_TRUE(found->packages[1].essential);
  asked.remove = {"iwl100-firmware"};
  const auto same = resolve(asked);
  ASSERT_TRUE(same) << same.error().text();
  EXPECT_EQ(names(*same), names(*found)) << "what no source has does not come in";
  asked.remove = {"erly"};
  EXPECT_EQ(resolve(asked).error().hint, "did you mean 'early'?");
  asked.remove = {"basis"};
  const auto without = resolve(asked);
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().message.find("'basis' cannot be left out"), std::string::npos)
      << without.error().text();
}

TEST_F(Archive, ToolsStandBesideTheRootThatNeedsThem) {
  ResolveRequest asked = request("plain", "good");
  asked.new_root = true;
  asked.tools = {"alone"};
  const auto root = resolve_root(asked);
  ASSERT_TRUE(root) << root.error().text();
  EXPECT_EQ(names(root->packages), "apt=1.0 basis=1.0 early=1.0 lib=2.0 tool=1.0");
  EXPECT_EQ(names(root->tools), "alone=1.0");
  EXPECT_EQ(root->tools.suites, root->packages.suites);
  EXPECT_TRUE(root->tools.operations.empty());
}

constexpr const char* kStatus =
    "Package: lib\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\n"
    "Maintainer: a <a@example.org>\nDescription: test\n\n"
    "Package: quiet\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\n"
    "Maintainer: a <a@example.org>\nDescription: test\n\n";

TEST_F(Archive, VariantsAddToWhatIsThere) {
  ResolveRequest asked = request("plain", "good");
  asked.dpkg_status = kStatus;
  auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(names(*found), "early=1.0 tool=1.0") << "lib stays as it is";
  asked.install = {{.name = "lib", .version = "2.0"}};
  found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(names(*found), "lib=2.0");
  EXPECT_EQ(found->packages[0].upgrades_from, "1.0");
  asked.install = {{.name = "loud"}};
  found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->removed, std::vector<std::string>{"quiet:amd64"});
  asked.install = {};
  asked.remove = {"quiet"};
  found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->removed, std::vector<std::string>{"quiet:amd64"});
  EXPECT_EQ(found->operations, (std::vector<Operation>{{Operation::Kind::purge, "quiet:amd64"}}));
}

TEST_F(Archive, HeldAndBrokenParentsAreNamed) {
  ResolveRequest asked = request("plain", "good");
  asked.dpkg_status = kStatus;
  asked.dpkg_status.replace(asked.dpkg_status.find("install ok"), 10, "hold ok");
  asked.install = {{.name = "lib", .version = "2.0"}};
  auto found = resolve(asked);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::conflict);
  EXPECT_NE(found.error().message.find("held at 1.0"), std::string::npos) << found.error().text();
  asked.dpkg_status = std::string(kStatus) +
                      "Package: wants-none\nStatus: install ok installed\nVersion: 1.0\n"
                      "Architecture: all\nDepends: not-there\nDescription: test\n"
                      "Maintainer: a <a@example.org>\n\n";
  asked.install = {{.name = "tool"}};
  found = resolve(asked);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::conflict);
  EXPECT_NE(found.error().message.find("wants-none needs not-there"), std::string::npos)
      << found.error().text();
}

struct Refusal {
  const char* name;
  const char* version;
  ErrorKind kind;
  const char* says;
};

TEST_F(Archive, RefusalsSayWhy) {
  for (const Refusal& refusal : std::vector<Refusal>{
           {"tol", "", ErrorKind::not_found, "did you mean 'tool'"},
           {"tool", "9", ErrorKind::not_found, "there is: 1.0"},
           {"wants-more", "", ErrorKind::invalid_input, "needs lib (>= 3), but there is only 2.0"},
           {"wants-deep", "", ErrorKind::invalid_input, "needs not-there, which no source has"},
           {"sender", "", ErrorKind::invalid_input, "sender-a, sender-b"}}) {
    ResolveRequest asked = request("plain", "good");
    asked.install = {{.name = refusal.name, .version = refusal.version}};
    const auto found = resolve(asked);
    ASSERT_FALSE(found) << refusal.name;
    EXPECT_EQ(found.error().kind, refusal.kind) << found.error().text();
    const std::string text = found.error().text() + " " + found.error().hint;
    EXPECT_NE(text.find(refusal.says), std::string::npos) << text;
  }
  ResolveRequest asked = request("plain", "good");
  asked.install = {{.name = "loud"}, {.name = "quiet"}};
  const auto found = resolve(asked);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("loud conflicts with quiet"), std::string::npos)
      << found.error().text();
  asked.install = {{.name = "only-one"}};
  EXPECT_EQ(names(*resolve(asked)), "alone=1.0");
  asked.install = {{.name = "tool"}};
  asked.remove = {"lib"};
  const auto kept_out = resolve(asked);
  ASSERT_FALSE(kept_out);
  EXPECT_NE(kept_out.error().message.find("tool needs lib"), std::string::npos)
      << kept_out.error().text();
}

TEST_F(Archive, OnlyWhatANamedKeySignedIsUsed) {
  for (const auto& [suite, key] :
       std::vector<std::pair<std::string, std::string>>{{"bare", "key.asc"},
                                                        {"good", "other.asc"},
                                                        {"tampered", "key.asc"},
                                                        {"forged", "key.asc"}}) {
    const auto found = resolve(request("plain", suite, key));
    ASSERT_FALSE(found) << suite << " with " << key;
    EXPECT_EQ(found.error().kind, ErrorKind::corrupt) << suite << ": " << found.error().text();
    // And it stays so when indexes of the failed try are lying about.
    ResolveRequest again = request("plain", suite, key);
    EXPECT_FALSE(resolve(again)) << suite;
  }
  EXPECT_TRUE(resolve(request("plain", "good")));
  const auto no_key = resolve(request("plain", "good", "missing.asc"));
  ASSERT_FALSE(no_key);
  EXPECT_EQ(no_key.error().kind, ErrorKind::unavailable);
}

TEST_F(Archive, AChangedPackageIsRefused) {
  const ResolveRequest asked = request("plain", "good");
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  const fs::path file = www() / found->packages[1].pool_path;
  const std::string honest = *system::read_file(file);
  std::string changed = honest;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
  ASSERT_TRUE(system::write_file(file, changed));
  const FetchRequest wanted = fetch_request(asked, *found);
  const auto fetched = fetch(wanted);
  ASSERT_TRUE(system::write_file(file, honest));
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().kind, ErrorKind::corrupt) << fetched.error().text();
  EXPECT_FALSE(fs::exists(cached_file(wanted.cache_directory, found->packages[1].sha256)));
  EXPECT_TRUE(fs::exists(cached_file(wanted.cache_directory, found->packages[0].sha256)))
      << "the others are kept";
  const auto again = fetch(wanted);
  ASSERT_TRUE(again) << again.error().text();
  expect_all(wanted);
}

TEST_F(Archive, ACutDownloadGoesOn) {
  const ResolveRequest asked = request("cut", "good");
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  const FetchRequest wanted = fetch_request(asked, *found);
  const auto fetched = fetch(wanted);
  ASSERT_TRUE(fetched) << fetched.error().text() << "\n" << log();
  expect_all(wanted);
  EXPECT_NE(log().find("bytes="), std::string::npos) << "the rest only:\n" << log();
}

TEST_F(Archive, RedirectsAreFollowed) {
  const ResolveRequest asked = request("redirect", "good");
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  const FetchRequest wanted = fetch_request(asked, *found);
  const auto fetched = fetch(wanted);
  ASSERT_TRUE(fetched) << fetched.error().text();
  expect_all(wanted);
}

TEST_F(Archive, WithoutAServerTheCacheStillServes) {
  const ResolveRequest asked = request("plain", "good");
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  FetchRequest wanted = fetch_request(asked, *found);
  wanted.packages.resize(1);
  ASSERT_TRUE(fetch(wanted));
  server_.reset();
  EXPECT_TRUE(fetch(wanted)) << "nothing is missing";
  EXPECT_TRUE(resolve(asked)) << "the indexes are there";
  const auto lacking = fetch(fetch_request(asked, *found));
  ASSERT_FALSE(lacking);
  EXPECT_EQ(lacking.error().kind, ErrorKind::unavailable);
  EXPECT_NE(lacking.error().text().find("refused"), std::string::npos) << lacking.error().text();
  ResolveRequest newer = asked;
  newer.refresh = Refresh::always;
  const auto refreshed = resolve(newer);
  ASSERT_FALSE(refreshed);
  EXPECT_EQ(refreshed.error().kind, ErrorKind::unavailable) << refreshed.error().text();
  EXPECT_TRUE(resolve(asked)) << "the old indexes stay usable";
}

TEST_F(Archive, APackageThatVanishedIsNamed) {
  const ResolveRequest asked = request("plain", "good");
  auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  FetchRequest wanted = fetch_request(asked, *found);
  wanted.packages[0].pool_path = "pool/gone.deb";
  const auto fetched = fetch(wanted);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().kind, ErrorKind::not_found) << fetched.error().text();
  EXPECT_NE(fetched.error().hint.find("--update"), std::string::npos);
}

TEST_F(Archive, TwoAtOnceShareTheWork) {
  const ResolveRequest asked = request("plain", "good");
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  const FetchRequest wanted = fetch_request(asked, *found);
  std::vector<Result<void>> outcomes(4);
  {
    std::vector<std::jthread> builds;
    builds.reserve(outcomes.size());
    for (Result<void>& outcome : outcomes) {
      builds.emplace_back([&] { outcome = fetch(wanted); });
    }
  }
  for (const Result<void>& outcome : outcomes) {
    EXPECT_TRUE(outcome) << outcome.error().text();
  }
  expect_all(wanted);
  const std::string requests = log();
  for (const PackageFile& package : found->packages) {
    const std::size_t first = requests.find(package.pool_path);
    EXPECT_NE(first, std::string::npos);
    EXPECT_EQ(requests.find(package.pool_path, first + 1), std::string::npos)
        << package.name << " was fetched twice";
  }
}

TEST_F(Archive, LocalPackagesJoin) {
  ResolveRequest asked = request("plain", "good");
  asked.install = {{.file = www() / "pool/tool_1.0_all.deb"}};
  const auto found = resolve(asked);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(names(*found), "early=1.0 lib=2.0 tool=1.0");
  EXPECT_EQ(found->packages[2].source_index, -1);
  EXPECT_EQ(found->packages[2].size, fs::file_size(asked.install[0].file));
  const FetchRequest wanted = fetch_request(asked, *found);
  const auto fetched = fetch(wanted);
  ASSERT_TRUE(fetched) << fetched.error().text();
  expect_all(wanted);
  EXPECT_EQ(log().find("tool_1.0"), std::string::npos) << "it was here already";
}

}  // namespace
}  // namespace goldmill::guest
