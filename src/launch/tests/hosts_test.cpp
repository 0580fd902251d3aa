// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/system/process.hpp>

#include "../domain_xml.hpp"
#include "../host_file.hpp"

namespace goldmill::launch {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

HostStatus with(const std::string& name, Bytes memory, int cpus) {
  return {{name, "qemu:///system", "goldmill", ""}, Capacity{memory, cpus}, ""};
}

Record record() {
  Record record;
  record.instance.name = "web-001";
  record.instance.image = "web@3";
  record.domain = "11111111-2222-4333-8444-555555555555";
  record.mac = "02:00:00:00:00:01";
  record.memory = 512_MiB;
  record.cpus = 2;
  return record;
}

}  // namespace

TEST(Place, FillsTheEmptiestHostAndStopsWhenAllAreFull) {
  const HostStatus silent{{"lost", "qemu:///system", "goldmill", ""}, std::nullopt, "no answer"};
  const Capacity each{900_MiB, 1};
  EXPECT_THAT(place({with("small", 1_GiB, 8), with("large", 2_GiB, 8), silent}, 4, each),
              ElementsAre("large", "small", "large", ""));
  EXPECT_THAT(place({with("small", 1_GiB, 8), with("large", 2_GiB, 1), silent}, 4, each),
              ElementsAre("small", "large", "large", ""));
  EXPECT_THAT(place({silent}, 1, each), ElementsAre(""));
  EXPECT_THAT(place({with("exact", 900_MiB, 1)}, 1, each), ElementsAre("exact"));
  EXPECT_THAT(place({with("slow", 2_GiB, 1), with("fast", 2_GiB, 8)}, 2, {1_GiB, 1}),
              ElementsAre("fast", "slow"));
}

TEST(Place, GivesEachHostItsShareAndOfEqualsTheFirst) {
  const Capacity each{1_GiB, 1};
  EXPECT_THAT(place({with("large", 8_GiB, 8), with("small", 4_GiB, 4)}, 6, each),
              ElementsAre("large", "large", "small", "large", "large", "small"));
  EXPECT_THAT(place({with("b", 4_GiB, 4), with("a", 4_GiB, 4)}, 3, each),
              ElementsAre("b", "a", "b"));
}

TEST(Place, SparesAHostWithMuchMemoryAndFewCores) {
  const std::vector<HostStatus> hosts{with("wide", 64_GiB, 2), with("quick", 16_GiB, 8)};
  EXPECT_THAT(place(hosts, 5, {1_GiB, 1}), ElementsAre("quick", "quick", "quick", "wide", "quick"));
  EXPECT_THAT(place(hosts, 2, {1_GiB, 4}), ElementsAre("quick", "quick"));
}

TEST(Place, PromisesCoresSeveralTimesButMemoryOnce) {
  EXPECT_THAT(place({with("busy", 8_GiB, 1)}, 3, {1_GiB, 4}), ElementsAre("busy", "busy", "busy"));
  EXPECT_THAT(place({with("quick", 1_GiB, 64), with("wide", 8_GiB, 1)}, 3, {3_GiB, 2}),
              ElementsAre("wide", "wide", ""));
}

TEST(HostName, ComesFromTheUri) {
  EXPECT_EQ(name_from_uri("qemu+ssh://root@Host1.example.org:2222/system"), "host1");
  EXPECT_EQ(name_from_uri("qemu+tls://host2/system"), "host2");
  EXPECT_EQ(name_from_uri("qemu:///system"), "local");
  EXPECT_EQ(name_from_uri("qemu+ssh://root@192.0.2.5/system"), "192-0-2-5");
  EXPECT_EQ(name_from_uri("host3"), "");
}

TEST(NetworkText, ComesBack) {
  for (const char* text : {"user", "bridge=br0", "network=default", "netns=lab-1"}) {
    EXPECT_EQ(Network::parse(text)->text(), text);
  }
  for (const char* text : {"", "nat", "bridge=", "bridge", "netns=", "netns=..", "netns=a/b"}) {
    EXPECT_EQ(Network::parse(text).error().kind, ErrorKind::invalid_input) << text;
  }
}

class HostFilesTest : public testing::Test {
 protected:
  system::TemporaryDirectory home_ =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
  HostFiles files_{home_.path()};
};

