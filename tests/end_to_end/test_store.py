# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: an OCI layout for other tools, and one that finds and mends what is broken in it."""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import unittest

from product import AS_GUEST_ROOT, IS_ROOT, OwnHome, clone_home, end, goldmill, run


class Store(OwnHome):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keep_only_base()
        (cls.recipes / "web.yaml").write_text(
            "recipe: web\nfrom: base\nprovision:\n"
            "  - files: [{target: /srv/a, content: one}]\n")
        # With these recipes at hand, as the images of a user are.
        cls.goldmill("build", "base", "web")
        cls.goldmill("gc", "--unused-days", "0")


class Layout(Store):
    """Judged by skopeo and umoci, which know nothing of goldmill."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.packed = cls.goldmill("pack", "base", "web", "--json").json

    def index(self):
        return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
                for entry in json.loads((self.home / "index.json").read_text())["manifests"]}

    def test_packed_images_are_named(self):
        names = {image["image"]: image["manifest"] for image in self.packed["images"]}
        self.assertEqual({"base@1", "web@1"}, set(names))
        self.assertEqual(names, self.index())

    @unittest.skipUnless(IS_ROOT and shutil.which("podman"), "podman as root runs containers here")
    def test_podman_runs_it(self):
        short = self.scratch(pathlib.Path("/tmp"))  # podman takes no run root of more than 50 bytes
        podman = ("podman", "--root", self.scratch(), "--runroot", short, "--storage-driver", "overlay",
                  "--cgroup-manager", "cgroupfs", "--runtime", "runc")
        ran = subprocess.run(
            [*map(str, podman), "run", "--rm", "--network", "none", "--log-driver", "none",
             "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
             f"oci:{self.home}:web@1", "cat", "/srv/a"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        run(*podman, "rmi", "--all", "--force")
        if ran.returncode != 0 and "OCI" in ran.stderr.splitlines()[-1]:
            self.skipTest("this machine runs no containers: " + ran.stderr.splitlines()[-1])
        self.assertEqual((0, "one"), (ran.returncode, ran.stdout), ran.stderr)

    def test_layers_of_two_images_are_packed_once(self):
        layers = {}
        for name in ("base@1", "web@1"):
            manifest = json.loads(run("skopeo", "inspect", "--raw", f"oci:{self.home}:{name}"))
            layers[name] = [layer["digest"] for layer in manifest["layers"]]
        self.assertEqual(layers["base@1"], layers["web@1"][:len(layers["base@1"])])
        again = self.goldmill("pack", "base", "web", "--json").json["images"]
        self.assertEqual([0, 0], [image["packed"] for image in again])

    @unittest.skipUnless(shutil.which("umoci"), "umoci is not installed")
    def test_umoci_unpacks_from_the_store(self):
        self.goldmill("pack", "--compression", "gzip", "web")  # umoci before 0.5 reads no zstd
        config = json.loads(run("skopeo", "inspect", "--config", f"oci:{self.home}:web@1"))
        self.assertEqual(self.goldmill("show", "web", "--json").json["layers"],
                         config["rootfs"]["diff_ids"])
        bundle = self.room / "bundle"
        run("umoci", "unpack", *([] if IS_ROOT else ["--rootless"]), "--image",
            f"{self.home}:web@1", bundle)
        self.goldmill("export", "web", "-F", "tar", "-o", self.room / "web.tar")
        with tarfile.open(self.room / "web.tar") as archive:
            for member in archive:
                path = bundle / "rootfs" / member.name
                if member.isfile():
                    self.assertEqual(archive.extractfile(member).read(), path.read_bytes(), path)
                elif member.issym():
                    self.assertEqual(member.linkname, os.readlink(path))
                elif member.isdir():
                    self.assertTrue(path.is_dir() and not path.is_symlink(), path)
            there = {str(path.relative_to(bundle / "rootfs"))
                     for path in (bundle / "rootfs").rglob("*")}
            self.assertEqual(set(), there - set(archive.getnames()))
        shutil.rmtree(bundle)

    def test_removed_images_leave_the_index(self):
        (self.recipes / "gone.yaml").write_text("recipe: gone\nfrom: base\n")
        self.goldmill("build", self.recipes / "gone.yaml")
        self.goldmill("pack", "gone")
        self.assertIn("gone@1", self.index())
        self.goldmill("rm", "gone@1")
        self.assertNotIn("gone@1", self.index())
        self.goldmill("gc", "--unused-days", "0")
        for name in self.index():
            run("skopeo", "copy", "-q", f"oci:{self.home}:{name}", f"dir:{self.room / 'dir'}")
        self.assertTrue(self.goldmill("check", "--json").json["sound"])


def flip(path, chance):
    at = chance.randrange(path.stat().st_size)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x10]))


def listing(tree):
    return run(*AS_GUEST_ROOT, "find", tree, "-printf", "%P %y %m %U %G %s %T@ %l %n\n")


def as_guest(script):
    return run(*AS_GUEST_ROOT, "sh", "-ec", script)


class Damaged(Store):
    """Every kind of object is flipped, cut, lost, swapped: found, named, and made again."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.goldmill("pack")
        cls.chance = random.Random(3)

    def check(self, *options, status):
        return self.goldmill("check", *options, "--json", status=status).json

    def findings(self, report):
        return {entry["object"]: (entry["kind"], tuple(sorted(entry["images"])))
                for entry in report["findings"]}

    def expect(self, expected):
        """Exactly these are found, with the images that need them, and mended."""
        expected = {str(path.relative_to(self.home)): value for path, value in expected.items()}
        self.assertEqual(expected, self.findings(self.check(status=1)))
        report = self.check("--repair", status=0)
        self.assertEqual({True}, {entry["repaired"] for entry in report["findings"]}, report)
        self.assertEqual({}, self.findings(self.check(status=0)))

    def image(self, name):
        return self.goldmill("show", name, "--json").json

    def blob(self, digest):
        return self.home / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def tree(self, digest):
        return self.home / "trees" / digest.removeprefix("sha256:")

    def manifest(self, name):
        index = json.loads((self.home / "index.json").read_text())["manifests"]
        digest = next(entry["digest"] for entry in index
                      if entry["annotations"]["org.opencontainers.image.ref.name"] == name)
        return self.blob(digest)

    def files(self):
        """One file of each kind and the images that need it."""
        web = self.image("web")
        packed = json.loads(self.manifest("web@1").read_text())["layers"]
        status = as_guest(f"cat {self.tree(web['layers'][0])}/var/lib/dpkg/status")
        return {self.blob(web["digest"]): ("web@1",),
                self.manifest("web@1"): ("web@1",),
                self.blob(packed[-1]["digest"]): ("web@1",),
                self.blob(hashlib.sha256(status.encode()).hexdigest()): ("base@1", "web@1"),
                self.home / "disks" / (web["digest"].removeprefix("sha256:") + ".qcow2"):
                    ("web@1",),
                self.home / "index.json": ()}

    def content(self, path):
        if path.suffix != ".qcow2":
            return path.read_bytes()
        run("qemu-img", "check", "-q", path)
        run("qemu-img", "convert", "-O", "raw", path, self.room / "web.raw")
        return self.goldmill("digest", self.room / "web.raw", "--json").json["disk_digest"]

    def test_files(self):
        files = self.files()
        before = {path: self.content(path) for path in files}
        ways = {"flip": lambda path: flip(path, self.chance),
                "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
                "lose": lambda path: path.unlink(),
                "empty": lambda path: path.write_bytes(b"")}
        for way, damage in ways.items():
            with self.subTest(way=way):
                for path in files:
                    damage(path)
                kind = "missing" if way == "lose" else "damaged"
                self.expect({path: (kind, images) for path, images in files.items()})
                self.assertEqual(before, {path: self.content(path) for path in files})

    def cluster_list(self, name):
        """The blob that tells what each cluster of the image's disk holds."""
        with sqlite3.connect(self.home / "catalogue.db") as catalogue:
            details, = catalogue.execute("SELECT details FROM images WHERE name = ?",
                                         (name,)).fetchone()
        return self.blob(json.loads(details)["disk_clusters"])

    def test_what_another_disk_stands_on(self):
        disks = {name: pathlib.Path(self.image(name)["qcow2"]) for name in ("base", "web")}
        self.assertEqual([str(disks["base"])], self.image("web")["backing"])
        before = {name: self.content(path) for name, path in disks.items()}
        shutil.copy(disks["base"], self.room / "own")  # the file has another name in the shared home
        (self.room / "own").replace(disks["base"])
        for damage in (lambda path: flip(path, self.chance), pathlib.Path.unlink):
            damage(disks["base"])
            kind = "damaged" if disks["base"].exists() else "missing"
            self.expect({disks["base"]: (kind, ("base@1", "web@1"))})
            self.assertEqual(before, {name: self.content(path) for name, path in disks.items()})
        flip(self.cluster_list("web"), self.chance)
        self.expect({self.cluster_list("web"): ("damaged", ("web@1",))})
        # A build without the parent's list still ends well: its disk is a whole one.
        self.cluster_list("base").unlink()
        disks["web"].unlink()
        self.goldmill("build", self.recipes / "web.yaml")
        self.assertEqual([], self.image("web")["backing"])
        self.assertEqual(before["web"], self.content(disks["web"]))
        self.expect({self.cluster_list("base"): ("missing", ("base@1",))})

    def test_swapped_files(self):
        first, second = list(self.files())[:2]
        one, two = first.read_bytes(), second.read_bytes()
        first.write_bytes(two)
        second.write_bytes(one)
        self.expect({path: ("damaged", ("web@1",)) for path in (first, second)})
        self.assertEqual((one, two), (first.read_bytes(), second.read_bytes()))

    def test_a_package_goes_and_is_fetched_when_it_is_needed(self):
        package = self.chance.choice(sorted((self.home / "packages").glob("*.deb")))
        flip(package, self.chance)
        self.expect({package: ("damaged", ())})
        self.assertFalse(package.exists())

    def damage_trees(self, *scripts):
        """Each script damages another layer, which comes from its packed blob again."""
        trees = [self.tree(layer) for layer in self.image("web")["layers"]][:len(scripts)]
        before = [listing(tree) for tree in trees]
        for tree, script in zip(trees, scripts):
            as_guest(f"cd {tree} && file=$(find . -type f -size +0 | sort | head -n 1) && {script}")
        users = [("base@1", "web@1")] * 4 + [("web@1",)] * (len(trees) - 4)
        self.expect({tree: ("damaged" if tree.exists() else "missing", names)
                     for tree, names in zip(trees, users)})
        self.assertEqual(before, [listing(tree) for tree in trees])

    def test_trees(self):
        self.damage_trees("printf X | dd of=$file conv=notrunc status=none", "chmod o+w $file",
                          "rm $file", "touch one-more", "rm -r $PWD")
        self.damage_trees("ln -sf /bin/false $file", "touch -d @7 $file", "chown 7:7 $file",
                          "setfattr -n user.x -v y $file || touch x", ": > $file")

    def test_a_layer_that_got_lost_is_made_again_once(self):
        recipe = self.recipes / "another.yaml"
        recipe.write_text("recipe: another\nfrom: base\nprovision:\n"
                          "  - shell: {script: cat /proc/sys/kernel/random/uuid >/srv/each-time-another}\n")

        def ran():
            steps = self.goldmill("build", recipe, "--json").json["steps"]
            return [step["name"] for step in steps if step["result"] == "ran"]
        self.assertIn("shell", " ".join(ran()))
        as_guest(f"rm -r {self.tree(self.image('another')['layers'][-1])}")
        self.assertIn("shell", " ".join(ran()))
        self.assertEqual([], ran(), "not the row of the run whose layer got lost")
        recipe.unlink()
        for version in (1, 2):
            self.goldmill("rm", f"another@{version}")
        self.assertEqual({}, self.findings(self.check(status=0)))

    def test_a_damaged_row_of_a_step_is_forgotten(self):
        with sqlite3.connect(self.home / "catalogue.db") as catalogue:
            catalogue.execute("UPDATE steps SET result = result || ' ' || '{' "
                              "WHERE rowid = (SELECT max(rowid) FROM steps WHERE layer IS NOT NULL)")
        self.expect({self.home / "catalogue.db": ("damaged", ())})

    def sql(self, statement, *values):
        with contextlib.closing(sqlite3.connect(self.home / "catalogue.db")) as catalogue:
            rows = catalogue.execute(statement, values).fetchall()
            catalogue.commit()
        return rows

    def of_catalogue(self, report):
        return [entry for entry in report["findings"] if entry["object"] == "catalogue.db"]

    def test_a_damaged_row_of_an_image(self):
        before = self.goldmill("list", "--json").json
        self.assertEqual([], before.pop("damaged"))
        disk = pathlib.Path(self.image("web")["qcow2"])
        content = self.content(disk)
        changes = {"details": "replace(details, '\"layers\":', '\"layers\"[')",
                   "disk_digest": "'0' || substr(disk_digest, 2)", "digest": "'q' || substr(digest, 2)",
                   "config": "replace(config, 'amd64', 'amd65')", "parent": "'r' || substr(parent, 2)"}
        for column, change in changes.items():
            with self.subTest(column):
                self.sql(f"UPDATE images SET {column} = {change} WHERE name = 'web'")
                (found,) = self.of_catalogue(self.check(status=1))
                self.assertEqual(["web@1"], found["images"])
                listed = self.goldmill("list", "--json").json
                self.assertEqual((["base"], ["web"]), tuple(
                    [image["name"] for image in listed[what]] for what in ("images", "damaged")))
                self.assertIn("check --repair", self.goldmill("show", "web", status=None).err)
                kept = self.goldmill("gc", "--keep", "1", "--unused-days", "0")
                self.assertIn("what the catalogue says of web@1 is damaged", kept.err)
                self.assertIn("is what web@1 stands on", self.goldmill("rm", "base@1", status=4).err)
                (mended,) = self.of_catalogue(self.check("--repair", status=0))
                self.assertTrue(mended["repaired"], mended)
                self.assertEqual([], self.check(status=0)["findings"])
                now = self.goldmill("list", "--json").json
                self.assertEqual([image["disk_digest"] for image in before["images"]],
                                 [image["disk_digest"] for image in now["images"]])
                self.assertEqual(content, self.content(disk))

    def test_a_damaged_row_without_a_recipe_can_be_removed(self):
        recipe = self.recipes / "passing.yaml"
        recipe.write_text("recipe: passing\nfrom: base\nprovision:\n"
                          "  - files: [{target: /srv/p, content: four}]\n")
        self.goldmill("build", "passing")
        tree = self.tree(self.image("passing")["layers"][-1])
        recipe.unlink()
        self.sql("UPDATE images SET details = '?' || details WHERE name = 'passing'")
        (left,) = self.of_catalogue(self.check("--repair", status=1))
        self.assertFalse(left["repaired"])
        self.assertIn("goldmill rm passing@1", left["outcome"])
        self.sql("UPDATE steps SET created = 1 WHERE image = 'passing'")
        self.goldmill("gc", "--unused-days", "0")
        self.assertTrue(tree.exists(), "nobody can tell what the image needs")
        self.goldmill("rm", "passing@1")
        self.goldmill("gc", "--unused-days", "0")
        self.assertFalse(tree.exists())
        self.assertEqual([], self.check(status=0)["findings"])

    def test_damaged_rows_of_objects(self):
        tables = ("SELECT layer, blob FROM layer_blobs", "SELECT object, digest FROM contents")
        self.goldmill("gc", "--unused-days", "0")  # what other tests left
        before = [sorted(self.sql(table)) for table in tables]
        layer = self.image("web")["layers"][-1].removeprefix("sha256:")
        self.sql("UPDATE layer_blobs SET blob = 'q' || substr(blob, 2) WHERE layer = ?", layer)
        self.sql("UPDATE contents SET digest = 'q' || substr(digest, 2)")
        damaged = self.of_catalogue(self.check(status=1))
        self.assertEqual(1 + len(before[1]), len(damaged))
        self.assertIn("packed layers is damaged", self.goldmill("gc", "--unused-days", "0").err)
        report = self.check("--repair", status=0)
        self.assertEqual({True}, {entry["repaired"] for entry in self.of_catalogue(report)}, report)
        self.assertEqual([], self.check(status=0)["findings"])
        self.assertEqual(before, [sorted(self.sql(table)) for table in tables])

    def test_swapped_layers(self):
        first, second = (self.tree(layer) for layer in self.image("web")["layers"][-2:])
        aside = self.home / "trees" / "aside"
        as_guest(f"mv {first} {aside}; mv {second} {first}; mv {aside} {second}")
        self.expect({first: ("damaged", ("web@1",)), second: ("damaged", ("web@1",))})

    def test_what_a_build_stands_on_is_left_to_it(self):
        build = self.begin_without_end("above", "web")
        tree = self.tree(self.image("web")["layers"][-1])
        as_guest(f"touch {tree}/one-more")
        (left,) = self.check("--repair", status=1)["findings"]
        self.assertEqual((f"trees/{tree.name}", False), (left["object"], left["repaired"]))
        self.assertIn("a command that runs needs it", left["outcome"])
        self.assertTrue((tree / "one-more").exists())
        end(build, signal.SIGINT)
        self.expect({tree: ("damaged", ("web@1",))})
        (self.recipes / "above.yaml").unlink()

    def test_a_layer_without_a_blob_comes_from_its_step(self):
        (self.recipes / "unpacked.yaml").write_text(
            "recipe: unpacked\nfrom: base\nprovision:\n"
            "  - files: [{target: /srv/b, content: two}]\n")
        image = self.goldmill("build", self.recipes / "unpacked.yaml", "--json").json["image"]
        tree = self.tree(self.image("unpacked")["layers"][-1])
        as_guest(f"echo three > {tree}/srv/b")
        self.expect({tree: ("damaged", ("unpacked@1",))})
        self.assertEqual(image["digest"], self.image("unpacked")["digest"])
        # Without its recipe nothing can make it: said, and nothing is built upon it.
        (self.recipes / "unpacked.yaml").unlink()
        as_guest(f"echo three > {tree}/srv/b")
        report = self.check("--repair", status=1)
        self.assertEqual([(False, f"trees/{tree.name}")],
                         [(entry["repaired"], entry["object"]) for entry in report["findings"]])
        self.assertFalse(tree.exists())
        self.goldmill("rm", "unpacked@1")

    def test_repair_makes_what_was_there_and_nothing_else(self):
        recipe = self.recipes / "worded.yaml"
        recipe.write_text("recipe: worded\nfrom: base\nparameters: {word: one}\nprovision:\n"
                          "  - files: [{target: /srv/word, content: \"${word}\"}]\n")
        image = self.goldmill("build", recipe, "--set", "word=two", "--json").json["image"]
        tree = self.tree(self.image("worded")["layers"][-1])
        as_guest(f"echo three > {tree}/srv/word")
        self.expect({tree: ("damaged", ("worded@1",))})
        self.assertEqual("two", as_guest(f"cat {tree}/srv/word"))
        recipe.write_text(recipe.read_text().replace("/srv/word", "/srv/elsewhere"))
        as_guest(f"echo three > {tree}/srv/word")
        report = self.check("--repair", status=1)
        self.assertEqual([(f"trees/{tree.name}", False)],
                         [(entry["object"], entry["repaired"]) for entry in report["findings"]])
        self.assertEqual(image["digest"], self.image("worded")["digest"], "the newest is no other")
        self.goldmill("rm", "worded@1")

    def test_a_layer_comes_from_a_recipe_whose_file_was_renamed(self):
        (self.recipes / "early.yaml").write_text(
            "recipe: early\nfrom: base\nprovision:\n  - files: [{target: /srv/c, content: three}]\n")
        self.goldmill("build", "early")
        for ending in ("yaml", "lock"):
            (self.recipes / f"early.{ending}").rename(self.recipes / f"late.{ending}")
        steps = self.goldmill("build", "late.yaml", "--json").json["steps"]
        self.assertEqual({"cached"}, {step["result"] for step in steps})
        self.assertIn(str(self.recipes / "late.yaml"), self.goldmill("show", "early").out)
        tree = self.tree(self.image("early")["layers"][-1])
        as_guest(f"echo four > {tree}/srv/c")
        self.expect({tree: ("damaged", ("early@1",))})
        self.goldmill("rm", "early@1")

    def test_a_checkout_that_goes_again_takes_no_image_along(self):
        checkout = self.room / "checkout"
        shutil.copytree(self.recipes, checkout)
        steps = self.goldmill("build", checkout / "web.yaml", "--json").json["steps"]
        self.assertEqual({"cached"}, {step["result"] for step in steps})
        shutil.rmtree(checkout)
        self.assertIn(str(self.recipes / "web.yaml"), self.goldmill("show", "web").out)

    def test_assets_come_from_their_step(self):
        assets = next((self.home / "assets").iterdir())
        as_guest(f"echo >> $(find {assets} -type f | head -n 1)")
        self.expect({assets: ("damaged", ("base@1", "web@1"))})

    def test_what_nothing_needs_is_named_and_harms_nothing(self):
        extras = {f"disks/{'0' * 64}.qcow2", "blobs/md5", "packages/notes.txt",
                  f"trees/{'0' * 64}", f"assets/{'0' * 64}"}
        for extra in extras:
            (self.home / extra).write_bytes(b"what is this")
        report = self.check(status=0)
        self.assertEqual({extra: ("unknown", ()) for extra in extras}, self.findings(report))
        self.check("--repair", status=0)
        for extra in extras:
            self.assertTrue((self.home / extra).exists(), extra)
        self.goldmill("gc")
        self.assertEqual([], self.check(status=0)["findings"])

    def test_directories_that_somebody_put_there_stop_nothing(self):
        options = ("gc", "--unused-days", "0", "--json")
        self.goldmill(*options)  # what other tests left
        areas = ("trees", "assets", "disks", "blobs", "blobs/sha256", "packages", "logs", "snapshots")
        for area in areas:  # each may be a disk of its own
            (self.home / area / "lost+found").mkdir(mode=0o700)
        strange = {"disks/copies", "trees/notes", f"trees/{'1' * 64}", "packages/more"}
        for path in strange:
            (self.home / path).mkdir()
            (self.home / path / "of-mine").write_text("what is this")
        self.assertEqual(strange, set(self.findings(self.check(status=0))))
        promised = self.goldmill(*options, "--dry-run").json["removed"]
        self.assertEqual(promised, self.goldmill(*options).json["removed"])
        self.assertEqual((1, 2, 1), tuple(promised[what] for what in ("disks", "layers", "strays")))
        self.assertEqual([], self.check(status=0)["findings"])
        for area in areas:
            (self.home / area / "lost+found").rmdir()

    @unittest.skipUnless(IS_ROOT, "needs a mount")
    def test_what_cannot_be_removed_is_told_and_stops_nothing(self):
        busy = self.home / "disks" / "busy"
        busy.mkdir()
        other = self.home / "disks" / "other"
        other.write_bytes(b"x")
        answer = self.goldmill("gc", before=("unshare", "--mount", "sh", "-ec",
                                             'mount --bind "$0" "$0"; exec "$@"', busy))
        self.assertIn("1 disk", answer.out)
        self.assertRegex(answer.err, f"cannot remove {busy}.*remove it yourself")
        self.assertFalse(other.exists())
        busy.rmdir()

    @unittest.skipUnless(IS_ROOT, "needs a mount")
    def test_what_is_mounted_in_a_stray_is_left_alone(self):
        for area in ("disks", "trees"):
            place = self.home / area / "stray" / "mounted"
            place.mkdir(parents=True)
            answer = self.goldmill("gc", before=(
                "unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none "$0"; echo mine > "$0/file"; '
                '"$@"; cat "$0/file"', place))
            self.assertIn("cannot remove mounted: something is mounted there", answer.err)
            self.assertTrue(answer.out.endswith("mine\n"), answer.out)
            self.goldmill("gc")
            self.assertFalse(place.parent.exists())

    def test_a_damaged_catalogue_is_said(self):
        home = self.scratch() / "home"
        clone_home(home, self.home)
        for more in ("-wal", "-shm"):
            (home / f"catalogue.db{more}").unlink(missing_ok=True)
        os.truncate(home / "catalogue.db", 8192)
        answer = goldmill("check", home=home, status=None)
        self.assertNotIn(answer.status, (0, 2))
        self.assertIn("catalogue", answer.out + answer.err)


del Store  # only what is derived from it has tests

if __name__ == "__main__":
    unittest.main()
