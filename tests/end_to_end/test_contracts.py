# SPDX-License-Identifier: GPL-3.0-or-later
"""What scripts rely on: JSON, exit statuses and messages; builds that repeat; plans with reasons."""
import fcntl
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest

import product
from product import Case, OwnHome, copy_recipes, goldmill

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

# recipe text -> where it is wrong, and what the message and the hint must hold
WRONG = {
    "unknown key": ("recipe: r\nos: debian/12\npacakges: [vim]\n", "3:1", "pacakges",
                    "did you mean 'packages'"),
    "plain password": ("recipe: r\nos: debian/12\nbaseline: {users: [{name: o, password: hunter2}]}\n",
                       "3:", "plain-text password", "mkpasswd"),
    "unknown OS": ("recipe: r\nos: debain/12\n", "2:5", "debain/12", "debian/12"),
    "size without unit": ("recipe: r\nos: debian/12\ndisk: {size: 4}\n", "3:14", "no unit", "4GiB"),
    "wrong type": ("recipe: r\nos: debian/12\npackages: vim\n", "3:", "packages", "list"),
    "duplicate key": ("recipe: r\nos: debian/12\nos: debian/13\n", "3:1", "os", ""),
}


class Wrong(unittest.TestCase):
    """Wrong inputs are answered at once, by status and words; nothing is built for them."""

    def setUp(self):
        context = product.scratch()
        self.room = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.home = self.room / "home"

    def refused(self, *arguments, status=2, **options):
        answer = goldmill(*arguments, home=self.home, status=status, timeout=20, **options)
        self.assertRegex(answer.err, r"^error: ")
        self.assertNotIn("\x1b", answer.err)
        return answer

    def test_recipes(self):
        for name, (text, position, message, hint) in WRONG.items():
            with self.subTest(name):
                file = self.room / "r.yaml"
                file.write_text(text)
                for command in ("build", "plan", "explain"):
                    answer = self.refused(command, file)
                    self.assertRegex(answer.err, rf"r\.yaml:{position}")
                    self.assertIn(message, answer.err)
                    self.assertIn(hint, answer.err)
                error = self.refused("build", file, "--json").json["error"]
                self.assertEqual("invalid_input", error["kind"])
                self.assertIn("r.yaml:" + position, error["message"])
        self.assertEqual([], list((self.home / "trees").iterdir()))
        self.assertFalse(list((self.home / "packages").iterdir()))

    def test_cycle(self):
        (self.room / "a.yaml").write_text("recipe: a\nfrom: b\n")
        (self.room / "b.yaml").write_text("recipe: b\nfrom: a\n")
        answer = self.refused("build", self.room / "a.yaml")
        self.assertRegex(answer.err, r"[ab]\.yaml:2:\d+")
        self.assertIn("a", answer.err)

    def test_names(self):
        self.assertIn("/nowhere.yaml", self.refused("build", "/nowhere.yaml", status=3).err)
        self.assertIn("did you mean 'build'", self.refused("biuld", "x").err)
        self.assertIn("did you mean '--json'", self.refused("list", "--jsno").err)
        self.refused("build")
        for command in ("show", "test", "launch", "export"):
            self.assertIn("nobody", self.refused(command, "nobody", status=3).err)
        for command in ("stop", "ssh", "rm"):
            self.assertIn("nobody", self.refused(command, "nobody", status=3).err)

    def test_packages_are_told_with_their_line(self):
        product.copy_recipes(self.room)
        file = self.room / "r.yaml"
        for package, status, word in (("openjdk-17-jre-headles", 3, "openjdk-17-jre-headless"),
                                      ("curl=1.2.3", 3, "there is: 7."),
                                      ("-openssh-servr", 3, "openssh-server"),
                                      ("./text.deb", 2, "not a Debian package")):
            (self.room / "text.deb").write_text("text")
            file.write_text(f"recipe: r\nfrom: base\npackages:\n  - less\n  - {package}\n")
            with self.subTest(package):
                words = goldmill("plan", file, status=status).err
                self.assertIn("r.yaml:5:5: ", words)
                self.assertIn(word, words)

    def test_what_no_source_has_need_not_be_left_out(self):
        product.copy_recipes(self.room)
        file = self.room / "r.yaml"
        file.write_text("recipe: r\nfrom: base\npackages: [less, -iwl1000-firmware]\n")
        goldmill("plan", file)

    def test_what_no_build_can_end_well_for_is_said_first(self):
        file = self.room / "r.yaml"
        (self.room / "site.pp").write_text("")
        for step, status, words in (("ansible: {playbook: play.yml}", 2,
                                     "there is no file 'play.yml'"),
                                    ("cloud_config: {hostname: web}", 2, "hostname")):
            file.write_text(f"recipe: r\nos: debian/12\nprovision:\n  - {step}\n")
            with self.subTest(step):
                answer = self.refused("build", file, status=status)
                self.assertRegex(answer.err, words)
                self.assertIn("r.yaml:4", answer.err)
        self.assertFalse(list((self.home / "packages").iterdir()))
        self.assertFalse(list((self.home / "archives").iterdir()))

    def test_a_directory_of_something_else_is_no_home(self):
        other = self.room / "other"
        other.mkdir(mode=0o755)
        (other / "thesis.tex").write_text("all my work")
        answer = goldmill("list", home=other, status=2)
        self.assertIn("thesis.tex", answer.err)
        self.assertEqual(0o755, other.stat().st_mode & 0o777)
        self.assertEqual(["thesis.tex"], os.listdir(other))
        self.assertIn("no directory", goldmill("list", home="/dev/null", status=2).err)

    def test_an_answer_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            process = subprocess.run([product.BINARY, "--help"], stdout=full,
                                     stderr=subprocess.PIPE, check=False)
        self.assertNotEqual(0, process.returncode)
        self.assertIn(b"No space left", process.stderr)

    def test_missing_parent(self):
        (self.room / "v.yaml").write_text("recipe: v\nfrom: gone\n")
        (self.room / "one.yaml").write_text("recipe: one\nos: debian/12\n")
        for command in ("build", "plan", "explain"):
            said = self.refused(command, self.room / "v.yaml", status=3).err
            self.assertIn("v.yaml:2:7: there is neither an image gone nor a recipe", said)
            self.assertIn("did you mean 'one'?", said)

    def test_package_that_nobody_has(self):
        copy_recipes(self.room / "recipes")
        recipe = self.room / "recipes" / "v.yaml"
        recipe.write_text("recipe: v\nfrom: base\npackages: [openssh-servr]\n")
        product.images()
        answer = goldmill("build", recipe, status=None, timeout=120)
        self.assertIn(answer.status, (2, 3))
        self.assertIn("openssh-servr", answer.err)
        self.assertIn("openssh-server", answer.err.split("hint:")[-1])


