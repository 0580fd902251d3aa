// SPDX-License-Identifier: GPL-3.0-or-later
// Lines that have no counterpart of their own in a recipe: what they become, and what is said.
#include <filesystem>

#include <gtest/gtest.h>

#include <goldmill/kickstart/import.hpp>
#include <goldmill/kickstart/package_names.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::kickstart {
namespace {

namespace fs = std::filesystem;

class TranslationTest : public testing::Test {
 protected:
  void import(const std::string& text, const std::map<std::string, std::string>& names = {}) {
    const fs::path file = scratch_.path() / "profile.ks";
    ASSERT_TRUE(system::write_file(file, text));
    auto imported = import_profile({file, "debian/12", names});
    ASSERT_TRUE(imported) << imported.error().text();
    recipe_ = imported->recipe;
    rows_ = imported->rows;
    places_ = imported->places;
  }
  /// "changed: ext4 instead of xfs", of the line.
  std::string said(int line) const {
    for (const ImportRow& row : rows_) {
      if (row.line == line) {
        return name_of(row.verdict) + (row.note.empty() ? "" : ": " + row.note);
      }
    }
    return "nothing";
  }
  std::string said_of(const std::string& text) {
    import(text + "\n");
    return said(1);
  }
  /// Of what is mounted there, or of swap: its size, "" when the disk has no such partition.
  std::string size_at(const std::string& mount) const {
    const Json disk = recipe_.value("disk", Json::object());
    for (const Json& partition : disk.value("partitions", Json::array())) {
      if (partition.value("mount", "swap") == mount) {
        return partition.value("size", "the rest");
      }
    }
    return "";
  }

  fs::path directory() const { return scratch_.path(); }

  Json recipe_;
  std::vector<ImportRow> rows_;
  Places places_;

