// SPDX-License-Identifier: GPL-3.0-or-later
#include "../record.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/launch/engine.hpp>
#include <goldmill/system/memory.hpp>

#include "../budget.hpp"
#include "../snapshot.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

class RecordTest : public testing::Test {
 protected:
  void SetUp() override {
    request_.disk = scratch_.path() / "image.raw";
    ASSERT_TRUE(system::write_file(request_.disk, std::string(1 << 20, 'i')));
    request_.disk_format = "raw";
    request_.image = "Java_app@3";
    request_.prepare_only = true;
  }

  /// Plays a launcher that got as far as a running process.
  Record running(const std::string& fleet, pid_t process) {
    request_.fleet = fleet;
    auto prepared = records_.prepare(request_).value();
    Record record = prepared.records.at(0);
    record.instance.state = State::ready;
    record.process = machine::identify(process).value();
    EXPECT_TRUE(records_.save(record));
    return record;
  }

  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
  fs::path home_ = scratch_.path() / "home";
  Records records_{home_};
  LaunchRequest request_;
};

TEST_F(RecordTest, SurvivesTheWayThroughItsFile) {
  request_.count = 1;
  request_.keys = {{"ops", "ssh-ed25519 AAAA"}};
  request_.user_data = "#!/bin/sh\n\xff";
  request_.uefi = true;
  Record record = records_.prepare(request_).value().records.at(0);
  record.instance.ready_seconds = 1.5;
  record.instance.error = "none";
  record.process = machine::ProcessIdentity{12, 34, "boot"};
  record.run = launch::Run{7, 1'700'000'000};
  ASSERT_TRUE(records_.save(record));
  const Record read = records_.load(record.instance.name).value();
  EXPECT_EQ(to_json(read).dump(-1, ' ', false, Json::error_handler_t::replace),
            to_json(record).dump(-1, ' ', false, Json::error_handler_t::replace));
  EXPECT_EQ(read.user_data, request_.user_data) << "to the byte: it need not be text";
  EXPECT_EQ(read.process->start_time, 34U);
  EXPECT_EQ(read.run->number, 7);
}

TEST_F(RecordTest, UptimeIsThatOfTheLastStart) {
  Record record;
  record.instance.state = State::ready;
  EXPECT_FALSE(uptime_of(record)) << "nobody has seen it run";
  note_run(record, 1);
  record.run->since -= 100;
  note_run(record, 1);
  EXPECT_GE(*uptime_of(record), 100);
  note_run(record, 2);
  EXPECT_LT(*uptime_of(record), 100) << "somebody has started it anew";
  record.run->since += 3600;
  EXPECT_EQ(*uptime_of(record), 0) << "the clock was set back";
  record.instance.state = State::stopped;
  EXPECT_FALSE(uptime_of(record));
  note_run(record, std::nullopt);
  EXPECT_FALSE(record.run);
}

TEST_F(RecordTest, WhatWasRemovedIsNotLaunched) {
  const Record record = records_.prepare(request_).value().records.at(0);
  ASSERT_TRUE(records_.lock_to_launch(record));
  ASSERT_TRUE(remove(home_, record.instance.name));
  const auto lock = records_.lock_to_launch(record);
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().kind, ErrorKind::conflict);
}

TEST_F(RecordTest, WhatItsLauncherIsYetToStartCannotBeStopped) {
  auto prepared = records_.prepare(request_).value();
  Record record = prepared.records.at(0);
  const std::string name = record.instance.name;
  const auto refused = stop(home_, name, std::chrono::seconds(0));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), testing::HasSubstr("is being launched"));
  record.instance.state = State::ready;
  ASSERT_TRUE(records_.save(record));
  EXPECT_TRUE(stop(home_, name, std::chrono::seconds(0))) << "its launcher is done with it";
}

TEST_F(RecordTest, OneForWhichNoHostHadRoomEndsInTimeToo) {
  request_.engine = "libvirt";
  Record record = records_.prepare(request_, {}, {""}).value().records.at(0);
  set_failed(record, "no host has room");
  record.instance.expires = 1;
  ASSERT_TRUE(records_.save(record));
  EXPECT_THAT(list(home_).value(), testing::IsEmpty());
  EXPECT_FALSE(records_.has_fleet(record.instance.fleet));
}

