# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet as its users meet it: launch, ssh, ps after a crash, stop, rm. Boots two guests at once."""
import json
import os
import re
import signal
import time
import unittest

import product
from product import Case, goldmill

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
        cls.launched = goldmill("launch", "java", "-n", 3, "--fleet", FLEET, "--disk-size", "6GiB",
                                "--memory", "384MiB", "--json").json
        cls.names = [instance["name"] for instance in cls.launched["instances"]]

    def test_1_identities_differ(self):
        instances = self.launched["instances"]
        self.assertEqual(["ready"] * 3, [instance["state"] for instance in instances])
        for key in ("name", "hostname", "machine_id", "ssh_host_key", "ssh_port"):
            self.assertEqual(3, len({instance[key] for instance in instances}), key)
        for instance in instances:
            self.assertRegex(instance["machine_id"], r"^[0-9a-f]{32}$")
            self.assertRegex(instance["ssh_host_key"], r"^ssh-ed25519 [A-Za-z0-9+/=]+")
            self.assertGreater(instance["ready_seconds"], 0)
            self.assertIsNone(instance["error"])
        macs = {record(name)["mac"] for name in self.names}
        self.assertEqual(3, len(macs))

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

    def test_3_ps_after_a_crash(self):
        victim = self.names[1]
        os.kill(record(victim)["process"]["id"], signal.SIGKILL)
        time.sleep(1)
        self.assertEqual({self.names[0]: "ready", victim: "stopped", self.names[2]: "ready"},
                         states())
        row = next(r for r in goldmill("ps", "--json").json["instances"] if r["name"] == victim)
        self.assertIn("ended", row["error"])
        goldmill("ssh", victim, "--", "true", status=5)

    def test_4_rm_refuses_what_runs(self):
        self.assertIn("stop", goldmill("rm", self.names[0], status=4).err)
        self.assertEqual("ready", states()[self.names[0]])

    def test_5_stop_and_rm_leave_nothing(self):
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


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


if __name__ == "__main__":
    unittest.main()
