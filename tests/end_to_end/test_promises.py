# SPDX-License-Identifier: GPL-3.0-or-later
"""`goldmill test` as scripts read it: base keeps its promises by both firmwares."""
import json
import subprocess
import time
import unittest

from product import Case, goldmill, start


class Promises(Case):
    def test_base_keeps_them(self):
        running = start("test", "base", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while running.poll() is None:  # other commands at the same time take nothing away
            goldmill("list")
            time.sleep(5)
        out, err = running.communicate()
        self.assertEqual(0, running.returncode, (out + err).decode())
        report = json.loads(out)
        self.assertLessEqual({"image", "passed", "accelerator", "promises"}, set(report))
        self.assertEqual(f"base@{self.built['base']['image']['version']}", report["image"])
        self.assertIn(report["accelerator"], ("kvm", "tcg"))
        rows = report["promises"]
        for row in rows:
            self.assertLessEqual({"promise", "expected", "found", "passed"}, set(row))
            self.assertTrue(row["passed"], row)
        self.assertTrue(report["passed"])
        for firmware in ("bios", "uefi"):
            self.assertTrue(any(firmware in row["promise"] for row in rows), firmware)
        for word in ("failed unit", "DHCP", "TCP port", "UDP port", "time zone", "password", "ops"):
            self.assertTrue(any(word in row["promise"] for row in rows), word)
        self.assertTrue(goldmill("show", "base", "--json").json["tested"])


if __name__ == "__main__":
    unittest.main()
