// SPDX-License-Identifier: GPL-3.0-or-later
// From a step's changes to a layer, and back from its tar. Judged by other tools' tars as well.
#include <chrono>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/build/capture.hpp>
#include <goldmill/build/seal.hpp>
#include <goldmill/build/stored_layer.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/system/file.hpp>

#include "small_root.hpp"

namespace goldmill::build::test {
namespace {

namespace fs = std::filesystem;
using system::UniqueFd;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class CaptureReal : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = missing_for_sandboxes(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
  static Result<CapturedLayer> captured(Place& place, const std::string& script) {
    TRY(place.shell(script));
    return capture_layer({.work = place.work, .layers = {Home::get().base()}, .epoch = 1700000000});
  }
  /// The layer as a tar file, written by the guest-ids worker.
  static fs::path packed(const fs::path& tree) {
    static int number = 0;
    const fs::path file = Home::get().path() / ("layer" + std::to_string(number++) + ".tar");
    const auto out = system::open_file(file, O_RDWR | O_CREAT | O_TRUNC, 0644);
    const auto directory = system::open_directory(tree);
    EXPECT_TRUE(out && directory);
    const auto result = system::run_worker({.name = "test.pack",
                                            .confinement = system::Confinement::guest_ids,
                                            .hands = {directory->get(), out->get()}});
    EXPECT_TRUE(result) << result.error().text();
    return file;
  }
  static std::string listing(const std::string& tool, const fs::path& tar) {
    const auto output = system::process_runner().run(
        {.argv = {tool, "-tvf", tar.string()},
         .environment = {{"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/bin:/bin"}}});
    return output ? output->text + output->errors : output.error().text();
  }
};

TEST_F(CaptureReal, AStepThatChangesNothingHasNoEntries) {
  Place place;
  const auto layer = captured(place,
                              "cp -a /etc/passwd /etc/p && mv /etc/p /etc/passwd\n"  // same again
                              "chmod 0755 /usr/bin && touch /etc/hostname.x && rm /etc/hostname.x\n"
                              "mkdir -p /opt/a/b && rmdir /opt/a/b /opt/a\n"
                              "echo x > /var/tmp/t; echo y > /run/z; echo 1 > /root/.bash_history\n"
                              "cp /etc/debian_version /etc/v && cat /etc/v > /etc/debian_version\n"
                              "rm /etc/v; rm -f /usr/sbin/policy-rc.d");
  ASSERT_TRUE(layer) << layer.error().text();
  EXPECT_EQ(layer->entries, 0U) << listing("tar", packed(place.work / "upper"));
  EXPECT_THAT(layer->sealed, Contains("histories: /root/.bash_history"));
}

const char* const kChanges =
    "umask 022; cd /srv\n"
    "echo one > a; ln a b; ln -s /etc/passwd link; mkfifo pipe; mkdir -p d/e/f; echo deep > "
    "d/e/f/g\n"
    "printf x > \"$(printf 'bad\\377name')\"; printf y > 'caf\xC3\xA9'\n"
    "printf long > $(printf 'n%.0s' $(seq 200))\n"
    "rm /etc/issue; rm -r /usr/share/doc/dash; mkdir /usr/share/doc/dash; echo new > "
    "/usr/share/doc/dash/only\n"
    "rm -r /usr/share/doc/bash; echo file > /usr/share/doc/bash\n"
    "chmod 4750 /usr/bin/id; chown 33:44 a; touch -d @1234567890 d/e\n"
    "head -c 3000000 /dev/zero > big";

TEST_F(CaptureReal, TheSameStepGivesTheSameLayer) {
  Place one;
  Place other;
  const auto first = captured(one, kChanges);
  ASSERT_TRUE(first) << first.error().text();
  ::usleep(1100000);  // another second on the clock
  const auto second = captured(other, std::string("date > /var/log/x.log; ") + kChanges);
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(first->diff_id, second->diff_id)
      << listing("tar", packed(one.work / "upper")) << listing("tar", packed(other.work / "upper"));
  EXPECT_GT(first->entries, 10U);
  const auto again =
      capture_layer({.work = one.work, .layers = {Home::get().base()}, .epoch = 1700000000});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->diff_id, first->diff_id);
}

TEST_F(CaptureReal, TheTarSaysWhatChanged) {
  Place place;
  const auto layer = captured(place, kChanges);
  ASSERT_TRUE(layer) << layer.error().text();
  const fs::path tar = packed(place.work / "upper");
  EXPECT_EQ(fs::file_size(tar), layer->size.value);
  EXPECT_EQ(sha256(*system::read_file(tar)), layer->diff_id);
  const std::string text = listing("tar", tar);
  EXPECT_THAT(text, HasSubstr("etc/.wh.issue"));
  EXPECT_THAT(text, HasSubstr("usr/share/doc/dash/.wh..wh..opq"));
  EXPECT_THAT(text, HasSubstr("usr/share/doc/dash/only"));
  EXPECT_THAT(text, HasSubstr("srv/b link to srv/a"));
  EXPECT_THAT(text, HasSubstr("-rwsr-x--- 0/0"));
  EXPECT_THAT(text, HasSubstr("33/44"));
  EXPECT_THAT(text, HasSubstr("2009-02-13"));
  EXPECT_THAT(text, Not(HasSubstr("usr/share/doc/dash/copyright")));
  EXPECT_THAT(text, Not(HasSubstr("policy-rc.d")));
  EXPECT_THAT(text, Not(HasSubstr("2026-")));
}

TEST_F(CaptureReal, ACommittedLayerShowsTheSameTree) {
  Place place;
  const auto layer = captured(place, kChanges);
  ASSERT_TRUE(layer) << layer.error().text();
  const fs::path trees = Home::get().path() / "trees";
  ASSERT_TRUE(commit_layer(place.work, trees, layer->diff_id));
  ASSERT_TRUE(sync_layers(trees));
  const fs::path tree = trees / layer->diff_id.hex();
  ASSERT_TRUE(fs::exists(tree));
  OverlaySandbox view({.layers = {Home::get().base(), tree}});
  EXPECT_EQ(*view.read("/srv/d/e/f/g"), "deep\n");
  EXPECT_EQ(*view.read("/usr/share/doc/dash/only"), "new\n");
  EXPECT_FALSE(view.read("/usr/share/doc/dash/copyright"));
  EXPECT_FALSE(view.read("/etc/issue"));
  EXPECT_EQ(*view.read("/usr/share/doc/bash"), "file\n");
  // Read-only: nothing may be written.
  EXPECT_FALSE(view.run({.argv = {"sh", "-c", "echo x > /etc/new"}}));
  // The same layer again is no error.
  Place twin;
  const auto same = captured(twin, kChanges);
  ASSERT_TRUE(same);
  EXPECT_TRUE(commit_layer(twin.work, trees, same->diff_id));
}

TEST_F(CaptureReal, AHollowTreeIsNotTakenForTheLayerOfItsName) {
  const fs::path trees = Home::get().path() / "trees";
  Place whole;
  const auto layer = captured(whole, "echo much > /srv/content");
  ASSERT_TRUE(layer) << layer.error().text();
  const fs::path tree = trees / layer->diff_id.hex();
  Place hollow;  // as after a power cut: the name was kept, the content was not
  ASSERT_TRUE(captured(hollow, ": > /srv/content"));
  ASSERT_TRUE(commit_layer(hollow.work, trees, layer->diff_id));
  ASSERT_TRUE(commit_layer(whole.work, trees, layer->diff_id, Existing::vouched));
  EXPECT_NE(*identify_tree(tree), layer->diff_id) << "it was not read";
  ASSERT_TRUE(commit_layer(whole.work, trees, layer->diff_id));
  EXPECT_EQ(*identify_tree(tree), layer->diff_id);
  EXPECT_TRUE(fs::exists(whole.work / "upper/srv/content")) << "the hollow one goes with the work";
}

TEST_F(CaptureReal, ALayerComesBackFromItsTar) {
  Place place;
  OverlaySandbox sandbox(place.options());
  ASSERT_TRUE(sandbox.call("test.decorate", Json::object(), {}, {}));
  const auto layer = captured(place, kChanges);
  ASSERT_TRUE(layer) << layer.error().text();
  const fs::path tar = packed(place.work / "upper");
  EXPECT_THAT(listing("tar", tar), testing::ContainsRegex("crw-rw-rw- 0/0 +1,3 "));
  EXPECT_THAT(listing("bsdtar", tar), testing::AnyOf(HasSubstr("srv/a"), HasSubstr("cannot run")));
  const fs::path copy = Home::get().work();
  const auto from = system::open_file(tar, O_RDONLY);
  const auto to = system::open_directory(copy);
  const auto facts = system::run_worker({.name = "test.unpack",
                                         .confinement = system::Confinement::guest_ids,
                                         .hands = {to->get(), from->get()}});
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(*find_string(*facts, "diff_id"), layer->diff_id.text());
  EXPECT_EQ(sha256(*system::read_file(packed(copy / "upper"))), layer->diff_id);
}

TEST_F(CaptureReal, HostileLayersStayInside) {
  const fs::path canary = Home::get().path() / "canary";
  ASSERT_TRUE(system::write_file(canary, "untouched"));
  ::chmod(canary.c_str(), 0666);
  constexpr int kTaken = 13;
  for (int kind = 0; kind <= kTaken; ++kind) {
    const fs::path copy = Home::get().work();
    const auto to = system::open_directory(copy);
    const auto result =
        system::run_worker({.name = "test.unpack_hostile",
                            .request = {{"kind", kind}, {"canary", canary.string()}},
                            .confinement = system::Confinement::guest_ids,
                            .hands = {to->get()}});
    ASSERT_EQ(result.has_value(), kind == kTaken) << kind;
    // One fails where the kernel says so: a directory at a link's name.
    EXPECT_TRUE(result || kind == 10 || result.error().kind == ErrorKind::invalid_input)
        << result.error().text();
    EXPECT_EQ(*system::read_file(canary), "untouched") << kind;
    EXPECT_FALSE(fs::exists(copy / "escaped")) << kind;
    EXPECT_FALSE(fs::exists(Home::get().path() / "new")) << kind;
  }
}

TEST_F(CaptureReal, NamesThatWereSeparatedStaySeparate) {
  Place place;
  const auto below = captured(place, "echo same > /srv/one; ln /srv/one /srv/other");
  ASSERT_TRUE(below) << below.error().text();
  const fs::path trees = Home::get().path() / "trees";
  ASSERT_TRUE(commit_layer(place.work, trees, below->diff_id));
  const std::vector<fs::path> layers = {Home::get().base(), trees / below->diff_id.hex()};
  const fs::path work = Home::get().work();
  OverlaySandbox sandbox({.layers = layers, .work = work});
  ASSERT_TRUE(sandbox.run({.argv = {"sh", "-ec", "cd /srv; cp -a other x; mv x other"}}));
  const auto layer = capture_layer({.work = work, .layers = layers, .epoch = 1700000000});
  ASSERT_TRUE(layer) << layer.error().text();
  EXPECT_EQ(layer->entries, 2U) << "the directory and the name";
  ASSERT_TRUE(commit_layer(work, trees, layer->diff_id));
  OverlaySandbox view({.layers = {layers[0], layers[1], trees / layer->diff_id.hex()}});
  EXPECT_EQ(*view.capture({.argv = {"stat", "-c", "%h", "/srv/other"}}), "1\n");
}

class BigFilesReal : public CaptureReal {
 protected:
  struct Stored {
    fs::path tree;
    Digest diff_id;
  };
  static Stored stored(const std::string& script) {
    Place place;
    const auto layer = captured(place, script);
    EXPECT_TRUE(layer) << layer.error().text();
    EXPECT_TRUE(commit_layer(place.work, trees(), layer->diff_id));
    return {trees() / layer->diff_id.hex(), layer->diff_id};
  }
  static fs::path trees() { return Home::get().path() / "trees"; }
  static struct stat status_of(const fs::path& file) {
    struct stat status {};
    EXPECT_EQ(::lstat(file.c_str(), &status), 0) << file;
    return status;
  }
  /// Of three million bytes each; every test has its own.
  static std::string big_files(char byte) {
    return std::string(
               "mkdir -p /opt/a /opt/links; cd /opt; head -c 3000000 /dev/zero | tr '\\0' ") +
           byte + " > big; cp big links/one; ln links/one links/other; echo small > small\n";
  }
};

TEST_F(BigFilesReal, AreStoredOnceHoweverManyLayersHoldThem) {
  const Stored one = stored(big_files('a') + "cp big a/big; cp big mode");
  const Stored other = stored(big_files('a') + ("mkdir b; cp big b/big; cp big mode\n"
                                                "chmod 600 mode; touch -d @1200000000 ."));
  ASSERT_NE(one.diff_id, other.diff_id);
  EXPECT_EQ(status_of(one.tree / "opt/big").st_ino, status_of(other.tree / "opt/big").st_ino);
  // Not where the guest would see a link that nobody made, nor where anything differs.
  EXPECT_EQ(status_of(one.tree / "opt/a/big").st_nlink, 1U);
  EXPECT_EQ(status_of(other.tree / "opt/b/big").st_nlink, 1U);
  EXPECT_EQ(status_of(other.tree / "opt/mode").st_nlink, 1U);
  EXPECT_EQ(status_of(other.tree / "opt/links/one").st_nlink, 2U);
  EXPECT_EQ(status_of(other.tree / "opt/small").st_nlink, 1U);
  EXPECT_EQ(*identify_tree(one.tree), one.diff_id);
  EXPECT_EQ(*identify_tree(other.tree), other.diff_id);
}

TEST_F(BigFilesReal, ThatAreSharedLeaveLaterLayersAsTheyWere) {
  const Stored alone = stored(big_files('b') + "echo alone > who");
  const auto touched = [&] {
    const fs::path work = Home::get().work();
    const std::vector<fs::path> layers = {Home::get().base(), alone.tree};
    OverlaySandbox sandbox({.layers = layers, .work = work});
    EXPECT_TRUE(sandbox.run(
        {.argv = {"sh", "-ec", "cd /opt; touch big; cp big moved; echo x >> moved; ln moved m"}}));
    return capture_layer({.work = work, .layers = layers, .epoch = 1700000000}).value();
  };
  const CapturedLayer before = touched();
  (void)stored(big_files('b') + "echo shared > who");
  ASSERT_EQ(status_of(alone.tree / "opt/big").st_nlink, 2U);
  EXPECT_EQ(touched().diff_id, before.diff_id);
}

TEST_F(BigFilesReal, GoWithTheLastLayerThatHoldsThem) {
  const Stored one = stored(big_files('c') + "echo 1 > who");
  const Stored other = stored(big_files('c') + "echo 2 > who");
  const std::string names[] = {one.tree.filename(), other.tree.filename()};
  const auto each = measure_each_guest_tree(trees(), {names[0], names[1]}).value();
  EXPECT_GT(each[0]->value, 6'000'000U);
  EXPECT_GT(each[1]->value, 6'000'000U);
  EXPECT_LT(bytes_freed_by(trees(), {names[0]}).value().value, 4'000'000U);
}

TEST_F(CaptureReal, SealedStepsLeaveNoIdentity) {
  Place place;
  const auto layer = captured(
      place,
      "mkdir -p /etc/ssh /var/lib/systemd /var/log/apt /var/lib/dbus /var/log/nginx\n"
      "echo 0123 > /etc/machine-id; echo k > /etc/ssh/ssh_host_rsa_key; echo 1 > "
      "/var/lib/dbus/machine-id\n"
      "head -c 32 /dev/urandom > /var/lib/systemd/random-seed; date > /var/log/apt/term.log\n"
      "date > /var/log/nginx/access.log; echo old > /etc/shadow-; echo pw > "
      "/var/cache/debconf/passwords.dat");
  ASSERT_TRUE(layer) << layer.error().text();
  const fs::path trees = Home::get().path() / "trees";
  ASSERT_TRUE(commit_layer(place.work, trees, layer->diff_id));
  const auto findings = check_image({{trees / layer->diff_id.hex()}}, {});
  ASSERT_TRUE(findings) << findings.error().text();
  for (const Finding& finding : *findings) {
    ADD_FAILURE() << finding.rule << ": " << finding.path;
  }
  OverlaySandbox view({.layers = {Home::get().base(), trees / layer->diff_id.hex()}});
  EXPECT_EQ(*view.read("/etc/machine-id"), "");
  EXPECT_EQ(*view.read("/var/log/nginx/access.log"), "");
  EXPECT_FALSE(view.read("/etc/ssh/ssh_host_rsa_key"));
}

TEST_F(CaptureReal, TheCheckFindsWhatNobodySealed) {
  Place place;
  ASSERT_TRUE(
      place.shell("mkdir -p /etc/ssh /root/.ssh /srv/app /var/lib/systemd\n"
                  "echo k > /etc/ssh/ssh_host_rsa_key; echo id > /etc/machine-id; echo k > "
                  "/root/.ssh/authorized_keys\n"
                  "echo s > /var/lib/systemd/random-seed\n"
                  "{ echo '-----BEGIN PRIVATE KEY-----'; head -c 48 /etc/passwd | base64; } > "
                  "/srv/app/key.pem"));
  const std::vector<ImageLayer> layers = {{place.work / "upper"}};
  std::vector<std::string> found;
  const auto findings = check_image(layers, {});
  ASSERT_TRUE(findings) << findings.error().text();
  for (const Finding& finding : *findings) {
    found.push_back(finding.rule + ":" + finding.path);
  }
  EXPECT_THAT(found,
              testing::UnorderedElementsAre("ssh-host-keys:etc/ssh/ssh_host_rsa_key",
                                            "machine-id:etc/machine-id",
                                            "ssh-access:root/.ssh/authorized_keys",
                                            "random-seed:var/lib/systemd/random-seed",
                                            "private-key:srv/app/key.pem"));
  const auto allowed = check_image(layers, {"root/.ssh/authorized_keys"});
  EXPECT_EQ(allowed->size(), 4U);
}

TEST_F(CaptureReal, TheCheckAsksWhoGaveRights) {
  Place place;
  ASSERT_TRUE(
      place.shell("mkdir -p /etc/sudoers.d; echo 'build ALL=(ALL) NOPASSWD: ALL' > "
                  "/etc/sudoers.d/build"));
  const auto by_script = check_image({{place.work / "upper"}}, {});
  ASSERT_TRUE(by_script) << by_script.error().text();
  ASSERT_EQ(by_script->size(), 1U);
  EXPECT_EQ(by_script->front().rule, "sudo-rules");
  const auto by_recipe = check_image({{place.work / "upper", true}}, {});
  ASSERT_TRUE(by_recipe) << by_recipe.error().text();
  EXPECT_TRUE(by_recipe->empty());
}

TEST_F(CaptureReal, TakesNotMuchLongerThanHashingDoes) {
  Place place;
  ASSERT_TRUE(place.shell("head -c 400000000 /dev/zero > /srv/big"));
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(place.shell("sha256sum /srv/big"));
  const auto hashed = std::chrono::steady_clock::now();
  const auto layer =
      capture_layer({.work = place.work, .layers = {Home::get().base()}, .epoch = 1700000000});
  const auto captured = std::chrono::steady_clock::now();
  ASSERT_TRUE(layer) << layer.error().text();
  const double ratio = std::chrono::duration<double>(captured - hashed) / (hashed - start);
  RecordProperty("times_sha256sum", std::to_string(ratio));
  EXPECT_LT(ratio, 6);
}

TEST_F(CaptureReal, WorkDirectoriesOfTheDeadAreReclaimed) {
  const fs::path home = Home::get().path() / "home";
  ASSERT_TRUE(prepare_home(home));
  fs::path left;
  {
    auto alive = WorkDirectory::make(home);
    ASSERT_TRUE(alive) << alive.error().text();
    left = alive->path();
    OverlaySandbox sandbox({.layers = {Home::get().base()}, .work = left});
    // Deeper than descriptors and stack would carry.
    ASSERT_TRUE(sandbox.run({.argv = {"sh",
                                      "-ec",
                                      "cd /srv; deep=$(printf 'd/%.0s' $(seq 1000)); mkdir -p "
                                      "$deep; cd $deep; mkdir -p $deep\n"
                                      "chmod 0 /srv/d/d/d"}}));
    EXPECT_EQ(*reclaim(home), 0);  // its owner lives
    ASSERT_TRUE(fs::exists(left));
  }
  EXPECT_FALSE(fs::exists(left));
  // A dead owner's, whose lock the kernel has let go.
  const fs::path dead = home / "work" / "dead";
  ::mkdir(dead.c_str(), 0777);
  ::chmod(dead.c_str(), 0777);
  OverlaySandbox sandbox({.layers = {Home::get().base()}, .work = dead});
  ASSERT_TRUE(sandbox.run({.argv = {"touch", "/srv/x"}}));
  // A build in other surroundings has a home in there, with work of its own.
  const fs::path inner = dead / kInnerHome / "work" / "apt-x";
  fs::create_directories(inner);
  fs::permissions(inner, fs::perms::owner_all);
  ASSERT_TRUE(system::write_file(inner / "lock", ""));
  EXPECT_EQ(*reclaim(home), 1);
  EXPECT_FALSE(fs::exists(dead));
  ::chmod(home.c_str(), 0755);
  EXPECT_EQ(prepare_home(home).error().kind, ErrorKind::conflict);
}

}  // namespace
}  // namespace goldmill::build::test
