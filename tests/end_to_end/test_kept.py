# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that are kept beside the lock: what they are, and what happens to damaged ones.

That a build needs nothing else is in test_identical.py.
"""
import hashlib
import json
import os
import pathlib
import shutil
import unittest

from product import Case, copy_recipes, goldmill, run


def locked(lock):
    """SHA-256 -> name and version of every package that a lock names."""
    content = json.loads(lock.read_text())
    return {package["sha256"]: (package["name"], package["version"])
            for resolution in (content["packages"], content["tools"] or {"packages": []})
            for package in resolution["packages"]}


class Kept(Case):
    def setUp(self):
        self.recipes = self.scratch() / "recipes"
        copy_recipes(self.recipes)
        self.directory = self.recipes / "java.packages"

    def keep(self, *options, **more):
        return goldmill("keep-packages", *options, self.recipes / "java.yaml", "--json", **more)

    def damage(self, package):
        """As a disk would: the length stays. Not in place, since that file is the cache's too."""
        content = bytearray(package.read_bytes())
        content[len(content) // 2] ^= 1
        package.unlink()
        package.write_bytes(content)

    def test_what_is_kept(self):
        rows = self.keep().json["recipes"]
        self.assertEqual(["base", "java"], [row["recipe"] for row in rows])
        for row in rows:
            directory = pathlib.Path(row["directory"])
            self.assertEqual(self.recipes / f"{row['recipe']}.packages", directory)
            wanted = locked(self.recipes / f"{row['recipe']}.lock")
            files = list(directory.iterdir())
            self.assertEqual({f"{digest}.deb" for digest in wanted}, {file.name for file in files})
            for file in files:
                self.assertEqual(file.stem, hashlib.sha256(file.read_bytes()).hexdigest())
            self.assertEqual((len(files), len(files)), (row["packages"], row["added"]))
            self.assertEqual(sum(file.stat().st_size for file in files), row["bytes"])
        digest, (name, version) = next(iter(locked(self.recipes / "java.lock").items()))
        shown = run("dpkg-deb", "--show", self.directory / f"{digest}.deb")
        self.assertEqual([name, version], shown.replace(":amd64", "").split())
        self.assertEqual([0, 0], [row["added"] for row in self.keep().json["recipes"]])

    def test_elsewhere(self):
        other = self.recipes.parent / "disk"
        rows = self.keep("--own", "--to", other).json["recipes"]
        self.assertEqual([str(other / "java.packages")], [row["directory"] for row in rows])
        self.assertFalse(self.directory.exists())

    def test_a_damaged_one_is_replaced(self):
        self.keep("--own")
        package = sorted(self.directory.iterdir())[0]
        self.damage(package)
        row = self.keep("--own").json["recipes"][0]
        self.assertEqual([locked(self.recipes / "java.lock")[package.stem][0]], row["repaired"])
        self.assertEqual(package.stem, hashlib.sha256(package.read_bytes()).hexdigest())

    @unittest.skipUnless(os.geteuid() == 0, "a network is taken away as root only")
    def test_a_damaged_one_is_named_and_refused(self):
        self.keep("--own")
        package = sorted(self.directory.iterdir())[0]
        self.damage(package)
        shutil.rmtree(self.recipes / "base.packages", ignore_errors=True)
        home = self.recipes.parent / "home"
        answer = goldmill("keep-packages", "--own", self.recipes / "java.yaml", home=home,
                          before=("unshare", "--net"), status=None)
        self.assertNotEqual(0, answer.status)
        self.assertIn(f"{package} is damaged", answer.err)
        self.assertFalse((home / "packages" / package.name).exists())

    def test_what_the_lock_names_no_longer(self):
        self.keep("--own")
        (self.directory / f"{'0' * 64}.deb").write_bytes(b"old")
        (self.directory / "README").write_text("ours")
        count = len(locked(self.recipes / "java.lock"))
        answer = self.keep("--own")
        self.assertEqual((1, 0), (answer.json["recipes"][0]["not_wanted"],
                                  answer.json["recipes"][0]["pruned"]))
        self.assertTrue((self.directory / f"{'0' * 64}.deb").exists())
        self.assertEqual(1, self.keep("--own", "--prune").json["recipes"][0]["pruned"])
        self.assertEqual(count + 1, len(list(self.directory.iterdir())))

    def test_what_is_not_locked(self):
        (self.recipes / "java.lock").unlink()
        answer = goldmill("keep-packages", self.recipes / "java.yaml", status=4)
        self.assertIn("java.yaml is not locked yet", answer.err)
        self.assertRegex(answer.err, r"hint: goldmill lock .*java\.yaml")


if __name__ == "__main__":
    unittest.main()
