# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/web.yaml, Apache by Puppet and Debian's module, proved on the booted image of a variant
that promises more than it keeps."""
import shutil
import unittest

import product
from product import OwnHome

LIAR = """\
recipe: liar
from: web
promises:
  commands: ["test -e /nowhere"]
  ports: [8099/tcp]
"""


class Web(OwnHome):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("web.yaml", "web.pp"):
            shutil.copy(product.EXAMPLES / name, cls.recipes / name)
        (cls.recipes / "liar.yaml").write_text(LIAR)
        cls.goldmill("build", "web.yaml", "liar.yaml")
        cls.report = cls.goldmill("test", "liar", "--firmware", "bios", "--json", status=1).json

    def test_the_manifests_promises_are_kept(self):
        rows = {row["promise"]: row for row in self.report["promises"]}
        self.assertEqual("active", rows["bios: service apache2.service"]["found"],
                         "the manifest promised it, not the recipe")
        self.assertEqual("22, 80", rows["bios: TCP ports open"]["found"])

    def test_exactly_the_broken_ones_are_found(self):
        self.assertFalse(self.report["passed"])
        broken = [row["promise"] for row in self.report["promises"] if not row["passed"]]
        self.assertEqual(2, len(broken), broken)
        self.assertTrue(any("/nowhere" in promise for promise in broken), broken)
        self.assertTrue(any("port" in promise for promise in broken), broken)
        self.assertFalse(self.goldmill("show", "liar", "--json").json["tested"])


if __name__ == "__main__":
    unittest.main()
