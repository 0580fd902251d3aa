# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible from outside: what the playbook says is in the image, Ansible and Python are not; facts are
the guest's; packages come through goldmill and stay as locked; failures and what is not idempotent
are named with file and line."""
import json
import os
import unittest

import product
from tool_case import ToolCase

PLAYBOOK = """\
- hosts: servers
  become: true
  roles: [greeting]
  tasks:
    - ansible.builtin.apt: {name: less, update_cache: true}
    - ansible.builtin.systemd: {name: nftables, state: started, enabled: true, daemon_reload: true}
    - import_tasks: more.yml
    - name: Who is it
      ansible.builtin.command: id -un
      become_user: site
      register: who
      changed_when: false
    - ansible.builtin.copy:
        dest: /etc/facts.txt
        content: "{{ [ansible_distribution, ansible_distribution_major_version, ansible_kernel,
                  ansible_virtualization_type, ansible_memtotal_mb | default('unknown'), role,
                  who.stdout] | join('\\n') }}"
"""


class Ansible(ToolCase):
    TOOL = "ansible"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        write = cls.write
        write("site.yml", PLAYBOOK)
        write("more.yml", "- ansible.builtin.user: {name: site, home: /srv/site}\n")
        write("ours/greeting/tasks/main.yml",
              "- ansible.builtin.template: {src: greeting.j2, dest: /srv/greeting, mode: '0640'}\n"
              "  notify: restarted\n")
        write("ours/greeting/handlers/main.yml",
              "- name: restarted\n  ansible.builtin.service: {name: nftables, state: restarted}\n")
        write("ours/greeting/templates/greeting.j2", "{{ word }}\n")
        write("group_vars/servers.yml", "word: hello\n")
        cls.recipe("site", "playbook: site.yml, roles: [ours], groups: [servers], "
                           "extra_vars: {role: web}")
        cls.report = cls.build("site")

    def test_what_the_playbook_says_is_in_the_image_and_ansible_is_not(self):
        self.assertEqual("hello\n", self.read("srv/greeting"))
        paths = self.paths()
        self.assertIn("usr/bin/less", paths)
        self.assertTrue(os.path.islink(
            self.layer() / "etc/systemd/system/sysinit.target.wants/nftables.service"))
        for path in paths:
            self.assertNotRegex(path, r"(?i)ansible|python|^run/|^tmp/|^root/|apt/lists/.*_|\.deb$")
        packages = self.goldmill("show", "site", "--json").json["packages_installed"]
        self.assertIn("less", packages)
        self.assertFalse({"ansible-core", "python3", "python3-apt"} & set(packages))

    def test_facts_are_the_guests_and_become_becomes(self):
        name, release, kernel, virtual, memory, role, who = self.read("etc/facts.txt").split("\n")
        self.assertEqual(("Debian", "12", "kvm", "unknown", "web", "site"),
                         (name, release, virtual, memory, role, who))
        packages = self.goldmill("show", "site", "--json").json["packages_installed"]
        self.assertIn(f"linux-image-{kernel}", packages)

    def test_the_report_is_kept(self):
        (report,) = self.goldmill("show", "site", "--reports", "--json").json["reports"]
        self.assertEqual("Ansible", report["tool"])
        rows = {(row["file"], row["line"]): row["status"] for row in report["resources"]}
        self.assertEqual("changed", rows["ours/greeting/tasks/main.yml", 1])
        self.assertEqual("changed", rows["site.yml", 5])
        self.assertEqual("changed", rows["more.yml", 1])
        self.assertEqual(["nftables.service"], report["services"])
        self.assertIn("site.yml:5", self.goldmill("show", "site", "--reports").out)
        self.assertEqual([], self.goldmill("show", "site", "--puppet", "--json").json["reports"])

    def test_runs_elsewhere_with_the_same_packages_and_without_an_archive(self):
        lock = json.loads((self.recipes / "site.lock").read_text())
        (entry,) = lock["step_packages"].values()
        self.assertEqual(["less"], [package["name"] for package in entry["packages"]])
        with product.changes():
            product.run(*product.AS_GUEST_ROOT, "rm", "-r", self.layer())
            report = self.goldmill("build", "site", "--json", **product.WITHOUT_ARCHIVE).json
        self.assertIn("ansible: site.yml",
                      [step["name"] for step in report["steps"] if step["result"] == "ran"])
        self.assertEqual(self.report["image"]["digest"], report["image"]["digest"])

    def test_failures_are_named_with_file_and_line(self):
        for name, playbook, words, status in (
                ("syntax", "- hosts: all\n  tasks:\n    - nosuch: {}\n", [r"syntax\.yml:3: .*nosuch"], 6),
                ("broken", "- hosts: all\n  tasks:\n    - name: Off\n      service: {name: nowhere, state: started}\n",
                 [r"broken\.yml:3: .*no unit nowhere\.service"], 6),
                ("again", "- hosts: all\n  tasks:\n    - command: /bin/date\n",
                 ["second run changed", r"again\.yml:3: command"], 6),
                ("nobody", "- hosts: others\n  tasks: [{debug: {}}]\n",
                 ["no play is for this image", "hosts: all"], 2),
        ):
            with self.subTest(name):
                self.write(f"{name}.yml", playbook)
                self.recipe(name, f"playbook: {name}.yml")
                answer = self.goldmill("build", name, status=status)
                for word in words:
                    self.assertRegex(answer.err, word)
                self.assertRegex(answer.err, rf"{name}\.yaml:4:5: step")
                self.assertNotIn("/run/goldmill/ansible", answer.err.partition("hint")[0])


if __name__ == "__main__":
    unittest.main()
