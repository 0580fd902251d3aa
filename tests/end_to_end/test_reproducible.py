# SPDX-License-Identifier: GPL-3.0-or-later
"""build --check-reproducible: finds what differs, blames the right thing, and leaves nothing."""
import os
import pathlib
import time
import unittest

import product
from product import OwnHome, end, goldmill, start

# A line of shell -> the path that differs, the byte, and a word of the likely cause.
OFFENDERS = {
    "cat /proc/sys/kernel/random/uuid > /opt/uuid": ("/opt/uuid", None, "UUID"),
    "date +built:%s > /opt/number": ("/opt/number", None, "as a number"),
    "printf 'a line\\n%s' \"$(date)\" > /opt/date": ("/opt/date", None, "date as text"),
    "head -c 4000 /dev/zero > /opt/noise; head -c 40 /dev/urandom >> /opt/noise":
        ("/opt/noise", "4000", "random"),
    "printf 'jobs=%s\\n' $(nproc) > /opt/cores": ("/opt/cores", "5", "cores"),
    "date > /tmp/log; gzip -c /tmp/log > /opt/log.gz": ("/opt/log.gz", "4", "gzip -n"),
    "touch -d @$(( $(date +%s) - 900000000 )) /opt/touched": ("/opt/touched", None, "touch -d"),
    "ln -s $(date +%s) /opt/link": ("/opt/link", None, None),
    # The clock is ahead by more than a year: also what is dated by the day shows.
    "date +%Y-%m-%d > /opt/day": ("/opt/day", "3", "date as text"),
    "perl -e 'print int(time / 86400)' > /opt/days": ("/opt/days", None, "as a number"),
}
# What the surroundings must not reach: one file of all that a step can ask.
HARMLESS = "hostname; locale; umask; date -r /etc/debian_version; echo $TZ $HOME; pwd; id"


def recipe(name, script):
    indented = "".join(f"        {line}\n" for line in script)
    return f"recipe: {name}\nfrom: base\nprovision:\n  - shell:\n      script: |\n{indented}"


def objects(home):
    return {str(path.relative_to(home))
            for area in ("trees", "assets", "disks", "blobs/sha256", "work", "packages")
            for path in (home / area).iterdir()}


class Reproducible(OwnHome):
    def write(self, name, script):
        file = self.recipes / f"{name}.yaml"
        file.write_text(recipe(name, script))
        return file

    def check(self, file, *options, status=0):
        return goldmill("build", file, "--check-reproducible", *options, home=self.home,
                        status=status)

    def test_what_differs_is_named_with_its_cause(self):
        file = self.write("offender", OFFENDERS)
        goldmill("build", file, home=self.home)
        lock = (self.recipes / "offender.lock").read_bytes()
        before = objects(self.home)
        answer = self.check(file, "--json", status=1).json["reproducible"]
        self.assertFalse(answer["identical"])
        rows = {row["path"]: row for row in answer["differences"]}
        self.assertEqual({path for path, _, _ in OFFENDERS.values()}, set(rows))
        for path, offset, cause in OFFENDERS.values():
            with self.subTest(path):
                self.assertTrue(rows[path]["step"].startswith("shell"), rows[path])
                self.assertNotEqual(rows[path]["first"], rows[path]["second"])
                if offset:
                    self.assertEqual(offset, rows[path]["offset"])
                if cause:
                    self.assertIn(cause, rows[path]["likely_cause"] or "")
        self.assertEqual(before, objects(self.home))
        self.assertEqual(lock, (self.recipes / "offender.lock").read_bytes())

        text = self.check(file, status=1).out
        self.assertIn("offender@1 is NOT reproducible", text)
        self.assertIn("/opt/noise  content at byte 4000", text)

    def test_what_is_the_same_is_said_to_be(self):
        file = self.write("clean", [f"({HARMLESS}) > /opt/asked 2>&1", "ls /etc > /opt/sorted",
                                    "mkdir /opt/many; touch /opt/many/$(seq -s ' /opt/many/' 99)"])
        before = os.listdir("/proc/self/ns"), os.uname().nodename
        answer = self.check(file, "--json").json["reproducible"]
        self.assertEqual([], answer["differences"])
        self.assertTrue(answer["identical"])
        differing = {row["name"] for row in answer["conditions"] if row["first"] != row["second"]}
        self.assertLessEqual({"clock", "time zone", "locale", "umask"}, differing)
        if product.IS_ROOT:
            self.assertLessEqual({"host name", "directory order"}, differing)
        self.assertEqual(before, (os.listdir("/proc/self/ns"), os.uname().nodename))

    def test_a_step_that_fails_this_time(self):
        file = self.write("moody", ["test $(nproc) -gt 1 || { echo too few cores; exit 3; }"])
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one core: it would fail the first time")
        answer = self.check(file, status=6)
        self.assertIn("built again", answer.err)
        self.assertIn("too few cores", answer.err)
        self.assertEqual([], os.listdir(self.home / "work"))

    def test_killed(self):
        """What it leaves goes with the next command, and nothing of the first home goes with it."""
        file = self.write("slow", ["sleep 3; echo 1 > /opt/one"])
        goldmill("build", file, home=self.home)
        before = objects(self.home)
        process = start("build", file, "--check-reproducible", home=self.home)
        deadline = time.monotonic() + 60
        while not (works := list((self.home / "work").glob("*/home"))):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        time.sleep(1.5)
        end(process)
        self.assertEqual([], product.gone_within(self.home, 10))
        goldmill("list", home=self.home)
        self.assertEqual(before, objects(self.home))
        self.assertFalse(pathlib.Path(works[0]).exists())

    def test_one_recipe_at_a_time(self):
        recipes = [self.recipes / f"{name}.yaml" for name in ("base", "java")]
        answer = goldmill("build", *recipes, "--check-reproducible", home=self.home, status=2)
        self.assertIn("one recipe", answer.err)


if __name__ == "__main__":
    unittest.main()
