# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages at a place in the order of the steps, scripts that install some, and cloud-config: what
comes in is locked, and an archive is not needed a second time."""
import json
import os
import unittest

import product
from product import Case, copy_recipes, goldmill

RECIPE = """\
recipe: steps
from: base
provision:
  - shell: {script: "! command -v less"}
  - packages: [less, -nano]
  - shell: {script: "command -v less && apt-get update && apt-get install --yes tree"}
  - cloud_config: user-data
"""
USER_DATA = """\
#cloud-config
packages: [file]
write_files:
  - {path: /etc/site/plain, content: "plain\\n", owner: "root:adm", permissions: '0640'}
  - {path: /etc/site/binary, content: !!binary AAECAw==}
  - {path: /etc/site/packed, content: H4sIAAAAAAAAAytITM5OTeECAEPgQS8HAAAA, encoding: gz+b64}
groups: [team]
users:
  - {name: dev, groups: team, shell: /bin/bash, sudo: "ALL=(ALL) NOPASSWD:ALL",
     ssh_authorized_keys: [KEY]}
timezone: Asia/Tokyo
runcmd:
  - [sh, -c, "file /etc/site/plain > /etc/site/said"]
"""


class Steps(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recipes = cls.class_scratch()
        copy_recipes(cls.recipes)
        key = (cls.recipes / "ops.pub").read_text().strip()
        (cls.recipes / "user-data").write_text(USER_DATA.replace("KEY", json.dumps(key)))
        (cls.recipes / "steps.yaml").write_text(RECIPE)
        cls.report = cls.goldmill("build", "steps", "--json").json
        cls.addClassCleanup(goldmill, "rm", f"steps@{cls.report['image']['version']}")
        cls.story = cls.goldmill("show", "steps", "--json").json

    @classmethod
    def goldmill(cls, *arguments, **options):
        return goldmill(*arguments, cwd=cls.recipes, **options)

    def layer(self, kind):
        (step,) = (step for step in self.story["all_steps"] if step["kind"] == kind)
        return product.HOME / "trees" / step["layer"].removeprefix("sha256:")

    def read(self, path):
        return product.run(*product.AS_GUEST_ROOT, "cat",
                           self.layer("provision.cloud_config") / path)

    def test_packages_come_in_order_and_are_locked(self):
        packages = self.story["packages_installed"]
        self.assertLessEqual({"less", "tree", "file"}, set(packages))
        self.assertNotIn("nano", packages)
        locked = json.loads((self.recipes / "steps.lock").read_text())["step_packages"]
        self.assertEqual({"packages: less, -nano", "shell: command -v less && apt-get update && apt...",
                          "cloud_config: user-data"}, set(locked), "a script that installs nothing is not")
        self.assertEqual(["tree"], [package["name"] for name, entry in locked.items()
                                    if name.startswith("shell") for package in entry["packages"]])

    def test_the_cloud_config_is_in_the_image(self):
        self.assertEqual("plain\n", self.read("etc/site/plain"))
        self.assertEqual("\0\1\2\3", self.read("etc/site/binary"))
        self.assertEqual("packed\n", self.read("etc/site/packed"))
        self.assertIn("ASCII text", self.read("etc/site/said"))
        self.assertRegex(self.read("etc/passwd"), r"(?m)^dev:x:\d+:\d+::/home/dev:/bin/bash$")
        self.assertRegex(self.read("etc/group"), r"(?m)^team:x:\d+:dev$")
        self.assertIn("ssh-ed25519", self.read("home/dev/.ssh/authorized_keys"))
        self.assertEqual("dev ALL=(ALL) NOPASSWD:ALL\n", self.read("etc/sudoers.d/90-cloud-init-users"))
        self.assertEqual("/usr/share/zoneinfo/Asia/Tokyo",
                         os.readlink(self.layer("provision.cloud_config") / "etc/localtime"))
        findings = [row for row in self.story["seal"] if row["rule"] == "ssh-access"]
        self.assertEqual([], findings, "the document named the key")

    def test_runs_again_without_an_archive(self):
        for kind in ("provision.packages", "provision.cloud_config"):
            product.run(*product.AS_GUEST_ROOT, "rm", "-r", self.layer(kind))
        report = self.goldmill("build", "steps", "--json", **product.WITHOUT_ARCHIVE).json
        self.assertEqual(self.report["image"]["digest"], report["image"]["digest"])

    def test_what_is_not_there_is_said_with_its_place(self):
        for name, step, words in (
                ("nosuch", "packages: [nosuch-package]", ["nosuch-package", "repositories"]),
                ("kernel", "shell: {script: apt-get install --yes linux-image-rt-amd64}",
                 ["kernel linux-image-", "under 'packages:'"]),
                ("locale", "cloud_config: {locale: xx_XX.UTF-8}", ["'locale'", "package locales"])):
            with self.subTest(name):
                (self.recipes / f"{name}.yaml").write_text(
                    f"recipe: {name}\nfrom: base\nprovision:\n  - {step}\n")
                answer = self.goldmill("build", name, status=None)
                self.assertNotEqual(0, answer.status)
                self.assertRegex(answer.err, rf"{name}\.yaml:4:5: step")
                for word in words:
                    self.assertIn(word, answer.err)


if __name__ == "__main__":
    unittest.main()