TEST_F(RecordTest, MoreKeysThanAnInstanceTakesAreSaidAtOnce) {
  request_.keys.assign(64, {"ops", "ssh-ed25519 AAAA"});
  const auto refused = launch(home_, request_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid_input);
  request_.keys.pop_back();
  EXPECT_TRUE(launch(home_, request_));
}

TEST_F(RecordTest, GivesEachItsOwnNamePortAndAddress) {
  request_.count = 50;
  const auto first = launch(home_, request_);
  const auto second = launch(home_, request_);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->name, "java-app");
  EXPECT_EQ(second->name, "java-app-2");
  std::set<std::string> names;
  std::set<std::string> macs;
  std::set<std::uint16_t> ports;
  std::set<std::string> subnets;
  const auto all = records_.load_all().value();
  for (const Record& record : all) {
    names.insert(record.instance.name);
    macs.insert(record.mac);
    ports.insert(record.instance.ssh_port);
    const std::string subnet = subnet_of(record.instance.ssh_port);
    const std::string address = guest_network_of(record.instance.ssh_port).address;
    EXPECT_EQ(address, subnet.substr(0, subnet.rfind('.')) + ".15/24");
    subnets.insert(subnet);
    EXPECT_EQ(record.mac.substr(0, 3), "02:") << "locally administered, unicast";
  }
  EXPECT_EQ(names.size(), 100U);
  EXPECT_EQ(macs.size(), 100U);
  EXPECT_EQ(ports.size(), 100U);
  EXPECT_EQ(subnets.size(), 100U);
  EXPECT_TRUE(names.contains("java-app-001"));
  EXPECT_EQ(expand(home_, "java-app-2")->size(), 50U);
}

TEST_F(RecordTest, LaunchesAtOnceNeverTakeTheSame) {
  request_.count = 20;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] { EXPECT_TRUE(launch(home_, request_)); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::set<std::uint16_t> ports;
  const auto all = records_.load_all().value();
  for (const Record& record : all) {
    ports.insert(record.instance.ssh_port);
  }
  EXPECT_EQ(all.size(), 80U);
  EXPECT_EQ(ports.size(), 80U);
}

TEST_F(RecordTest, OneOfManyIsPreparedAsQuicklyAsOneOfFewAndSmall) {
  const auto milliseconds_each = [&](int count) {
    request_.count = count;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(launch(home_, request_));
    const std::chrono::duration<double, std::milli> all = std::chrono::steady_clock::now() - begin;
    return all.count() / count;
  };
  const double of_few = milliseconds_each(20);
  const double of_many = milliseconds_each(200);
  RecordProperty("milliseconds_each", std::to_string(of_many));
  EXPECT_LT(of_many, 4 * of_few);
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(home_ / "instances/java-app-001")) {
    bytes += entry.file_size();
  }
  EXPECT_LE(bytes, 300U << 10U);
}

TEST_F(RecordTest, RefusesBadRequestsBeforeAnythingIsMade) {
  request_.fleet = "../x";
  EXPECT_EQ(launch(home_, request_).error().kind, ErrorKind::invalid_input);
  request_.fleet = "web";
  request_.count = 0;
  EXPECT_EQ(launch(home_, request_).error().kind, ErrorKind::invalid_input);
  request_.count = 1;
  for (const Bytes impossible : {512_KiB, Bytes{900ULL << 40U}, Bytes{(1ULL << 30U) + 1}}) {
    request_.disk_size = impossible;
    EXPECT_EQ(launch(home_, request_).error().kind, ErrorKind::invalid_input);
  }
  request_.disk_size.reset();
  request_.engine = "qemy";
  const auto refused = launch(home_, request_);
  EXPECT_EQ(refused.error().hint, "did you mean 'qemu'?");
  request_.engine = "qemu";
  ASSERT_TRUE(launch(home_, request_));
  EXPECT_EQ(launch(home_, request_).error().kind, ErrorKind::conflict);
  EXPECT_EQ(list(home_)->size(), 1U);
  EXPECT_EQ(remove(home_, "web-002").error().hint, "did you mean 'web-001'?");
}

