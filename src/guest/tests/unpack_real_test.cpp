// SPDX-License-Identifier: GPL-3.0-or-later
// The differential test: the same packages unpacked by mmdebstrap and by us give the same tree.
// Needs root, the machine's package archive, and some minutes.
#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/guest/packages_step.hpp>
#include <goldmill/guest/unpacker.hpp>
#include <goldmill/system/process.hpp>

#include "plain_sandbox.hpp"
#include "tree_listing.hpp"

namespace goldmill::guest::test_parts {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kEpoch = 1790000000;

struct Release {
  const char* suite;
  const char* packages;
  bool merges_by_hook;  ///< its base-files has no links for a merged /usr
  bool is_ubuntu;
};

/// Every difference that may be, with its reason. What is not here fails the test.
struct Allowed {
  const char* path;
  const char* reason;
};
constexpr std::array kAllowed = {
    Allowed{"/dev/.*", "mmdebstrap makes device nodes; a guest has them from devtmpfs"},
    Allowed{"/run/.*", "mmdebstrap's /run is what scripts left there; ours is a mount"},
    Allowed{"/etc/apt/(sources\\.list|apt\\.conf\\.d/99mmdebstrap)", "mmdebstrap's own apt setup"},
    Allowed{"/etc/(fstab|hostname|resolv\\.conf)", "mmdebstrap writes or copies them"},
    Allowed{"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-|/etc/\\.pwd\\.lock",
            "copies of older states, removed by our normaliser"},
    Allowed{"/etc/machine-id|/etc/ssh/ssh_host_.*", "identity: random, removed by the seal"},
    Allowed{"/boot/initrd\\.img-.*",
            "update-initramfs is held back: the initramfs is a later step"},
    Allowed{"/var/cache/apt(/.*)?|/var/lib/apt/lists(/.*)?", "apt ran outside of our tree"},
    Allowed{"/var/lib/apt(/extended_states)?|/var/log/apt|/etc/apt/"
            "(sources\\.list\\.d|preferences\\.d)",
            "made by mmdebstrap's apt; ours has them when apt is among the packages"},
    Allowed{"/var/lib/dpkg/.*-old|/var/cache/debconf/.*-old", "copies of older states"},
    Allowed{"/var/lib/dpkg/(lock|lock-frontend|triggers/Lock)", "locks; made again when needed"},
    Allowed{"/var/lib/dpkg/arch(-native)?", "mmdebstrap names the native architecture there too"},
    Allowed{"/var/log/(dpkg|alternatives|bootstrap)\\.log", "tell of the build only"},
};

/// Files whose lines may come in another order: packages are unpacked and configured in another.
const std::set<std::string> kUnordered = {"/var/lib/dpkg/triggers/File",
                                          "/var/lib/dpkg/diversions"};
/// Account files: ids follow the order of configuring, so they are compared by names.
const std::set<std::string> kAccounts = {
    "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"};

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return std::move(text).str();
}

std::set<std::string> sorted_lines(const std::string& text, bool only_names) {
  std::set<std::string> lines;
  std::istringstream stream(text);
  static const std::regex kIds(":x?:[0-9]+:([0-9]+:)?");
  for (std::string line; std::getline(stream, line);) {
    lines.insert(only_names
                     ? std::regex_replace(line, kIds, ":", std::regex_constants::format_first_only)
                     : line);
  }
  return lines;
}

