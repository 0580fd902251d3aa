# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets on networks that goldmill makes: who reaches whom, and that nothing is left of them."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import unittest

import product
from product import Case, goldmill
from test_instances import as_ansible, inventory, record

FLEET = f"netns-{os.getpid()}"
LAB = f"lab-{os.getpid()}"


def keepers():
    """The processes that keep a network of the shared home."""
    return product.workers("launch_lan")


@unittest.skipUnless(os.access("/dev/net/tun", os.R_OK | os.W_OK), "/dev/net/tun is not for us")
class OwnNetworks(Case):
    """Two instances of one fleet on a network of its own; one of another on one of the same kind."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        before = keepers()
        for fleet in (FLEET, FLEET + "x"):
            cls.addClassCleanup(goldmill, "rm", "--force", fleet, status=None)
        launches = [product.start("launch", "base", "-n", count, "--warm", "--fleet", fleet,
                                  "--network", network, "--json",
                                  stdout=subprocess.PIPE, text=True)
                    for fleet, count, network in ((FLEET, 2, "netns"),
                                                  (FLEET + "x", 1, f"netns={LAB}"))]
        answers = [json.loads(launch.communicate(timeout=600)[0]) for launch in launches]
        cls.pair = answers[0]["instances"]
        (cls.other,) = answers[1]["instances"]
        cls.keepers = keepers() - before

    def inside(self, row, script):
        return goldmill("ssh", row["name"], "--", script).out

    def greeting(self, row, target):
        """What the SSH server at the target says to the instance, or nothing."""
        return self.inside(row, f"timeout 10 bash -c 'exec 3<>/dev/tcp/{target}/22; head -c 7 <&3' "
                                "2>&1 || true")

    def test_1_they_are_ready_and_have_addresses(self):
        rows = [*self.pair, self.other]
        self.assertEqual(["ready"] * 3, [row["state"] for row in rows], rows)
        self.assertNotEqual(self.pair[0]["address"], self.pair[1]["address"])
        for row in rows:
            self.assertTrue(row["address"].startswith("198.18."), row["address"])
            self.assertEqual(row["hostname"], self.inside(row, "hostname").strip())
        self.assertEqual(2, len(self.keepers), "one for each network")

    def test_2_those_of_a_network_reach_each_other_by_name(self):
        first, second = self.pair
        self.assertEqual("SSH-2.0", self.greeting(first, second["address"]))
        self.assertEqual("SSH-2.0", self.greeting(second, first["hostname"] + ".lan"))

    def test_3_and_nobody_else(self):
        address = max((row["address"] for row in self.pair), key=lambda text: text !=
                      self.other["address"])
        self.assertNotIn("SSH", self.greeting(self.other, address))
        self.assertNotIn("SSH", self.greeting(self.other, self.pair[0]["hostname"] + ".lan"))
        with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=3) as ours:
            self.assertEqual(b"", ours.recv(7), "this machine reaches it")
        self.assertNotIn("lan", product.run("ip", "-br", "link").split(), "a bridge of this machine")
        self.assertNotIn("default", self.inside(self.other, "ip route"), "a way out")

    def test_4_connect_and_ssh_of_others(self):
        name = self.pair[0]["name"]
        said = subprocess.run([str(product.BINARY), "connect", name, "22"], input=b"", timeout=60,
                              stdout=subprocess.PIPE, env=product.environment(), check=False)
        self.assertTrue(said.stdout.startswith(b"SSH-2.0"), said.stdout[:50])
        self.assertIn("no TCP port", goldmill("connect", name, "http", status=2).err)
        self.assertIn("cannot connect", goldmill("connect", name, "81", status=5).err)
        config = self.scratch() / "config"
        config.write_text(goldmill("ps", "--format", "ssh-config").out)
        self.assertEqual(name, product.run("ssh", "-F", config, name, "hostname").strip())
        self.assertNotIn(name, goldmill("ps", "--format", "hosts").out)

    def test_4_ansible_reaches_it(self):
        """By the inventory alone, which says how to get into the network."""
        row = self.pair[1]
        host = inventory(FLEET)[row["name"]]
        self.assertEqual(row["address"], host["ansible_host"])
        self.assertEqual(row["hostname"], as_ansible(host, "hostname").strip())

    def test_5_one_that_starts_again_is_on_it_again(self):
        first, second = self.pair
        goldmill("stop", second["name"])
        (again,) = goldmill("start", second["name"], "--json").json["instances"]
        self.assertEqual("ready", again["state"], again)
        self.assertEqual("SSH-2.0", self.greeting(first, again["address"]))

    def test_6_a_network_ends_with_the_last_on_it(self):
        for row in self.pair:
            self.assertFalse(product.ended_within(0, self.keepers))
            os.kill(record(row["name"])["process"]["id"], signal.SIGKILL)
        goldmill("rm", "--force", FLEET + "x")
        self.assertTrue(product.ended_within(15, self.keepers), "a keeper without a network")
        goldmill("rm", "--force", FLEET)
        left = {FLEET, LAB} & set(os.listdir(product.HOME / "networks"))
        self.assertEqual(set(), left)


class WrongNetworks(Case):
    def test_a_name_that_is_a_path(self):
        answer = goldmill("launch", "base", "--network", "netns=../up", status=2)
        self.assertIn("cannot be named", answer.err)

    def test_libvirt_has_none(self):
        answer = goldmill("launch", "base", "--engine", "libvirt", "--network", "netns", status=2)
        self.assertIn("netns", answer.err)


if __name__ == "__main__":
    unittest.main()