class Json(Case):
    def test_build(self):
        report = self.built["java"]
        self.assertEqual({"image", "steps", "seconds"}, set(report))
        image = report["image"]
        self.assertEqual({"name", "version", "digest", "disk_digest", "packages",
                          "disk_used_bytes"}, set(image))
        self.assertEqual("java", image["name"])
        self.assertGreaterEqual(image["version"], 1)
        self.assertRegex(image["digest"], DIGEST)
        self.assertRegex(image["disk_digest"], DIGEST)
        self.assertNotEqual(image["digest"], image["disk_digest"])
        self.assertGreater(image["packages"], self.built["base"]["image"]["packages"])
        self.assertGreater(image["disk_used_bytes"], 400 << 20)
        for step in report["steps"]:
            self.assertLessEqual({"name", "key", "result", "seconds"}, set(step))
            self.assertRegex(step["key"], DIGEST)
            self.assertIn(step["result"], ("ran", "cached"))

    def test_list_and_show(self):
        listed = {(i["name"], i["version"]): i for i in goldmill("list", "--json").json["images"]}
        for name in ("base", "java"):
            image = self.built[name]["image"]
            shown = goldmill("show", name, "--json").json
            row = listed[(name, image["version"])]
            for key in ("digest", "disk_digest", "packages", "disk_used_bytes"):
                self.assertEqual(image[key], shown[key])
                self.assertEqual(image[key], row[key])
        version = {name: report["image"]["version"] for name, report in self.built.items()}
        shown = goldmill("show", f"java@{version['java']}", "--json").json
        self.assertEqual(f"base@{version['base']}", shown["parent"])
        self.assertIn("openjdk-17-jre-headless", shown["packages_installed"])
        self.assertEqual([], shown["seal"])

    def test_explain(self):
        sections = goldmill("explain", product.RECIPES / "java.yaml", "--json").json["sections"]
        lines = [line for section in sections for line in section["lines"]]
        self.assertTrue(any("default-jre-headless" in line for line in lines))
        self.assertTrue(any("sudo" in line and "WITHOUT" in line for line in lines))

    def test_prepared_instances(self):
        fleet = f"prepared-{os.getpid()}"
        self.addCleanup(goldmill, "rm", "--force", fleet, status=None)
        launched = goldmill("launch", "java", "-n", 3, "--fleet", fleet, "--prepare-only",
                            "--json").json
        self.assertEqual(fleet, launched["fleet"])
        self.assertEqual(3, len(launched["instances"]))
        for instance in launched["instances"]:
            self.assertEqual({"name", "image", "fleet", "engine", "host", "hostname", "machine_id", "ssh_host_key",
                              "address", "ssh_port", "state", "ready_seconds", "uptime_seconds",
                              "memory_bytes", "expires", "error", "warnings"}, set(instance))
            self.assertEqual("prepared", instance["state"])
        ports = {instance["ssh_port"] for instance in launched["instances"]}
        self.assertEqual(3, len(ports))
        names = [instance["name"] for instance in launched["instances"]]
        shown = {row["name"]: row for row in goldmill("ps", "--json").json["instances"]}
        self.assertLessEqual(set(names), set(shown))
        for name in names:  # a copy-on-write disk, not a copy
            used = product.run("du", "-sk", product.HOME / "instances" / name).split()[0]
            self.assertLessEqual(int(used), 300)
        self.assertEqual(sorted(names), sorted(goldmill("rm", fleet, "--json").json["removed"]))
        self.assertFalse([n for n in names if (product.HOME / "instances" / n).exists()])

    def test_a_fleet_ends_in_time_though_nobody_looks(self):
        kept, short = f"kept-{os.getpid()}", f"short-{os.getpid()}"
        keepers = {}
        for fleet, time_to_live in ((kept, "7d"), (short, "1s")):
            self.addCleanup(goldmill, "rm", "--force", fleet, status=None)
            before = product.workers("launch_expiry")
            goldmill("launch", "java", "-n", 2, "--fleet", fleet, "--prepare-only",
                     "--for", time_to_live)
            keepers[fleet] = product.workers("launch_expiry") - before
        instances = product.HOME / "instances"
        limit = time.monotonic() + 60
        while list(instances.glob(f"*{short}*")):
            self.assertLess(time.monotonic(), limit, "the short-lived ones are there")
            time.sleep(0.05)
        self.assertTrue(product.ended_within(60, keepers[short]), "who removed them is still there")
        self.assertEqual({f"{kept}-001", f"{kept}-002"},
                         {path.name for path in instances.glob(f"{kept}*")})
        self.assertEqual(1, len(keepers[kept]))
        self.assertFalse(product.ended_within(0, keepers[kept]))
        goldmill("rm", kept)
        self.assertTrue(product.ended_within(60, keepers[kept]), "it has nothing to wait for")

    @unittest.skipUnless(product.IS_ROOT, "a full disk is mounted")
    def test_on_a_full_disk_those_fail_that_have_no_room(self):
        script = ('mount -t tmpfs -o size=192k tmpfs "$0" && { "$@"; status=$?; ls -A "$0" >&2;'
                  " exit $status; }")
        answer = goldmill("launch", "java", "-n", 40, "--fleet", "full", "--prepare-only", "--json",
                          before=("unshare", "--mount", "sh", "-c", script,
                                  product.HOME / "instances"), status=1)
        rows = answer.json["instances"]
        by_state = {state: [row for row in rows if row["state"] == state]
                    for state in ("prepared", "failed")}
        self.assertEqual(40, sum(map(len, by_state.values())))
        self.assertTrue(by_state["prepared"])
        for row in by_state["failed"]:
            self.assertIn("No space left", row["error"])
        left = re.findall(r"(?m)^full-\d+$", answer.err)
        self.assertEqual([row["name"] for row in by_state["prepared"]], sorted(left))
        self.assertNotIn(".new-", answer.err)

    def test_impossible_instances_are_refused(self):
        key = product.RECIPES / "ops"
        for options, word in ((("-n", 4294967297), "10000"), (("-n", 0), "10000"),
                              (("--cpus", 0), "255"), (("--memory", "900TiB"), "64 MiB"),
                              (("--ssh-key", key), "private key"),
                              (("--ssh-key", product.RECIPES / "base.yaml"), "no SSH public key")):
            with self.subTest(options):
                answer = goldmill("launch", "base", "--prepare-only", *options, status=2)
                self.assertIn(word, answer.err)

    def test_a_missing_secret_is_said_first(self):
        room = self.scratch()
        copy_recipes(room)
        (room / "s.yaml").write_text(
            "recipe: s\nfrom: base\nsecrets: [{name: tok, version: \"1\", file: nope}]\n"
            "provision:\n  - files: [{target: /srv/first, content: x}]\n"
            "  - shell: {script: \"true\", secrets: [tok]}\n")
        answer = goldmill("build", room / "s.yaml", status=3)
        self.assertIn("nope", answer.err)
        self.assertNotIn("/srv/first", answer.err)

    def test_rm_leaves_what_others_stand_on(self):
        version = self.built["base"]["image"]["version"]
        answer = goldmill("rm", f"base@{version}", status=4)
        self.assertIn(f"base@{version} is what ", answer.err)
        goldmill("show", f"base@{version}")

    def test_rm_says_what_images_are_called(self):
        version = self.built["java"]["image"]["version"]
        self.assertIn(f"goldmill rm java@{version}", goldmill("rm", "java", status=3).err)

    def test_export_says_what_it_wrote(self):
        room = self.scratch()
        answer = goldmill("export", "base", "-F", "qcow2", "-o", room / "b.qcow2", "--json").json
        self.assertEqual(str(room / "b.qcow2"), answer["file"])
        self.assertEqual((room / "b.qcow2").stat().st_size, answer["bytes"])


