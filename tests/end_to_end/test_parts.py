# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of recipes, and those that a site enforces."""
import unittest

from product import Case, copy_recipes, goldmill

STEP = "provision: [{shell: {script: 'echo hello > /etc/made-by'}}]\n"


class Parts(Case):
    def setUp(self):
        self.room = self.scratch()
        copy_recipes(self.room)
        (self.room / "parts").mkdir()

    def keys(self, recipe, **options):
        answer = goldmill("plan", recipe, "--json", cwd=self.room, **options).json
        return {image["image"]: [step["key"] for step in image["steps"]]
                for image in answer["images"]}

    def test_a_step_keeps_its_key_when_it_moves_into_a_part(self):
        (self.room / "v.yaml").write_text("recipe: v\nfrom: base\n" + STEP)
        alone = self.keys("v.yaml")
        (self.room / "v.yaml").write_text("recipe: v\nfrom: base\ninclude: [parts/p.yaml]\n")
        (self.room / "parts/p.yaml").write_text("part: p\n" + STEP)
        self.assertEqual(alone, self.keys("v.yaml"))
        said = goldmill("explain", "v.yaml", cwd=self.room).out
        self.assertIn("parts/p.yaml, included at v.yaml:3:11", said)
        self.assertIn("provision at parts/p.yaml:2:13", said)

    def test_what_the_settings_enforce_is_planned_and_named(self):
        (self.room / "goldmill").mkdir()
        settings = self.room / "goldmill/settings.yaml"
        settings.write_text("enforce: [site.yaml]\n")
        site = self.room / "goldmill/site.yaml"
        site.write_text("part: site\nbaseline: {timezone: Europe/Paris}\n" + STEP)
        (self.room / "v.yaml").write_text("recipe: v\nfrom: base@1\n")
        env = {"XDG_CONFIG_HOME": str(self.room)}
        answer = goldmill("plan", "v.yaml", "--json", cwd=self.room, env=env, status=None)
        self.assertEqual(2, answer.status)  # the base says Europe/Berlin
        self.assertIn("base.yaml", answer.json["error"]["message"])
        self.assertIn("goldmill/site.yaml:2:22", answer.json["error"]["message"])
        # An image that was built without it is not the base that the policy wants.
        site.write_text("part: site\n" + STEP)
        plan = goldmill("plan", "v.yaml", "--json", cwd=self.room, env=env).json
        self.assertIn("shell: echo hello > /etc/made-by",
                      [step["name"] for step in plan["images"][-1]["steps"]])
        self.assertEqual({True}, {part["enforced"] for part in plan["parts"]})
        said = goldmill("plan", "v.yaml", cwd=self.room, env=env).out
        self.assertIn(f"v has {site}, enforced by {settings}:1:11", said)


if __name__ == "__main__":
    unittest.main()
