# SPDX-License-Identifier: GPL-3.0-or-later
"""What `cmake --install` and `cpack` make is whole, and works away from the build directory."""
import os
import re
import subprocess
import unittest

import product
from product import run, scratch

BUILD = product.BINARY.parent
SHARE = ("man/man1/goldmill.1", "bash-completion/completions/goldmill",
         "zsh/site-functions/_goldmill", "fish/vendor_completions.d/goldmill.fish",
         "goldmill/recipe.schema.json", "doc/goldmill/examples/base.yaml", "doc/goldmill/README.md",
         "doc/goldmill/examples/web.pp", "doc/goldmill/examples/db.yml",
         "doc/goldmill/examples/site/index.html", "doc/goldmill/docs/demo.svg",
         "doc/goldmill/copyright")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def packages_to_run():
    lines = (product.HERE.parent.parent / "scripts" / "packages").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith("run ")}


class Package(unittest.TestCase):
    def assert_works(self, prefix):
        for file in SHARE:
            self.assertGreater((prefix / "share" / file).stat().st_size, 0, file)
        documents = prefix / "share" / "doc" / "goldmill"
        for link in LINK.findall((documents / "README.md").read_text()):
            self.assertTrue((documents / link).exists(), f"README.md leads nowhere: {link}")
        self.assertFalse((documents / "examples" / "ops").exists(), "a private key is for nobody else")
        warnings = subprocess.run(["man", "--warnings", "-l", prefix / "share" / SHARE[0]],
                                  env={**os.environ, "LC_ALL": "C.UTF-8", "MANPAGER": "cat"},
                                  capture_output=True, check=True)
        self.assertEqual(b"", warnings.stderr)
        self.assertIn(b"GOLDMILL", warnings.stdout)
        with scratch() as room:
            binary = prefix / "bin" / "goldmill"
            said = product.goldmill("--version", binary=binary, home=room / "home").out
            self.assertRegex(said, r"^goldmill \d+\.\d+\.\d+")
            self.assertEqual([], product.goldmill("list", "--json", binary=binary,
                                                  home=room / "home").json["images"])

    def test_installed(self):
        with scratch() as room:
            run("cmake", "--install", BUILD, "--prefix", room / "usr")
            self.assert_works(room / "usr")

    def test_debian_package(self):
        with scratch() as room:
            run("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", room)
            (package,) = room.glob("*.deb")
            depends = run("dpkg-deb", "--field", package, "Depends")
            self.assertLessEqual(packages_to_run(), set(re.findall(r"[a-z0-9][a-z0-9.+-]+", depends)))
            # The judge of its dependencies is apt: all of them must be there to be had.
            planned = run("apt-get", "install", "--simulate", "--no-install-recommends", package)
            self.assertIn("Inst goldmill", planned)
            run("dpkg-deb", "--extract", package, room / "root")
            for path in (room / "root").rglob("*"):
                self.assertEqual(0, path.lstat().st_mode & 0o022 if not path.is_symlink() else 0, path)
            self.assert_works(room / "root" / "usr")


if __name__ == "__main__":
    unittest.main()