std::string run(const std::string& command) {
  const auto output = system::process_runner().run(
      {.argv = {"/bin/bash", "-c", "set -eu -o pipefail\n" + command}});
  if (!output || output->status != 0) {
    ADD_FAILURE() << command << "\n" << (output ? output->errors : output.error().text());
    return {};
  }
  return output->text;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Differential : public ::testing::TestWithParam<Release> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "mmdebstrap's root mode needs root";
    }
    auto made = system::TemporaryDirectory::make("/var/tmp", "gm-differential-");
    ASSERT_TRUE(made);
    scratch_.emplace(std::move(made).value());
    ::chmod(scratch_->path().c_str(), 0755);
    ::mkdir((scratch_->path() / "cache").c_str(), 0755);
  }
  fs::path at(const std::string& name) const { return scratch_->path() / name; }

  /// The archive of this machine; Ubuntu stands beside Debian on it.
  static std::string archive() {
    std::string uri =
        run("apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | "
            "grep '/debian/*$' | head -1");
    while (!uri.empty() && (uri.back() == '\n' || uri.back() == '/')) {
      uri.pop_back();
    }
    return uri;
  }

  std::string sources(const Release& release) {
    std::string uri = archive();
    if (!release.is_ubuntu) {
      return "'deb " + uri + " " + release.suite + " main'";
    }
    uri = uri.substr(0, uri.rfind('/'));
    // Trixie's package holds the keyring; apt verifies the package.
    run("cd " + at("").string() +
        " && mkdir -p k/partial k/lists && cat /usr/share/keyrings/debian-archive-*.gpg > k/k.gpg\n"
        "echo 'deb [signed-by='$PWD/k/k.gpg'] " +
        archive() +
        " trixie main' > k/sources.list\n"
        "O=\"-o Dir::Etc::sourcelist=$PWD/k/sources.list -o Dir::Etc::sourceparts=/dev/null "
        "-o Dir::State::lists=$PWD/k/lists -o APT::Sandbox::User=root -o Dir::Cache=$PWD/k\"\n"
        "apt-get $O -qq update && cd k && apt-get $O -qq download ubuntu-keyring && "
        "dpkg -x ubuntu-keyring_*.deb tree");
    const std::string keyring = at("k/tree/usr/share/keyrings/ubuntu-archive-keyring.gpg").string();
    std::string all;
    for (const char* pocket : {"", "-updates", "-security"}) {
      all += "'deb [signed-by=" + keyring + "] " + uri + "/ubuntu " + release.suite + pocket +
             " main universe' ";
    }
    return all;
  }

  void build_theirs(const Release& release) {
    const std::string hook =
        release.merges_by_hook ? "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr " : "";
    run("export SOURCE_DATE_EPOCH=" + std::to_string(kEpoch) +
        " DEBIAN_FRONTEND=noninteractive TZ=UTC LC_ALL=C\n"
        // What it mounts goes with it, also when somebody kills it.
        "unshare --mount mmdebstrap --quiet --mode=root --variant=minbase --format=directory "
        "--include=" +
        release.packages + " --skip=essential/unlink --skip=cleanup/apt " + hook +
        "--aptopt='APT::Keep-Downloaded-Packages \"true\"' --aptopt='Acquire::Languages "
        "\"none\"' " +
        release.suite + " " + at("theirs").string() + " " + sources(release));
  }

  /// Their packages by digest, and a resolution that names them.
  Json resolution() {
    Json packages = Json::array();
    for (const auto& entry : fs::directory_iterator(at("theirs/var/cache/apt/archives"))) {
      if (entry.path().extension() != ".deb") {
        continue;
      }
      const std::string bytes = text_of(entry.path());
      const std::string digest = sha256(bytes).hex();
      std::ofstream(at("cache/" + digest + ".deb"), std::ios::binary) << bytes;
      std::istringstream fields(
          run("dpkg-deb --show --showformat '${Package} ${Version} "
              "${Architecture}' '" +
              entry.path().string() + "'"));
      std::string name;
      std::string version;
      std::string architecture;
      fields >> name >> version >> architecture;
      packages.push_back({{"name", name},
                          {"version", version},
                          {"architecture", architecture},
                          {"sha256", digest},
                          {"size", bytes.size()},
                          {"automatic", false}});
    }
    return {{"packages", packages}};
  }

  void build_ours() {
    auto sandbox = PlainSandbox::open(at("ours"), kEpoch);
    ASSERT_TRUE(sandbox) << sandbox.error().text();
    const auto start = std::chrono::steady_clock::now();
    plan::Progress progress{
        [&](std::string_view phase, std::uint64_t done, std::uint64_t) {
          const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
          std::cout << "  " << passed.count() << " s: " << phase << " " << done << "\n";
        },
        {}};
    plan::StepContext context{*sandbox, progress, at("cache")};
    plan::Step step;
    step.options = {{"architecture", "amd64"}, {"resolution", resolution()}};
    const auto result = PackagesStep({}).run(step, context);
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_EQ((*result)["case"], "new");
  }

  bool is_allowed(const std::string& difference) {
    const std::string path = difference.substr(0, difference.find(": "));
    for (const Allowed& allowed : kAllowed) {
      if (std::regex_match(path, std::regex(allowed.path))) {
        return true;
      }
    }
    const std::string ours = text_of(at("ours" + path));
    const std::string theirs = text_of(at("theirs" + path));
    if (kUnordered.contains(path) || kAccounts.contains(path)) {
      const bool names = kAccounts.contains(path);
      return !ours.empty() && sorted_lines(ours, names) == sorted_lines(theirs, names);
    }
    // /lib/systemd is /usr/lib/systemd: what systemctl writes depends on what was there already.
    const std::string aliased =
        std::regex_replace(difference, std::regex("-> /lib/systemd/"), "-> /usr/lib/systemd/");
    const std::size_t middle = aliased.find(" | ");
    return aliased.substr(path.size() + 2, middle - path.size() - 2) == aliased.substr(middle + 3);
  }

  std::optional<system::TemporaryDirectory> scratch_;
};