TEST_F(RecordTest, WhatADeadLauncherHadBegunIsClearedAway) {
  const fs::path instances = home_ / "instances";
  fs::create_directories(instances / ".new-web-001");
  ASSERT_TRUE(system::write_file(instances / ".fleet-web", ""));
  {
    const auto at_work =
        system::FileLock::acquire(instances / ".lock", system::FileLock::Mode::exclusive);
    ASSERT_TRUE(records_.load_all());
    EXPECT_TRUE(fs::exists(instances / ".new-web-001")) << "a launcher makes it just now";
  }
  request_.fleet = "kept";
  ASSERT_TRUE(records_.prepare(request_));
  EXPECT_FALSE(fs::exists(instances / ".new-web-001"));
  EXPECT_FALSE(fs::exists(instances / ".fleet-web"));
  ASSERT_TRUE(system::write_file(instances / ".fleet-web", ""));
  EXPECT_EQ(records_.load_all()->size(), 1U);
  EXPECT_FALSE(fs::exists(instances / ".fleet-web"));
  EXPECT_TRUE(records_.has_fleet("kept"));
}

TEST_F(RecordTest, PortsInUseAreSkipped) {
  const system::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // reinterpret_cast is the sockets API's own idiom.
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(socket.get(), generic, sizeof address), 0);
  ASSERT_EQ(::listen(socket.get(), 1), 0);
  socklen_t length = sizeof address;
  ASSERT_EQ(::getsockname(socket.get(), generic, &length), 0);
  EXPECT_FALSE(is_port_free(ntohs(address.sin_port)));
}

TEST_F(RecordTest, ListTellsWhatReallyRuns) {
  const pid_t process = ::fork();
  if (process == 0) {
    ::pause();
    ::_exit(0);
  }
  (void)running("alive", process);
  Record reused = running("reused", process);
  reused.process->start_time += 1;
  ASSERT_TRUE(records_.save(reused));
  Record rebooted = running("rebooted", process);
  rebooted.process->boot_id = "00000000-0000-0000-0000-000000000000";
  ASSERT_TRUE(records_.save(rebooted));
  Record unstarted = running("unstarted", process);
  unstarted.instance.state = State::starting;
  unstarted.process.reset();
  ASSERT_TRUE(records_.save(unstarted));

  auto found = list(home_).value();
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].state, State::ready);
  EXPECT_EQ(found[1].state, State::stopped);
  EXPECT_EQ(found[1].error, "this machine was started anew");
  EXPECT_EQ(found[2].state, State::stopped);
  EXPECT_EQ(found[2].error, "its QEMU process ended");
  EXPECT_EQ(found[3].state, State::stopped);
  EXPECT_EQ(ssh_arguments(home_, "reused-001").error().kind, ErrorKind::unavailable);

  EXPECT_TRUE(remove(home_, "reused-001"));
  EXPECT_EQ(::kill(process, 0), 0) << "the process of another must live on";
  EXPECT_TRUE(remove(home_, "alive-001"));
  EXPECT_NE(::kill(process, 0), 0) << "removing ends what runs";
  for (const char* name : {"rebooted-001", "unstarted-001"}) {
    EXPECT_TRUE(remove(home_, name));
  }
  EXPECT_TRUE(list(home_)->empty());
  for (const auto& entry : fs::directory_iterator(home_ / "instances")) {
    EXPECT_EQ(entry.path().filename(), ".lock") << "something was left";
  }
}