TEST_F(HostFilesTest, AreKeptAndChosenByName) {
  EXPECT_EQ(files_.chosen({}).error().kind, ErrorKind::not_found);
  ASSERT_TRUE(files_.put({"b", "qemu+ssh://b/system", "goldmill", "tcg"}));
  ASSERT_TRUE(files_.put({"a", "qemu+ssh://a/system", "other", ""}));
  const auto all = files_.chosen({}).value();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "a");
  EXPECT_EQ(all[0].pool, "other");
  EXPECT_EQ(all[1].accelerator, "tcg");
  EXPECT_EQ(files_.chosen({"b"})->at(0).uri, "qemu+ssh://b/system");
  EXPECT_EQ(files_.chosen({"c"}).error().message, "there is no host 'c'");
  ASSERT_TRUE(files_.remove("a"));
  EXPECT_EQ(files_.all().size(), 1U);
}

TEST_F(HostFilesTest, ADamagedOneKeepsNoOtherAndCanBeRemoved) {
  ASSERT_TRUE(files_.put({"good", "qemu+ssh://good/system", "goldmill", ""}));
  ASSERT_TRUE(system::write_file(home_.path() / "hosts/bad.json", "{\"uri\": "));
  const auto all = files_.chosen({}).value();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "bad");
  EXPECT_FALSE(all[0].damage.empty());
  EXPECT_TRUE(all[1].damage.empty());
  const auto statuses = list_hosts(home_.path()).value();
  EXPECT_THAT(statuses[0].error, HasSubstr("what is kept of host bad is damaged"));
  EXPECT_THAT(statuses[0].error, HasSubstr("hosts remove bad"));
  ASSERT_TRUE(remove_host(home_.path(), "bad", false));
  EXPECT_EQ(files_.all().size(), 1U);
}

TEST_F(HostFilesTest, OnlyALibvirtThatRunsQemuIsTaken) {
  for (const char* uri : {"http://host1/", "test:///default", "esx://host1", "qemuX:///system"}) {
    const auto added = add_host(home_.path(), {"h", uri, "goldmill", ""});
    ASSERT_FALSE(added) << uri;
    EXPECT_EQ(added.error().kind, ErrorKind::invalid_input) << uri;
  }
}

TEST(DomainXml, SaysWhatTheRecordSays) {
  Record wanted = record();
  wanted.network = {Network::Kind::bridge, "br'0<"};
  wanted.uefi = true;
  const std::string xml = domain_xml(wanted, "/pool/a&b.qcow2", "qemu");
  EXPECT_THAT(xml, HasSubstr("<source bridge='br&apos;0&lt;'/>"));
  EXPECT_THAT(xml, HasSubstr("<source file='/pool/a&amp;b.qcow2'/>"));
  EXPECT_THAT(xml, HasSubstr("<memory unit='b'>536870912</memory>"));
  EXPECT_THAT(xml, HasSubstr("<os firmware='efi'>"));
  EXPECT_THAT(xml, HasSubstr("<vcpu>2</vcpu>"));
  EXPECT_THAT(xml, HasSubstr("<mac address='02:00:00:00:00:01'/>"));
}

TEST(DomainXml, PassesLibvirtsOwnSchema) {
  if (!std::filesystem::exists("/usr/bin/virt-xml-validate")) {
    GTEST_SKIP() << "virt-xml-validate is not installed";
  }
  for (const Network& network : {Network{},
                                 Network{Network::Kind::bridge, "br0"},
                                 Network{Network::Kind::network, "default"}}) {
    for (const char* type : {"qemu", "kvm"}) {
      Record wanted = record();
      wanted.network = network;
      const auto directory =
          system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
              .value();
      const auto file = directory.path() / "domain.xml";
      ASSERT_TRUE(system::write_file(file, domain_xml(wanted, "/pool/web.qcow2", type)));
      const auto judged = system::process_runner().run(
          {.argv = {"/usr/bin/virt-xml-validate", file.string(), "domain"}});
      ASSERT_TRUE(judged);
      EXPECT_EQ(judged->status, 0) << judged->text << judged->errors;
    }
  }
}

}  // namespace goldmill::launch
