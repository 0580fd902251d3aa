# SPDX-License-Identifier: GPL-3.0-or-later
"""Kickstart profiles where recipes are taken."""
import os
import unittest

from product import Case, goldmill

PROFILE = """lang en_US
timezone Europe/Berlin
rootpw secret
firewall --service=http
part / --size=3000 --fstype=xfs --grow
reboot
%packages
@core
vim-minimal
%end
%post --erroronfail
echo "${HOME}" > /etc/made-by
%end
"""


class Import(Case):
    def steps(self, *arguments):
        plan, = goldmill("plan", *arguments, "--json", cwd=self.room).json["images"]
        return [(step["name"], step["key"]) for step in plan["steps"]]

    def setUp(self):
        self.room = self.scratch()
        (self.room / "web.ks").write_text(PROFILE)

    def test_a_profile_is_built_as_the_recipe_that_it_prints(self):
        of_profile = self.steps("web.ks", "--os", "debian/12")
        recipe = goldmill("import", "web.ks", "--os", "debian/12", cwd=self.room).out
        (self.room / "web.yaml").write_text(recipe)
        self.assertEqual(of_profile, self.steps("web.yaml"))
        self.assertNotIn("secret", recipe.split("# What became")[0])

    def test_every_line_is_told_of(self):
        lines = goldmill("import", "web.ks", "--json", cwd=self.room).json["lines"]
        self.assertEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 11], [line["line"] for line in lines])
        self.assertEqual({"mapped", "changed", "not_applicable"},
                         {line["verdict"] for line in lines})

    def test_what_is_wrong_has_its_line(self):
        (self.room / "bad.ks").write_text("text\ntimezon UTC\n%post\n")
        answer = goldmill("import", "--check", "bad.ks", "web.ks", "--json", cwd=self.room).json
        self.assertEqual([False, True], [file["accepted"] for file in answer["files"]])
        self.assertEqual([2, 3], [error["line"] for error in answer["files"][0]["errors"]])
        said = goldmill("build", "bad.ks", "--os", "debian/12", cwd=self.room, status=2).err
        self.assertIn("bad.ks:2: no command is called 'timezon'; did you mean 'timezone'?", said)
        self.assertIn("--os debian/12", goldmill("plan", "web.ks", cwd=self.room, status=2).err)
        goldmill("import", "--check", "gone.ks", cwd=self.room, status=3)

    def test_what_cannot_be_read_hides_no_verdict(self):
        (self.room / "large.ks").write_text("#" * (1 << 20) + "\n")
        (self.room / "directory.ks").mkdir()
        os.mkfifo(self.room / "fifo.ks")
        names = ["web.ks", "gone.ks", "large.ks", "directory.ks", "fifo.ks", "web.ks"]
        files = goldmill("import", "--check", "--json", *names, cwd=self.room, status=2).json["files"]
        self.assertEqual(names, [file["file"] for file in files])
        self.assertEqual([True, False, False, False, False, True], [file["accepted"] for file in files])
        for file in files[1:-1]:
            self.assertIsNone(file["errors"][0]["line"])
            self.assertIn(file["file"], file["errors"][0]["message"])
        told = goldmill("import", "--check", "gone.ks", "web.ks", cwd=self.room, status=3).out
        self.assertIn("gone.ks: cannot open gone.ks", told)
        self.assertIn("web.ks: accepted as", told)

    def test_its_packages_are_kept_as_a_recipe_s_are(self):
        self.assertIn("--os debian/12", goldmill("keep-packages", "web.ks", cwd=self.room, status=2).err)
        said = goldmill("keep-packages", "web.ks", "--os", "debian/12", cwd=self.room, status=4).err
        self.assertIn("web.ks is not locked yet", said)


if __name__ == "__main__":
    unittest.main()