TEST_F(RecordTest, ListTakesWhatAnotherFoundOutMeanwhile) {
  Record record = running("shared", 1);
  record.instance.state = State::starting;
  record.process.reset();
  ASSERT_TRUE(records_.save(record));

  std::vector<Instance> found;
  std::thread second;
  {
    const auto first = records_.lock(record).value();
    second = std::thread([&] { found = list(home_).value(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it has read, and waits
    record.instance.state = State::stopped;
    record.instance.error = "the first one's finding";
    ASSERT_TRUE(records_.save(record));
  }
  second.join();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].error, "the first one's finding");
  EXPECT_EQ(records_.load("shared-001")->instance.error, "the first one's finding");
}

TEST_F(RecordTest, ListDoesNotWaitForWhoStartsOne) {
  std::vector<system::FileLock> starting;
  for (const char* fleet : {"first", "second"}) {
    Record record = running(fleet, 1);
    record.instance.state = State::starting;
    record.process.reset();
    ASSERT_TRUE(records_.save(record));
    starting.push_back(records_.lock(record).value());
  }
  const auto found = list(home_).value();
  EXPECT_EQ(found.size(), 2U);
  for (const Instance& instance : found) {
    EXPECT_EQ(instance.state, State::starting) << instance.name;
  }
}

TEST_F(RecordTest, WhatStartedWhileStopAndRemoveWaitedEnds) {
  for (const bool removes : {false, true}) {
    Record record = running(removes ? "removed" : "stopped", ::getpid());
    record.instance.state = State::stopped;
    record.process.reset();
    ASSERT_TRUE(records_.save(record));
    const std::string name = record.instance.name;
    const pid_t process = ::fork();
    if (process == 0) {
      ::pause();
      ::_exit(0);
    }
    std::thread ending;
    {
      const auto start = records_.lock(record).value();
      ending = std::thread([&] {
        EXPECT_TRUE(removes ? remove(home_, name) : stop(home_, name, std::chrono::seconds(0)));
      });
      std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it has read, and waits
      record.instance.state = State::ready;
      record.process = machine::identify(process).value();
      ASSERT_TRUE(records_.save(record));
    }
    ending.join();
    EXPECT_NE(::kill(process, 0), 0) << "it runs on, and nobody knows of it: " << name;
  }
}

TEST_F(RecordTest, AFleetAndAnInstanceNeverShareAName) {
  request_.image = "web@1";
  request_.count = 2;
  ASSERT_TRUE(records_.prepare(request_));
  request_.fleet = "web-002";
  EXPECT_EQ(records_.prepare(request_).error().message, "there is an instance web-002 already");
  request_.fleet = "web-003";
  ASSERT_TRUE(records_.prepare(request_));
  request_.fleet = "";
  request_.image = "web-001@1";
  EXPECT_EQ(records_.prepare(request_)->fleet, "web-001-2");
  ASSERT_TRUE(remove(home_, "web-001"));
  ASSERT_TRUE(remove(home_, "web-002"));
  request_.count = 3;
  request_.fleet = "web";  // its third would be called as a fleet
  EXPECT_EQ(records_.prepare(request_).error().message, "there is a fleet web-003 already");
  request_.count = 2;
  EXPECT_TRUE(records_.prepare(request_));
}

TEST_F(RecordTest, DamagedRecordsHurtNobodyElse) {
  ASSERT_TRUE(launch(home_, request_));
  const fs::path bad = home_ / "instances" / "bad-001";
  ASSERT_TRUE(system::make_directories(bad));
  for (const char* text :
       {"", "{", "[]", R"({"name":"other"})", R"({"name":"bad-001","state":7})"}) {
    ASSERT_TRUE(system::write_file(bad / "instance.json", text));
    const auto instances = list(home_).value();
    ASSERT_EQ(instances.size(), 2U) << text;
    EXPECT_EQ(instances[0].name, "bad-001");
    EXPECT_EQ(instances[0].state, State::failed);
    EXPECT_THAT(instances[0].error, testing::HasSubstr("goldmill rm bad-001")) << text;
    EXPECT_EQ(start(home_, "bad-001").error().kind, ErrorKind::corrupt) << text;
  }
  request_.fleet = "bad";
  EXPECT_EQ(launch(home_, request_).error().kind, ErrorKind::conflict);
  EXPECT_TRUE(remove(home_, "bad-001"));
  EXPECT_FALSE(fs::exists(bad));
  EXPECT_EQ(list(home_)->size(), 1U);
  ASSERT_TRUE(system::make_directories(home_ / "instances" / "lost+found"));
  EXPECT_EQ(list(home_)->size(), 1U) << "it is nobody's";
}

TEST(FleetJson, HasTheKeysThatScriptsRelyOn) {
  Fleet fleet;
  fleet.name = "web";
  fleet.seconds = 2.5;
  Instance instance;
  instance.name = "web-001";
  instance.image = "web@3";
  instance.fleet = "web";
  instance.engine = "qemu";
  instance.hostname = "web-001";
  instance.ssh_port = 20000;
  instance.state = State::failed;
  instance.error = "no memory";
  instance.warnings = {"grow: no room"};
  fleet.instances.push_back(instance);
  EXPECT_EQ(
      to_json(fleet).dump(),
      R"({"accelerator":null,"budget":null,"fleet":"web",)"
      R"("instances":[{"address":null,"engine":"qemu","error":"no memory","expires":null,)"
      R"("fleet":"web",)"
      R"("host":null,)"
      R"("hostname":"web-001","image":"web@3","machine_id":null,"memory_bytes":null,)"
      R"("name":"web-001","ready_seconds":null,"ssh_host_key":null,)"
      R"("ssh_port":20000,"state":"failed","uptime_seconds":null,"warnings":["grow: no room"]}],"seconds":2.5,"warnings":[]})");
}

TEST(Budget, KeepsATenthFreeAndStartsTwoForEachCore) {
  LaunchRequest request;
  const Budget budget = budget_for(request, 10_GiB, 2);
  EXPECT_EQ(budget.parallel, 4);
  EXPECT_EQ(budget.each, 224_MiB);
  EXPECT_EQ(budget.instances, 41);
  EXPECT_EQ(budget_for(request, 100_MiB, 2).instances, 0);
  request.cpus = 3;
  EXPECT_EQ(budget_for(request, 10_GiB, 2).parallel, 1);
  request.memory_budget = 1_GiB;
  EXPECT_EQ(budget_for(request, 10_GiB, 2).instances, 4);
  EXPECT_EQ(to_text(budget_for(request, 10_GiB, 2)),
            "1 at once, room for 4 of 224 MiB in 1.00 GiB of memory");
  request.memory_budget.reset();
  request.memory = 64_MiB;
  request.parallel = 7;
  EXPECT_EQ(budget_for(request, 10_GiB, 2).each, 128_MiB);
  EXPECT_EQ(budget_for(request, 10_GiB, 2).parallel, 7);
  request.warm = true;
  EXPECT_GE(budget_for(request, 25_GiB, 2).instances, 400) << "they share what they do not write";
  EXPECT_GT(system::available_memory().value, 0U);
}

TEST_F(RecordTest, ANetworkWithoutANameIsTheFleets) {
  request_.network = Network::parse("netns").value();
  const auto prepared = records_.prepare(request_).value();
  EXPECT_EQ(prepared.records.at(0).network.text(), "netns=" + prepared.fleet);
  EXPECT_EQ(records_.load(prepared.records.at(0).instance.name)->network.text(),
            "netns=" + prepared.fleet);
}

TEST_F(RecordTest, ADamagedSnapshotGoesUnlessADiskStandsOnIt) {
  const fs::path snapshot = home_ / "snapshots" / "image" / "key.disk";
  ASSERT_TRUE(system::make_directories(snapshot));
  ASSERT_TRUE(system::make_directories(snapshot.parent_path() / ".key"));  // in the making
  const auto found = inspect_snapshots(home_);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].directory, snapshot);
  EXPECT_NE(found[0].damage, "");
  const Record record = records_.prepare(request_, snapshot).value().records.at(0);
  EXPECT_EQ(drop_snapshot(home_, snapshot).error().kind, ErrorKind::conflict);
  ASSERT_TRUE(records_.erase(record.instance.name));
  ASSERT_TRUE(drop_snapshot(home_, snapshot));
  EXPECT_TRUE(inspect_snapshots(home_).empty());
  EXPECT_FALSE(fs::exists(snapshot));
}