class Again(Case):
    """A second build does nothing, and says why when there is something to do."""

    def test_cached_fast_and_offline(self):
        before = ("unshare", "--map-root-user", "--net") if not product.IS_ROOT else ("unshare", "--net")
        report = goldmill("build", product.RECIPES / "java.yaml", "--json", before=before)
        self.assertEqual({"cached"}, {step["result"] for step in report.json["steps"]})
        self.assertEqual(self.built["java"]["image"], report.json["image"])
        steps = goldmill("show", "java", "--json").json["steps"]
        self.assertLess(report.seconds, sum(step["seconds"] for step in steps) / 4)

    def test_a_renamed_recipe_without_a_lock_runs_nothing(self):
        room = self.scratch()
        copy_recipes(room)
        before = room / "before.yaml"
        before.write_text("recipe: small\nfrom: base\npackages: [less]\nprovision:\n"
                          "  - shell: {script: echo two > /srv/b}\n")
        image = goldmill("build", before, "--json").json["image"]
        after = before.rename(room / "after.yaml")
        plans = goldmill("plan", after, "--json").json["images"]
        self.assertEqual({"cached"}, {step["result"] for plan in plans for step in plan["steps"]})
        self.assertEqual(image, goldmill("build", after, "--json").json["image"])
        self.assertEqual((room / "before.lock").read_bytes(), (room / "after.lock").read_bytes())

    def test_reasons(self):
        room = self.scratch()
        copy_recipes(room)
        recipe = room / "small.yaml"
        recipe.write_text("recipe: small\nfrom: base\nprovision:\n"
                          f"  - files:\n      - {{target: /srv/a, content: one {os.urandom(8).hex()}}}\n"
                          "  - shell: {script: \"umask 022\\necho two > /srv/b\"}\n")

        def steps():
            plans = goldmill("plan", recipe, "--json").json["images"]
            self.assertEqual(["base", "small"], [plan["image"] for plan in plans])
            self.assertEqual({"cached"}, {step["result"] for step in plans[0]["steps"]})
            return {step["name"]: step for step in plans[1]["steps"]}

        fresh = steps()
        self.assertIn("runs", {step["result"] for step in fresh.values()})
        goldmill("build", recipe)
        self.assertEqual({"cached"}, {step["result"] for step in steps().values()})
        recipe.write_text(recipe.read_text().replace("two", "three"))
        changed = {name: step for name, step in steps().items() if step["result"] != "cached"}
        self.assertEqual(2, len(changed), changed)
        (name, step), (disk, _) = changed.items()
        self.assertEqual("disk", disk)
        self.assertIn("shell", step["kind"])
        self.assertIn("script", step["reason"])
        self.assertGreater(step["expected_seconds"], 0)
        ran = [s for s in goldmill("build", recipe, "--json").json["steps"] if s["result"] == "ran"]
        self.assertEqual([name, "disk"], [s["name"] for s in ran])
        recipe.write_text(recipe.read_text().replace("one", "another"))
        reasons = [s["reason"] for s in steps().values() if s["result"] != "cached"]
        self.assertEqual(3, len(reasons), "what stands on a changed layer runs again")
        self.assertNotIn(None, reasons)
        built = goldmill("build", recipe, "--json").json["image"]
        disk = product.HOME / "disks" / (built["digest"].removeprefix("sha256:") + ".qcow2")
        with product.changes():
            disk.unlink()
            self.assertEqual(["its disk is gone"],
                             [s["reason"] for s in steps().values() if s["result"] != "cached"])
            again = goldmill("build", recipe, "--json").json
        self.assertEqual(["disk"], [s["name"] for s in again["steps"] if s["result"] == "ran"])
        self.assertEqual(built, again["image"])
        self.assertTrue(disk.is_file())


