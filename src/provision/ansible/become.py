# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for sudo, which not every image has: everything here runs as root already, and becomes
another user by util-linux' runuser."""
import shlex

from ansible.plugins.become import BecomeBase

DOCUMENTATION = """
    name: sudo
    short_description: runuser, in sudo's place
    description: [Becomes another user while an image is made.]
    options:
      become_user:
        description: Whom to become.
        default: root
        ini: [{section: privilege_escalation, key: become_user}]
        vars: [{name: ansible_become_user}]
        keyword: [{name: become_user}]
      become_exe:
        description: Not used.
        default: runuser
      become_flags:
        description: Not used.
        default: ''
"""


class BecomeModule(BecomeBase):
    name = "sudo"

    def build_become_command(self, cmd, shell):
        super().build_become_command(cmd, shell)
        if not cmd:
            return cmd
        user = shlex.quote(self.get_option("become_user") or "root")
        return f"runuser -u {user} -- {self._build_success_command(cmd, shell)}"
