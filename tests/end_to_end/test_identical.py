# SPDX-License-Identifier: GPL-3.0-or-later
"""The same lock gives the same bytes: in another home, for another user, in other surroundings."""
import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import unittest

import product
from product import Case, copy_recipes, goldmill, run

# Nothing of these may reach an image.
SURROUNDINGS = {"TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8",
                "SOURCE_DATE_EPOCH": "1", "TMPDIR": "/dev/shm", "HOME": "/nonexistent"}
USER = "gmtest"
# The list of docs/reference/reproducible.md, which takes minutes.
LISTED = tuple(sorted(file.stem for file in (product.HERE.parent / "identical").glob("*.yaml"))
               if os.environ.get("GOLDMILL_TEST_LISTED") else ())


def digests(report):
    return {key: report["image"][key]
            for key in ("digest", "disk_digest", "packages", "disk_used_bytes")}


def layers(home, image):
    shown = goldmill("show", image, "--json", home=home).json
    return {step["name"]: step["layer"] for step in shown["steps"]}


class Listed(Case):
    """Every build here has its second one at once: later by a year, on one core, elsewhere."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home, cls.recipes = product.HOME, product.RECIPES
        if LISTED:
            cls.home = cls.class_scratch() / "home"
            cls.recipes = cls.home.parent / "recipes"
            product.clone_home(cls.home)
            copy_recipes(cls.recipes)
            for name in LISTED:
                shutil.copy(product.HERE.parent / "identical" / f"{name}.yaml", cls.recipes)


@unittest.skipUnless(LISTED, "only with GOLDMILL_TEST_LISTED")
class OtherSurroundings(Listed):
    def test_listed(self):
        for name in ("base", "java", *LISTED):
            with self.subTest(name):
                check = goldmill("build", self.recipes / f"{name}.yaml", "--check-reproducible",
                                 "--json", home=self.home).json["reproducible"]
                self.assertEqual([], check["differences"])
                differing = {row["name"] for row in check["conditions"]
                             if row["first"] != row["second"]}
                self.assertLessEqual({"clock", "time zone", "locale", "umask"}, differing)


class Root(Case):
    def assert_same(self, home, recipes, **options):
        for name in ("base", "java"):
            report = goldmill("build", recipes / f"{name}.yaml", "--json", home=home,
                              **options).json
            ran = [step["name"] for step in report["steps"] if step["result"] == "ran"]
            self.assertIn("packages", ran, "the other home had the layers already")
            shown = goldmill("show", name, "--json", home=home).json
            self.assertEqual(layers(product.HOME, name),
                             {step["name"]: step["layer"] for step in shown["steps"]})
            self.assertEqual(digests(self.built[name]), digests(report), name)

    @unittest.skipUnless(product.IS_ROOT, "a host name is changed as root only")
    def test_in_other_surroundings_with_nothing_but_kept_packages(self):
        room = self.scratch()
        copy_recipes(room / "elsewhere")
        goldmill("keep-packages", room / "elsewhere" / "java.yaml")
        self.assert_same(room / "home", room / "elsewhere", env=SURROUNDINGS, before=(
            "unshare", "--uts", "--net", "sh", "-c",
            'hostname other.example.org; umask 077; exec taskset --cpu-list 0 "$@"', "sh"))
        for directory in ("archives", "keyrings"):
            self.assertEqual([], list((room / "home" / directory).iterdir()))


@contextlib.contextmanager
def plain_user():
    """A user of a fresh Debian: useradd -m gives subordinate ids."""
    existed = True
    try:
        pwd.getpwnam(USER)
    except KeyError:
        existed = False
        run("useradd", "-m", USER)
    entry = pwd.getpwnam(USER)
    if not existed and f"{USER}:" not in pathlib.Path("/etc/subuid").read_text():
        run("usermod", "--add-subuids", "300000-365535", "--add-subgids", "300000-365535", USER)
    # Not in the room: that lies where only its owner may walk.
    home = pathlib.Path(run("mktemp", "-d", "/var/tmp/gm-user-XXXXXX").strip())
    shutil.chown(home, entry.pw_uid, entry.pw_gid)
    try:
        yield entry, home
    finally:
        subprocess.run(["rm", "-rf", home], check=False)
        if not existed:
            subprocess.run(["userdel", "-r", USER], capture_output=True, check=False)


@unittest.skipUnless(product.IS_ROOT, "another user is made as root only")
class PlainUser(Listed):
    def test_as_a_plain_user(self):
        reference = {name: goldmill("build", self.recipes / f"{name}.yaml", "--json",
                                    home=self.home).json for name in LISTED}
        reference.update(self.built)
        with plain_user() as (entry, room):
            shutil.copy(product.BINARY, room / "goldmill")
            shutil.copytree(self.recipes, room / "recipes",
                            ignore=shutil.ignore_patterns("ops", "*.packages"))
            (room / "home").mkdir(mode=0o700)
            (room / "home" / "packages").mkdir()
            for package in (self.home / "packages").glob("*.deb"):
                shutil.copy(package, room / "home" / "packages")  # a link would keep its owner
            for directory in ("archives", "keyrings"):
                shutil.copytree(self.home / directory, room / "home" / directory)
            run("chown", "-R", f"{entry.pw_uid}:{entry.pw_gid}", room)
            before = ("setpriv", "--reuid", entry.pw_uid, "--regid", entry.pw_gid,
                      "--init-groups", "--inh-caps=-all", "sh", "-c", 'cd /; umask 027; exec "$@"',
                      "sh")
            environment = {"HOME": str(room), "USER": USER, "LC_ALL": "C"}
            for name in ("base", "java", *LISTED):
                report = goldmill("build", room / "recipes" / f"{name}.yaml", "--json",
                                  home=room / "home", before=before, env=environment,
                                  binary=room / "goldmill").json
                shown = goldmill("show", name, "--json", home=room / "home", before=before,
                                 env=environment, binary=room / "goldmill").json
                self.assertEqual(layers(self.home, name),
                                 {step["name"]: step["layer"] for step in shown["steps"]}, name)
                self.assertEqual(digests(reference[name]), digests(report), name)
            (room / "recipes" / "small.yaml").write_text(
                "recipe: small\nfrom: base\nprovision: [{shell: {script: echo 1 > /opt/one}}]\n")
            check = goldmill("build", room / "recipes" / "small.yaml", "--check-reproducible",
                             "--json", home=room / "home", before=before, env=environment,
                             binary=room / "goldmill").json["reproducible"]
            self.assertTrue(check["identical"], check)
            self.assertEqual([], list((room / "home" / "work").iterdir()))
            owners = {os.lstat(room / "home" / name).st_uid
                      for name in ("catalogue.db", "disks", "instances")}
            self.assertEqual({entry.pw_uid}, owners)
            self.assertEqual([], product.gone_within(room, 5))


if __name__ == "__main__":
    unittest.main()
