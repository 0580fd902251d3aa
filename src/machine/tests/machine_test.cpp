// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goldmill/machine/machine.hpp>
#include <goldmill/machine/qmp.hpp>

namespace goldmill::machine {

namespace {
std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& part : list) {
    text += part + "\n";
  }
  return text;
}
}  // namespace

TEST(QemuArguments, OfALinkedInstance) {
  MachineSpec spec;
  spec.name = "web-001";
  spec.memory = 256_MiB;
  spec.cpus = 2;
  spec.directory = "/home/user/secret";
  spec.disk = DiskSpec{.file = 3, .format = "qcow2", .backing = {4, 5}, .backing_format = "qcow2"};
  spec.network.kind = NetworkSpec::Kind::user;
  spec.network.mac = "02:00:00:00:00:01";
  spec.network.ssh_port = 20001;
  spec.network.subnet = "10.64.1.0/24";
  spec.on_reboot = MachineSpec::OnReboot::start_again;
  HandedNumbers numbers;
  numbers.qmp = 10;
  numbers.agent = 11;
  numbers.serial = 12;
  numbers.disk = 13;
  numbers.backing = {14, 15};
  EXPECT_EQ(joined(qemu_arguments(spec, numbers)),
            "/usr/bin/qemu-system-x86_64\n-nodefaults\n-no-user-config\n-display\nnone\n"
            "-name\nweb-001\n"
            "-sandbox\non,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny\n"
            "-machine\nq35,usb=off,vmport=off,smm=off\n"
            "-accel\ntcg,thread=multi,tb-size=256\n-cpu\nmax,svm=off,la57=off,erms=off\n"
            "-m\n256M\n-smp\n2\n"
            "-device\nVGA\n-object\nrng-builtin,id=entropy\n-device\nvirtio-rng-pci,rng=entropy\n"
            "-chardev\nsocket,id=control,fd=10,server=on,wait=off\n"
            "-mon\nchardev=control,mode=control\n-device\nvirtio-serial-pci\n"
            "-chardev\nsocket,id=agent,fd=11,server=on,wait=off\n"
            "-device\nvirtserialport,chardev=agent,name=org.goldmill.agent.0\n"
            "-add-fd\nfd=12,set=1\n-chardev\nfile,id=serial,path=/dev/fdset/1,append=on\n"
            "-device\nisa-serial,chardev=serial\n"
            "-add-fd\nfd=15,set=17\n"
            "-blockdev\ndriver=file,node-name=base1-file,filename=/dev/fdset/17,read-only=on\n"
            "-blockdev\ndriver=qcow2,node-name=base1,file=base1-file,read-only=on\n"
            "-add-fd\nfd=14,set=16\n"
            "-blockdev\ndriver=file,node-name=base0-file,filename=/dev/fdset/16,read-only=on\n"
            "-blockdev\ndriver=qcow2,node-name=base0,file=base0-file,read-only=on,backing=base1\n"
            "-add-fd\nfd=13,set=4\n"
            "-blockdev\ndriver=file,node-name=disk-file,filename=/dev/fdset/4,discard=unmap\n"
            "-blockdev\ndriver=qcow2,node-name=disk,file=disk-file,discard=unmap,backing=base0\n"
            "-device\nvirtio-blk-pci,drive=disk,bootindex=1\n"
            "-netdev\nuser,id=network,ipv6=off,net=10.64.1.0/24,hostfwd=tcp:127.0.0.1:20001-:22\n"
            "-device\nvirtio-net-pci,netdev=network,romfile=,mac=02:00:00:00:00:01\n");
}

