# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples web (Apache by Puppet and Debian's module), antivirus (a scanner whose daemon waits
for its signatures) and db (PostgreSQL by Ansible), proved on one booted image: each stands on the one
before, where as shipped all stand on base. The last promises more than it keeps."""
import shutil
import unittest

import product
from product import OwnHome

LIAR = """\
recipe: liar
from: db
promises:
  commands: ["test -e /nowhere"]
  ports: [8099/tcp]
"""


class Adapted(OwnHome):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("web", "antivirus", "db"):
            for path in product.EXAMPLES.glob(f"{name}.*"):
                shutil.copy(path, cls.recipes / path.name)
        cls.change("antivirus.yaml", "from: base", "from: web")
        cls.change("db.yaml", "from: base", "from: antivirus")
        cls.change("db.yaml", "[ssh, 5432/tcp]", "[ssh, http, 5432/tcp]")
        (cls.recipes / "liar.yaml").write_text(LIAR)
        cls.goldmill("build", "web.yaml", "antivirus.yaml", "db.yaml", "liar.yaml")
        cls.report = cls.goldmill("test", "liar", "--firmware", "bios", "--json", status=1).json
        cls.rows = {row["promise"]: row for row in cls.report["promises"]}

    @classmethod
    def change(cls, name, before, after):
        text = (cls.recipes / name).read_text()
        assert text.count(before) == 1, (name, before)
        (cls.recipes / name).write_text(text.replace(before, after))

    def test_what_manifest_and_playbook_promised_runs(self):
        for unit in ("apache2", "postgresql", "database"):
            self.assertEqual("active", self.rows[f"bios: service {unit}.service"]["found"],
                             "no recipe promised it")
        self.assertEqual("22, 80, 5432", self.rows["bios: TCP ports open"]["found"])

    def test_virus_scanner_starts_with_its_first_signatures(self):
        self.assertEqual("active", self.rows["bios: service clamav-daemon.path"]["found"])
        (found,) = [row for promise, row in self.rows.items() if "clamdscan" in promise]
        self.assertTrue(found["passed"], found)

    def test_exactly_the_broken_promises_are_found(self):
        self.assertFalse(self.report["passed"])
        broken = [row["promise"] for row in self.report["promises"] if not row["passed"]]
        self.assertEqual(2, len(broken), broken)
        self.assertTrue(any("/nowhere" in promise for promise in broken), broken)
        self.assertTrue(any("port" in promise for promise in broken), broken)
        self.assertFalse(self.goldmill("show", "liar", "--json").json["tested"])


if __name__ == "__main__":
    unittest.main()
