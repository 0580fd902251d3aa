# SPDX-License-Identifier: GPL-3.0-or-later
"""A build that is killed at any moment leaves nothing behind and loses nothing finished."""
import contextlib
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import time
import unittest

import product
from product import OwnHome, end, gone_within, goldmill, start

MOMENTS = int(os.environ.get("GOLDMILL_TEST_MOMENTS", "5"))
RECIPE = """recipe: small
from: base
packages: [{package}]
provision:
  - files:
      - {{target: /srv/data, content: "some data"}}
      - {{source: tree, target: /srv/tree}}
  - shell:
      script: |
        mkdir -p /srv/made
        i=0; while [ $i -lt 300 ]; do echo $i > /srv/made/$i; i=$((i+1)); done
        sleep 0.3
"""


def make_recipe(directory, name="small", package="less"):
    (directory / "tree").mkdir(exist_ok=True)
    for number in range(50):
        (directory / "tree" / f"file-{number}").write_text(str(number) * 1000)
    file = directory / f"{name}.yaml"
    file.write_text(RECIPE.format(package=package).replace("recipe: small", f"recipe: {name}"))
    return file


def result(report):
    return {key: report["image"][key] for key in ("digest", "disk_digest")}


class Killed(OwnHome):
    @classmethod
    def setUpClass(cls):
        """A home where packages are there, the base is built, and nothing else."""
        super().setUpClass()
        cls.keep_only_base()
        cls.goldmill("gc", "--unused-days", "0")
        cls.recipe = make_recipe(cls.recipes)
        cls.undisturbed = result(goldmill("build", cls.recipe, "--json", home=cls.home).json)
        cls.forget()  # the first build fetched packages: only the second takes as long as the rest
        cls.seconds = goldmill("build", cls.recipe, "--json", home=cls.home).json["seconds"]

    @classmethod
    def forget(cls):
        """The variant was never built; only its packages are there."""
        version = goldmill("show", "small", "--json", home=cls.home).json
        goldmill("rm", f"small@{version['version']}", home=cls.home)
        with sqlite3.connect(cls.home / "catalogue.db") as catalogue:
            rows = catalogue.execute("SELECT layer FROM steps WHERE image = 'small'").fetchall()
            catalogue.execute("DELETE FROM steps WHERE image = 'small'")
        catalogue.close()
        for (layer,) in rows:
            if layer:
                product.remove(cls.home / "trees" / layer)

    def assert_catalogue_is_true(self):
        catalogue = sqlite3.connect(self.home / "catalogue.db")
        self.addCleanup(catalogue.close)
        self.assertEqual("ok", catalogue.execute("PRAGMA integrity_check").fetchone()[0])
        for name, layer in catalogue.execute("SELECT name, layer FROM steps"):
            if layer:
                self.assertTrue((self.home / "trees" / layer).is_dir(), f"layer of {name}")
        for name, digest in catalogue.execute("SELECT name, digest FROM images"):
            disk = self.home / "disks" / f"{digest}.qcow2"
            product.run("qemu-img", "check", "-q", disk)
        catalogue.close()

    def assert_clean(self):
        self.assertEqual([], gone_within(self.home, 5))
        goldmill("list", home=self.home)  # any next command
        self.assertEqual([], list((self.home / "work").iterdir()))
        self.assertFalse([file.name for directory in ("disks", "packages", "trees", "blobs/sha256")
                          for file in (self.home / directory).iterdir()
                          if file.name.startswith(".")])

    def disturb(self, number, part):
        """Ends a build after this part of the time that one takes. A machine's pace changes: a build
        that was done before says how long one takes now, and the next is tried."""
        for _ in range(20):
            self.forget()
            began = time.monotonic()
            process = start("build", self.recipe, home=self.home, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)
            with contextlib.suppress(subprocess.TimeoutExpired):
                words = process.communicate(timeout=self.seconds * part)[1]
                self.assertEqual(0, process.returncode, words.decode())
                self.seconds = time.monotonic() - began
                continue
            process.send_signal(number)
            words = process.communicate(timeout=60)[1].decode()
            return process.returncode, words
        self.fail("no build was disturbed")

    @staticmethod
    def parts(count):
        """Moments spread over a build, with some chance, so that every run tries others."""
        return [(number + random.random()) / count for number in range(count)]

    def test_the_log_of_a_step_that_runs_can_be_followed(self):
        recipe = self.recipes / "slow.yaml"
        recipe.write_text("recipe: slow\nfrom: base\nprovision:\n"
                          "  - shell: {script: 'echo so far; sleep 300'}\n")
        process = start("build", recipe, home=self.home, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        self.addCleanup(end, process)
        product.await_words(process, self.home, "slow", "so far")
        end(process, signal.SIGINT)
        self.assert_clean()

    def test_what_is_done_counts_while_a_long_step_runs(self):
        recipe = self.recipes / "long.yaml"
        recipe.write_text("recipe: long\nfrom: base\nprovision:\n"
                          "  - shell: {script: 'echo quick > /etc/quick'}\n"
                          "  - shell: {script: 'sleep 300'}\n")

        def runs():
            plan = goldmill("plan", recipe, "--json", home=self.home).json
            return [step["name"] for image in plan["images"] for step in image["steps"]
                    if step["result"] != "cached"]
        process = start("build", recipe, home=self.home, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        self.addCleanup(end, process)
        limit = time.monotonic() + 120
        while "shell: echo quick > /etc/quick" in runs():
            self.assertIsNone(process.poll(), "it ended")
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.1)
        end(process, signal.SIGKILL)
        self.assertEqual(["shell: sleep 300", "disk"], runs())
        self.assert_clean()

    def test_killed_at_any_moment(self):
        hit = 0
        for part in self.parts(MOMENTS):
            with self.subTest(f"SIGKILL after {part:.0%} of a build"):
                status, _ = self.disturb(signal.SIGKILL, part)
                hit += status == -signal.SIGKILL
                self.assert_clean()
                self.assert_catalogue_is_true()
                again = goldmill("build", self.recipe, "--json", home=self.home).json
                self.assertEqual(self.undisturbed, result(again))
        self.assertGreater(hit, MOMENTS // 2, "most moments were within the build")

    def test_interrupted(self):
        for part in self.parts(3):
            with self.subTest(f"SIGINT after {part:.0%} of a build"):
                status, words = self.disturb(signal.SIGINT, part)
                self.assertIn(status, (0, 8, -signal.SIGINT), words)
                self.assertEqual([], gone_within(self.home, 1))
                if status == 8:
                    self.assertIn("error: ", words)
                    self.assertEqual([], list((self.home / "work").iterdir()))
                again = goldmill("build", self.recipe, "--json", home=self.home).json
                self.assertEqual(self.undisturbed, result(again))

    def never_ran(self, condition):
        """Forgets these steps of the catalogue; what they made stays. Their layers and keys."""
        with contextlib.closing(sqlite3.connect(self.home / "catalogue.db")) as catalogue:
            rows = catalogue.execute(f"SELECT layer, key FROM steps WHERE {condition}").fetchall()
            catalogue.execute(f"DELETE FROM steps WHERE {condition}")
            catalogue.commit()
        return rows

    def test_what_a_power_cut_emptied_is_made_again(self):
        """As file systems that allocate late leave it: the names are there, the contents are not."""
        goldmill("build", self.recipe, home=self.home)
        newest = goldmill("show", "small", "--json", home=self.home).json
        goldmill("rm", f"small@{newest['version']}", home=self.home)
        steps = self.never_ran("layer IN (SELECT layer FROM steps WHERE image = 'small')"
                               " OR layer IS NULL")
        emptied = [self.home / ("trees/" + layer if layer else "assets/" + key) for layer, key in steps]
        product.run(*product.AS_GUEST_ROOT, "find", *emptied, "-type", "f", "-links", "1", "-exec",
                    "truncate", "-s", "0", "{}", "+")
        base = goldmill("show", "base", "--json", home=self.home).json
        os.unlink(base["qcow2"])  # so that the boot loader's files are read
        again = goldmill("build", self.recipe, "--json", home=self.home).json
        self.assertEqual(self.undisturbed, result(again))
        self.assertTrue(goldmill("check", "--json", home=self.home, status=None).json["sound"])
        self.assert_clean()

    def test_two_at_once_make_the_same_assets(self):
        for _, key in self.never_ran("layer IS NULL"):
            product.remove(self.home / "assets" / key)
        running = [start("build", self.recipes / "base.yaml", home=self.home,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
        for process in running:
            words = process.communicate(timeout=600)[1]
            self.assertEqual(0, process.returncode, words.decode())
        self.assertTrue(goldmill("check", "--json", home=self.home).json["sound"])
        self.assert_clean()

    def test_many_commands_after_a_kill(self):
        """Each of them wants to clear away what the dead one left."""
        for part in self.parts(3):
            self.disturb(signal.SIGKILL, part)
            running = [start("list", home=self.home, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE) for _ in range(8)]
            for process in running:
                words = process.communicate(timeout=120)[1]
                self.assertEqual(0, process.returncode, words.decode())
            self.assert_clean()
            goldmill("build", self.recipe, home=self.home)

    def test_two_at_once(self):
        self.forget()
        other = make_recipe(self.recipes, "other", "nano")
        running = [start("build", recipe, "--json", home=self.home, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
                   for recipe in (self.recipe, self.recipe, other)]
        answers = []
        for process in running:
            out, err = process.communicate(timeout=600)
            self.assertEqual(0, process.returncode, err.decode())
            answers.append(product.json.loads(out))
        self.assertEqual(self.undisturbed, result(answers[0]))
        self.assertEqual(answers[0]["image"], answers[1]["image"], "one version, not two")
        self.assertNotEqual(result(answers[0]), result(answers[2]))
        self.assert_clean()
        self.assert_catalogue_is_true()


class KilledWhileItFetches(product.Case):
    """In an empty home: packages come by a worker, and programs of apt's check the indexes."""
    SEEN = {"keep-packages": "packages/partial/*.deb", "lock": "archives/*/lists/partial/*"}

    def setUp(self):
        self.room = self.scratch()
        self.home = self.room / "home"
        for command in self.SEEN:
            product.copy_recipes(self.room / command, locks=command == "keep-packages")

    def kill(self, command, number, delay, temporary):
        product.remove(self.home)
        process = start(command, self.room / command / "base.yaml", home=self.home,
                        before=("env", f"TMPDIR={temporary}"), stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        self.addCleanup(end, process)
        limit = time.monotonic() + 120
        while not any(self.home.glob(self.SEEN[command])):
            self.assertIsNone(process.poll(), "it ended")
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.01)
        time.sleep(delay)
        self.assertEqual(-number, end(process, number), "it ended before it was killed")
        self.assertEqual([], gone_within(self.home, 5))

    def test_nothing_stays(self):
        kills = itertools.product(self.SEEN, (signal.SIGKILL, signal.SIGINT), (0, 0.2))
        for command, number, delay in kills:
            with self.subTest(f"{number.name} {delay} s after {command} began to fetch"):
                temporary = self.scratch(self.room)
                self.kill(command, number, delay, temporary)
                self.assertEqual([], list(temporary.iterdir()))
                goldmill("list", home=self.home)  # any next command
                self.assertEqual([], list((self.home / "work").iterdir()))

    def test_no_other_place_is_needed(self):
        self.kill("keep-packages", signal.SIGKILL, 0, "/nonexistent")


if __name__ == "__main__":
    unittest.main()
