# SPDX-License-Identifier: GPL-3.0-or-later
"""Many images in one build: parents first, others beside each other, and nothing twice."""
import unittest

import product
from product import Case, clone_home, copy_recipes, goldmill


def ran(report):
    """{image: names of the steps that ran}, of images where one did."""
    names = {}
    for step in report["steps"]:
        if step["result"] == "ran":
            names.setdefault(step["image"], []).append(step["name"])
    return names


class Many(Case):
    def setUp(self):
        self.room = self.scratch()
        self.home = product.HOME
        self.recipes = self.room / "recipes"
        copy_recipes(self.recipes)
        (self.recipes / "java.yaml").unlink()
        self.write("left", "from: base", "{target: /srv/name, content: left}")
        self.write("right", "from: base", "{target: /srv/name, content: right}")
        self.write("leaf", "from: left", "{target: /srv/leaf, content: leaf}")
        (self.recipes / "playbook.yaml").write_text("- hosts: all\n")

    def clone(self):
        self.home = self.room / "home"
        clone_home(self.home)

    def write(self, name, parent, file):
        (self.recipes / f"{name}.yaml").write_text(
            f"recipe: {name}\n{parent}\nprovision:\n  - files: [{file}]\n")

    def build(self, *arguments, **options):
        return goldmill("build", *arguments, "--json", home=self.home, cwd=self.recipes, **options)

    def test_all_of_a_directory(self):
        self.clone()
        report = self.build("--all").json
        self.assertEqual({"images", "steps", "seconds"}, set(report))
        names = [image["name"] for image in report["images"]]
        self.assertEqual(["base", "leaf", "left", "right"], sorted(names))
        self.assertLess(names.index("left"), names.index("leaf"), "parents first")
        self.assertEqual({"left", "right", "leaf"}, set(ran(report)), "base was there")
        self.assertEqual({}, ran(self.build("--all").json))
        plan = goldmill("plan", "--all", "--json", home=self.home, cwd=self.recipes).json
        self.assertEqual([], plan["waiting"])
        self.assertEqual({"cached"}, {step["result"] for image in plan["images"]
                                      for step in image["steps"]})
        self.assertEqual({}, ran(self.build("leaf", "right").json))

        self.check_rebase({image["name"]: image["digest"] for image in report["images"]})

    def check_rebase(self, before):
        """After a new base the variants' own steps run, and of the base what changed."""
        base = self.recipes / "base.yaml"
        base.write_text(base.read_text().replace("Europe/Berlin", "Europe/Paris"))
        plan = goldmill("plan", "--all", "--json", home=self.home, cwd=self.recipes).json
        waiting = {image["image"]: image for image in plan["waiting"]}
        self.assertEqual({"left", "right", "leaf"}, set(waiting))
        self.assertEqual("base", waiting["left"]["for"])
        self.assertEqual("disk", waiting["left"]["steps"][-1]["name"])
        self.assertGreater(sum(step["expected_seconds"] for step in waiting["left"]["steps"]), 0)
        steps = ran(self.build("base").json)
        self.assertEqual({"base"}, set(steps))
        self.assertNotIn("packages", steps["base"], "the base's packages did not change")
        self.assertEqual("base is now base@2", self.first_reason("left"))
        report = self.build("--all", "-j", "3").json
        after = {image["name"]: image["digest"] for image in report["images"]}
        for name, digest in after.items():
            self.assertNotEqual(before[name], digest, name)
        steps = ran(report)
        self.assertEqual({"left", "right", "leaf"}, set(steps))
        for name in ("left", "right", "leaf"):  # baseline: its own host name
            file = "/srv/leaf" if name == "leaf" else "/srv/name"
            self.assertEqual(["baseline", f"files: {file}", "disk"], steps[name])
        for image in report["images"]:
            self.assertEqual(2, image["version"])
        shown = goldmill("show", "leaf", "--json", home=self.home).json
        self.assertEqual("left@2", shown["parent"])

    def first_reason(self, name):
        plan, = goldmill("plan", name, "--json", home=self.home, cwd=self.recipes).json["images"][-1:]
        return next(step["reason"] for step in plan["steps"] if step["result"] == "runs")

    def test_one_that_fails_stops_only_what_stands_on_it(self):
        self.clone()
        (self.recipes / "left.yaml").write_text(
            "recipe: left\nfrom: base\nprovision:\n  - shell: {script: \"echo no >&2; exit 3\"}\n")
        answer = self.build("--all", status=None)
        self.assertNotEqual(0, answer.status)
        self.assertIn("2 of 4 images were not built", answer.err)
        self.assertIn("leaf: stands on left", answer.err)
        self.assertEqual(1, goldmill("show", "right", "--json", home=self.home).json["version"])
        for name in ("left", "leaf"):
            goldmill("show", name, home=self.home, status=3)
        self.assertEqual([], list((self.home / "work").iterdir()))

    def test_wrong_requests(self):
        other = self.room / "other"
        other.mkdir()
        (other / "right.yaml").write_text((self.recipes / "right.yaml").read_text())
        (other / "base.yaml").write_text((self.recipes / "base.yaml").read_text())
        (other / "ops.pub").write_text((self.recipes / "ops.pub").read_text())
        for arguments, word in (((), "no recipe is named"),
                                (("--all", self.room / "nowhere"), "nowhere"),
                                (("--all", self.room), "is a recipe"),
                                (("--all", ".", "."), "one directory"),
                                (("left", "right", "--set", "a=b"), "--set goes with one"),
                                (("right.yaml", other / "right.yaml"), "both make the image")):
            with self.subTest(word):
                answer = self.build(*arguments, status=None)
                self.assertIn(answer.status, (2, 3))
                self.assertIn(word, answer.err)


if __name__ == "__main__":
    unittest.main()
