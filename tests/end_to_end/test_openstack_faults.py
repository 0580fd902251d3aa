# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets in a cloud that refuses, forgets, lies and dies: what becomes of them, and of goldmill."""
import os
import signal
import subprocess
import time
import unittest

import product
from fake_cloud import PASSWORD, FakeCloud, refusing, saying
from product import OwnHome, end


class InAFakeCloud(OwnHome):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cloud = FakeCloud()
        cls.addClassCleanup(cls.cloud.end)

    def setUp(self):
        self.cloud.faults.clear()
        self.cloud.page = 1000

    def tearDown(self):
        self.cloud.faults.clear()
        names = {row["fleet"] for row in self.rows().values()}
        if names:
            self.in_cloud("rm", "--force", *names)
        self.assertEqual({}, self.cloud.servers)

    @classmethod
    def in_cloud(cls, *arguments, env=None, **options):
        return cls.goldmill(*arguments, env=cls.cloud.environment(**(env or {})), **options)

    def launch(self, *arguments, **options):
        return self.in_cloud("launch", "base", "--engine", "openstack", *arguments, **options)

    @classmethod
    def rows(cls):
        return {row["name"]: row for row in cls.in_cloud("ps", "--json").json["instances"]}

    def test_1_the_image_is_there_whole_or_not_at_all(self):
        self.cloud.fail("PUT", "/file", saying({"message": "full"}, 403), times=99)
        self.cloud.fail("DELETE", "/images/", lambda handler, go_on: handler.cut(), times=99)
        said = self.launch("--fleet", "none", status=None)
        self.assertNotEqual(0, said.status)
        self.assertIn("full", said.err)
        self.assertEqual(["queued"], [one["status"] for one in self.cloud.images.values()])
        self.cloud.faults.clear()

        def half(handler, go_on):
            handler.send(*go_on())
            for image in self.cloud.images.values():
                image["os_hash_value"] = "0" * 128
        self.cloud.fail("PUT", "/file", half)
        said = self.launch("--fleet", "none", status=None)
        self.assertIn("other bytes", said.err)
        self.assertEqual({}, self.cloud.images, "neither the rest of the first nor the second")
        before = self.cloud.count("PUT", "/file")
        self.launch("--fleet", "whole")
        self.launch("--fleet", "again")
        (image,) = self.cloud.images.values()
        self.assertEqual(before + 1, self.cloud.count("PUT", "/file"))
        self.assertEqual("private", image["visibility"])
        start = self.cloud.starts[image["id"]]
        self.assertEqual(b"QFI\xfb", start[:4])
        self.assertEqual(bytes(8), start[8:16], "it stands on no other file")

    def test_2_each_has_its_own_fate(self):
        self.launch("--fleet", "first")
        self.cloud.fail("POST", "/servers$", refusing(429, Retry_After="2"), times=2)
        self.cloud.fail("POST", "/servers$", refusing(503, Retry_After="1"))
        self.cloud.fail("POST", "/servers$", saying(
            {"forbidden": {"message": "Quota exceeded for cores"}}, 403))

        def made_in_secret(handler, go_on):
            go_on()
            handler.send(502, b"<html>Bad gateway</html>")
        self.cloud.fail("POST", "/servers$", made_in_secret)

        def broken(handler, go_on):
            status, answer = go_on()
            self.cloud.servers[answer["server"]["id"]].update(
                status="ERROR", fault={"message": "No valid host\x1b[31m was found"})
            handler.send(status, answer)
        self.cloud.fail("POST", "/servers$", broken)
        self.cloud.fail("POST", "/servers$", refusing(500))  # it is asked again
        fleet = self.launch("-n", "6", "--fleet", "fates", "--parallel", "1", "--json",
                            status=1).json
        rows = {row["name"]: row for row in fleet["instances"]}
        self.assertEqual(["failed", "ready", "failed", "ready", "ready", "ready"],
                         [rows[f"fates-00{i}"]["state"] for i in range(1, 7)], fleet)
        self.assertIn("Quota exceeded for cores", rows["fates-001"]["error"])
        self.assertIn("No valid host\\x1b[31m was found", rows["fates-003"]["error"])
        asked = [when for when, method, path in self.cloud.seen
                 if method == "POST" and path.endswith("/servers")][1:]
        self.assertGreaterEqual(asked[1] - asked[0], 2, "a Retry-After is kept")
        seen = {name: row for name, row in self.rows().items() if row["fleet"] == "fates"}
        uptimes = {name: row.pop("uptime_seconds") for name, row in seen.items()}
        self.assertEqual({name for name, row in seen.items() if row["state"] == "ready"},
                         {name for name, uptime in uptimes.items() if uptime is not None})
        self.assertEqual({name: row | {"uptime_seconds": None} for name, row in seen.items()}, rows)
        self.assertEqual({"fates-002", "fates-003", "fates-004", "fates-005", "fates-006",
                          "first-001"},
                         {one["name"] for one in self.cloud.servers.values()})

    def test_3_a_token_that_ran_out_is_renewed(self):
        entered = self.cloud.count("POST", "/auth/tokens")

        def forget(handler, go_on):
            self.cloud.tokens.clear()
            handler.send(*go_on())
        self.cloud.fail("GET", "/limits", forget)
        self.launch("-n", "4", "--fleet", "renewed")
        self.assertEqual(2, self.cloud.count("POST", "/auth/tokens") - entered)

    def test_4_secrets_stay_in_memory(self):
        self.launch("--fleet", "secret", "--key-pair", "theirs", status=3)
        self.cloud.key_pairs["theirs"] = {"name": "theirs", "public_key": "MIIC certificate"}
        self.assertIn("no SSH public key",
                      self.launch("--fleet", "secret", "--key-pair", "theirs", status=5).err)
        key = "ecdsa-sha2-nistp256 AAAAE2 me"
        self.cloud.key_pairs["theirs"] = {"name": "theirs", "public_key": key + "\n"}
        self.launch("--fleet", "secret", "--key-pair", "theirs")
        (server,) = self.cloud.servers.values()
        lines = self.cloud.key_pairs[server["key_name"]]["public_key"].split("\n")
        self.assertEqual(key, lines[1])
        self.assertTrue(lines[0].startswith("ssh-ed25519 "))
        for secret in (PASSWORD, "Only-Shown-Once", *self.cloud.tokens):
            for directory in ("instances", "clouds"):
                found = subprocess.run(["grep", "-r", secret, self.home / directory],
                                       capture_output=True, check=False)
                self.assertEqual(1, found.returncode, found.stdout)

    def test_5_pages_are_followed_by_their_markers(self):
        self.cloud.page = 2
        self.launch("-n", "7", "--fleet", "pages")
        self.cloud.seen.clear()
        self.assertEqual({"ready"}, {row["state"] for row in self.rows().values()})
        self.assertEqual(4, self.cloud.count("GET", "/servers/detail"))
        self.assertEqual(7, len(self.rows()))

    def test_6_lies_end_in_an_error_and_change_nothing(self):
        self.launch("-n", "2", "--fleet", "calm")

        def endless(handler, go_on):
            handler.send(200, {"servers": [{"id": f"a{time.monotonic_ns()}"}],
                               "servers_links": [{}]})
        huge = saying(b'{"servers": [' + b'{"id": "x"},' * 4000000 + b"{}]}")
        for lie, said in ((huge, "more than"), (saying(b"<html>Welcome</html>"), "else than JSON"),
                          (saying({"fault": 1}), "without 'servers'"),
                          (saying(b"[" * 100000), "else than JSON"),
                          (saying({"servers": 7}), "without 'servers'"),
                          (endless, "without an end"),
                          (saying({"forbidden": {"message": "\x1b[2Jno" * 999}}, 403), "x1b[2Jno"),
                          (lambda handler, go_on: handler.cut(), "does not answer")):
            with self.subTest(said):
                self.cloud.fail("GET", "/servers/detail", lie, times=9999)
                rows = self.rows()
                self.cloud.faults.clear()
                self.assertEqual({"calm-001": "ready", "calm-002": "ready"},
                                 {name: row["state"] for name, row in rows.items()})
                for row in rows.values():
                    self.assertIn(said, row["error"])
                    self.assertLess(len(row["error"]), 600)
        self.cloud.fail("GET", "/servers/detail", saying({"servers": [
            7, None, {"id": "../../images/1", "metadata": 3, "addresses": {"a": 7, "b": [[]]}}]}))
        self.assertEqual({None}, {row["error"] for row in self.rows().values()})
        self.assertEqual({None}, {row["error"] for row in self.rows().values()})

    def test_7_what_cannot_be_is_said_before_anything_is_made(self):
        made = len(self.cloud.images)
        for words, env, said in (
                (("--flavor", "huge"), {}, "no flavour 'huge'"),
                (("--flavor", "huge"), {}, "these fit: small"),
                (("--flavor", "tiny"), {}, "too small"),
                (("--memory", "64GiB"), {}, "no flavour with 64"),
                (("--network", "network=elsewhere"), {}, "no network 'elsewhere'"),
                (("--network", "bridge=br0"), {}, "neither bridges"),
                (("--warm",), {}, "--warm is for the qemu engine"),
                (("--cloud", "nowhere"), {}, "there is no cloud 'nowhere'"),
                ((), {"OS_PASSWORD": "wrong"}, "refuses to let us in"),
                ((), {"OS_PASSWORD": None}, "has no password"),
                ((), {"OS_AUTH_URL": "http://127.0.0.1:9/v3"}, "does not answer"),
                ((), {"OS_REGION_NAME": "there"}, "no compute service in region there")):
            with self.subTest(said):
                answer = self.launch(*words, env=env, status=None)
                self.assertNotEqual(0, answer.status)
                self.assertIn(said, answer.err)
                self.assertNotIn(PASSWORD, answer.err)
        self.assertIn("add --engine openstack",
                      self.goldmill("launch", "base", "--flavor", "small", status=2).err)
        self.assertEqual({}, self.rows())
        self.assertEqual(made, len(self.cloud.images))

    def test_8_beyond_the_quota_only_those_fail(self):
        self.cloud.limits = {"maxTotalInstances": 10, "totalInstancesUsed": 8,
                             "maxTotalCores": -1, "maxTotalRAMSize": 99999, "totalRAMUsed": 0}
        self.addCleanup(self.cloud.limits.update, maxTotalInstances=50, totalInstancesUsed=0)
        fleet = self.launch("-n", "3", "--fleet", "full", "--json", status=1).json
        self.assertEqual(["ready", "ready", "failed"],
                         [row["state"] for row in fleet["instances"]])
        self.assertIn("10 instances, of which 8 are in use", fleet["instances"][2]["error"])
        self.assertEqual(2, len(self.cloud.servers))

    def test_9_killed_while_nova_thinks(self):
        def slow(handler, go_on):
            time.sleep(3)  # the launcher is dead by then
            answer = go_on()
            handler.send(*answer)
        self.launch("--fleet", "before")
        self.cloud.fail("POST", "/servers$", slow, times=4)
        begun = self.cloud.count("POST", "/servers$")
        launcher = subprocess.Popen(
            [str(product.BINARY), "launch", "base", "-n", "4", "--fleet", "lost", "--engine",
             "openstack"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**product.environment(self.home, **self.cloud.environment())})
        while self.cloud.count("POST", "/servers$") < begun + 4:
            time.sleep(0.01)
        end(launcher, signal.SIGKILL)
        self.assertEqual(1, len(self.cloud.servers))
        self.assertEqual({"starting"}, {row["state"] for name, row in self.rows().items()
                                        if name.startswith("lost")})
        self.in_cloud("rm", "--force", "lost")
        self.assertEqual({"before-001"}, {one["name"] for one in self.cloud.servers.values()})
        self.assertEqual({"before-001"}, set(self.rows()))

    def test_what_nova_refused_is_asked_for_again_by_start(self):
        self.cloud.fail("POST", "/servers$", saying(
            {"forbidden": {"message": "Quota exceeded for ports"}}, 403), times=3)
        self.launch("-n", "3", "--fleet", "refused", status=1)
        self.cloud.seen.clear()
        rows = self.rows()
        self.assertEqual({"failed"}, {row["state"] for row in rows.values()})
        self.assertIn("ports", rows["refused-001"]["error"])
        self.assertEqual(1, self.cloud.count("GET", "/servers/detail"), "one list for all of them")
        self.in_cloud("start", "refused-002")
        self.assertEqual("ready", self.rows()["refused-002"]["state"])
        self.assertEqual(["refused-002"], [one["name"] for one in self.cloud.servers.values()])

    def test_what_nova_made_twice_goes_twice(self):
        """A gateway gave up; goldmill asked again; both requests came to be."""
        late = []

        def later(handler, go_on):
            late.append(go_on)
            handler.send(502, b"<html>Bad gateway</html>")
        self.cloud.fail("POST", "/servers$", later)
        self.launch("--fleet", "twice")
        late.pop()()
        self.assertEqual(["twice-001"] * 2, [one["name"] for one in self.cloud.servers.values()])
        self.in_cloud("rm", "--force", "twice")
        self.assertEqual({}, self.cloud.servers)

    def test_one_that_the_cloud_keeps_for_a_while_is_gone(self):
        """As where administrators may bring back what was removed."""
        self.launch("--fleet", "soft")
        (server,) = self.cloud.servers.values()

        def soft(handler, go_on):
            server["status"] = "SOFT_DELETED"
            handler.send(204)
        self.cloud.fail("DELETE", "/servers/", soft)
        self.in_cloud("rm", "--force", "soft")
        self.assertEqual({}, self.rows())
        self.cloud.servers.clear()

    def test_another_project_does_not_touch_them(self):
        self.launch("--fleet", "mine")
        (server,) = self.cloud.servers.values()
        other = FakeCloud()
        self.addCleanup(other.end)
        env = {"OS_AUTH_URL": other.url + "/identity"}
        row = self.in_cloud("ps", "--json", env=env).json["instances"][0]
        self.assertEqual("ready", row["state"])
        self.assertIn("in another project", row["error"])
        self.assertNotEqual(0, self.in_cloud("rm", "--force", "mine", env=env, status=None).status)
        self.assertEqual([server], list(self.cloud.servers.values()))

    def test_deleted_behind_our_back(self):
        self.launch("-n", "2", "--fleet", "gone")
        self.cloud.servers.pop(next(one["id"] for one in self.cloud.servers.values()
                                    if one["name"] == "gone-001"))
        rows = self.rows()
        self.assertEqual("stopped", rows["gone-001"]["state"])
        self.assertIn("no such server any more", rows["gone-001"]["error"])
        self.assertEqual("ready", rows["gone-002"]["state"])

    def test_prepared_ones_are_made_by_start(self):
        self.launch("--fleet", "later", "--prepare-only")
        self.assertEqual({}, self.cloud.servers)
        self.assertEqual("prepared", self.rows()["later-001"]["state"])
        self.in_cloud("start", "later-001")
        self.assertEqual("ready", self.rows()["later-001"]["state"])
        self.assertEqual("Debian says hello\n",
                         self.in_cloud("console", "later-001").out)
        self.in_cloud("stop", "later-001")
        self.assertEqual("stopped", self.rows()["later-001"]["state"])
        self.assertEqual(1, len(self.cloud.servers))


if __name__ == "__main__":
    unittest.main()
