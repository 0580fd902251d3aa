# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages at a place in the order of the steps, scripts that install some, and cloud-config: what
comes in is locked, and an archive is not needed a second time."""
import fcntl
import json
import os
import pathlib
import select
import struct
import subprocess
import termios
import time
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
        with product.changes():
            for kind in ("provision.packages", "provision.cloud_config"):
                product.run(*product.AS_GUEST_ROOT, "rm", "-r", self.layer(kind))
            report = self.goldmill("build", "steps", "--json", **product.WITHOUT_ARCHIVE).json
        self.assertEqual(self.report["image"]["digest"], report["image"]["digest"])

    def test_locked_steps_install_nothing_new(self):
        script, recipe = self.recipes / "first.sh", self.recipes / "locked.yaml"
        script.write_text(f"apt-get install --yes sl # {os.urandom(8).hex()}\n")
        recipe.write_text("recipe: locked\nfrom: base\nprovision:\n  - shell: {file: first.sh}\n")
        self.goldmill("lock", "locked")
        before = (self.recipes / "locked.lock").read_bytes()
        refused = self.goldmill("build", "locked", "--locked", status=6)
        self.assertIn("Unable to locate package sl", refused.err)
        self.assertIn("--locked resolves none", refused.err)
        self.assertEqual(before, (self.recipes / "locked.lock").read_bytes())
        built = self.goldmill("build", "locked", "--json").json["image"]
        self.addCleanup(goldmill, "rm", f"locked@{built['version']}")
        self.goldmill("build", "locked", "--locked")
        script.rename(self.recipes / "second.sh")
        recipe.write_text(recipe.read_text().replace("first", "second"))
        again = self.goldmill("build", "locked", "--json").json
        self.assertEqual({"cached"}, {step["result"] for step in again["steps"]})
        self.assertEqual(built, again["image"], "a file's name is no part of a step, nor of its image")
        update = self.goldmill("lock", "locked", "--update", "--json")
        self.assertEqual([], update.json["moved"], "what a step installs has not gone")
        self.assertIn("decided by the next build", update.err)

    def test_a_step_gets_what_an_earlier_one_no_longer_brings(self):
        """Its locked packages alone are not enough any more, and the recipe says nothing new of it."""
        def build(*steps, **options):
            (self.recipes / "needs.yaml").write_text(
                "recipe: needs\nfrom: base\nprovision:\n" + "".join(
                f"  - packages: [{step}]\n" for step in steps))
            return self.goldmill("build", "needs", "--json", **options)

        def locked():
            entry = json.loads((self.recipes / "needs.lock").read_text())["step_packages"]["packages: jq"]
            return {package["name"]: package["version"] for package in entry["packages"]}

        built = build("libjq1", "jq").json["image"]
        self.addCleanup(goldmill, "rm", f"needs@{built['version']}")
        before = locked()
        self.assertEqual({"jq"}, set(before), "the library was there")
        answer = build("jq")
        self.addCleanup(goldmill, "rm", f"needs@{answer.json['image']['version']}")
        self.assertIn("step 'packages: jq' fails with the packages that are locked for it", answer.err)
        self.assertLess(before.items(), locked().items())
        self.assertIn("libjq1", locked())
        again = self.goldmill("build", "needs", "--locked", "--json").json
        self.assertEqual(answer.json["image"], again["image"])

    def test_a_variant_takes_a_users_key_away(self):
        """What its base gave the user and its own list does not say is gone from the finished tree."""
        (self.recipes / "keyless.yaml").write_text(
            "recipe: keyless\nfrom: base\nbaseline: {users: [{name: ops, groups: [adm]}]}\n")
        report = self.goldmill("build", "keyless", "--json").json
        self.addCleanup(goldmill, "rm", f"keyless@{report['image']['version']}")

        def kind(image, path):
            """Of the uppermost of its layers that has the path; what hides it is a device 0:0."""
            story = self.goldmill("show", image, "--json").json
            for step in reversed(story["all_steps"]):
                if step["layer"]:
                    file = product.HOME / "trees" / step["layer"].removeprefix("sha256:") / path
                    found = product.run(*product.AS_GUEST_ROOT, "sh", "-c",
                                        'stat -c "%F %t:%T" "$1" 2>/dev/null || true', "sh", file)
                    if found:
                        return found.strip()
            return None

        for path in ("home/ops/.ssh/authorized_keys", "etc/sudoers.d/goldmill",
                     "usr/lib/goldmill/default-user"):
            with self.subTest(path):
                self.assertEqual("regular file 0:0", kind("base", path))
                self.assertEqual("character special file 0:0", kind("keyless", path))
        (step,) = (step for step in self.goldmill("show", "keyless", "--json").json["steps"]
                   if step["kind"] == "debian.baseline")
        groups = product.run(*product.AS_GUEST_ROOT, "cat", product.HOME / "trees" /
                             step["layer"].removeprefix("sha256:") / "etc/group")
        self.assertRegex(groups, r"(?m)^adm:x:\d+:ops$")

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


FAILS = """\
recipe: fails
from: base
provision:
  - shell: {script: "echo before > /srv/before"}
  - shell: {script: "echo $((6 * 7)) apples > /srv/made; exit STATUS # NOW"}