TEST(QemuArguments, OfAMachineThatGoesOn) {
  MachineSpec spec;
  spec.memory = 256_MiB;
  spec.memory_file = MemoryFile{3, MemoryFile::Use::copy_on_write};
  spec.display = false;
  spec.resumes = true;
  spec.network.kind = NetworkSpec::Kind::user;
  HandedNumbers numbers;
  numbers.memory = 14;
  const std::string text = joined(qemu_arguments(spec, numbers));
  for (const char* part :
       {"smm=off,memory-backend=memory\n",
        "-object\nmemory-backend-file,id=memory,size=256M,mem-path=/fds/14,share=off\n",
        "-incoming\ndefer\n-S\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(text.find("VGA"), std::string::npos);
  EXPECT_EQ(text.find("hostfwd"), std::string::npos) << "no port was given";
  spec.memory_file->use = MemoryFile::Use::shared;
  EXPECT_NE(joined(qemu_arguments(spec, numbers)).find(",share=on\n"), std::string::npos);
}

TEST(QemuArguments, OfOtherHardware) {
  MachineSpec spec;
  spec.firmware = Firmware::uefi_secure;
  spec.disk = DiskSpec{.file = 3, .controller = Controller::pvscsi};
  spec.accelerator = Accelerator::kvm;
  const std::string text = joined(qemu_arguments(spec, {}));
  for (const char* part : {"smm=on,pflash0=code,pflash1=variables",
                           "cfi.pflash01,property=secure,value=on",
                           "-device\npvscsi,id=scsi\n",
                           "scsi-hd,bus=scsi.0,drive=disk",
                           "-accel\nkvm\n-cpu\nhost\n",
                           "-no-reboot\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(text.find("-netdev"), std::string::npos);
}

TEST(ProcessIdentity, TellsALivingProcessFromADeadOrAnotherOne) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto identity = identify(child);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(is_alive(*identity));
  ProcessIdentity other = *identity;
  other.start_time += 1;
  EXPECT_FALSE(is_alive(other)) << "the number was used again";
  other = *identity;
  other.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_FALSE(is_alive(other)) << "this machine was started anew";
  ::kill(child, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(is_alive(*identity)) << "a zombie does not run";
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(is_alive(*identity));
  EXPECT_EQ(identify(child).error().kind, ErrorKind::not_found);
}

class QmpTest : public testing::Test {
 protected:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
  // Longer than sockaddr_un's 107 bytes.
  std::filesystem::path socket_ = scratch_.path() / std::string(120, 'd') / "qmp.sock";

  /// Plays QEMU: greets, then answers each line with the next of `answers`.
  std::thread serve(std::vector<std::string> answers) {
    EXPECT_TRUE(system::make_directories(socket_.parent_path()));
    listener_ = listen_unix(socket_).value();
    return std::thread([this, answers = std::move(answers)] {
      const system::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      for (const std::string& answer : answers) {
        if (!system::write_all(peer.get(), answer)) {
          return;
        }
        char byte = 0;
        while (::read(peer.get(), &byte, 1) == 1 && byte != '\n') {
        }
      }
    });
  }

  system::UniqueFd listener_;
};

TEST_F(QmpTest, SkipsEventsAndTellsErrors) {
  auto server =
      serve({"{\"QMP\": {}}\n",
             "{\"return\": {}}\n",
             "{\"event\": \"STOP\"}\n{\"return\": {\"status\": \"running\"}}\n",
             "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}\n"});
  {
    auto qmp = Qmp::connect(socket_);
    ASSERT_TRUE(qmp) << qmp.error().text();
    EXPECT_EQ(qmp->execute("query-status").value()["status"], "running");
    const auto refused = qmp->execute("eject");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("no such thing"), std::string::npos);
  }
  server.join();
}

TEST_F(QmpTest, NeverWaitsWithoutLimit) {
  auto server = serve({""});
  const auto qmp = Qmp::connect(socket_, std::chrono::milliseconds(50));
  ASSERT_FALSE(qmp);
  EXPECT_EQ(qmp.error().kind, ErrorKind::cancelled);
  (void)connect_unix(socket_);
  server.join();
  EXPECT_EQ(connect_unix(scratch_.path() / "none").error().kind, ErrorKind::unavailable);
}

TEST_F(QmpTest, AMachineThatEndsIsAnErrorAndNoSignal) {
  auto server = serve({"{\"QMP\": {}}\n", "{\"return\": {}}\n"});
  auto qmp = Qmp::connect(socket_);
  ASSERT_TRUE(qmp) << qmp.error().text();
  EXPECT_FALSE(qmp->execute("query-status"));
  server.join();  // its end of the connection is closed now
  EXPECT_FALSE(qmp->execute("query-status"));
}

}  // namespace goldmill::machine
