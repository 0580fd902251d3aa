# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/web.yaml: Apache by Puppet and Debian's module, proved on the booted image."""
import shutil
import unittest

import product
from product import OwnHome


class Web(OwnHome):
    def test_keeps_its_promises(self):
        for name in ("web.yaml", "web.pp"):
            shutil.copy(product.EXAMPLES / name, self.recipes / name)
        self.goldmill("build", "web.yaml")
        report = self.goldmill("test", "web", "--firmware", "bios", "--json").json
        self.assertTrue(report["passed"])
        rows = {row["promise"]: row for row in report["promises"]}
        self.assertEqual("active", rows["bios: service apache2.service"]["found"],
                         "the manifest promised it, not the recipe")
        self.assertEqual("22, 80", rows["bios: TCP ports open"]["found"])


if __name__ == "__main__":
    unittest.main()
