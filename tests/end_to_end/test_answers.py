# SPDX-License-Identifier: GPL-3.0-or-later
"""What installers ask, and their answer files."""
import unittest

from product import EXAMPLES, Case, copy_recipes, goldmill


class Answers(Case):
    def setUp(self):
        self.room = self.scratch()
        copy_recipes(self.room)

    def test_every_question_has_an_answer(self):
        asked = goldmill("questions", "java.yaml", "--json", cwd=self.room).json["questions"]
        self.assertTrue(all(question["answer"] for question in asked))
        known = {question["question"]: question for question in asked}
        self.assertEqual(("Europe/Berlin", "parent"),
                         (known["time zone"]["answer"], known["time zone"]["source"]))
        self.assertIn("base.yaml:7:13", known["time zone"]["where"])
        self.assertIn("java.yaml", known["tasks and packages"]["where"])
        self.assertEqual("default", known["keyboard"]["source"])
        # Without its parent's recipe the image in the store answers.
        (self.room / "base.yaml").unlink()
        asked = goldmill("questions", "java.yaml", "--json", cwd=self.room).json["questions"]
        zone, = (question for question in asked if question["question"] == "time zone")
        self.assertEqual("Europe/Berlin", zone["answer"])
        self.assertIn("image base@", zone["where"])

    def test_an_answer_file_says_what_it_leaves_out(self):
        written = goldmill("answers", "java.yaml", "--as", "preseed", cwd=self.room)
        self.assertIn("pkgsel/include string openssh-server sudo default-jre-headless", written.out)
        self.assertIn("not said: baseline.firewall", written.err)
        (self.room / "java.preseed").write_text(written.out)
        answer = goldmill("import", "--check", "java.preseed", "--json", cwd=self.room).json
        self.assertEqual([True], [file["accepted"] for file in answer["files"]])
        (self.room / "bad.seed").write_text(
            "d-i time/zone string UTC\nd-i partman-auto/expert_recipe string r :: 1\n")
        (self.room / "user-data").write_text("#cloud-config\nusers: [{gecos: x}]\n")
        answer = goldmill("import", "--check", "bad.seed", "user-data", "--json",
                          cwd=self.room).json
        self.assertEqual([[2], [2]], [[error["line"] for error in file["errors"]]
                                      for file in answer["files"]])
        said = goldmill("answers", "java.yaml", "--as", "yast", cwd=self.room, status=2).err
        self.assertIn("autoinstall", said)

    def test_a_preseed_file_is_built_as_the_recipe_that_it_prints(self):
        file = EXAMPLES / "server.preseed"
        plan, = goldmill("plan", file, "--os", "debian/12", "--json").json["images"]
        recipe = goldmill("import", file, cwd=self.room).out
        (self.room / "server.yaml").write_text(recipe)
        again, = goldmill("plan", "server.yaml", "--json", cwd=self.room).json["images"]
        self.assertEqual([step["key"] for step in plan["steps"]],
                         [step["key"] for step in again["steps"]])
        (self.room / "bad.preseed").write_text("d-i time/zone\n")
        said = goldmill("build", "bad.preseed", "--os", "debian/12", cwd=self.room, status=2).err
        self.assertIn("bad.preseed:1: an answer is OWNER QUESTION TYPE VALUE", said)

    def test_debconf_is_answered_before_a_package_asks(self):
        (self.room / "popcon.yaml").write_text(
            "recipe: popcon\nfrom: base@1\npackages: [popularity-contest]\n"
            "debconf:\n  - {package: popularity-contest, question: popularity-contest/participate, "
            "type: boolean, value: true}\n"
            "provision: [{shell: {script: 'grep -x PARTICIPATE=.yes. /etc/popularity-contest.conf'}}]\n"
            "disk: {kernel_options: [mitigations=off]}\n")
        goldmill("build", "popcon.yaml", cwd=self.room)
        # Without the answer the package does what it does by itself.
        text = (self.room / "popcon.yaml").read_text().replace("value: true", "value: false")
        (self.room / "popcon.yaml").write_text(text)
        failed = goldmill("build", "popcon.yaml", cwd=self.room, status=None)
        self.assertNotEqual(0, failed.status)
        self.assertIn("shell: grep", failed.err)


if __name__ == "__main__":
    unittest.main()
