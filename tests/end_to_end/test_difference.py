# SPDX-License-Identifier: GPL-3.0-or-later
"""diff, size and show say what is so; the judges are tar, debugfs, du and dpkg's own files."""
import hashlib
import pathlib
import tarfile
import unittest

import product
from product import Case, copy_recipes, goldmill, run

SECRET = "only-for-few-eyes"
COMMON = """recipe: {name}
from: base
{more}
provision:
  - files: [{{target: /etc/settings.secret, content: "{secret} {name}", mode: "0600"}}]
  - shell:
      script: |
        printf 'first\\nsecond\\n{name}\\nlast\\n' > /etc/settings.conf
        printf '\\0{name}' > /etc/settings.bin
        printf 'same\\n' > /srv/same
        ln -s {name} /srv/link
        printf '1234567' > /srv/owned
        mkdir /srv/kind
"""
ONE = COMMON + """
        touch /srv/gone "$(printf '/srv/red\\033[31m')"
        chmod 4755 /srv/owned
"""
TWO = COMMON + """
        rm -r /usr/share/doc/bash /srv/kind
        touch /srv/kind
        chown games /srv/owned
        mkdir -p /srv/new/deep
        touch /srv/new/deep/file
        rm /etc/issue; ln -s motd /etc/issue
"""


def fingerprint(archive, entry):
    """What diff compares, of a member of a tar archive."""
    content = target = None
    while entry.islnk():
        entry = archive.getmember(entry.linkname)
    if entry.isreg():
        content = hashlib.sha256(archive.extractfile(entry).read()).hexdigest()
    if entry.issym():
        target = entry.linkname
    attributes = {name: value for name, value in entry.pax_headers.items()
                  if name.startswith("SCHILY.xattr.")}
    mode = None if entry.issym() else entry.mode
    return {"type": entry.type if not entry.isreg() else tarfile.REGTYPE, "mode": mode,
            "owner": (entry.uid, entry.gid), "content": content, "target": target,
            "attributes": attributes, "device": (entry.devmajor, entry.devminor)}


