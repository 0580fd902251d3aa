# SPDX-License-Identifier: GPL-3.0-or-later
"""ToolCase: images that a tool which works from outside has adapted, in recipes of their own."""
import product
from product import Case, copy_recipes, goldmill


class ToolCase(Case):
    """Puts the recipes that a class needs below `recipes`; what build() makes goes with the class."""
    TOOL = None  # its name in recipes

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recipes = cls.class_scratch()
        copy_recipes(cls.recipes)

    @classmethod
    def goldmill(cls, *arguments, **options):
        return goldmill(*arguments, cwd=cls.recipes, **options)

    @classmethod
    def build(cls, name):
        """Its report."""
        report = cls.goldmill("build", name, "--json").json
        cls.addClassCleanup(goldmill, "rm", f"{name}@{report['image']['version']}")
        return report

    @classmethod
    def write(cls, path, text):
        file = cls.recipes / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @classmethod
    def recipe(cls, name, options):
        cls.write(f"{name}.yaml",
                  f"recipe: {name}\nfrom: base\nprovision:\n  - {cls.TOOL}: {{{options}}}\n")

    @classmethod
    def ran(cls, report):
        return [step["name"] for step in report["steps"] if step["result"] == "ran"]

    def layer(self, image="site"):
        """The directory of the tool's layer."""
        story = self.goldmill("show", image, "--json").json
        (step,) = (step for step in story["all_steps"] if step["kind"] == f"provision.{self.TOOL}")
        return product.HOME / "trees" / step["layer"].removeprefix("sha256:")

    def read(self, path, image="site"):
        return product.run(*product.AS_GUEST_ROOT, "cat", self.layer(image) / path)

    def paths(self, image="site"):
        return product.run(*product.AS_GUEST_ROOT, "find", self.layer(image), "-printf",
                           "%P\n").splitlines()
