# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/db.yaml and examples/antivirus.yaml: a database by Ansible and a virus scanner whose
daemon waits for its signatures, proved on the booted images."""
import shutil
import unittest

import product
from product import OwnHome


class Adapted(OwnHome):
    def proved(self, name):
        """The rows of its report, by promise."""
        for path in product.EXAMPLES.glob(f"{name}.y*ml"):
            shutil.copy(path, self.recipes / path.name)
        self.goldmill("build", f"{name}.yaml")
        report = self.goldmill("test", name, "--firmware", "bios", "--json", status=None).json
        failed = [row for row in report["promises"] if not row["passed"]]
        self.assertEqual([], failed)
        self.assertTrue(report["passed"])
        return {row["promise"]: row for row in report["promises"]}

    def test_database_by_ansible(self):
        rows = self.proved("db")
        for unit in ("postgresql.service", "database.service"):
            self.assertEqual("active", rows[f"bios: service {unit}"]["found"],
                             "the playbook promised it, not the recipe")
        self.assertEqual("22, 5432", rows["bios: TCP ports open"]["found"])

    def test_virus_scanner_starts_with_its_first_signatures(self):
        rows = self.proved("antivirus")
        self.assertEqual("active", rows["bios: service clamav-daemon.path"]["found"])


if __name__ == "__main__":
    unittest.main()
