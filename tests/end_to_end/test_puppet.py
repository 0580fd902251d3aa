# SPDX-License-Identifier: GPL-3.0-or-later
"""Puppet from outside: what the manifest says is in the image, Puppet is not; facts are the guest's;
packages come through goldmill and stay as locked; failures and what is not idempotent are named."""
import json
import os
import unittest

import product
from tool_case import ToolCase

MANIFEST = """\
include site
package { 'less': ensure => installed }
service { 'nftables': ensure => running }
file { '/etc/facts.txt':
  content => join([$facts['os']['name'], $facts['os']['release']['major'], $facts['kernelrelease'],
                   $facts['virtual'], String($facts['memory']), $facts['role']].map |$f| { "${f}" }, "\\n"),
}
"""
MODULE = """\
class site (String $greeting) {
  file { '/srv/greeting': content => "${greeting}\\n", mode => '0640', owner => 'root' }
  user { 'site': ensure => present, home => '/srv/site', managehome => true }
}
"""


def metadata(name, version, **more):
    return json.dumps({"name": name, "version": version, "author": "acme", "license": "none",
                       "summary": "", "source": "https://git.example.org", "dependencies": [], **more})


class Puppet(ToolCase):
    TOOL = "puppet"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        write = cls.write
        write("site.pp", MANIFEST)
        write("modules/site/manifests/init.pp", MODULE)
        write("modules/site/metadata.json", metadata(
            "acme-site", "1.0.0",
            requirements=[{"name": "puppet", "version_requirement": ">= 6.0.0 < 9.0.0"}]))
        write("hiera.yaml", "version: 5\nhierarchy: [{name: all, path: all.yaml}]\n")
        write("data/all.yaml", "site::greeting: hello\n")
        cls.recipe("site", "manifest: site.pp, modules: [./modules/site], hiera: hiera.yaml, "
                           "facts: {role: web}")
        cls.report = cls.build("site")

    def test_what_the_manifest_says_is_in_the_image_and_puppet_is_not(self):
        self.assertEqual("hello\n", self.read("srv/greeting"))
        self.assertIn("usr/bin/less", self.paths())
        self.assertIn("site:", self.read("etc/passwd"))
        for path in self.paths():
            self.assertNotRegex(path, r"(?i)puppet|ruby|facter|hiera|^run/|^tmp/|apt/lists/.*_|\.deb$")
        packages = self.goldmill("show", "site", "--json").json["packages_installed"]
        self.assertIn("less", packages)
        self.assertFalse({"puppet-agent", "ruby", "facter"} & set(packages))

    def test_facts_are_the_guests(self):
        name, release, kernel, virtual, memory, role = self.read("etc/facts.txt").split("\n")
        self.assertEqual(("Debian", "12", "kvm", "web"), (name, release, virtual, role))
        packages = self.goldmill("show", "site", "--json").json["packages_installed"]
        self.assertIn(f"linux-image-{kernel}", packages)
        self.assertEqual("", memory, "nobody knows an instance's memory")

    def test_the_report_is_kept(self):
        answer = self.goldmill("show", "site", "--puppet", "--json").json
        (report,) = answer["reports"]
        rows = {row["resource"]: row for row in report["resources"]}
        self.assertEqual(("./modules/site/manifests/init.pp", 2, "changed"),
                         tuple(rows["File[/srv/greeting]"][key] for key in ("file", "line", "status")))
        self.assertEqual(("site.pp", 2, "changed"),
                         tuple(rows["Package[less]"][key] for key in ("file", "line", "status")))
        self.assertEqual(["nftables.service"], report["services"])
        shown = self.goldmill("show", "site", "--puppet").out
        self.assertIn("site.pp:2", shown)
        self.assertEqual([], self.goldmill("show", "base", "--puppet", "--json").json["reports"])

    def test_runs_again_for_what_it_reads_and_for_nothing_else(self):
        self.assertEqual([], self.ran(self.goldmill("build", "site", "--json").json))
        for path, old, new in (("data/all.yaml", "hello", "good day"),
                               ("modules/site/manifests/init.pp", "0640", "0644"),
                               ("site.pp", "facts.txt", "other.txt"),
                               ("site.yaml", "role: web", "role: db")):
            text = (self.recipes / path).read_text()
            self.write(path, text.replace(old, new))
            steps = {step["name"]: step
                     for plan in self.goldmill("plan", "site", "--json").json["images"]
                     for step in plan["steps"]}
            self.assertEqual("runs", steps["puppet: site.pp"]["result"], path)
            self.write(path, text)
        self.assertEqual([], self.ran(self.goldmill("build", "site", "--json").json))

    def test_runs_elsewhere_with_the_same_packages_and_without_an_archive(self):
        lock = json.loads((self.recipes / "site.lock").read_text())
        (entry,) = lock["step_packages"].values()
        self.assertEqual(["less"], [package["name"] for package in entry["packages"]])
        self.assertRegex(entry["packages"][0]["sha256"], "^[0-9a-f]{64}$")
        self.assertIn("puppet-agent", {p["name"] for p in lock["step_tools"]["packages"]})
        product.run(*product.AS_GUEST_ROOT, "rm", "-r", self.layer("site"))
        report = self.goldmill("build", "site", "--json", **product.WITHOUT_ARCHIVE).json
        self.assertIn("puppet: site.pp", self.ran(report))
        self.assertEqual(self.report["image"]["digest"], report["image"]["digest"])

    def test_failures_are_named_with_file_and_line(self):
        for name, manifest, words in (
                ("syntax", "file { '/etc/x':\n  ensure => \n}\n", [r"syntax\.pp:3: "]),
                ("broken", "\nexec { '/bin/false': }\nservice { 'nowhere': ensure => running }\n",
                 [r"broken\.pp:2: .*/bin/false", r"broken\.pp:3: .*no unit nowhere\.service"]),
                ("again", "\nexec { '/bin/date': }\n",
                 ["second run changed", r"again\.pp:2: Exec\[/bin/date\]"]),
        ):
            with self.subTest(name):
                self.write(f"{name}.pp", manifest)
                self.recipe(name, f"manifest: {name}.pp")
                answer = self.goldmill("build", name, status=6)
                for word in words:
                    self.assertRegex(answer.err, word)
                self.assertNotIn("/run/goldmill/puppet", answer.err.partition("hint")[0])

    def test_a_kept_agent_has_no_name_yet(self):
        self.write("none.pp", "")
        self.recipe("kept", "manifest: none.pp, keep_agent: true, server: puppet.example.org")
        self.build("kept")
        layer = self.layer("kept")
        self.assertIn("server = puppet.example.org", self.read("usr/lib/goldmill/puppet-identity", "kept"))
        self.assertTrue(os.path.islink(
            layer / "etc/systemd/system/multi-user.target.wants/puppet.service"))
        story = self.goldmill("show", "kept", "--json").json
        self.assertIn("puppet-agent", story["own_packages"])
        self.assertEqual([], story["seal"])
        for digest in story["layers"]:
            tree = product.HOME / "trees" / digest.removeprefix("sha256:")
            found = product.run(*product.AS_GUEST_ROOT, "find", tree, "-path", "*/var/lib/puppet/ssl/*",
                                "-o", "-path", "*/etc/puppet/ssl/*")
            self.assertEqual("", found)

    def test_modules_must_fit_the_puppet_at_hand(self):
        self.write("modules/newer/metadata.json", metadata(
            "acme-newer", "2.0.0",
            requirements=[{"name": "puppet", "version_requirement": ">= 99.0.0"}],
            dependencies=[{"name": "acme/absent", "version_requirement": ">= 1.0.0"}]))
        self.write("none.pp", "")
        self.recipe("newer", "manifest: none.pp, modules: [./modules/newer]")
        answer = self.goldmill("build", "newer", status=2)
        self.assertRegex(answer.err, r"acme-newer 2\.0\.0 needs Puppet >= 99\.0\.0, here is \d")
        self.assertIn("needs module acme-absent >= 1.0.0", answer.err)
        self.recipe("unknown", "manifest: none.pp, modules: [nobodys]")
        answer = self.goldmill("build", "unknown", status=3)
        self.assertIn("puppet-module-puppetlabs-nobodys", answer.err)
        self.assertIn("unknown.yaml:4:", answer.err)


if __name__ == "__main__":
    unittest.main()