class Locks(Case):
    def setUp(self):
        self.room = self.scratch()
        product.copy_recipes(self.room)
        self.lock = self.room / "pinned.lock"
        self.ask("less")

    def ask(self, packages):
        recipe = self.room / "pinned.yaml"
        recipe.write_text(f"recipe: pinned\nfrom: base\npackages: [{packages}]\n")
        return recipe

    def goldmill(self, *arguments, **options):
        return goldmill(*arguments, cwd=self.room, **options)

    def moved(self, *arguments):
        report = self.goldmill("lock", "pinned", *arguments, "--json").json
        self.assertEqual(["lock", "moved", "packages", "recipe"], sorted(report))
        self.assertEqual(str(self.lock), report["lock"])
        return {row["package"]: (row["from"], row["to"]) for row in report["moved"]}

    def set_version(self, package, version):
        lock = json.loads(self.lock.read_text())
        (row,) = (row for row in lock["packages"]["packages"] if row["name"] == package)
        row["version"] = version
        self.lock.write_text(json.dumps(lock))

    def test_a_lock_says_what_moved(self):
        less = self.moved()["less"]
        self.assertIsNone(less[0])
        self.assertEqual({}, self.moved(), "it says what the recipe needs")
        self.ask("less, ed")
        self.assertEqual({"ed"}, set(self.moved()))
        self.ask("ed")
        self.assertEqual({"less": (less[1], None)}, self.moved())
        self.set_version("ed", "0.9-1")
        self.assertEqual(["ed"], list(self.moved("--update")))
        before = self.lock.read_text()
        self.assertEqual({}, self.moved("--update", "ed"))
        self.assertEqual(before, self.lock.read_text())

    def versions_of_curl(self):
        """Newest first; two at least."""
        known = goldmill("plan", self.ask("curl=0"), status=3).err
        versions = known.partition("there is: ")[2].strip().split(", ")
        if len(versions) < 2:
            self.skipTest("the archive has one version of curl")
        return versions

    def test_what_nobody_asks_to_move_stays(self):
        versions = self.versions_of_curl()
        self.ask(f"curl={versions[-1]}, libcurl4={versions[-1]}")
        self.moved()
        self.ask("curl, libcurl4, less")
        self.assertEqual({"less"}, set(self.moved()))
        before = self.lock.read_text()
        self.ask("less, libcurl4, curl")
        self.assertEqual({}, self.moved())
        self.assertEqual(before, self.lock.read_text(), "the order means nothing")
        self.assertEqual({name: (versions[-1], versions[0]) for name in ("curl", "libcurl4")},
                         self.moved("--update"))

    def serve_archive(self):
        """A vendor's, with packages lib 1.0 and 2.0; its address."""
        sources, archive = product.HERE.parent.parent / "src/guest/tests", self.room / "archive"
        archive.mkdir()
        product.run("sh", sources / "make_archive.sh", archive)
        self.addCleanup(self.gpg, "--kill", "all", program="gpgconf")
        port = self.room / "port"
        server = subprocess.Popen([sys.executable, sources / "archive_server.py", archive / "www", port,
                                   self.room / "requests"])
        self.addCleanup(product.end, server)
        limit = time.monotonic() + 60
        while not port.exists() and time.monotonic() < limit:
            time.sleep(0.05)
        return f"http://127.0.0.1:{port.read_text()}/plain"

    def gpg(self, *arguments, program="gpg"):
        return product.run(program, *arguments,
                           env={**os.environ, "GNUPGHOME": str(self.room / "archive/gnupg")})

    def test_a_vendors_new_key_moves_nothing(self):
        address = self.serve_archive()

        def ask(package, suites):
            (self.room / "pinned.yaml").write_text(
                f"recipe: pinned\nfrom: base\npackages: [{package}]\nrepositories:\n"
                f"  - {{uri: '{address}', suites: [{suites}], components: [main],\n"
                "     key: 'file:archive/key.asc'}\n")

        ask("lib=1.0", "good")
        self.assertEqual({"lib": (None, "1.0")}, self.moved())
        (self.room / "archive/key.asc").write_text(self.gpg("--armor", "--export"))  # and another one
        ask("lib", "good")
        self.assertEqual({}, self.moved(), "it is the same archive")
        ask("lib", "good, good-security")
        self.assertEqual({"lib": ("1.0", "2.0")}, self.moved(), "other suites are there for their versions")

    def test_accounts_keep_their_ids(self):
        recipe, lock = self.room / "people.yaml", self.room / "people.lock"

        def build(*names, **options):
            script = "; ".join(f"useradd --system {name}" for name in names)
            recipe.write_text("recipe: people\nfrom: base\nprovision:\n"
                              f"  - shell: {{script: '{script}'}}\n")
            answer = goldmill("build", recipe, "--json", **options)
            if answer.status == 0:
                self.addCleanup(goldmill, "rm", f"people@{answer.json['image']['version']}",
                                status=None)
            return answer

        build("one", "two")
        ids = json.loads(lock.read_text())["ids"]
        self.assertEqual({"one", "two"}, set(ids["users"]), "its own, not the base's")
        self.assertEqual({"one", "two"}, set(ids["groups"]))
        before = lock.read_bytes()
        refused = build("two", "one", status=4)
        self.assertIn(f"user 'one' had {ids['users']['one']} and would get {ids['users']['two']}",
                      refused.err)
        self.assertEqual(before, lock.read_bytes())
        build("one", "two", "three")
        self.assertLessEqual(ids["users"].items(),
                             json.loads(lock.read_text())["ids"]["users"].items())
        lock.unlink()
        build("two", "one")

    def test_files_are_locked(self):
        recipe, lock = self.room / "page.yaml", self.room / "page.lock"
        recipe.write_text("recipe: page\nfrom: base\nprovision:\n"
                          "  - files: [{source: page.html, target: /srv/page.html}]\n")
        page = self.room / "page.html"
        page.write_text(f"one {os.urandom(8).hex()}")  # no step of an earlier run is it
        built = goldmill("build", recipe, "--json").json["image"]
        self.addCleanup(goldmill, "rm", f"page@{built['version']}")
        (inputs,) = json.loads(lock.read_text())["inputs"].values()
        self.assertEqual(1, len(inputs))
        goldmill("build", recipe, "--locked")
        page.write_text(f"two {os.urandom(8).hex()}")
        refused = goldmill("build", recipe, "--locked", status=4)
        self.assertIn("page.html changed", refused.err)
        plans = goldmill("plan", recipe, "--json").json["images"]
        self.assertIn("/srv/page.html changed",
                      [step["reason"] for step in plans[-1]["steps"]])
        built = goldmill("build", recipe, "--json").json["image"]
        self.addCleanup(goldmill, "rm", f"page@{built['version']}")
        goldmill("build", recipe, "--locked")

    def pack(self, content):
        """tool.deb, which no build before knows."""
        for directory in ("tool/DEBIAN", "tool/srv"):
            (self.room / directory).mkdir(parents=True, exist_ok=True)
        (self.room / "tool/DEBIAN/control").write_text(
            "Package: gm-tool\nVersion: 1\nArchitecture: all\nDescription: x\n"
            "Maintainer: Nobody <nobody@example.org>\n")
        (self.room / "tool/srv/tool").write_text(f"{content} {os.urandom(8).hex()}")
        product.run("dpkg-deb", "--root-owner-group", "--build", "tool", "tool.deb", cwd=self.room)

    def test_a_local_package_need_not_be_in_the_cache(self):
        """Recipe, lock and .deb are enough: on another machine, and when the cache was emptied."""
        self.pack("one")
        recipe = self.room / "local.yaml"
        recipe.write_text("recipe: local\nfrom: base\npackages: [./tool.deb]\n")
        built = goldmill("build", recipe, "--json").json["image"]
        self.addCleanup(goldmill, "rm", f"local@{built['version']}")
        digest = product.run("sha256sum", self.room / "tool.deb").split()[0]
        cached = product.HOME / "packages" / f"{digest}.deb"
        (step,) = (step for step in goldmill("show", "local", "--json").json["steps"]
                   if step["kind"] == "debian.packages")
        product.run(*product.AS_GUEST_ROOT, "rm", "-r",
                    product.HOME / "trees" / step["layer"].removeprefix("sha256:"))
        cached.unlink()
        again = goldmill("build", recipe, "--locked", "--json", **product.WITHOUT_ARCHIVE).json
        self.assertEqual(built["digest"], again["image"]["digest"])
        self.assertIn("packages", [s["name"] for s in again["steps"] if s["result"] == "ran"])
        cached.unlink()
        goldmill("keep-packages", "--own", recipe, **product.WITHOUT_ARCHIVE)
        self.assertTrue((self.room / f"local.packages/{digest}.deb").is_file())

    def test_what_a_recipe_is_made_of_is_locked(self):
        self.pack("one")
        texts = {"made.sh": "echo {} > /srv/made\n",
                 "user-data": "#cloud-config\nwrite_files: [{{path: /srv/written, content: \"{}\"}}]\n"}
        for name, text in texts.items():
            (self.room / name).write_text(text.format(os.urandom(8).hex()))
        recipe = self.room / "made.yaml"
        recipe.write_text("recipe: made\nfrom: base\npackages: [./tool.deb]\nprovision:\n"
                          "  - shell: {file: made.sh}\n  - cloud_config: user-data\n")
        built = goldmill("build", recipe, "--json").json["image"]
        self.addCleanup(goldmill, "rm", f"made@{built['version']}")
        goldmill("build", recipe, "--locked")
        for name, text in texts.items():
            with self.subTest(name):
                before = (self.room / name).read_text()
                (self.room / name).write_text(text.format("other"))
                self.assertIn(f"{name} changed", goldmill("build", recipe, "--locked", status=4).err)
                (self.room / name).write_text(before)
        goldmill("build", recipe, "--locked")
        self.pack("two")
        self.assertIn("tool.deb", goldmill("build", recipe, "--locked", status=4).err)
        reasons = {step["name"]: step["reason"]
                   for step in goldmill("plan", recipe, "--json").json["images"][-1]["steps"]}
        self.assertEqual("gm-tool:all 1 has other content", reasons["packages"])

    def test_archives_of_another_machine_are_told(self):
        """The recipe does not say what the guest's apt gets: this machine's archives."""
        refused = self.goldmill("build", "base", "--locked", status=4,
                                env={"GOLDMILL_DEBIAN_URI": "https://mirror.example.org/debian"})
        self.assertIn("base.lock is of a machine with other archives", refused.err)
        self.assertIn("`apt: {sources: [...]}`", refused.err.split("hint:")[-1])
        lock = self.room / "base.lock"
        content = json.loads(lock.read_text())
        del content["inputs"]["this machine"]  # as of an earlier goldmill
        lock.write_text(json.dumps(content))
        image = self.goldmill("build", "base", "--locked", "--json").json["image"]
        self.assertEqual(self.built["base"]["image"], image)

    def test_a_checkout_elsewhere_is_the_same(self):
        """At another depth, with a script that is no part of it."""
        script = self.room / "outside.sh"
        script.write_text(f"echo {os.urandom(8).hex()} > /srv/outside\n")
        checkouts = [self.room / "one", self.room / "deep/er/two"]
        product.copy_recipes(checkouts[0])
        (checkouts[0] / "beside.sh").write_text("echo > /srv/beside\n")
        (checkouts[0] / "moved.yaml").write_text(
            "recipe: moved\nfrom: base\nprovision:\n  - shell: {file: beside.sh}\n"
            f"  - shell: {{file: {script}}}\n")
        built = goldmill("build", "moved", "--json", cwd=checkouts[0]).json["image"]
        self.addCleanup(goldmill, "rm", f"moved@{built['version']}")
        inputs = json.loads((checkouts[0] / "moved.lock").read_text())["inputs"]
        self.assertEqual({"beside.sh", str(script)}, set(inputs["files of the recipe"]))
        shutil.copytree(checkouts[0], checkouts[1])
        again = goldmill("build", "moved", "--locked", "--json", cwd=checkouts[1]).json
        self.assertEqual(built, again["image"])

    def test_a_disk_that_is_another_says_why(self):
        recipe = self.room / "larger.yaml"
        recipe.write_text("recipe: larger\nfrom: base\ndisk: {size: 5GiB}\n")
        built = goldmill("build", recipe, "--json").json["image"]
        self.addCleanup(goldmill, "rm", f"larger@{built['version']}")
        recipe.write_text("recipe: larger\nfrom: base\ndisk: {size: 6GiB}\n")
        steps = goldmill("plan", recipe, "--json").json["images"][-1]["steps"]
        self.assertEqual([("disk", "size 5.00 GiB -> 6.00 GiB")],
                         [(step["name"], step["reason"]) for step in steps
                          if step["result"] == "runs"])

    def test_locked_builds_resolve_nothing(self):
        for arguments in (("build", "pinned"), ("build", "--all")):
            with self.subTest(arguments):
                answer = self.goldmill(*arguments, "--locked", status=None)
                self.assertEqual(4, answer.status)
                self.assertIn("pinned.lock is not there", answer.err)
                self.assertIn("goldmill lock pinned.yaml", answer.err)
        self.moved()
        self.ask("less, ed")
        answer = self.goldmill("build", "pinned", "--locked", status=4)
        self.assertIn("(+ed)", answer.err)
        self.ask("less")
        self.goldmill("build", "base", "java", "--locked")
        self.assertFalse(product.left_behind(self.room))

    def test_locked_builds_leave_the_lock_alone(self):
        """A checkout that nobody may write is enough: lock, commit, build --locked."""
        self.moved()
        before = self.lock.read_bytes()
        built = self.goldmill("build", "pinned", "--locked", "--json").json["image"]
        self.addCleanup(goldmill, "rm", f"pinned@{built['version']}")
        self.assertEqual(before, self.lock.read_bytes())
        again = self.goldmill("build", "pinned", "--locked", "--json").json
        self.assertEqual(built, again["image"])
        self.assertEqual({"cached"}, {step["result"] for step in again["steps"]})

    def test_a_lock_that_changed_during_a_build_stays(self):
        recipe, lock = self.room / "meanwhile.yaml", self.room / "meanwhile.lock"
        words = os.urandom(8).hex()  # no log of an earlier run says so
        recipe.write_text("recipe: meanwhile\nfrom: base\nprovision:\n"
                          f"  - shell: {{script: 'echo {words}; sleep 5'}}\n")
        self.goldmill("lock", "meanwhile")
        with product.locked("changes", fcntl.LOCK_SH):
            build = product.start("build", recipe, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
            self.addCleanup(product.end, build)
            product.await_words(build, product.HOME, "meanwhile", words)
            updated = lock.read_text() + "\n"  # as by a lock --update, or a checkout
            lock.write_text(updated)
            said = build.communicate(timeout=300)[1].decode()
        self.assertEqual(0, build.returncode, said)
        version = goldmill("show", "meanwhile", "--json").json["version"]
        self.addCleanup(goldmill, "rm", f"meanwhile@{version}")
        self.assertEqual(updated, lock.read_text())
        self.assertIn("meanwhile.lock was changed during this build and left as it is", said)

    def test_outdated_names_newer_packages_and_who_has_them(self):
        versions = self.versions_of_curl()
        old = self.ask(f"curl={versions[-1]}, libcurl4={versions[-1]}")
        (self.room / "above.yaml").write_text(
            "recipe: above\nfrom: pinned\nprovision:\n  - files: [{target: /srv/a, content: a}]\n")
        built = self.goldmill("build", old, "above", "--json").json["images"]
        images = {image["name"]: f"{image['name']}@{image['version']}" for image in built}
        self.addCleanup(goldmill, "rm", images["pinned"])
        self.addCleanup(goldmill, "rm", images["above"])
        answer = goldmill("outdated", "base", "pinned", "above", "--offline", "--json",
                          status=1).json
        (row,) = (row for row in answer["images"] if not row["image"].startswith("base@"))
        self.assertEqual(images["pinned"], row["image"])
        self.assertEqual([images["above"]], row["reaches"])
        self.assertEqual(["curl", "libcurl4"], [package["name"] for package in row["packages"]])
        (alone,) = goldmill("outdated", "above", "--offline", "--json", status=1).json["images"]
        names = [package["name"] for package in alone["packages"]]
        self.assertLessEqual({"curl", "libcurl4"}, set(names), "its parent is not looked at")
        for package in row["packages"]:
            self.assertEqual((versions[-1], versions[0]),
                             (package["installed"], package["available"]))
        self.assertEqual([], goldmill("outdated", "base", "--offline", "--json",
                                      status=None).json["images"][1:])
        goldmill("outdated", "nobody", status=3)

    def test_wrong_requests(self):
        self.assertIn("add --update", self.goldmill("lock", "pinned", "less", status=2).err)
        self.moved()
        answer = self.goldmill("lock", "pinned", "--update", "lses", status=3)
        self.assertIn("did you mean 'less'", answer.err)
        self.assertIn("give one", self.goldmill("build", "pinned", "--locked", "--update",
                                                status=2).err)
        self.lock.write_text("{}")
        self.assertIn("damaged", self.goldmill("lock", "pinned", status=2).err)
        (self.room / "base.yaml").write_text(
            (self.room / "base.yaml").read_text().replace("Berlin", "Rome"))
        answer = self.goldmill("lock", "pinned", status=4)
        self.assertIn("the image base is not up to date", answer.err)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Outdated(OwnHome):
    def archive(self):
        """A signed one of our own, which has two versions of `lib`: its address, and its key's file."""
        room = self.scratch()
        sources = product.HERE.parent.parent / "src" / "guest" / "tests"
        product.run("sh", sources / "make_archive.sh", room)
        handler = functools.partial(QuietHandler, directory=room / "www")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        self.addCleanup(serving.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}", room / "key.asc"

    def test_archives_that_a_recipe_names_are_asked(self):
        address, key = self.archive()
        (self.recipes / "key.asc").write_text(key.read_text())
        recipe = self.recipes / "vendor.yaml"
        recipe.write_text(f"recipe: vendor\nfrom: base\npackages: [lib=1.0]\nrepositories:\n"
                          f"  - {{uri: \"{address}\", suites: [good], components: [main], key: file:key.asc}}\n")
        (self.recipes / "above.yaml").write_text(
            "recipe: above\nfrom: vendor\nprovision:\n  - files: [{target: /srv/a, content: a}]\n")
        self.goldmill("build", "vendor", "above")

        def newer(*images):
            answer = self.goldmill("outdated", *images, "--json", status=None)
            rows = {row["image"].partition("@")[0]: row["packages"] for row in answer.json["images"]}
            return {name: [(package["installed"], package["available"]) for package in packages
                           if package["name"] == "lib"] for name, packages in rows.items()}, answer.err
        found, words = newer("vendor", "above")
        self.assertEqual([("1.0", "2.0")], found["vendor"])
        self.assertNotIn("above", found, "that is its parent's to mend")
        self.assertNotIn("cannot be asked", words)
        self.assertEqual([("1.0", "2.0")], newer("above")[0]["above"])
        recipe.unlink()
        found, words = newer("vendor")
        self.assertEqual([], found.get("vendor", []))
        self.assertRegex(words, f"cannot be asked for newer packages: {address} of vendor@1: .*vendor.yaml")

    def test_a_newer_boot_loader_is_told_with_its_step(self):
        (self.recipes / "upon.yaml").write_text("recipe: upon\nfrom: base\n")
        self.goldmill("build", "upon")
        for index in (self.home / "archives").glob("*/lists/*security*_Packages"):
            with open(index, "a") as file:
                file.write("\nPackage: shim-signed\nVersion: 99:1\nArchitecture: amd64\n"
                           "Filename: pool/shim-signed.deb\nSize: 1\n"
                           f"SHA256: {'0' * 64}\nDescription: fixed\n\n")
        expected = {"name": "shim-signed", "available": "99:1", "security": True,
                    "step": "boot loader"}
        for asked in (("base",), ("upon",), ("base", "upon")):
            with self.subTest(asked):
                images = self.goldmill("outdated", *asked, "--offline", "--json", status=1).json["images"]
                found = [(image["image"].partition("@")[0], tool) for image in images
                         for tool in image["tools"] if tool["name"] == "shim-signed"]
                self.assertEqual([asked[0]], [name for name, _ in found])
                self.assertEqual(expected, {key: found[0][1][key] for key in expected})
        self.assertRegex(self.goldmill("outdated", "base", "--offline", status=1).out,
                         "shim-signed .* security, of the boot loader")


if __name__ == "__main__":
    unittest.main()
