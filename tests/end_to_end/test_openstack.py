# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets in a cloud of OpenStack's real daemons. Its hosts are Nova's fake ones: servers without guests.

What it has is asked by a client that knows nothing of goldmill. The last test boots one for
real, by Nova's libvirt driver.
"""
import os
import shutil
import signal
import subprocess
import time
import unittest

import openstack
import product
from product import OwnHome, end

# How many goldmill launches at once; by hand 400, with 40 hosts, is worth looking at.
FLEET = int(os.environ.get("GOLDMILL_TEST_FLEET", 16))
HOSTS = int(os.environ.get("GOLDMILL_TEST_HOSTS", 4))
NEEDS_ROOT = "a cloud in namespaces of its own needs root"


@unittest.skipUnless(product.IS_ROOT, NEEDS_ROOT)
@unittest.skipIf(openstack.lacks(), f"not installed: {', '.join(openstack.lacks())}")
class InACloud(OwnHome):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cloud = openstack.Stack(cls.room / "cloud", HOSTS)
        cls.addClassCleanup(cls.cloud.end)
        cls.cloud.up()
        for name, memory, cpus, disk in (("tiny", 64, 1, 1), ("small", 512, 1, 8),
                                         ("large", 8192, 4, 80)):
            cls.cloud.flavor(name, memory, cpus, disk)
        cls.project = cls.cloud.project("mill", instances=FLEET + 4, cores=-1, ram=-1)
        cls.cloud.network("inside", cls.project, "198.18.0.0/20")
        cls.cloud.clouds(cls.room / "clouds.yaml", lab="mill")
        cls.env = {"OS_CLIENT_CONFIG_FILE": str(cls.room / "clouds.yaml")}

    @classmethod
    def in_cloud(cls, *arguments, **options):
        return cls.goldmill(*arguments, before=cls.cloud.inside, **{"env": cls.env, **options})

    def launch(self, *arguments, **options):
        return self.in_cloud("launch", "base", "--engine", "openstack", *arguments, **options)

    def rows(self):
        return {row["name"]: row for row in self.in_cloud("ps", "--json").json["instances"]}

    def test_1_what_cannot_be(self):
        wrong = self.room / "wrong.yaml"
        wrong.write_text((self.room / "clouds.yaml").read_text().replace(openstack.SECRET, "no"))
        dead = self.room / "dead.yaml"
        dead.write_text((self.room / "clouds.yaml").read_text().replace(":5000", ":5999"))
        for words, file, said in (
                (("--flavor", "huge"), None, "these fit: small"), (("--flavor", "tiny"), None,
                                                                   "too small"),
                (("--network", "network=nowhere"), None, "no network 'nowhere'"),
                (("--key-pair", "nobodys"), None, "no key pair 'nobodys'"),
                ((), wrong, "refuses to let us in"), ((), dead, "does not answer")):
            with self.subTest(said):
                answer = self.launch(*words, status=None, **(
                    {"env": {"OS_CLIENT_CONFIG_FILE": str(file)}} if file else {}))
                self.assertNotEqual(0, answer.status)
                self.assertIn(said, answer.err)
        self.assertEqual({}, self.cloud.servers("mill"))

    def test_2_a_fleet_and_its_quota(self):
        answer = self.launch("-n", FLEET + 6, "--fleet", "many", "--flavor", "small", "--user-data",
                             __file__, "--json", status=1)
        print(f"{FLEET + 6} asked for: {answer.json['seconds']:.1f} s", flush=True)
        states = [row["state"] for row in answer.json["instances"]]
        self.assertEqual(["ready"] * (FLEET + 4) + ["failed"] * 2, states, answer)
        self.assertIn(f"{FLEET + 4} instances, of which 0 are in use",
                      answer.json["instances"][-1]["error"])
        servers = self.cloud.servers("mill")
        self.assertEqual({row["name"] for row in answer.json["instances"][:-2]}, set(servers))
        self.assertEqual({"ACTIVE"}, {server["status"] for server in servers.values()})
        self.assertEqual(1, len({server["image"]["id"] for server in servers.values()}))
        rows = self.rows()
        for name, server in servers.items():
            self.assertEqual(rows[name]["address"], server["addresses"]["inside"][0]["addr"])
            self.assertTrue(server["config_drive"])
        self.assertEqual(len(servers), len({row["address"] for row in rows.values()
                                            if row["state"] == "ready"}))
        said = self.launch("--fleet", "more", status=None)
        self.assertIn("quota of the project is used up", said.err)

    def test_3_they_stop_start_and_speak(self):
        self.in_cloud("stop", "many-001", "many-002")
        self.assertEqual(["stopped", "stopped", "ready"],
                         [self.rows()[f"many-00{i}"]["state"] for i in (1, 2, 3)])
        self.assertEqual("SHUTOFF", self.cloud.servers("mill")["many-001"]["status"])
        self.in_cloud("start", "many-001")
        self.assertEqual("ACTIVE", self.cloud.servers("mill")["many-001"]["status"])
        self.assertEqual("ready", self.rows()["many-001"]["state"])
        self.assertIn("FAKE CONSOLE OUTPUT", self.in_cloud("console", "many-001").out)

    def test_4_others_do_what_they_like(self):
        token = self.cloud.token("mill", "mill")
        servers = self.cloud.servers("mill")
        self.cloud.ask("nova", f"/v2.1/servers/{servers['many-003']['id']}", method="DELETE",
                       token=token)
        self.cloud.ask("nova", f"/v2.1/servers/{servers['many-004']['id']}/action", token=token,
                       body={"suspend": None})
        limit = time.monotonic() + 60
        while "many-003" in self.cloud.servers("mill") and time.monotonic() < limit:
            time.sleep(0.5)
        rows = self.rows()
        self.assertEqual("stopped", rows["many-003"]["state"])
        self.assertIn("no such server any more", rows["many-003"]["error"])
        self.assertIn("SUSPENDED", rows["many-004"]["error"])

    def test_5_all_goes(self):
        begin = time.monotonic()
        self.in_cloud("rm", "--force", "many")
        print(f"removed in {time.monotonic() - begin:.1f} s", flush=True)
        self.assertEqual({}, self.cloud.servers("mill"))
        self.assertEqual({}, self.rows())

    def test_6_a_launcher_that_is_killed_leaves_what_ps_tells_and_rm_removes(self):
        for moment in (1, 6):
            with self.subTest(moment):
                launcher = subprocess.Popen(
                    [*self.cloud.inside, str(product.BINARY), "launch", "base", "--engine",
                     "openstack", "-n", str(FLEET), "--fleet", "lost"],
                    env=product.environment(self.home, **self.env), stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, start_new_session=True)
                limit = time.monotonic() + 60
                while time.monotonic() < limit and len(self.cloud.servers("mill")) < moment:
                    time.sleep(0.1)
                os.killpg(launcher.pid, signal.SIGKILL)
                end(launcher)
                limit = time.monotonic() + 180
                while "starting" in (states := {row["state"] for row in self.rows().values()}):
                    self.assertLess(time.monotonic(), limit)
                    time.sleep(1)
                self.assertLessEqual(states, {"ready", "stopped", "prepared"})
                ready = {row["name"] for row in self.rows().values() if row["state"] == "ready"}
                self.assertEqual(ready, set(self.cloud.servers("mill")))
                self.in_cloud("rm", "--force", "lost")
                self.assertEqual({}, self.cloud.servers("mill"))

    def test_7_killed_and_removed_at_once(self):
        launcher = subprocess.Popen(
            [*self.cloud.inside, str(product.BINARY), "launch", "base", "--engine", "openstack",
             "-n", str(FLEET), "--fleet", "lost"], env=product.environment(self.home, **self.env),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while len(self.cloud.servers("mill")) < 3:
            time.sleep(0.1)
        os.killpg(launcher.pid, signal.SIGKILL)
        end(launcher)
        self.in_cloud("rm", "--force", "lost")
        self.assertEqual({}, self.cloud.servers("mill"))
        time.sleep(10)  # what Nova had heard and not yet done would be there now
        self.assertEqual({}, self.cloud.servers("mill"))

    def test_8_the_image_was_uploaded_once(self):
        images = self.cloud.ask("glance", "/v2/images", token=self.cloud.token("mill", "mill"))
        (image,) = images["images"]
        self.assertEqual("active", image["status"])
        report = self.goldmill("show", "base", "--json").json
        self.assertEqual(report["disk_digest"], image["goldmill_disk"])
        file = self.cloud.room / "glance/store" / image["id"]
        self.assertNotIn("backing", product.run("qemu-img", "info", file))
        product.run("qemu-img", "check", file)

    @unittest.skipUnless(shutil.which("libvirtd", path="/usr/sbin:/usr/bin"), "no libvirtd")
    def test_9_one_boots(self):
        self.cloud.boots()
        self.cloud.project("alone")
        self.cloud.clouds(self.room / "clouds.yaml", lab="mill", alone="alone")
        fleet = self.launch("--cloud", "alone", "--flavor", "small", "--fleet", "real",
                            "--json").json
        self.assertEqual("ready", fleet["instances"][0]["state"], fleet)
        limit = time.monotonic() + 400
        while "real-001 login:" not in (said := self.in_cloud("console", "real-001").out):
            self.assertLess(time.monotonic(), limit, said[-3000:])
            time.sleep(3)
        self.in_cloud("stop", "real-001")
        self.assertEqual("SHUTOFF", self.cloud.servers("alone")["real-001"]["status"])
        self.in_cloud("rm", "real-001")
        self.assertEqual({}, self.cloud.servers("alone"))


if __name__ == "__main__":
    unittest.main()
