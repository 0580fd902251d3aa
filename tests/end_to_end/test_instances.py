# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet as its users meet it: launch, ssh, ps after a crash, stop, rm; and its cage."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import unittest

import product
from product import Case, end, goldmill, start

FLEET = f"fleet-{os.getpid()}"


def record(name):
    return json.loads((product.HOME / "instances" / name / "instance.json").read_text())


def states():
    rows = goldmill("ps", "--json").json["instances"]
    return {row["name"]: row["state"] for row in rows if row["name"].startswith(FLEET)}


class Fleet(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(goldmill, "rm", "--force", FLEET, status=None)
        cls.launched = goldmill("launch", "java", "-n", 2, "--fleet", FLEET, "--disk-size", "6GiB",
                                "--memory", "384MiB", "--json").json
        cls.names = [instance["name"] for instance in cls.launched["instances"]]

    def test_1_identities_differ(self):
        instances = self.launched["instances"]
        self.assertEqual(["ready"] * 2, [instance["state"] for instance in instances])
        for key in ("name", "hostname", "machine_id", "ssh_host_key", "ssh_port"):
            self.assertEqual(2, len({instance[key] for instance in instances}), key)
        for instance in instances:
            self.assertRegex(instance["machine_id"], r"^[0-9a-f]{32}$")
            self.assertRegex(instance["ssh_host_key"], r"^ssh-ed25519 [A-Za-z0-9+/=]+")
            self.assertGreater(instance["ready_seconds"], 0)
            self.assertIsNone(instance["error"])
        macs = {record(name)["mac"] for name in self.names}
        self.assertEqual(2, len(macs))

    def test_2_inside(self):
        for instance in self.launched["instances"]:
            name = instance["name"]
            said = goldmill("ssh", name, "--", "java -version 2>&1; hostname; cat /etc/machine-id; "
                            "cat /etc/ssh/ssh_host_ed25519_key.pub; df -k --output=size / | tail -1")
            lines = said.out.splitlines()
            self.assertIn("openjdk version", lines[0])
            hostname, machine_id, key, size = lines[-4:]
            self.assertEqual(instance["hostname"], hostname)
            self.assertEqual(instance["machine_id"], machine_id)
            self.assertEqual(instance["ssh_host_key"].split()[:2], key.split()[:2])
            self.assertGreater(int(size), 5 << 20, "root grew with its 6 GiB disk")
        failing = goldmill("ssh", self.names[0], "--", "exit 7", status=7)
        self.assertEqual("", failing.out)

    def test_2_each_is_alone(self):
        """Its gateway does not lead to this machine's loopback, where the others' SSH ports are."""
        with socket.create_server(("127.0.0.1", 0)) as service:
            for port in (self.launched["instances"][1]["ssh_port"], service.getsockname()[1]):
                said = goldmill("ssh", self.names[0], "--",
                                "gateway=$(ip -4 route show default | cut -d' ' -f3); timeout 20 bash "
                                f"-c \"exec 3<>/dev/tcp/$gateway/{port}\" && echo open || echo closed")
                self.assertEqual("closed\n", said.out, said)
            service.setblocking(False)
            with self.assertRaises(BlockingIOError):
                service.accept()

    def test_3_caged(self):
        for name in self.names:
            process = pathlib.Path("/proc", str(record(name)["process"]["id"]))
            status = dict(line.split(":\t", 1) for line in (process / "status").read_text()
                          .splitlines() if ":\t" in line)
            self.assertEqual("0" * 16, status["CapEff"])
            self.assertEqual("1", status["NoNewPrivs"])
            self.assertEqual("2", status["Seccomp"], "no filter of system calls")
            self.assertNotIn("0", status["Uid"].split(), "QEMU runs as this machine's root")
            if product.IS_ROOT:  # others may not look
                for space in ("user", "mnt", "pid"):  # user networking needs this machine's net
                    self.assertNotEqual(os.readlink(f"/proc/self/ns/{space}"),
                                        os.readlink(process / "ns" / space), space)
                self.assertFalse((process / "root" / "home").exists(), "it sees more than /usr")

    def test_4_ps_after_a_crash(self):
        victim = self.names[1]
        os.kill(record(victim)["process"]["id"], signal.SIGKILL)
        time.sleep(1)
        self.assertEqual({self.names[0]: "ready", victim: "stopped"}, states())
        row = next(r for r in goldmill("ps", "--json").json["instances"] if r["name"] == victim)
        self.assertIn("ended", row["error"])
        goldmill("ssh", victim, "--", "true", status=5)

    def test_5_rm_refuses_what_runs(self):
        self.assertIn("stop", goldmill("rm", self.names[0], status=4).err)
        self.assertEqual("ready", states()[self.names[0]])

    def test_6_stop_and_rm_leave_nothing(self):
        process = record(self.names[0])["process"]["id"]
        goldmill("stop", self.names[0])
        self.assertEqual("stopped", states()[self.names[0]])
        self.assertFalse(product.is_running(process))
        goldmill("rm", "--force", FLEET)
        self.assertEqual({}, states())
        self.assertFalse([name for name in os.listdir(product.HOME / "instances")
                          if name.startswith(FLEET)])
        running = product.gone_within(product.HOME / "instances" / FLEET, 5)
        self.assertEqual([], running)
        for name in self.names:
            found = product.run("sh", "-c", f"grep -lsz -- '{name}' /proc/[0-9]*/cmdline || true")
            own = {f"/proc/{os.getpid()}/cmdline"}
            self.assertFalse([line for line in re.findall(r"/proc/\d+/cmdline", found)
                              if line not in own and b"qemu" in read(line)])


class KilledLauncher(Case):
    """Two that its launcher left without identity while they booted, and one too many for the memory."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        fleet = FLEET + "k"
        cls.addClassCleanup(goldmill, "rm", "--force", fleet, status=None)
        expected = ["starting", "starting", "failed"] if product.IS_ROOT else ["starting"] * 2
        launcher = start("launch", "base", "-n", len(expected), "--fleet", fleet,
                         before=cls.little_memory() if product.IS_ROOT else (),
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while (list(states().values()) != expected or
                   not all(map(has_agent, list(states())[:2]))):
                assert launcher.poll() is None, "it ended before it was killed"
                time.sleep(0.1)
        finally:
            end(launcher)
        cls.adopted, cls.lost, *cls.failed = states()
        cls.directory = product.HOME / "instances" / cls.lost
        # Nobody finds its agent until it has gone on by itself.
        os.rename(cls.directory / "agent.sock", cls.directory / "agent.away")

    @classmethod
    def little_memory(cls):
        """Puts a command where free memory is enough for two."""
        facts = cls.class_scratch() / "meminfo"
        facts.write_text("MemTotal: 1048576 kB\nMemAvailable: 614400 kB\n")
        return ("unshare", "--mount", "sh", "-c",
                f"mount --bind '{facts}' /proc/meminfo && exec \"$@\"", "sh")

    @unittest.skipUnless(product.IS_ROOT, "shows it another machine's memory, by a mount")
    def test_0_one_for_which_there_is_no_memory_fails_alone(self):
        said = record(self.failed[0])
        self.assertIn("not enough memory: 600 MiB are available", said["error"])
        self.assertIsNone(said.get("process"))

    def test_1_one_is_adopted(self):
        limit = time.monotonic() + 600
        while states()[self.adopted] == "starting" and time.monotonic() < limit:
            time.sleep(1)
        found = states()
        self.assertEqual(("ready", "starting"), (found[self.adopted], found[self.lost]))
        self.assertEqual(self.adopted, goldmill("ssh", self.adopted, "--", "hostname").out.strip())

    def test_2_one_that_is_nobody_is_stopped(self):
        limit = time.monotonic() + 600
        while b"login:" not in read(self.directory / "serial.log") and time.monotonic() < limit:
            time.sleep(1)
        os.rename(self.directory / "agent.away", self.directory / "agent.sock")
        process = record(self.lost)["process"]["id"]
        (row,) = [row for row in goldmill("ps", "--json").json["instances"]
                  if row["name"] == self.lost]
        self.assertEqual("stopped", row["state"])
        self.assertIn("identity", row["error"])
        self.assertFalse(product.is_running(process))


def has_agent(name):
    return (product.HOME / "instances" / name / "agent.sock").exists()


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


if __name__ == "__main__":
    unittest.main()
