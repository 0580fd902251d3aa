# SPDX-License-Identifier: GPL-3.0-or-later
"""The power fails, the disk fills up or breaks, at any change of a file: nothing finished is lost,
the store is whole or can be mended, and the same command then succeeds.

One moment of one way each, another one in each run. With GOLDMILL_TEST_MOMENTS=N all ways, N moments;
with GOLDMILL_TEST_MOMENTS=every, each change (of the writes that follow each other in one file, the
first: later ones find the same store). GOLDMILL_TEST_WAYS=killed,full: those ways.
"""
import json
import os
import random
import unittest

import faults
import product
from product import OwnHome, clone_home, goldmill

MOMENTS = os.environ.get("GOLDMILL_TEST_MOMENTS", "")
WRITES = faults.SPELLS if MOMENTS == "every" else faults.WRITES
WAYS = {"killed": (faults.KILL, faults.CHANGES), "killed in a write": (faults.KILL, WRITES),
        "full": (faults.FULL, WRITES | faults.NAMES),
        "broken": (faults.BROKEN, WRITES | faults.CHANGES)}
# goldmill changes none of these in place.
OBJECTS = ("trees", "assets", "disks", "blobs", "packages")


class Faults(OwnHome):
    @classmethod
    def setUpClass(cls):
        """A home with base and web, where nothing is shared with other tests."""
        super().setUpClass()
        cls.chance = random.Random()
        cls.keep_only_base()
        cls.goldmill("build", cls.recipe("web"))
        cls.goldmill("pack", "base")
        cls.goldmill("gc", "--unused-days", "0")
        cls.pristine = cls.home
        cls.home = cls.room / "disturbed"

    @classmethod
    def recipe(cls, name):
        file = cls.recipes / f"{name}.yaml"
        file.write_text(f"recipe: {name}\nfrom: base\nprovision:\n"
                        f"  - files: [{{target: /srv/a, content: {name}}}]\n")
        return file

    def renew(self):
        product.remove(self.home)
        clone_home(self.home, self.pristine, OBJECTS)

    def images(self):
        return {f"{image['name']}@{image['version']}": image["disk_digest"]
                for image in self.goldmill("list", "--json").json["images"]}

    def broken(self):
        report = self.goldmill("check", "--json", status=None).json
        return [finding for finding in report["findings"] if finding["kind"] != "unknown"]

    def ways(self):
        if "GOLDMILL_TEST_WAYS" in os.environ:
            return os.environ["GOLDMILL_TEST_WAYS"].split(",")
        return WAYS if MOMENTS else [self.chance.choice(sorted(WAYS))]

    def moments(self, count):
        """Of `count` changes all, or some that are spread over them by chance."""
        if MOMENTS == "every":
            return range(1, count + 1)
        parts = int(MOMENTS or 1)
        return [1 + int(count * (part + self.chance.random()) / parts) for part in range(parts)]

    def sweep(self, *command, prepare=lambda: None, after=lambda: None, lost=(), again=(0,)):
        """Some moments of one way to fail, or of all. The images `lost` may go;
        afterwards the command ends as `again` says, and `after` looks whether it did its work."""
        hit = []
        for way in self.ways():
            mode, kinds = WAYS[way]
            self.renew()
            prepare()
            count = faults.run(*command, home=self.home, kinds=kinds, status=0).count
            for moment in self.moments(count):
                with self.subTest(f"{command[0]} {way} at change {moment} of {count}"):
                    self.renew()
                    prepare()
                    before = self.images()
                    hit.append(self.disturb(command, mode, kinds, moment))
                    now = self.images()
                    for name in before.keys() - set(lost):
                        self.assertEqual(before[name], now.get(name), "it was finished before")
                    self.assertIn(self.goldmill(*command, status=None).status, again)
                    after()
                    self.assertEqual([], self.broken())
                    self.assertEqual([], list((self.home / "work").iterdir()))
        # How many changes there are differs a little from run to run.
        self.assertGreaterEqual(2 * sum(hit), len(hit), "most moments were within the command")

    def disturb(self, command, mode, kinds, moment):
        failed = faults.run(*command, home=self.home, mode=mode, kinds=kinds, at=moment)
        if mode != faults.KILL and failed.answer.status != 0:
            self.assertLess(failed.answer.status, 128, failed.answer)
            self.assertRegex(failed.answer.err + failed.answer.out, "error|not repaired")
        if self.broken():
            self.goldmill("check", "--repair")
        return failed.tripped

    def test_build(self):
        recipe = self.recipe("more")
        self.renew()
        digest = self.goldmill("build", recipe, "--json").json["image"]["disk_digest"]
        self.sweep("build", recipe,
                   after=lambda: self.assertIn(digest, self.images().values()))

    def test_pack(self):
        def look():
            names = {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in
                     json.loads((self.home / "index.json").read_text())["manifests"]}
            self.assertEqual({"base@1", "web@1"}, names)
        self.sweep("pack", "web", after=look)

    def test_rm(self):
        self.sweep("rm", "web@1", lost=["web@1"], again=(0, 3),
                   after=lambda: self.assertEqual({"base@1"}, set(self.images())))

    def test_gc(self):
        self.sweep("gc", "--unused-days", "0", prepare=lambda: self.goldmill("rm", "web@1"))

    def test_launch(self):
        def look():
            fleets = {row["fleet"] for row in self.goldmill("ps", "--json").json["instances"]}
            self.goldmill("rm", *fleets)
            self.assertEqual([".lock"], [file.name for file in (self.home / "instances").iterdir()])
        self.sweep("launch", "web", "-n", "2", "--prepare-only", "--json", after=look)

    def test_repair(self):
        image = goldmill("show", "web", "--json", home=self.pristine).json
        # The first layer comes back by ten thousand changes in a directory that nobody looks into.
        packed = image["layers"][1 if MOMENTS == "every" else 0]

        def damage():
            (self.home / "blobs/sha256" / image["digest"].removeprefix("sha256:")).unlink()
            (self.home / "index.json").unlink()
            for layer in (packed, image["layers"][-1]):
                product.run(*product.AS_GUEST_ROOT, "rm", "-r",
                            self.home / "trees" / layer.removeprefix("sha256:"))
        self.sweep("check", "--repair", prepare=damage)


if __name__ == "__main__":
    unittest.main()
