# SPDX-License-Identifier: GPL-3.0-or-later
"""`goldmill test` finds the promises that an image does not keep."""
import unittest

from product import OwnHome


class BrokenPromises(OwnHome):
    def test_a_broken_one_is_found(self):
        recipe = self.recipes / "liar.yaml"
        recipe.write_text("recipe: liar\nfrom: base\npromises:\n"
                          "  commands: [\"test -e /nowhere\"]\n  ports: [8099/tcp]\n")
        self.goldmill("build", recipe)
        report = self.goldmill("test", "liar", "--firmware", "bios", "--json", status=1).json
        self.assertFalse(report["passed"])
        broken = [row["promise"] for row in report["promises"] if not row["passed"]]
        self.assertTrue(any("/nowhere" in promise for promise in broken), broken)
        self.assertTrue(any("port" in promise for promise in broken), broken)
        self.assertFalse(self.goldmill("show", "liar", "--json").json["tested"])


if __name__ == "__main__":
    unittest.main()