class Difference(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        copy_recipes(cls.room)
        more = "baseline: {{timezone: Europe/{city}, root: '{hash}'}}\npromises: {{commands: [{command}]}}"
        images = []
        cls.hashes = ["$6$saltsalt$" + letter * 86 for letter in "ab"]
        for name, text, city, command, crypt in (
                ("diff-one", ONE, "Rome", "\"true\"", cls.hashes[0]),
                ("diff-two", TWO, "Oslo", "ls", cls.hashes[1])):
            (cls.room / f"{name}.yaml").write_text(text.format(
                name=name, secret=SECRET, more=more.format(city=city, command=command, hash=crypt)))
            built = goldmill("build", cls.room / f"{name}.yaml", "--json").json["image"]
            images.append(f"{name}@{built['version']}")
        cls.one, cls.two = images
        cls.said = goldmill("diff", *images, "--json", status=1).json
        cls.files = {row["path"]: row for row in cls.said["files"]}
        cls.trees = {}

    def tree(self, image):
        """path -> fingerprint, from an exported tar."""
        if image not in self.trees:
            file = self.room / f"{image}.tar"
            goldmill("export", image, "-F", "tar", "-o", file)
            with tarfile.open(file) as archive:
                self.trees[image] = {
                    "/" + entry.name.removeprefix("./"): fingerprint(archive, entry)
                    for entry in archive if entry.name.strip("./")}
            file.unlink()
        return self.trees[image]

    def judged(self, before, after):
        """path -> what differs, by the archives."""
        left, right = self.tree(before), self.tree(after)
        found = {}
        for path in left.keys() | right.keys():
            if path not in left or path not in right:
                found[path] = "added" if path in right else "removed"
                continue
            what = [key for key in left[path] if left[path][key] != right[path][key]]
            if what:
                found[path] = {"type"} if "type" in what else set(what)
        return found

    def assert_files(self, before, after, rows):
        told = {row["path"]: row["change"] if row["change"] != "changed" else set(row["what"])
                for row in rows}
        self.assertEqual(self.judged(before, after), told)

    def test_files_as_the_archives_say(self):
        self.assert_files(self.one, self.two, self.said["files"])
        self.assertEqual({"mode", "owner"}, set(self.files["/srv/owned"]["what"]))
        self.assertEqual(["type"], self.files["/srv/kind"]["what"])
        self.assertNotIn("/srv/same", self.files)

    def test_files_the_other_way(self):
        back = goldmill("diff", self.two, self.one, "--json", status=1).json
        self.assert_files(self.two, self.one, back["files"])

    def test_text_below_etc(self):
        self.assertEqual("@@ -1,4 +1,4 @@\n first\n second\n-diff-one\n+diff-two\n last\n",
                         self.files["/etc/settings.conf"]["text"])
        self.assertIn("not text", self.files["/etc/settings.bin"]["untold"])
        self.assertIn("everybody", self.files["/etc/settings.secret"]["untold"])
        self.assertIn("everybody", self.files["/etc/shadow"]["untold"])

    def test_nothing_secret_is_told(self):
        for arguments in (("--json",), ("--all",), ()):
            answer = goldmill("diff", self.one, self.two, *arguments, status=1)
            for secret in (SECRET, *self.hashes):
                self.assertNotIn(secret, answer.out + answer.err)
            self.assertNotIn("\x1b", answer.out, "a file's name drives no terminal")

    def test_recipe_and_promises(self):
        recipe = {row["path"]: (row["before"], row["after"]) for row in self.said["recipe"]}
        self.assertEqual(("Europe/Rome", "Europe/Oslo"), recipe["baseline.timezone"])
        self.assertIn("baseline.root", recipe)
        if not self.said["notes"] or "provisioning" not in self.said["notes"][0]:
            self.assertIn("provision[1].shell.script", recipe)
        self.assertEqual([], self.said["packages"])
        promises = {row["path"]: (row["before"], row["after"]) for row in self.said["promises"]}
        self.assertEqual({"commands": (["true"], ["ls"])}, promises)

    def test_levels_and_statuses(self):
        one = goldmill("diff", self.one, self.two, "--only", "recipe,promises", "--json",
                       status=1).json
        self.assertEqual({"before", "after", "equal", "notes", "recipe", "promises"}, set(one))
        goldmill("diff", self.one, self.two, "--only", "packages", status=0)
        same = goldmill("diff", self.one, self.one, "--json").json
        self.assertTrue(same["equal"])
        goldmill("diff", self.one, self.two, "--only", "colour", status=2)
        goldmill("diff", self.one, status=2)
        goldmill("diff", self.one, "diff-nowhere", status=3)

    def test_packages_of_a_variant(self):
        said = goldmill("diff", "base", "java", "--json", status=1).json
        self.assert_files("base", "java", said["files"])
        installed = [goldmill("show", image, "--json").json["packages_installed"]
                     for image in ("base", "java")]
        self.assertEqual({name: version for name, version in installed[1].items()
                          if installed[0].get(name) != version},
                         {row["name"]: row["after"] for row in said["packages"]})
        self.assertEqual({"added"}, {row["change"] for row in said["packages"]})
        own = [row["path"] for row in said["files"] if not row["follows"]]
        self.assertIn("/etc/hostname", own)
        lists = {row["path"] for row in said["files"] if row["path"].endswith(".list")}
        self.assertFalse(lists & set(own), "what dpkg keeps of a package follows from it")
        self.assertIn("/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so",
                      {row["path"] for row in said["files"]
                       if row["follows"] and row["package"] == "openjdk-17-jre-headless"})
        people = goldmill("diff", "base", "java", status=1).out
        self.assertLess(len(people.splitlines()), 100)
        self.assertNotIn("libjvm.so", people)
        self.assertIn("+ openjdk-17-jre-headless", people)


class Size(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        copy_recipes(cls.room)
        (cls.room / "covers.yaml").write_text(
            "recipe: covers\nfrom: base\nprovision:\n  - shell: {script: 'rm -r /usr/share/doc/bash; "
            "head -c 300000 /bin/bash > /srv/large'}\n")
        goldmill("build", cls.room / "covers.yaml")
        cls.said = goldmill("size", "covers", "--json").json
        cls.shown = goldmill("show", "covers", "--json").json

    def disk(self):
        """A raw disk and where its root file system is, for debugfs."""
        file = self.room / "covers.raw"
        if not file.exists():
            goldmill("export", "covers", "-F", "raw", "-o", file)
        root = next(part for part in self.shown["layout"]["partitions"] if part["mount"] == "/")
        return f"{file}?offset={root['offset']}"

    def blocks(self, paths):
        """Bytes that debugfs finds for each path."""
        requests = self.room / "requests"
        requests.write_text("".join(f"stat \"{path}\"\n" for path in paths))
        text = run("debugfs", "-f", requests, self.disk())
        return [int(line.split("Blockcount:")[1]) * 512
                for line in text.splitlines() if "Blockcount:" in line]

    def test_every_byte_is_somebodys(self):
        for image in ("base", "java", "covers"):
            said = goldmill("size", image, "--json").json
            used = goldmill("show", image, "--json").json["disk_used_bytes"]
            rest = said["lost_and_found_bytes"]
            for name, parts in (("package", [row["bytes"] for row in said["packages"]]
                                 + [row["unpackaged_bytes"] for row in said["steps"]]),
                                ("step", [row["bytes"] for row in said["steps"]]),
                                ("directory", [row["bytes"] for row in said["directories"]])):
                with self.subTest(image=image, by=name):
                    self.assertEqual(used, sum(parts) + rest)
            for row in said["steps"]:
                self.assertEqual(row["unpackaged_bytes"],
                                 sum(part["bytes"] for part in row["directories"]))

    def test_packages_as_debugfs_says(self):
        lists = {}
        for row in pathlib.Path(self.info()).glob("*.list"):
            name = row.name.removesuffix(".list").split(":")[0]
            lists.setdefault(name, []).extend(row.read_text().splitlines())
        owners = {}
        for name, paths in lists.items():
            for path in paths:
                owners.setdefault(path, set()).add(name)
        said = {row["name"]: row["bytes"] for row in self.said["packages"]}
        for name in ("tzdata", "openssh-client", "bash"):
            own = [path for path in lists[name] if owners[path] == {name}]
            records = [f"/var/lib/dpkg/info/{file.name}"
                       for file in pathlib.Path(self.info()).glob("*")
                       if file.name.rpartition(".")[0].split(":")[0] == name]
            self.assertEqual(said[name], self.unique_blocks(own + records), name)

    def info(self):
        """dpkg's directory as debugfs finds it."""
        place = self.room / "info"
        if not place.exists():
            place.mkdir()
            run("debugfs", "-R", f"rdump /var/lib/dpkg/info {place}", self.disk())
        return place / "info"

    def unique_blocks(self, paths):
        """Bytes of the inodes of the paths, each once."""
        requests = self.room / "requests"
        requests.write_text("".join(f"stat \"{path}\"\n" for path in paths))
        seen = {}
        inode = None
        for line in run("debugfs", "-f", requests, self.disk()).splitlines():
            if line.startswith("Inode:"):
                inode = line.split()[1]
            if "Blockcount:" in line:
                seen[inode] = int(line.split("Blockcount:")[1]) * 512
        return sum(seen.values())

    def test_step_of_what_is_no_packages(self):
        step = next(row for row in self.said["steps"] if row["step"].startswith("shell"))
        self.assertEqual(self.said["image"], step["image"])
        srv = next(row for row in step["directories"] if row["name"] == "/srv")
        self.assertEqual(self.blocks(["/srv/large"]), [srv["bytes"]])

    def test_what_later_layers_hide(self):
        packages = self.said["steps"][0]
        hidden = product.HOME / "trees" / packages["layer"].removeprefix("sha256:")
        # Of the others, only the host name and its file of addresses are written anew.
        self.assertEqual(("base@1", "packages"), (packages["image"], packages["step"]))
        bytes_of = run(*product.AS_GUEST_ROOT, "du", "-s", "--block-size=1",
                       hidden / "usr/share/doc/bash").split()[0]
        alone = goldmill("size", "base", "--json").json["steps"][0]["hidden_bytes"]
        self.assertEqual(int(bytes_of), packages["hidden_bytes"] - alone)

    def test_show_tells_the_story(self):
        self.assertEqual([self.said["image"], "base@1"], self.shown["lineage"])
        for step in self.shown["all_steps"]:
            if not step["layer"]:
                continue
            tree = product.HOME / "trees" / step["layer"].removeprefix("sha256:")
            judged = int(run(*product.AS_GUEST_ROOT, "du", "-s", "--block-size=1", tree).split()[0])
            own = tree.stat().st_blocks * 512  # the root itself, which is no entry of a layer
            self.assertEqual(judged - own, step["bytes"], step["name"])
        own = [step for step in self.shown["all_steps"] if step["image"] == self.said["image"]]
        self.assertTrue(all(step["key"].startswith("sha256:") for step in own))
        self.assertEqual([], self.shown["own_packages"])
        self.assertEqual(self.shown["layer_bytes"] - self.shown["shared_bytes"],
                         sum(step["bytes"] for step in own if step["bytes"]))
        said = goldmill("show", "covers").out
        for word in ("base@1 <- " + self.said["image"], "packages", "disk used"):
            self.assertIn(word, said)

    def test_for_people(self):
        for by in ("package", "step", "directory"):
            said = goldmill("size", "covers", "--by", by).out
            self.assertLess(len(said.splitlines()), 45)
        goldmill("size", "covers", "--by", "colour", status=2)
        goldmill("size", "nowhere", status=3)


if __name__ == "__main__":
    unittest.main()
