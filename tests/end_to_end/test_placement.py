# SPDX-License-Identifier: GPL-3.0-or-later
"""A variant's disk is its parent's but for what the variant adds: python compares the raw disks."""
import os
import unittest

import product
from product import Case, copy_recipes, goldmill

CLUSTER = 64 << 10
MIB = 1 << 20


def clusters(path):
    """{number: hash} of each cluster that is not zeros."""
    found = {}
    with open(path, "rb") as disk:
        size, at = os.fstat(disk.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(disk.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(disk.fileno(), at, os.SEEK_HOLE)
            for number in range(at // CLUSTER, -(-end // CLUSTER)):
                content = os.pread(disk.fileno(), CLUSTER, number * CLUSTER)
                if number not in found and content.count(0) != len(content):
                    found[number] = hash(content)
            at = end
    return found


class Placement(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        copy_recipes(cls.room)
        (cls.room / "placed.yaml").write_text("recipe: placed\nfrom: base\npackages: [less]\n")
        (cls.room / "placed-again.yaml").write_text(
            "recipe: placed-again\nfrom: placed\nprovision:\n"
            "  - files: [{target: /etc/a-new-name, content: x}]\n"
            "  - shell: {script: chmod 600 /etc/services; rm /usr/share/common-licenses/GPL-2}\n")
        for name in ("placed", "placed-again"):
            goldmill("build", cls.room / f"{name}.yaml")
        cls.disks = {name: cls.clusters_of(name) for name in ("base", "placed", "placed-again", "java")}

    @classmethod
    def clusters_of(cls, image):
        raw = cls.room / f"{image}.raw"
        goldmill("export", image, "-F", "raw", "-o", raw)
        try:
            return clusters(raw)
        finally:
            raw.unlink()

    def differing(self, parent, variant):
        """Numbers of the clusters that differ: all, and those where the parent has something."""
        before, after = self.disks[parent], self.disks[variant]
        numbers = {number for number in before.keys() | after.keys()
                   if before.get(number) != after.get(number)}
        print(f"\n{variant} on {parent}: {len(numbers)} of {len(after)} clusters differ, "
              f"{len(numbers & before.keys())} of {len(before)} of the parent's", end=" ")
        return numbers, numbers & before.keys()

    def used(self, image):
        return goldmill("show", image, "--json").json["disk_used_bytes"]

    def check(self, parent, variant):
        numbers, changed = self.differing(parent, variant)
        own = max(0, self.used(variant) - self.used(parent))
        self.assertLessEqual(len(numbers) * CLUSTER, own + 8 * MIB)
        self.assertLess(len(changed), len(self.disks[parent]) / 20)

    def test_a_small_package(self):
        self.check("base", "placed")

    def test_a_large_one(self):
        self.check("base", "java")

    def test_a_variant_of_a_variant(self):
        self.check("placed", "placed-again")


if __name__ == "__main__":
    unittest.main()