 private:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(fs::temp_directory_path(), "goldmill-test.").value();
};

TEST_F(TranslationTest, OnlyTheRootGrows) {
  import(
      "part / --size=2000\npart /data --size=1 --grow\npart /big --size=9000 --grow\n"
      "part /little --size=1 --grow --maxsize=200\n");
  EXPECT_EQ(said(1), "changed: it takes what the other partitions leave of the disk");
  EXPECT_EQ(size_at("/"), "the rest");
  EXPECT_EQ(said(2), "changed: 1024MiB: only the root grows with the disk");
  EXPECT_EQ(size_at("/data"), "1024MiB");
  EXPECT_EQ(size_at("/big"), "9000MiB");
  EXPECT_EQ(size_at("/little"), "200MiB");
  EXPECT_NE(said(4).find("--maxsize: "), std::string::npos) << said(4);
  EXPECT_EQ(said_of("part / --size=2000 --grow"), "mapped");
}

TEST_F(TranslationTest, ASizeThatTheMachineDecidesIsChosen) {
  import("part swap --recommended\npart /srv\npart /tiny --size=5\n");
  EXPECT_EQ(said(1), "changed: 1024MiB: the memory of the machine is not known");
  EXPECT_EQ(size_at("swap"), "1024MiB");
  EXPECT_EQ(said(2), "changed: 1024MiB: the profile does not say its size");
  EXPECT_EQ(said(3), "changed: 64MiB at least");
  EXPECT_EQ(size_at("/tiny"), "64MiB");
}

TEST_F(TranslationTest, AnArrayHasWhatItsMembersHold) {
  const auto size_of = [this](const std::string& options) {
    import("raid /home --device=md1 " + options +
           " raid.11 raid.12 raid.13 raid.14\n"
           "part raid.11 --size=40000\npart raid.12 --size=40000\npart raid.13 --size=30000\n"
           "part raid.14 --size=50000\n");
    return size_at("/home");
  };
  EXPECT_EQ(size_of("--level=1"), "30000MiB");
  EXPECT_EQ(said(1),
            "changed: a partition: the host's storage is what is redundant; 30000MiB, what its "
            "members hold");
  EXPECT_EQ(size_of("--level=RAID0"), "160000MiB");
  EXPECT_EQ(size_of("--level=raid5"), "90000MiB");
  EXPECT_EQ(size_of("--level=5 --spares=1"), "60000MiB");
  EXPECT_EQ(size_of("--level=6"), "60000MiB");
  EXPECT_EQ(size_of("--level=10"), "60000MiB");
}

TEST_F(TranslationTest, AVolumeHasItsShareOfThePool) {
  import(
      "part btrfs.1 --size=30000\nbtrfs none --label=all btrfs.1\n"
      "btrfs / --subvol --name=root LABEL=all\nbtrfs /home --subvol --name=home all\n");
  EXPECT_EQ(size_at("/home"), "15000MiB");
  EXPECT_NE(said(4).find("15000MiB, its share of the pool"), std::string::npos) << said(4);
  EXPECT_EQ(recipe_["disk"]["size"], "30GiB");
  import(
      "part pv.1 --size=40000\nvolgroup vg pv.1\n"
      "logvol / --vgname=vg --name=root --size=4000\n"
      "logvol /home --vgname=vg --name=home --percent=60\n");
  EXPECT_EQ(size_at("/home"), "24000MiB");
  EXPECT_NE(said(4).find("24000MiB, its part of the volume group"), std::string::npos) << said(4);
  import(
      "part pv.1 --size=1 --grow\nvolgroup vg pv.1\n"
      "logvol /home --vgname=vg --name=home --percent=60\n");
  EXPECT_NE(said(3).find("1024MiB: only the root grows"), std::string::npos) << said(3);
}

TEST_F(TranslationTest, APartitionStandsAtItsOwnLineAndKeepsItsPassphrase) {
  const fs::path disk = directory() / "disk.ks";
  ASSERT_TRUE(system::write_file(
      disk, "\npart / --size=4000 --grow\npart /srv --size=99 --encrypted --passphrase=hunter2\n"));
  import("part swap --size=512\n%include disk.ks\nlang C\n");
  const auto line_of = [this](const std::string& path) {
    const auto found = places_.find(path);
    return found == places_.end() ? "nowhere"
                                  : fs::path(found->second.file).filename().string() + ":" +
                                        std::to_string(found->second.line);
  };
  EXPECT_EQ(line_of("disk.partitions.0"), "profile.ks:1");
  EXPECT_EQ(line_of("disk.partitions.1"), "disk.ks:3");
  EXPECT_EQ(line_of("disk.partitions.2"), "disk.ks:2");
  EXPECT_EQ(line_of("baseline.locale"), "profile.ks:3");
  ASSERT_EQ(rows_.size(), 4U);
  EXPECT_EQ(rows_[2].file, disk.string());
  EXPECT_EQ(rows_[2].text, "part /srv --encrypted --passphrase=... --size=99");
  EXPECT_EQ(rows_[2].note.find("hunter2"), std::string::npos) << rows_[2].note;
  EXPECT_NE(rows_[2].note.find("--passphrase: not taken over"), std::string::npos);
}

TEST_F(TranslationTest, NoPartitionIsOfAnImpossibleSize) {
  EXPECT_EQ(said_of("part /a --size=-5"), "not_applicable: no file system has a size of -5MiB");
  EXPECT_EQ(said_of("part /a --size=99999999999").substr(0, 15), "not_applicable:");
  EXPECT_EQ(said_of("part /a --size=999999999999999999999999").substr(0, 15), "not_applicable:");
  std::string many;
  for (int at = 0; at < 20; ++at) {
    many += "part /d" + std::to_string(at) + " --size=100\n";
  }
  import(many + "part / --size=100\n");
  EXPECT_EQ(recipe_["disk"]["partitions"].size(), 16U);
  EXPECT_EQ(said(20), "not_applicable: a recipe's disk has at most 16 partitions");
}

TEST_F(TranslationTest, AnOptionThatNothingBecomesOfIsNamed) {
  EXPECT_EQ(said_of("part /a --size=100 --onpart=sda3 --noformat --fsoptions=noatime"),
            "changed: --fsoptions: not taken over; --noformat, --onpart: the file system is made "
            "anew");
  EXPECT_EQ(said_of("part /a --size=100 --ondisk=sda"),
            "changed: --ondisk: the image has one disk, laid out anew");
}

TEST_F(TranslationTest, PartitionsHaveNamesAndLabelsOfTheirOwn) {
  import(
      "part /a-b --size=100\npart /a/b --size=100 --label=\"My Root\"\n"
      "part /a/b/c --size=100 --label=My_Root\n"
      "part /an-absolutely-endless-mount-point-of-many-letters --size=100\n"
      "part \"/with space\" --size=100\n");
  const Json& partitions = recipe_["disk"]["partitions"];
  ASSERT_EQ(partitions.size(), 5U);
  EXPECT_EQ(partitions[0]["name"], "a-b");
  EXPECT_EQ(partitions[1]["name"], "a-b2");
  EXPECT_EQ(partitions[1]["label"], "My_Root");
  EXPECT_EQ(said(2), "changed: the label 'My_Root'");
  EXPECT_EQ(said(3), "changed: the label 'My_Root' is not taken over");
  EXPECT_EQ(partitions[3]["name"], "an-absolutely-endless-mount-point-of");
  EXPECT_EQ(said(5).substr(0, 15), "not_applicable:");
}

TEST_F(TranslationTest, TheSystemSaysWhatItDoesOtherwise) {
  EXPECT_EQ(said_of("timezone --utc Europe/Berlin"), "mapped");
  EXPECT_EQ(said_of("timezone --utc --nontp Europe/Berlin"),
            "changed: the clock is set by time servers all the same, by systemd-timesyncd");
  EXPECT_EQ(said_of("timezone Europe/Berlin"), "changed: the machine's clock is UTC");
  EXPECT_EQ(said_of("timezone --utc EST5EDT").substr(0, 8), "changed:");
  EXPECT_FALSE(recipe_.contains("baseline")) << recipe_.dump();
  EXPECT_EQ(said_of("lang xx_YY.ISO-8859-1"), "changed: xx_YY.UTF-8");
  EXPECT_EQ(said_of("lang de_DE@euro"), "changed: de_DE.UTF-8@euro");
  EXPECT_EQ(said_of("lang en_US.UTF-8"), "mapped");
  EXPECT_EQ(said_of("lang english").substr(0, 15), "not_applicable:");
  EXPECT_EQ(said_of("keyboard 105").substr(0, 15), "not_applicable:");
  EXPECT_EQ(said_of("bootloader --append=nosmt --md5pass=x"),
            "changed: GRUB is always installed, for BIOS and UEFI; --md5pass: not taken over");
  EXPECT_EQ(said_of("firewall --port=80:sctp,0:tcp,70000:tcp,443"),
            "changed: not opened, since a recipe has no port for them: 80:sctp, 0:tcp, 70000:tcp");
  EXPECT_EQ(recipe_["baseline"]["firewall"]["inbound"], Json({"443/tcp", "ssh"}));
}

TEST_F(TranslationTest, OneInterfaceWithDhcpIsWhatARecipeHas) {
  EXPECT_EQ(said_of("network --bootproto=dhcp --device=eth0 --onboot=yes --activate"), "mapped");
  EXPECT_EQ(said_of("network --device=eth0 --bootproto=dhcp --onboot=no"),
            "changed: the first interface is brought up at boot all the same");
  const std::string row = said_of(
      "network --device=bond0 --bootproto=dhcp --mtu=9000 --nameserver=192.0.2.1 "
      "--vlanid=7 --bondslaves=eth0,eth1 --noipv6");
  for (const char* option : {"--mtu", "--nameserver", "--vlanid", "--bondslaves", "--noipv6"}) {
    EXPECT_NE(row.find(option), std::string::npos) << option << ": " << row;
  }
  import("network --device=eth0 --bootproto=dhcp\nnetwork --device=eth1 --bootproto=dhcp\n");
  EXPECT_EQ(said(2), "changed: DHCP on the first interface only, for which eth0 is taken");
}

TEST_F(TranslationTest, AServiceThatIsNotThereEndsNoBuild) {
  import("services --enabled=network,chronyd,sshd,unheard-of --disabled=kdump\n");
  EXPECT_EQ(recipe_["provision"][0]["shell"]["script"],
            "systemctl enable chrony || :  # it may not be there\n"
            "systemctl enable ssh\n"
            "systemctl enable unheard-of || :  # it may not be there\n"
            "systemctl disable kdump || :  # it may not be there\n");
  EXPECT_EQ(said(1),
            "changed: a step with systemctl; units by their names in Debian; network: the "
            "baseline's network is always there; chrony if it is there; unheard-of if it is there");
  EXPECT_EQ(said_of("services --enabled=network"),
            "not_applicable: network: the baseline's network is always there");
}

TEST_F(TranslationTest, APlainPasswordMayBeginAsALockDoes) {
  import("rootpw \"!secret\"\n");
  EXPECT_TRUE(recipe_["baseline"]["root"].get<std::string>().starts_with("$6$"));
  import("rootpw --iscrypted !\n");
  EXPECT_EQ(recipe_["baseline"]["root"], "locked");
  EXPECT_EQ(said(1), "mapped");
}

TEST_F(TranslationTest, AccountsHaveNamesThatARecipeTakes) {
  EXPECT_EQ(said_of("user --name=Ops").substr(0, 15), "not_applicable:");
  EXPECT_EQ(said_of("user --name=a.b").substr(0, 15), "not_applicable:");
  EXPECT_EQ(said_of("sshkey --username=root \"ssh-ed25519 AAAA\"").substr(0, 15),
            "not_applicable:");
  EXPECT_FALSE(recipe_.contains("baseline")) << recipe_.dump();
  import("user --name=ops --groups=Foo,web(3000),adm,a:b --shell=bash\n");
  EXPECT_EQ(said(1),
            "changed: a step makes the group Foo; a step makes the group web; 'a:b' is no name of "
            "a group; the shell /bin/bash");
  const Json& user = recipe_["baseline"]["users"][0];
  EXPECT_EQ(user["groups"], Json::array({"adm"}));
  EXPECT_EQ(user["shell"], "/bin/bash");
  EXPECT_EQ(recipe_["provision"][0]["shell"]["script"],
            "groupadd --force 'Foo'\ngroupadd --force --gid '3000' 'web'\n"
            "gpasswd --add 'ops' 'Foo'\ngpasswd --add 'ops' 'web'\n");
}

TEST_F(TranslationTest, TextThatIsNotUtf8IsRefused) {
  const fs::path file = directory() / "latin1.ks";
  ASSERT_TRUE(system::write_file(file, "text\nuser --name=a --gecos=\"J\xf6rg\"\n"));
  const auto imported = import_profile({file, "debian/12"});
  ASSERT_FALSE(imported);
  EXPECT_NE(imported.error().message.find("latin1.ks:2: not UTF-8"), std::string::npos)
      << imported.error().message;
}

TEST_F(TranslationTest, AScriptOfAnotherInterpreterFailsAndLogsAsAShellsDoes) {
  const auto script_of = [this](const std::string& options) {
    import("%post --interpreter=/usr/bin/python3 " + options + "\nprint('${x}')\n%end\n");
    return recipe_["provision"][0]["shell"]["script"].get<std::string>();
  };
  EXPECT_EQ(script_of("--erroronfail"), "#!/usr/bin/python3\nprint('$${x}')\n");
  EXPECT_EQ(script_of("--log=/srv/log/py.log"),
            "#!/bin/sh\n"
            "trap 'exit 0' EXIT  # without --erroronfail its failure counts for nothing\n"
            "mkdir -p '/srv/log/'\n"
            "exec >'/srv/log/py.log' 2>&1\n"
            "script=$(mktemp)\n"
            "cat >\"$script\" <<'END_OF_SCRIPT'\n"
            "print('$${x}')\n"
            "END_OF_SCRIPT\n"
            "'/usr/bin/python3' \"$script\" && status=0 || status=$?\n"
            "rm \"$script\"\n"
            "exit $status\n");
  EXPECT_EQ(script_of("--erroronfail --log=/root/py.log").substr(0, 59),
            "#!/bin/sh\n# --erroronfail\nexec >'/root/py.log' 2>&1\nscript=");
}

TEST_F(TranslationTest, GroupsAndPatternsAreLookedUpInTheSettings) {
  import(
      "%packages --exclude-weakdeps\n@core --nodefaults\n@web-server --nodefaults\n@mygroup\n"
      "python3-*\n-*-firmware\nbash-*\nglibc.i686\nhttpd.x86_64\n-@development\n%end\n",
      {{"@mygroup", "lighttpd"},
       { "python3-*",
         "python3-all" }});
  EXPECT_EQ(said(1), "mapped: recommended packages are left out");
  EXPECT_EQ(said(2), "changed: a base has it");
  EXPECT_EQ(said(3), "changed: apache2; --nodefaults: Debian's counterpart is one whole");
  EXPECT_EQ(said(4), "changed: lighttpd");
  EXPECT_EQ(said(5), "changed: python3-all");
  EXPECT_EQ(said(6), "not_applicable: a pattern: what is not named is not installed");
  EXPECT_EQ(said(7).substr(0, 25), "not_applicable: a pattern");
  EXPECT_EQ(said(8), "not_applicable: packages are of the recipe's architecture only");
  EXPECT_EQ(said(9), "changed: apache2");
  EXPECT_EQ(recipe_["packages"], Json({"lighttpd", "python3-all", "apache2", "-build-essential"}));
}

TEST_F(TranslationTest, EachOptionOfThePackagesHasItsOwnWord) {
  const std::string row = said_of(
      "%packages --exclude-weakdeps --ignoremissing --inst-langs=en --nocore --multilib\n%end");
  EXPECT_EQ(row,
            "changed: recommended packages are left out; "
            "--ignoremissing: a package that cannot be installed ends the build; "
            "--inst-langs: packages keep their translations; "
            "--multilib: packages are of the recipe's architecture only; "
            "--nocore: what every image has is there in any case");
}

TEST(PackageNames, AreFedorasInAKickstartFile) {
  for (const auto& [debian, rpm] : {std::pair("apache2", "httpd"),
                                    std::pair("cron", "cronie"),
                                    std::pair("openssh-client", "openssh-clients"),
                                    std::pair("default-jre", "java-latest-openjdk"),
                                    std::pair("python3", "python3"),
                                    std::pair("passwd", "passwd"),
                                    std::pair("nginx", "nginx"),
                                    std::pair("kernel", "")}) {
    EXPECT_EQ(rpm_name(debian), rpm);
  }
}

}  // namespace
}  // namespace goldmill::kickstart