TEST_P(Differential, TreeEqualsMmdebstraps) {
  const Release release = GetParam();
  const double theirs = seconds_of([&] { build_theirs(release); });
  ASSERT_FALSE(HasFailure());
  const double ours = seconds_of([&] { build_ours(); });
  ASSERT_FALSE(HasFatalFailure());
  std::cout << "  " << release.suite << ": mmdebstrap " << theirs << " s, ours " << ours << " s\n";
  const auto ids = system::GuestIds::find();
  ASSERT_TRUE(ids);
  const auto all = differences(list_tree(at("theirs"), 0), list_tree(at("ours"), ids->users.first));
  for (const std::string& difference : all) {
    EXPECT_TRUE(is_allowed(difference)) << difference;
  }
  const std::string admin = " --admindir=" + at("ours/var/lib/dpkg").string();
  EXPECT_EQ(run("dpkg --root=" + at("ours").string() + " --audit"), "");
  EXPECT_EQ(run("dpkg --root=" + at("ours").string() + " --verify || true"), "");
  EXPECT_EQ(run("dpkg-query" + admin + " -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'"),
            run("dpkg-query --admindir=" + at("theirs/var/lib/dpkg").string() +
                " -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'"));
}

constexpr const char* kDebian = "linux-image-cloud-amd64,systemd-sysv,udev,openssh-server";
constexpr const char* kUbuntu = "linux-image-virtual,systemd-sysv,udev,openssh-server";

std::string name_of_case(const ::testing::TestParamInfo<Release>& info) {
  return info.param.suite;
}
INSTANTIATE_TEST_SUITE_P(Default,
                         Differential,
                         ::testing::Values(Release{"bookworm", kDebian, true, false}),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(All,
                         Differential,
                         ::testing::Values(Release{"trixie", kDebian, false, false},
                                           Release{"noble", kUbuntu, false, true}),
                         name_of_case);

}  // namespace
}  // namespace goldmill::guest::test_parts

int main(int argc, char** argv) {
  using goldmill::system::WorkerEntry;
  const std::array workers = {
      WorkerEntry{"unpack", goldmill::guest::unpack_worker},
      WorkerEntry{"plain_sandbox", goldmill::guest::test_parts::plain_sandbox_worker},
      WorkerEntry{"read_guest_file", goldmill::guest::test_parts::read_guest_file_worker}};
  goldmill::system::become_worker_if_asked(argc, argv, workers);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
