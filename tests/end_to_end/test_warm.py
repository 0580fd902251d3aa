# SPDX-License-Identifier: GPL-3.0-or-later
"""Warm instances: fifty that go on from one snapshot share nothing that identifies them."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import unittest

import product
from bridge import Bridge
from product import Case, OwnHome, end, goldmill, start

FLEET = f"warm-{os.getpid()}"
COUNT = 50

# One line per item; everything that two instances must not share, as programs in them see it.
LOOK = """
hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '
cat /sys/class/net/en*/address; ip -4 -br addr show scope global | awk '{print $3}'
systemd-creds setup >/dev/null 2>&1; sha256sum < /var/lib/systemd/credential.secret
cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub
logger -t test hello; journalctl --sync; ls /var/log/journal
journalctl --header | sed -n 's/^Sequential number ID: //p' | head -n1
journalctl -t test -n1 -o export | sed -n 's/^_BOOT_ID=//p'
"""
ITEMS = ("host name", "machine-id", "boot id", "random bytes", "MAC address", "IP address",
         "credential secret", "SSH host key", "journal", "sequence of the journal",
         "boot id of the journal")
# What is held in memory while hundreds start is on the disk soon after somebody has come.
STORED = """
for i in $(seq 100); do grep -q ' /etc/machine-id ' /proc/mounts || break; sleep 0.2; done
grep ' /etc/' /proc/mounts; cat /etc/machine-id; ls /etc/goldmill/authorized_keys
networkctl --no-pager --no-legend | awk '$3 == "ether" {print $4}'
"""
# What keeps an idle, emulated kernel busy is off in a copy, and on again when it has booted by itself.
QUIET = {"psi=0", "nowatchdog"}


def record(name):
    return json.loads((product.HOME / "instances" / name / "instance.json").read_text())


def rows(fleet):
    return {row["name"]: row for row in goldmill("ps", "--json").json["instances"]
            if row["fleet"] == fleet}


def ping(name):
    """Asks an instance's agent over its control channel."""
    directory = os.open(product.HOME / "instances" / name, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(120)
        channel.connect(f"/proc/self/fd/{directory}/agent.sock")
        os.close(directory)
        channel.sendall(b"ping id=7\n")
        answer = b""
        while b"pong id=7 state=ready" not in answer:
            answer += channel.recv(4096)


def look(name):
    before = time.time()
    lines = goldmill("ssh", name, "--", LOOK + "date +%s").out.split("\n")
    return lines[:-2], int(lines[-2]) - before


class Warm(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(goldmill, "rm", "--force", FLEET, status=None)
        cls.warmth = goldmill("warm", "base", "--json").json
        cls.launched = goldmill("launch", "base", "-n", COUNT, "--warm", "--fleet", FLEET,
                                "--json").json
        cls.instances = cls.launched["instances"]
        cls.names = [instance["name"] for instance in cls.instances]

    def test_1_all_are_ready_and_differ(self):
        self.assertEqual(["ready"] * COUNT, [instance["state"] for instance in self.instances],
                         [instance["error"] for instance in self.instances])
        for key in ("name", "hostname", "machine_id", "ssh_host_key", "ssh_port"):
            self.assertEqual(COUNT, len({instance[key] for instance in self.instances}), key)
        self.assertEqual(COUNT, len({record(name)["mac"] for name in self.names}))

    def test_2_all_answer_their_control_channel(self):
        for name in self.names:
            ping(name)

    @unittest.skipUnless(product.IS_ROOT, "others may not look at QEMU's memory")
    def test_2_they_take_little(self):
        """Of memory at most what the fleet of 400 may take of it, each; of processors, idle, at most four
        times as much: they began a moment ago."""
        memory = [row["memory_bytes"] for row in rows(FLEET).values()]
        self.assertLess(sum(memory) / COUNT, 32 << 20)
        processes = [record(name)["process"]["id"] for name in self.names]
        before, seconds = sum(map(product.processor_seconds, processes)), 15
        time.sleep(seconds)
        used = (sum(map(product.processor_seconds, processes)) - before) / seconds
        print(f"{COUNT} idle ones: {used:.3f} cores", flush=True)
        self.assertLess(used, 4 * 0.5 * COUNT / 400)

    def test_3_inside_nothing_is_shared(self):
        sample = self.names[:: max(1, COUNT // 4)][:4]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            seen = list(pool.map(look, sample))
        for index, item in enumerate(ITEMS):
            values = [lines[index] for lines, _ in seen]
            self.assertNotIn("", values, item)
            self.assertEqual(len(sample), len(set(values)), f"{item}: {values}")
        for (lines, ahead), name in zip(seen, sample):
            row = next(instance for instance in self.instances if instance["name"] == name)
            self.assertEqual([name, row["machine_id"]], lines[:2])
            self.assertEqual(record(name)["mac"], lines[4])
            self.assertEqual(row["ssh_host_key"].split()[1], lines[7])
            self.assertEqual(row["machine_id"], lines[8], "the journal is another machine's")
            self.assertEqual(lines[2].replace("-", ""), lines[10])
            self.assertLess(abs(ahead), 120, "its clock is the snapshot's")

    def test_3_what_was_in_memory_is_stored_at_the_first_login(self):
        said = goldmill("ssh", self.names[0], "--", STORED).out.split()
        self.assertEqual([self.instances[0]["machine_id"], "root", "routable"], said[:3])

    def kernel_options(self, name):
        return set(goldmill("ssh", name, "--", "cat /proc/cmdline").out.split())

    def test_3_its_kernel_is_quiet(self):
        facts = json.loads((pathlib.Path(self.warmth["snapshot"]) / "snapshot.json").read_text())
        if not any("tcg" in word for word in facts["conditions"]["machine"]):
            self.skipTest("guests that the processor itself runs cost little")
        self.assertLessEqual(QUIET, self.kernel_options(self.names[0]))

    def test_4_the_snapshot_is_checked_and_kept(self):
        again = goldmill("warm", "base", "--json").json
        self.assertFalse(again["made"])
        self.assertEqual(self.warmth["snapshot"], again["snapshot"])
        self.assertIn("UEFI", goldmill("launch", "base", "--warm", "--uefi", status=2).err)

    def test_4_what_was_only_prepared_goes_on_from_the_snapshot(self):
        fleet = FLEET + "p"
        self.addCleanup(goldmill, "rm", "--force", fleet, status=None)
        goldmill("launch", "base", "-n", 3, "--warm", "--prepare-only", "--fleet", fleet)
        started = goldmill("start", fleet, "--json").json["instances"]
        self.assertEqual(["ready"] * 3, [row["state"] for row in started], started)
        self.assertEqual(3, len({row["machine_id"] for row in started}))
        self.assertEqual([True] * 3, [record(row["name"])["resumes"] for row in started])
        again = goldmill("start", fleet, "--json", status=1).json["instances"]
        self.assertEqual([True] * 3, ["runs already" in row["error"] for row in again], again)

    def test_5_one_that_was_stopped_boots_as_the_same(self):
        before = self.instances[1]  # nobody was in it yet: all of it is in memory only
        goldmill("stop", before["name"])
        (again,) = goldmill("start", before["name"], "--json").json["instances"]
        self.assertEqual("ready", again["state"], again["error"])
        self.assertEqual([before["machine_id"], before["ssh_host_key"]],
                         [again["machine_id"], again["ssh_host_key"]])
        self.assertFalse(QUIET & self.kernel_options(before["name"]))

    def test_6_rm_leaves_nothing(self):
        processes = [record(name)["process"]["id"] for name in self.names]
        goldmill("rm", "--force", FLEET)
        self.assertEqual([], [number for number in processes if product.is_running(number)])
        self.assertFalse([name for name in os.listdir(product.HOME / "instances")
                          if FLEET in name])


@unittest.skipUnless(product.IS_ROOT, "a bridge needs root")
class OnABridge(Case):
    """In a network namespace whose bridge has a DHCP server: cold and warm ones side by side."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bridge = Bridge(cls, product.ROOM / f"leases-{os.getpid()}")
        cls.inside = cls.bridge.inside
        cls.fleets = [FLEET + "b", FLEET + "c"]
        for fleet in cls.fleets:
            cls.addClassCleanup(goldmill, "rm", "--force", fleet, status=None)
        network = ("--network", "bridge=br0", "--json")
        cls.launched = [row for fleet, options in zip(cls.fleets, (("--warm", "-n", 2), ("-n", 1)))
                        for row in goldmill("launch", "base", *options, "--fleet", fleet, *network,
                                            before=cls.inside).json["instances"]]

    def test_1_each_has_an_address_of_the_bridge(self):
        self.assertEqual(["ready"] * 3, [row["state"] for row in self.launched], self.launched)
        addresses = [row["address"] for row in self.launched]
        self.assertEqual(3, len(set(addresses)), addresses)
        self.assertTrue(all(address.startswith("198.18.77.") for address in addresses), addresses)
        self.assertEqual(3, len({row["ssh_host_key"] for row in self.launched}))
        self.assertEqual(3, len(self.bridge.clients()), self.bridge.clients())

    def test_2_they_reach_each_other(self):
        for row, other in zip(self.launched, self.launched[1:] + self.launched[:1]):
            said = goldmill("ssh", row["name"], "--",
                            f"hostname; exec 3<>/dev/tcp/{other['address']}/22; head -c 7 <&3",
                            before=self.inside).out
            self.assertEqual(f"{row['hostname']}\nSSH-2.0", said)

    def test_2_a_hosts_file_lists_them(self):
        """Each once, by its address and its host name."""
        found = [row for fleet in self.fleets for row in rows(fleet).values()]
        self.assertEqual([row["address"] for row in self.launched], [row["address"] for row in found])
        lines = goldmill("ps", "--format", "hosts").out.splitlines()
        self.assertEqual(sorted(f"{row['address']} {row['hostname']}" for row in found),
                         sorted(line for line in lines if FLEET in line))

    def test_3_nothing_is_left(self):
        self.assertEqual(3, self.bridge.taps())
        for fleet in self.fleets:
            goldmill("rm", "--force", fleet)
        # The kernel takes a tap device away when the last thread of its process has ended.
        limit = time.monotonic() + 10
        while (left := self.bridge.taps()) and time.monotonic() < limit:
            time.sleep(0.1)
        self.assertEqual(0, left)

    def test_4_a_bridge_that_is_not_there(self):
        said = goldmill("launch", "base", "--network", "bridge=br1", before=self.inside, status=2)
        self.assertIn("there is no bridge 'br1' here", said.err)
        self.assertIn("br0", said.err)
        self.assertIn("netns=NAME or bridge=NAME",
                      goldmill("launch", "base", "--network", "nat", status=2).err)


class DamagedSnapshot(OwnHome):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shared = pathlib.Path(goldmill("warm", "base", "--json").json["snapshot"])
        shutil.copytree(shared, cls.home / shared.relative_to(product.HOME))
        warmth = cls.goldmill("warm", "base", "--json").json
        cls.snapshot = pathlib.Path(warmth["snapshot"])
        assert not warmth["made"], "a copied one is as good"

    def test_1_a_damaged_snapshot_is_not_used(self):
        for part in ("memory", "state", "disk.qcow2"):
            with self.subTest(part), open(self.snapshot / part, "r+b") as file:
                file.seek(4096)
                byte = file.read(1)
                file.seek(4096)
                file.write(bytes([byte[0] ^ 1]))
                file.flush()
                maker = start("warm", "base", home=self.home, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
                try:  # a new one is booted
                    while not list(self.snapshot.parent.glob(".*/qmp.sock")):
                        self.assertIsNone(maker.poll(), "the damaged one was taken")
                        time.sleep(0.05)
                finally:
                    end(maker, signal.SIGKILL)
                    file.seek(4096)
                    file.write(byte)
        self.assertEqual([], product.gone_within(self.snapshot.parent, 20, [maker.pid]))
        self.assertFalse(self.goldmill("warm", "base", "--json").json["made"])

    def test_2_check_finds_a_damaged_snapshot(self):
        with open(self.snapshot / "state", "r+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) - 1)
        found = self.goldmill("check", "--json", status=1).json["findings"]
        (finding,) = [entry for entry in found if entry["object"].startswith("snapshots/")]
        self.assertEqual(("damaged", str(self.snapshot)),
                         (finding["kind"], str(self.home / finding["object"])))
        self.assertTrue(finding["images"][0].startswith("base@"), finding)
        (repaired,) = [entry for entry in self.goldmill("check", "--repair", "--json").json["findings"]
                       if entry["object"] == finding["object"]]
        self.assertTrue(repaired["repaired"], repaired)
        self.assertFalse(self.snapshot.exists())


class Killed(Case):
    def test_a_launcher_that_dies_leaves_what_ps_says(self):
        fleet = FLEET + "k"
        self.addCleanup(goldmill, "rm", "--force", fleet, status=None)
        launcher = start("launch", "base", "-n", 30, "--warm", "--fleet", fleet,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(end, launcher)
        while sum(row["state"] == "ready" for row in rows(fleet).values()) < 3:
            self.assertIsNone(launcher.poll(), "it ended before it was killed")
            time.sleep(0.05)
        end(launcher, signal.SIGKILL)
        found = rows(fleet)
        self.assertEqual(30, len(found))
        for name, row in found.items():
            runs = "process" in record(name) and product.is_running(record(name)["process"]["id"])
            self.assertEqual(row["state"] == "ready", runs, (name, row))
            self.assertIn(row["state"], ("ready", "stopped", "prepared"))
            if row["state"] == "ready":
                ping(name)
        goldmill("rm", "--force", fleet)
        self.assertEqual({}, rows(fleet))
        self.assertFalse([name for name in os.listdir(product.HOME / "instances")
                          if fleet in name])

    def test_time_that_is_over_in_the_middle_of_a_launch_ends_all(self):
        """They go while their launcher still starts others: none runs on of which nobody knows."""
        fleet = FLEET + "o"
        self.addCleanup(goldmill, "rm", "--force", fleet, status=None)
        goldmill("warm", "base")
        launched = goldmill("launch", "base", "-n", 16, "--warm", "--parallel", 1, "--fleet", fleet,
                            "--for", "2s", "--json", status=1).json
        errors = [instance["error"] or "" for instance in launched["instances"]]
        self.assertIn("it was removed while it was being launched", errors)
        limit = time.monotonic() + 60
        while rows(fleet) and time.monotonic() < limit:
            time.sleep(0.2)
        self.assertEqual({}, rows(fleet))
        self.assertEqual("", product.run("sh", "-c", f"pgrep -fl '[q]emu-system.*-name {fleet}-' || true"))

    def test_a_maker_that_dies_takes_its_machine_along(self):
        maker = start("warm", "base", "--memory", "320MiB", stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL)
        self.addCleanup(end, maker)
        snapshots = product.HOME / "snapshots"
        while not list(snapshots.glob("*/.*/qmp.sock")):
            self.assertIsNone(maker.poll(), "it ended before it was killed")
            time.sleep(0.05)
        end(maker, signal.SIGKILL)
        self.assertEqual([], product.gone_within(snapshots, 20))


if __name__ == "__main__":
    unittest.main()
