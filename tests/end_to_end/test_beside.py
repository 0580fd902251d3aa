# SPDX-License-Identifier: GPL-3.0-or-later
"""Builders, launchers, readers, collectors and checkers beside each other on one store.

GOLDMILL_TEST_SECONDS is for how long.
"""
import json
import os
import threading
import time
import unittest

import product
from product import OwnHome

NOT_FOUND, CONFLICT = 3, 4
SECONDS = float(os.environ.get("GOLDMILL_TEST_SECONDS", "10"))


class Beside(OwnHome):
    def builder(self, name):
        """Builds versions, removes old ones, and finds each as it was built."""
        def work(turn):
            (self.recipes / f"{name}.yaml").write_text(
                f"recipe: {name}\nfrom: base\nprovision:\n"
                f"  - files: [{{target: /srv/shared, content: \"{turn % 3}\"}}]\n"
                f"  - files: [{{target: /srv/{name}, content: \"{turn}\"}}]\n")
            built = self.goldmill("build", name, "--json").json["image"]
            shown = self.goldmill("show", name, "--json").json
            self.assertEqual(built["disk_digest"], shown["disk_digest"])
            for version in range(1, built["version"]):
                self.remove(f"{name}@{version}")
        return work

    def remove(self, image):
        """Unless a launch has it, or it is gone."""
        removed = self.goldmill("rm", image, status=None)
        self.assertIn(removed.status, (0, NOT_FOUND, CONFLICT), removed)

    def launcher(self, turn):
        """What was launched keeps the disks that it stands on."""
        fleet = f"fleet-{turn}"
        launched = self.goldmill("launch", "first", "-n", 2, "--prepare-only", "--fleet", fleet,
                                 "--json", status=None)
        if launched.status == NOT_FOUND:  # not yet built
            return
        for instance in launched.json["instances"]:
            disk = self.home / "instances" / instance["name"] / "disk.qcow2"
            chain = json.loads(product.run("qemu-img", "info", "--backing-chain", "--output=json",
                                           disk))
            self.assertGreater(len(chain), 1, instance)
            self.goldmill("show", instance["image"])
        self.goldmill("rm", "--force", fleet)

    def collector(self, _turn):
        self.goldmill("gc", "--unused-days", "0", "--keep", "1")

    def checker(self, _turn):
        report = self.goldmill("check", "--json", status=None).json
        self.assertTrue(report["sound"], report["findings"])

    def reader(self, turn):
        self.goldmill("list", "--json")
        self.goldmill("plan", "base", "--json")
        if turn % 3 == 0:
            self.goldmill("pack", "base")

    def test_all_at_once(self):
        jobs = {"first": self.builder("first"), "second": self.builder("second"),
                "launch": self.launcher, "gc": self.collector, "check": self.checker, "read": self.reader}
        end = time.monotonic() + SECONDS
        turns, failures = dict.fromkeys(jobs, 0), []

        def loop(name, job):
            while time.monotonic() < end and not failures:
                try:
                    job(turns[name])
                except Exception as failure:  # pylint: disable=broad-except
                    failures.append(f"{name}, turn {turns[name]}: {failure}")
                turns[name] += 1

        threads = [threading.Thread(target=loop, args=item) for item in jobs.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
        self.assertTrue(all(turns.values()), turns)
        print(f"turns: {turns}")
        self.checker(0)
        self.collector(0)
        for name in ("first", "second", "base"):
            self.goldmill("export", name, "-F", "tar", "-o", self.room / f"{name}.tar")
        self.assertEqual([], list((self.home / "work").iterdir()))


if __name__ == "__main__":
    unittest.main()