TEST_F(RecordTest, WhatIsOverIsRemovedByTheNextLook) {
  request_.count = 3;
  request_.lifetime = std::chrono::hours(1);
  ASSERT_TRUE(records_.prepare(request_));
  EXPECT_EQ(list(home_)->size(), 3U);
  Record record = records_.load("java-app-002").value();
  EXPECT_GT(*record.instance.expires, ::time(nullptr) + 3500);
  record.instance.expires = ::time(nullptr);
  ASSERT_TRUE(records_.save(record));
  EXPECT_EQ(list(home_)->size(), 2U);
  EXPECT_FALSE(fs::exists(records_.directory("java-app-002")));
}

TEST_F(RecordTest, AWarmInstanceStandsOnItsSnapshot) {
  const fs::path snapshot = scratch_.path() / "snapshots" / "image" / "key.disk";
  const Record record = records_.prepare(request_, snapshot).value().records.at(0);
  EXPECT_EQ(records_.load(record.instance.name)->snapshot, snapshot);
  const std::string header =
      system::read_file(records_.directory(record.instance.name) / "disk.qcow2").value();
  EXPECT_NE(header.find((snapshot / "disk.qcow2").string()), std::string::npos);
  EXPECT_EQ(header.find(request_.disk.string()), std::string::npos);
}