"""


class Terminal:
    """What somebody who sits in front of one types, and sees."""

    def __init__(self):
        self.outer, self.inner = os.openpty()
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        self.seen = ""
        self.is_open = True

    def close(self):
        for end_of_it in (self.outer, self.inner) if self.is_open else ():
            os.close(end_of_it)
        self.is_open = False

    def type(self, keys):
        os.write(self.outer, keys.encode())

    def wait_for(self, words, seconds=120):
        """What is shown until these words are; the next call begins behind them."""
        limit = time.monotonic() + seconds
        while words not in self.seen:
            if not select.select([self.outer], [], [], max(0, limit - time.monotonic()))[0]:
                raise AssertionError(f"{words!r} did not come, but:\n{self.seen}")
            self.seen += os.read(self.outer, 4096).decode("utf-8", "replace")
        before, _, self.seen = self.seen.partition(words)
        return before


def descendants(process):
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from descendants(child)


class ShellOnFailure(Case):
    def setUp(self):
        self.recipes = self.scratch()
        copy_recipes(self.recipes)
        self.now = time.time_ns()
        self.write(status=7)
        self.terminal = Terminal()
        self.addCleanup(self.terminal.close)

    def write(self, status):
        """The same recipe but for how it ends, which no build in this home has done before."""
        text = FAILS.replace("STATUS", str(status)).replace("NOW", str(self.now))
        (self.recipes / "fails.yaml").write_text(text)

    def build(self, *arguments, **options):
        return goldmill("build", "fails", *arguments, cwd=self.recipes, **options)

    def start(self):
        """A build in front of the terminal, of which it is told there how it ended."""
        lock = product.changes()
        lock.__enter__()
        self.addCleanup(lock.__exit__, None, None, None)
        inner = self.terminal.inner
        shell = subprocess.Popen(
            ["sh", "-c", '"$@"; echo it ended with $?; read line', "sh", product.BINARY, "build",
             "fails", "--shell-on-failure"],
            cwd=self.recipes, env=product.environment(), stdin=inner, stdout=inner, stderr=inner,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(product.end, shell)
        return shell.pid

    def test_is_in_the_sandbox_and_ends_the_build_as_without_it(self):
        without = self.build(status=None)
        self.assertNotEqual(0, without.status)
        build, terminal = self.start(), self.terminal
        told = terminal.wait_for("`exit` ends it")
        self.assertIn("/bin/sh ended with status 7", told)
        terminal.type("stty size; echo I am $(id -u); cat /srv/before /srv/made\n")
        for answer in ("33 101", "I am 0", "before", "42 apples"):
            terminal.wait_for(f"{answer}\r\n", 20)
        terminal.type("sh -c 'echo wait $((1 + 1)); exec sleep 300'\n")
        terminal.wait_for("wait 2\r\n", 20)
        terminal.type("\x03")  # the program's end, not the build's
        terminal.type("echo mended > /srv/made; sleep 301 & echo started $((2 * 3))\n")
        terminal.wait_for("started 6\r\n", 20)
        inside = list(descendants(build))
        self.assertGreaterEqual(len(inside), 4, "the build, a sandbox, its shell, what that started")
        sessions = {product.session_of(pathlib.Path(f"/proc/{process}")) for process in inside}
        self.assertTrue(product.left_behind(product.HOME, sessions))
        terminal.type("exit\n")
        self.assertIn("error: ", terminal.wait_for(f"it ended with {without.status}\r\n", 20))
        self.assertEqual([], product.gone_within(product.HOME, 5, sessions))
        self.assertEqual([], [process for process in inside if product.is_running(process)])
        self.assertNotIn(f"{product.HOME}/", pathlib.Path("/proc/self/mountinfo").read_text())
        self.assertTrue(termios.tcgetattr(terminal.inner)[3] & termios.ECHO, "keys are shown again")

        again = self.build(status=None)
        self.assertEqual((without.status, without.err.splitlines()[-4:]),
                         (again.status, again.err.splitlines()[-4:]))
        self.write(status=0)
        report = self.build("--json").json
        self.addCleanup(goldmill, "rm", f"fails@{report['image']['version']}")
        ran = {step["name"][:18]: step["result"] for step in report["steps"]
               if step["name"].startswith("shell")}
        self.assertEqual({"shell: echo before": "cached", "shell: echo $((6 *": "ran"}, ran)
        story = goldmill("show", "fails", "--json").json
        made = product.HOME / "trees" / story["layers"][-1].removeprefix("sha256:") / "srv" / "made"
        self.assertEqual("42 apples\n", product.run(*product.AS_GUEST_ROOT, "cat", made),
                         "what was done by hand is in no image")

    def test_goes_with_its_terminal(self):
        """A window that is closed, a connection that is lost."""
        build = self.start()
        self.terminal.wait_for("`exit` ends it")
        self.terminal.type("sleep 302 & echo started $((2 * 3))\n")
        self.terminal.wait_for("started 6\r\n", 20)
        inside = list(descendants(build))
        self.assertGreaterEqual(len(inside), 4)
        self.terminal.close()
        limit = time.monotonic() + 10
        while (left := [process for process in inside if product.is_running(process)]):
            self.assertLess(time.monotonic(), limit, f"processes {left} run on")
            time.sleep(0.05)

    def test_without_a_terminal_there_is_none(self):
        answer = self.build("--shell-on-failure", status=None)
        self.assertNotEqual(0, answer.status)
        self.assertIn("standard input is not a terminal", answer.err)


if __name__ == "__main__":
    unittest.main()
