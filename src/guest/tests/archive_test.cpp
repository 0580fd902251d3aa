// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>

#include <gtest/gtest.h>

#include <goldmill/guest/archive.hpp>
#include <goldmill/system/file.hpp>

#include "../apt_session.hpp"

namespace goldmill::guest {
namespace {

namespace fs = std::filesystem;

const std::vector<HostSource> kHost = {
    {"http://mirror.example.org/debian/", "bookworm", {"main"}, "", "Debian", "Debian"},
    {"http://mirror.example.org/debian/", "bookworm-updates", {"main"}, "", "Debian", "Debian"},
    {"http://mirror.example.org/debian-security/",
     "bookworm-security",
     {"main"},
     "/usr/share/keyrings/own.gpg",
     "Debian",
     "Debian-Security"},
    {"http://other.example.org/tool", "stable", {"main"}, "/etc/apt/tool.gpg", "Tool", "Tool"}};

const DebianRelease& release(const char* family, const char* number) {
  return **find_release(family, number);
}

TEST(Sources, OfAnotherSuiteComeFromTheSameAddresses) {
  const auto sources = choose_sources(release("debian", "13"), kHost, {}, "/keyring.gpg");
  ASSERT_TRUE(sources) << sources.error().text();
  ASSERT_EQ(sources->size(), 2U);
  EXPECT_EQ(sources->at(0),
            (Source{.name = "main",
                    .uri = "http://mirror.example.org/debian",
                    .suites = {"trixie", "trixie-updates"},
                    .components = {"main"},
                    .signed_by = "/keyring.gpg",
                    .architectures = {"amd64"}}));
  EXPECT_EQ(sources->at(1).uri, "http://mirror.example.org/debian-security");
  EXPECT_EQ(sources->at(1).signed_by, "/usr/share/keyrings/own.gpg");
}

TEST(Sources, OfUbuntuStandBesideDebians) {
  const auto sources = choose_sources(release("ubuntu", "24.04"),
                                      kHost,
                                      {.architecture = "arm64", .repositories = {}, .settings = {}},
                                      "/ubuntu.gpg");
  ASSERT_TRUE(sources);
  EXPECT_EQ(sources->at(0).uri, "http://mirror.example.org/ubuntu");
  EXPECT_EQ(sources->at(1).suites, std::vector<std::string>{"noble-security"});
  EXPECT_EQ(sources->at(1).architectures, std::vector<std::string>{"arm64"});
}

TEST(Sources, OfUbuntuAreTheMachinesOwnWhereItHasSome) {
  const HostSource own = {
      "http://own.example.org/ubuntu/", "jammy", {"main"}, "/etc/apt/own.gpg", "Ubuntu", "Ubuntu"};
  const auto sources =
      choose_sources(release("ubuntu", "24.04"), {kHost[0], own}, {}, "/ubuntu.gpg");
  ASSERT_TRUE(sources) << sources.error().text();
  EXPECT_EQ(sources->at(0).uri, "http://own.example.org/ubuntu");
  EXPECT_EQ(sources->at(0).signed_by, "/etc/apt/own.gpg");
}

TEST(Sources, SettingsComeFirst) {
  ArchiveRequest request;
  request.settings.debian_uri = "https://own.example.org/debian";
  request.settings.debian_security_uri = "none";
  const auto sources = choose_sources(release("debian", "12"), {}, request, "/k.gpg");
  ASSERT_TRUE(sources) << sources.error().text();
  ASSERT_EQ(sources->size(), 1U);
  EXPECT_EQ(sources->at(0).uri, "https://own.example.org/debian");
}

TEST(Sources, MissingOnesAreNamed) {
  const auto none = choose_sources(release("debian", "12"), {}, {}, "/k.gpg");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::unavailable);
  EXPECT_NE(none.error().hint.find("GOLDMILL_DEBIAN_URI"), std::string::npos);
  const auto no_security = choose_sources(release("debian", "12"), {kHost[0]}, {}, "/k.gpg");
  ASSERT_FALSE(no_security);
  EXPECT_NE(no_security.error().hint.find("GOLDMILL_DEBIAN_SECURITY_URI"), std::string::npos);
  EXPECT_FALSE(choose_sources(release("ubuntu", "22.04"), {kHost[3]}, {}, "/k.gpg"));
}

TEST(Sources, RepositoriesFollowAndNeedAKey) {
  ArchiveRequest request;
  request.repositories = {{"https://repo.example.org/x", {"stable"}, {"main"}, "/x.asc", {}}};
  const auto sources = choose_sources(release("debian", "12"), kHost, request, "/k.gpg");
  ASSERT_TRUE(sources);
  EXPECT_EQ(sources->at(2).name, "repository-1");
  EXPECT_EQ(sources->at(2).signed_by, "/x.asc");
  request.repositories[0].key.clear();
  EXPECT_FALSE(choose_sources(release("debian", "12"), kHost, request, "/k.gpg"));
}

TEST(Sources, SurviveJson) {
  const Source source{.name = "main",
                      .uri = "http://mirror.example.org/debian",
                      .suites = {"a", "b"},
                      .components = {"main"},
                      .signed_by = "/k.gpg",
                      .architectures = {"amd64"}};
  EXPECT_EQ(*source_from_json(to_json(source)), source);
  EXPECT_FALSE(source_from_json(Json::object()));
}

/// Both of apt's forms, as found on machines.
TEST(HostSources, AreReadAsAptReadsThem) {
  const auto scratch =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "sources-").value();
  const fs::path apt = scratch.path() / "etc/apt";
  fs::create_directories(apt / "sources.list.d");
  fs::create_directories(scratch.path() / "var/lib/apt/lists/partial");
  fs::create_directories(scratch.path() / "var/lib/dpkg");
  ASSERT_TRUE(system::write_file(scratch.path() / "var/lib/dpkg/status", ""));
  ASSERT_TRUE(system::write_file(apt / "sources.list",
                                 "# deb http://old.example.org/debian buster main\n"
                                 "deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] "
                                 "http://one.example.org/debian bookworm main contrib\n"
                                 "deb-src [signed-by=/usr/share/keyrings/a.gpg] "
                                 "http://one.example.org/debian bookworm main\n"));
  ASSERT_TRUE(system::write_file(apt / "sources.list.d/b.sources",
                                 "Types: deb\nURIs: http://two.example.org/debian-security\n"
                                 "Suites: bookworm-security\nComponents: main\n\n"
                                 "Types: deb\nEnabled: no\nURIs: http://off.example.org/debian\n"
                                 "Suites: sid\nComponents: main\n"));
  const auto found = read_host_sources_here(scratch.path());
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at(0).uri, "http://one.example.org/debian/");
  EXPECT_EQ(found->at(0).suite, "bookworm");
  EXPECT_EQ(found->at(0).components, (std::vector<std::string>{"main", "contrib"}));
  EXPECT_EQ(found->at(0).signed_by, "/usr/share/keyrings/a.gpg");
  EXPECT_EQ(found->at(1).uri, "http://two.example.org/debian-security/");
}

}  // namespace
}  // namespace goldmill::guest
