# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for Ansible's own modules of services while an image is made. Nothing runs in a tree: so
what a service is now means nothing, and "started" is a promise about instances. It becomes: the
unit exists, systemd starts it at boot, and `goldmill test` looks whether it did.
"""
import os
import re

from ansible.module_utils.basic import AnsibleModule

UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
                    "/usr/local/lib/systemd/system")
UNIT_TYPES = re.compile(r"\.(service|socket|timer|path|mount|automount|target|device|swap|slice"
                        r"|scope)$")
STARTS = {"enabled", "static", "indirect", "alias", "generated"}
ARGUMENTS = {
    "name": {"type": "str", "aliases": ["service", "unit"]},
    "state": {"type": "str", "choices": ["reloaded", "restarted", "started", "stopped"]},
    "enabled": {"type": "bool"},
    "masked": {"type": "bool"},
    "scope": {"type": "str", "default": "system"},
    "daemon_reload": {"type": "bool", "aliases": ["daemon-reload"]},
    "daemon_reexec": {"type": "bool", "aliases": ["daemon-reexec"]},
    "force": {"type": "bool"}, "no_block": {"type": "bool"},
    "sleep": {"type": "int"}, "pattern": {"type": "str"}, "runlevel": {"type": "str"},
    "runlevels": {"type": "list", "elements": "str"}, "daemonize": {"type": "bool"},
    "arguments": {"type": "str", "aliases": ["args"]}, "use": {"type": "str"},
}


class Service:
    def __init__(self, module):
        self._module = module
        name = module.params["name"]
        self.unit = name if UNIT_TYPES.search(name) else f"{name}.service"
        self.changed = False
        scope = module.params["scope"]
        self._systemctl = ["systemctl"] + ([f"--{scope}"] if scope != "system" else [])

    def exists(self):
        names = {self.unit, re.sub(r"@[^@]+(\.\w+)$", r"@\1", self.unit)}
        places = UNIT_DIRECTORIES if self._module.params["scope"] == "system" else (
            "/etc/systemd/user", "/usr/lib/systemd/user")
        script = f"/etc/init.d/{self.unit.removesuffix('.service')}"
        return (any(os.path.exists(f"{place}/{name}") for place in places for name in names)
                or os.access(script, os.X_OK))

    def state(self):
        ask = [*self._systemctl, "is-enabled", "--", self.unit]
        return self._module.run_command(ask)[1].strip()

    def change(self, verb):
        self.changed = True
        if self._module.check_mode:
            return
        if verb == "enable" and self.state() == "masked":
            self.change("unmask")
        status, out, err = self._module.run_command([*self._systemctl, verb, "--", self.unit])
        if status != 0:
            self._module.fail_json(msg=f"cannot {verb} {self.unit}: {(out + err).strip()}")

    def set_masked(self, masked):
        if masked != (self.state() == "masked"):
            self.change("mask" if masked else "unmask")

    def set_enabled(self, enabled):
        """A unit without [Install] cannot be enabled or disabled, others start it."""
        state = self.state()
        if enabled and state not in STARTS:
            self.change("enable")
        elif not enabled and state in ("enabled", "alias", "generated"):
            self.change("disable")


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    if wanted["name"] is None:  # a reload only: instances read all units when they boot
        module.exit_json(changed=False)
    service = Service(module)
    if wanted["masked"] is not None:
        service.set_masked(wanted["masked"])
    if (wanted["enabled"] is not None or wanted["state"] is not None) and not service.exists():
        module.fail_json(msg=f"the image has no unit {service.unit}")
    boots = wanted["enabled"]
    if boots is None and wanted["state"] in ("started", "stopped"):
        boots = wanted["state"] == "started"
    if boots is not None:
        service.set_enabled(boots)
    promised = wanted["state"] == "started" and boots and wanted["scope"] == "system"
    module.exit_json(changed=service.changed, name=service.unit, state=wanted["state"],
                     enabled=service.state() in STARTS,
                     goldmill_services=[service.unit] if promised else [])


if __name__ == "__main__":
    main()
