# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that only add come in by our own code, all others by the tree's own dpkg; dpkg is the judge
of what both leave."""
import contextlib
import json
import os
import sqlite3
import unittest

import product
from product import Case, copy_recipes, goldmill, run

NEW = "[less, nano, ./tool_1.deb, ./watcher_1.deb, ./diverter_1.deb, ./shy_1.deb]"
BY_HAND = "{shell: {script: echo mine > /etc/tool/changed}}"
RECIPES = {
    "added": f"from: base\npackages: {NEW}\nprovision: [{BY_HAND}]",
    "by-apt": f"from: base\nprovision: [{{packages: {NEW}}}, {BY_HAND}]",
    "upgraded": "from: added\npackages: [./tool_2.deb, ./taker_1.deb]",
    "removed": "from: added\npackages: [-nano, -tool]",
}
# Each of a package's scripts tells what it is run for.
SCRIPT = """#!/bin/sh -e
echo "{name} {version} {script} $*" >> /srv/scripts
{more}
"""


def make_package(room, name, version="1", fields="", files=None, control=None, scripts=None):
    """NAME_VERSION.deb"""
    tree = room / f"{name}-{version}"
    texts = {**(files or {}), **{f"DEBIAN/{path}": text for path, text in (control or {}).items()}}
    texts["DEBIAN/control"] = (f"Package: {name}\nVersion: {version}\nArchitecture: all\n{fields}"
                               f"Maintainer: nobody <nobody@example.org>\nDescription: {name}\n")
    for script in ("preinst", "postinst", "prerm", "postrm"):
        more = (scripts or {}).get(script, "")
        texts[f"DEBIAN/{script}"] = SCRIPT.format(name=name, version=version, script=script, more=more)
    for path, text in texts.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(0o755 if text.startswith("#!") else 0o644)
    run("dpkg-deb", "-Zgzip", "--root-owner-group", "--build", tree, room / f"{name}_{version}.deb")


def make_packages(room):
    for version, own in (("1", "old"), ("2", "new")):
        make_package(
            room, "tool", version,
            files={"usr/bin/tool": f"#!/bin/sh\necho {version}\n", "usr/share/tool/moved": "tool's\n",
                   f"usr/share/tool/{own}": f"{own}\n", "etc/tool/plain": f"{version}\n",
                   "etc/tool/changed": f"{version}\n"},
            control={"conffiles": "/etc/tool/changed\n/etc/tool/plain\n"},
            scripts={"postinst": "update-alternatives --install /usr/bin/the-tool the-tool "
                                 "/usr/bin/tool 10",
                     "prerm": '[ "$1" != remove ] || update-alternatives --remove the-tool '
                              "/usr/bin/tool"})
    make_package(room, "taker", fields="Replaces: tool\n", files={"usr/share/tool/moved": "taken\n"})
    make_package(room, "watcher", control={"triggers": "interest /usr/share/tool\n"})
    make_package(room, "shy", files={"usr/bin/shy": "#!/bin/sh\necho shy\n"})
    # One path is the base's, the other one's comes in the same run.
    make_package(room, "diverter", scripts={"preinst": "\n".join(
        f"dpkg-divert --package diverter --add --rename --divert {path}.real {path}"
        for path in ("/usr/bin/zstdless", "/usr/bin/shy"))})


class Packages(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        copy_recipes(cls.room)
        make_packages(cls.room)  # of this moment: no build before knows them
        for name, text in RECIPES.items():
            (cls.room / f"{name}.yaml").write_text(f"recipe: {name}\n{text}\n")
        cls.plan = goldmill("plan", "added", "--json", cwd=cls.room).json
        cls.report = goldmill("build", *RECIPES, "--json", cwd=cls.room).json
        versions = {image["name"]: image["version"] for image in cls.report["images"]}
        for name in RECIPES:  # from the last to the first
            cls.addClassCleanup(goldmill, "rm", f"{name}@{versions[name]}")
        cls.trees = {name: cls.tree(name) for name in ("added", "upgraded", "removed")}

    @classmethod
    def tree(cls, name):
        """The files of the finished image."""
        tree, archive = cls.room / name, cls.room / f"{name}.tar"
        tree.mkdir()
        goldmill("export", name, "-F", "tar", "-o", archive)
        run(*product.AS_GUEST_ROOT, "tar", "-xpf", archive, "--numeric-owner", "-C", tree)
        archive.unlink()
        return tree

    def said(self, tree, *command):
        """By a program of dpkg's about a tree, whatever its status is."""
        return run(*product.AS_GUEST_ROOT, "sh", "-c", '"$@" 2>&1 || true', "sh", command[0],
                   "--root", tree, *command[1:]).splitlines()

    def status(self, name):
        """package -> its state"""
        lines = run("dpkg-query", f"--admindir={self.trees[name] / 'var/lib/dpkg'}", "--show",
                    "--showformat", "${Package} ${Status}\n").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def scripts(self, name):
        return (self.trees[name] / "srv/scripts").read_text().splitlines()

    def test_the_way_that_was_taken(self):
        planned = next(step for step in self.plan["images"][-1]["steps"] if step["name"] == "packages")
        self.assertEqual("unpacked by goldmill if they only add paths, else by the image's dpkg",
                         planned["manner"])
        ways = {"added": ("added", "None"), "removed": ("dpkg", "packages are removed"),
                "upgraded": ("dpkg", "tool")}
        for name, (way, why) in ways.items():
            key = next(step["key"] for step in self.report["steps"]
                       if (step["image"], step["name"]) == (name, "packages"))
            with contextlib.closing(sqlite3.connect(product.HOME / "catalogue.db")) as catalogue:
                (text,) = catalogue.execute("SELECT result FROM steps WHERE key = ?",
                                            (key.removeprefix("sha256:"),)).fetchone()
            result = json.loads(text)
            self.assertEqual(way, result["case"], name)
            self.assertIn(why, str(result["why_dpkg"]), name)

    def test_dpkg_has_nothing_against_it(self):
        # The baseline changes no package's file; what a recipe's script did is told.
        changed = ["??5?????? c /etc/tool/changed"]
        for name, differing in (("added", changed), ("upgraded", changed), ("removed", [])):
            with self.subTest(name):
                self.assertEqual({"install ok installed"}, set(self.status(name).values()))
                self.assertEqual([], self.said(self.trees[name], "dpkg", "--audit"))
                self.assertEqual(differing, self.said(self.trees[name], "dpkg", "--verify"))
        run(*product.AS_GUEST_ROOT, "rm", self.trees["removed"] / "usr/share/doc/less/copyright")
        self.assertEqual(["missing     /usr/share/doc/less/copyright"],
                         self.said(self.trees["removed"], "dpkg", "--verify"), "it does look")

    def test_our_own_way_leaves_what_dpkg_leaves(self):
        """Contents, modes, dpkg's records, and what scripts did in which order."""
        said = goldmill("diff", "added", "by-apt", "--only", "files,packages", "--json", status=1).json
        names = {"/etc/hostname", "/etc/hosts"}
        partial = {"/var/cache/apt/archives/partial"}  # apt closes it when it fetches
        self.assertEqual(names, {row["path"] for row in said["files"]} - partial)
        self.assertEqual([], said["packages"])

    def test_an_upgrade(self):
        tree = self.trees["upgraded"]
        for path, text in (("usr/bin/tool", "#!/bin/sh\necho 2\n"), ("usr/share/tool/new", "new\n"),
                           ("usr/share/tool/moved", "taken\n"), ("etc/tool/plain", "2\n"),
                           ("etc/tool/changed", "mine\n"), ("etc/tool/changed.dpkg-dist", "2\n")):
            self.assertEqual(text, (tree / path).read_text(), path)
        self.assertEqual({"moved", "new"}, set(os.listdir(tree / "usr/share/tool")))
        owned = (tree / "var/lib/dpkg/info/tool.list").read_text().splitlines()
        self.assertIn("/usr/share/tool/new", owned)
        self.assertNotIn("/usr/share/tool/moved", owned)
        before = len(self.scripts("added"))
        self.assertEqual(self.scripts("added"), self.scripts("upgraded")[:before])
        fresh = self.scripts("upgraded")[before:]
        self.assertEqual(["tool 1 prerm upgrade 2", "tool 2 preinst upgrade 1 2",
                          "tool 1 postrm upgrade 2", "tool 2 postinst configure 1"],
                         [line for line in fresh if line.startswith("tool")])
        self.assertEqual("watcher 1 postinst triggered /usr/share/tool", fresh[-1])
        self.assertEqual(1, sum("triggered" in line for line in fresh))

    def test_a_removal(self):
        before, after = self.trees["added"], self.trees["removed"]
        self.assertEqual({"nano", "tool"}, set(self.status("added")) - set(self.status("removed")))
        for name in ("nano", "tool"):
            owned = (before / f"var/lib/dpkg/info/{name}.list").read_text().splitlines()
            files = [path.lstrip("/") for path in owned if os.path.lexists(before / path.lstrip("/"))
                     and not (before / path.lstrip("/")).is_dir()]
            self.assertGreaterEqual(len(files), 5)
            self.assertEqual([], [path for path in files if os.path.lexists(after / path)])
            self.assertEqual([], list((after / "var/lib/dpkg/info").glob(f"{name}.*")))
        for path in ("etc/tool", "usr/share/tool", "usr/share/nano", "usr/share/doc/nano",
                     "usr/bin/the-tool", "usr/bin/editor"):
            self.assertTrue(os.path.lexists(before / path), path)
            self.assertFalse(os.path.lexists(after / path), path)
        self.assertEqual(["tool 1 prerm remove", "tool 1 postrm remove", "tool 1 postrm purge",
                          "watcher 1 postinst triggered /usr/share/tool"],
                         self.scripts("removed")[len(self.scripts("added")):])

    def test_alternatives(self):
        mine = {"editor": "/bin/nano", "pico": "/bin/nano", "the-tool": "/usr/bin/tool"}
        for name, tree in self.trees.items():
            with self.subTest(name):
                chosen, slaves = {}, set()
                for entry in os.listdir(tree / "var/lib/dpkg/alternatives"):
                    lines = self.said(tree, "update-alternatives", "--query", entry)
                    one = dict(line.split(": ", 1) for line in lines if ": " in line)
                    slaves |= {line.split()[0] for line in lines if line.startswith(" ")}
                    self.assertEqual(("auto", one["Best"]), (one["Status"], one["Value"]), entry)
                    self.assertEqual(f"/etc/alternatives/{entry}",
                                     os.readlink(tree / one["Link"].lstrip("/")))
                    chosen[entry] = one["Value"]
                self.assertEqual("/usr/bin/less", chosen["pager"])
                self.assertEqual({} if name == "removed" else mine,
                                 {entry: chosen[entry] for entry in mine if entry in chosen})
                links = {link.name: os.readlink(link) for link in
                         (tree / "etc/alternatives").iterdir() if link.is_symlink()}
                self.assertEqual(chosen, {link: links[link] for link in links if link in chosen})
                self.assertLessEqual(set(links), set(chosen) | slaves)
                self.assertEqual([], [link for link, target in links.items()
                                      if not os.path.lexists(tree / target.lstrip("/"))])

    def test_diversions(self):
        for name, tree in self.trees.items():
            with self.subTest(name):
                lines = (tree / "var/lib/dpkg/diversions").read_text().splitlines()
                rows = list(zip(lines[::3], lines[1::3], lines[2::3], strict=True))
                self.assertEqual(len(rows), len(self.said(tree, "dpkg-divert", "--list")))
                self.assertLessEqual({owner for _, _, owner in rows}, set(self.status(name)))
                self.assertEqual({("/usr/bin/zstdless", "/usr/bin/zstdless.real"),
                                  ("/usr/bin/shy", "/usr/bin/shy.real")},
                                 {(path, aside) for path, aside, owner in rows if owner == "diverter"})
                for path in ("usr/bin/zstdless", "usr/bin/shy"):
                    self.assertFalse(os.path.lexists(tree / path))
                self.assertIn("zstd", (tree / "usr/bin/zstdless.real").read_text())
                self.assertIn("echo shy", (tree / "usr/bin/shy.real").read_text())


if __name__ == "__main__":
    unittest.main()
