# SPDX-License-Identifier: GPL-3.0-or-later
"""gc frees what nothing needs, and nothing else: also beside builds, and when it is killed."""
import contextlib
import random
import signal
import sqlite3
import subprocess
import time
import unittest

import product
from product import OwnHome, end, start

ALL = ("gc", "--unused-days", "0", "--json")


class Collected(OwnHome):
    def write(self, name, content, more=""):
        (self.recipes / f"{name}.yaml").write_text(
            f"recipe: {name}\nfrom: base\nprovision:\n"
            f"  - files: [{{target: /srv/a, content: \"{content}\"}}]\n{more}")

    def build(self, name):
        return self.goldmill("build", name, "--json").json

    def ran(self, name):
        return [step["name"] for step in self.build(name)["steps"] if step["result"] == "ran"]

    def trees(self):
        return {entry.name for entry in (self.home / "trees").iterdir()}

    def assert_images_are_whole(self):
        for image in self.goldmill("list", "--json").json["images"]:
            self.assertTrue(set(layer.removeprefix("sha256:") for layer in image["layers"])
                            <= self.trees(), image["name"])
            product.run("qemu-img", "check", "-q", image["qcow2"])
        self.assertEqual([], list((self.home / "work").iterdir()))

    def test_only_what_no_image_holds_goes(self):
        self.goldmill(*ALL)
        before = self.trees()
        self.write("web", "one")
        first = self.build("web")["image"]
        self.write("web", "two")
        second = self.build("web")["image"]
        self.goldmill("rm", f"web@{first['version']}")
        self.assertNotIn("layers", self.goldmill("gc", "--json").json["removed"],
                         "a build may take up its steps again")
        promised = self.goldmill(*ALL, "--dry-run").json
        self.assertTrue(promised.pop("dry_run"))
        self.assertEqual(1, promised["removed"]["layers"], "the host name's layer is both's")
        self.assertGreater(promised["freed_bytes"], 0)
        done = self.goldmill(*ALL).json
        self.assertFalse(done.pop("dry_run"))
        self.assertEqual(promised["removed"], done["removed"])
        self.assertEqual({}, self.goldmill(*ALL).json["removed"])
        self.assertEqual(2, len(self.trees() - before))
        self.assert_images_are_whole()
        for name in ("base", "java", "web"):
            self.assertEqual([], self.ran(name))
        self.goldmill("export", "web", "-F", "tar", "-o", self.room / "web.tar")
        self.goldmill("rm", f"web@{second['version']}")

    def test_what_failed_tests_left_goes_when_it_is_old_and_with_its_image(self):
        for content in ("1", "2", "3"):
            self.write("tried", content)
            self.build("tried")
        logs = {version: self.home / "logs" / f"tried.{version}" for version in (1, 2, 3)}
        for directory in logs.values():  # as a test leaves them
            directory.mkdir(parents=True)
            (directory / "bios.serial.log").write_text("Kernel panic")
        self.goldmill("rm", "tried@1")
        self.assertEqual([False, True, True], [logs[version].exists() for version in logs])
        self.goldmill("gc", "--keep", "1", "--dry-run")
        self.assertTrue(logs[2].exists())
        self.goldmill("gc", "--keep", "1")
        self.assertEqual([False, False, True], [logs[version].exists() for version in logs])
        time.sleep(1.1)  # ages are compared in seconds
        self.goldmill(*ALL)
        self.assertFalse(logs[3].exists())
        self.goldmill("rm", "tried@3")

    def kept_two(self, *options):
        """Versions of `counted` that go when two are kept."""
        images = self.goldmill("gc", "--keep", "2", *options, "--json").json["images"]
        return [image for image in images if image.startswith("counted@")]

    def test_keep_counts_versions(self):
        for content in ("1", "2", "3", "4"):
            self.write("counted", content)
            self.build("counted")
        (self.recipes / "upon.yaml").write_text("recipe: upon\nfrom: counted@2\n")
        self.build("upon")
        self.assertEqual([], self.kept_two("--keep-days", "1"), "all are of today")
        by_age = self.goldmill("gc", "--keep-days", "0", "--dry-run", "--json").json["images"]
        self.assertEqual({"counted@1", "counted@3"},
                         {image for image in by_age if image.startswith("counted@")},
                         "neither the newest nor what another stands on")
        self.assertEqual(["counted@1"], self.kept_two("--dry-run"), "upon stands on the second")
        self.assertEqual(4, len([i for i in self.goldmill("list", "--json").json["images"]
                                 if i["name"] == "counted"]))
        self.assertEqual(["counted@1"], self.kept_two())
        self.goldmill("show", "counted@1", status=3)
        self.goldmill("rm", "upon@1")
        self.assertEqual(["counted@2"], self.kept_two())
        self.assert_images_are_whole()
        for version in ("3", "4"):
            self.goldmill("rm", f"counted@{version}")

    def test_a_failed_build_goes_on_after_it(self):
        fails = "  - shell: {script: \"exit 3\"}\n"
        self.write("failing", "much work", fails)
        self.goldmill("build", "failing", status=None)
        self.goldmill("gc")
        self.write("failing", "much work", fails.replace("3", "0"))
        self.assertEqual(2, len(self.ran("failing")), "the last step and the disk")
        self.goldmill("rm", "failing@1")

    def test_the_parent_of_a_build_that_runs_stays(self):
        for content in ("1", "2"):
            self.write("middle", content)
            self.build("middle")
        build = self.begin_without_end("leaf", "middle@1")
        self.assertNotIn("middle@1", self.goldmill("gc", "--keep", "1", "--json").json["images"])
        refused = self.goldmill("rm", "middle@1", status=4)
        self.assertIn("is needed by a build", refused.err)
        end(build, signal.SIGINT)
        for version in ("1", "2"):
            self.goldmill("rm", f"middle@{version}")

    def claimants(self):
        """Work directories of commands that rely on something; of dead ones, too."""
        with contextlib.closing(sqlite3.connect(self.home / "catalogue.db", timeout=60)) as catalogue:
            return {owner for owner, in catalogue.execute("SELECT owner FROM claims")}

    def claiming(self, *command):
        """A command that runs and has said what it relies on."""
        before = self.claimants()
        process = start(*command, home=self.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(end, process)
        limit = time.monotonic() + 120
        while self.claimants() <= before:
            self.assertIsNone(process.poll(), "it ended")
            self.assertLess(time.monotonic(), limit, "it claims nothing")
            time.sleep(0.01)
        return process

    def test_what_is_read_stays(self):
        """An export that lost its layers wrote an archive without files, and said that all was well."""
        for content in ("1", "2"):
            self.write("read", content)
            self.build("read")
        self.goldmill("export", "read@1", "-F", "tar", "-o", self.room / "before.tar")
        commands = (("test", "read@1"), ("export", "read@1", "-F", "tar", "-o", self.room / "beside.tar"))
        for command in commands:
            process = self.claiming(*command)
            process.send_signal(signal.SIGSTOP)
            refused = self.goldmill("rm", "read@1", status=4)
            self.assertIn("test or export that runs", refused.err)
            self.assertNotIn("read@1", self.goldmill("gc", "--keep", "1", "--json").json["images"])
            process.send_signal(signal.SIGCONT)
            if command[0] == "test":
                end(process, signal.SIGINT)
        self.assertEqual(0, process.wait(timeout=600))
        self.assertEqual((self.room / "before.tar").read_bytes(), (self.room / "beside.tar").read_bytes())
        for version in ("1", "2"):
            self.goldmill("rm", f"read@{version}")

    def test_beside_builds(self):
        """Each build's cached steps are what no image holds: as soon as they are, gc wants them."""
        self.write("busy", "same")
        expected = self.build("busy")["image"]
        for delay in (0, 0.2, 0.8):
            newest = self.goldmill("show", "busy", "--json").json["version"]
            self.goldmill("rm", f"busy@{newest}")
            build = start("build", self.recipes / "busy.yaml", home=self.home,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(delay)
            while build.poll() is None:
                self.goldmill(*ALL)
            words = build.stderr.read().decode()
            build.stderr.close()
            self.assertEqual(0, build.returncode, words)
            self.assertEqual(expected["disk_digest"],
                             self.goldmill("show", "busy", "--json").json["disk_digest"])
        self.assert_images_are_whole()

    def test_killed(self):
        self.write("kept", "kept")
        self.build("kept")
        for _ in range(4):
            self.write("gone", str(random.random()))
            version = self.build("gone")["image"]["version"]
            self.goldmill("rm", f"gone@{version}")
            process = start(*ALL, home=self.home, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
            time.sleep(random.random() * 0.15)
            end(process, signal.SIGKILL)
            self.goldmill("list")
            self.assert_images_are_whole()
            self.assertEqual([], self.ran("kept"))
        self.goldmill(*ALL)
        self.assertEqual({}, self.goldmill(*ALL).json["removed"])


if __name__ == "__main__":
    unittest.main()