Json warm_facts() {
  SnapshotRequest request;
  request.image = "java@3";
  request.image_digest = std::string(64, 'a');
  request.disk_format = "qcow2";
  request.disk_size = 4_GiB;
  request.memory = 512_MiB;
  return facts_of(request);
}

TEST(Snapshot, FitsTheMachineOfWhichItWasTaken) {
  EXPECT_TRUE(still_fits(warm_facts()));
  EXPECT_FALSE(still_fits(Json::object())) << "an older goldmill wrote less";
  for (const char* condition : {"qemu", "format", "machine", "disk_size", "kernel"}) {
    Json facts = warm_facts();
    facts["conditions"][condition] = "another";
    EXPECT_FALSE(still_fits(facts)) << condition;
  }
  Snapshot snapshot;
  snapshot.facts = warm_facts();
  EXPECT_TRUE(check_fit(snapshot, machine::Accelerator::tcg));
  EXPECT_FALSE(check_fit(snapshot, machine::Accelerator::kvm));
}

TEST_F(RecordTest, WhatALauncherIsAboutToStartNobodyElseStarts) {
  auto prepared = std::make_optional(records_.prepare(request_).value());
  const std::string name = prepared->records.at(0).instance.name;
  const auto refused = start(home_, name);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("is being launched"));
  prepared.reset();
  Record record = records_.load(name).value();
  EXPECT_TRUE(records_.lock_to_start(record));
}

TEST_F(RecordTest, SnapshotsThatServeNobodyAreUseless) {
  const fs::path image = home_ / "snapshots" / "image";
  const auto make = [&image](const std::string& name, const Json& facts) {
    EXPECT_TRUE(system::make_directories(image / name));
    EXPECT_TRUE(system::write_file(image / name / "snapshot.json", facts.dump()));
  };
  const Json fits = warm_facts();
  Json older = fits;
  older["conditions"]["qemu"] = "another";
  make("fits.1", fits);
  make("older.1", older);
  make("older.2", older);
  make(".died", fits);
  ASSERT_TRUE(records_.prepare(request_, image / "older.2"));
  auto useless = useless_snapshots(home_).value();
  std::sort(useless.begin(), useless.end());
  EXPECT_EQ(useless, (std::vector<fs::path>{image / ".died", image / "older.1"}))
      << "an instance stands on older.2";
  const auto maker =
      system::FileLock::acquire(image / "died.lock", system::FileLock::Mode::exclusive);
  ASSERT_TRUE(maker);
  EXPECT_EQ(useless_snapshots(home_)->size(), 1U) << "one in the making";
  ASSERT_TRUE(system::make_directories(home_ / "instances" / "lost-001"));
  EXPECT_TRUE(useless_snapshots(home_)->empty()) << "of a damaged record nobody knows on which";
}

TEST_F(RecordTest, RemovingOneReadsNoOther) {
  request_.count = 20;
  ASSERT_TRUE(launch(home_, request_));
  request_.fleet = "java-app-101";
  request_.count = 1;
  ASSERT_TRUE(launch(home_, request_));
  const auto names = expand(home_, "java-app").value();
  ASSERT_EQ(names.size(), 20U);
  const system::UniqueFd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const auto is_seen = [&] {
    std::array<char, 4096> events{};
    return ::read(watch.get(), events.data(), events.size()) > 0;
  };
  const std::string last = home_ / "instances" / names.back() / "instance.json";
  ASSERT_GE(::inotify_add_watch(watch.get(), last.c_str(), IN_OPEN), 0);
  for (auto name = names.begin(); name + 1 != names.end(); ++name) {
    ASSERT_TRUE(remove(home_, *name));
  }
  EXPECT_FALSE(is_seen());
  ASSERT_TRUE(remove(home_, names.back()));
  EXPECT_TRUE(is_seen());
  EXPECT_FALSE(fs::exists(home_ / "instances" / ".fleet-java-app"));
  EXPECT_TRUE(fs::exists(home_ / "instances" / ".fleet-java-app-101")) << "of another fleet";
}

}  // namespace goldmill::launch
