# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies a playbook to the tree that is "/" here. Neither this program nor the Python and Ansible
that run it belong to that tree: they are shown below /run for the time of the run, and so is
everything that Ansible keeps.

Reads ROOM/request.json: {"trees": [{"to", "entries": [{"path", "type", "size", "executable",
"link"}]}], "name", "playbook", "groups", "extra_vars"}; the contents of all files stand one after
another in ROOM/contents. Writes the report to standard output, as JSON; what Ansible and its
children say goes to standard error, for the log.
"""
import json
import os
import re
import sys

ROOM = "/run/goldmill/ansible"
STATE = f"{ROOM}/state"
INPUT = f"{ROOM}/input"
PYTHON = f"{ROOM}/python"

# Each place that is not said would be made in the image.
CONFIGURATION = f"""\
[defaults]
home = {STATE}/home
local_tmp = {STATE}/local
remote_tmp = {STATE}/remote
inventory = {STATE}/hosts.json
roles_path = {{roles}}
collections_paths = {INPUT}/collections:{INPUT}/playbook/collections
library = {ROOM}/library
callback_plugins = {ROOM}/callback
become_plugins = {ROOM}/become
stdout_callback = goldmill
interpreter_python = {PYTHON}
remote_user = root
forks = 1
localhost_warning = False
deprecation_warnings = False
devel_warning = False
retry_files_enabled = False
nocows = True
"""

# Nobody knows these before an instance runs: better absent than the builder's.
UNKNOWN = re.compile(
    r"ansible_(all_ipv[46]_addresses|bios_.*|board_.*|chassis_.*|cmdline|date_time|default_ipv[46]"
    r"|device_links|devices|dns|fibre_channel_wwn|form_factor|hostnqn|interfaces|iscsi_iqn"
    r"|kernel_version|loadavg|locally_reachable_ips|lvm|machine_id|mem.*_mb|mounts|proc_cmdline"
    r"|processor.*|product_.*|swap.*_mb|system_vendor|uptime_seconds|virtualization_tech_.*)")

SERVICES = {"service", "systemd", "systemd_service", "sysvinit"}
PACKAGES = {"apt", "apt_repository"}
BUILT_IN = {"", "ansible.builtin", "ansible.legacy"}


def unpack(trees):
    """Directories before what is in them: entries come in the order of a walk."""
    with open(f"{ROOM}/contents", "rb") as contents:
        for tree in trees:
            for entry in tree["entries"]:
                place(entry, f"{INPUT}/{tree['to']}", contents)


def place(entry, top, contents):
    path = f"{top}/{entry['path']}" if entry["path"] else top
    os.makedirs(path if entry["type"] == "directory" else os.path.dirname(path), exist_ok=True)
    if entry["type"] == "link":
        os.symlink(entry["link"], path)
    elif entry["type"] == "file":
        with open(path, "wb") as file:
            file.write(contents.read(entry["size"]))
        os.chmod(path, 0o755 if entry["executable"] else 0o644)


def make_places(request):
    """Ansible's configuration, and an inventory of one host: the image."""
    for name in ("home", "local", "remote", "async"):
        os.makedirs(f"{STATE}/{name}", exist_ok=True)
    os.chmod(f"{STATE}/remote", 0o1777)
    roles = [f"{INPUT}/roles", f"{INPUT}/playbook/roles"]
    if os.path.isdir(f"{INPUT}/role_sets"):
        roles += [f"{INPUT}/role_sets/{name}" for name in sorted(os.listdir(f"{INPUT}/role_sets"))]
    write("ansible.cfg", CONFIGURATION.format(roles=":".join(roles)))
    name = request["name"]
    host = {"ansible_connection": "local", "ansible_python_interpreter": PYTHON,
            "ansible_async_dir": f"{STATE}/async"}
    groups = {group: {"hosts": {name: {}}} for group in request["groups"]}
    write("hosts.json", json.dumps({"all": {"hosts": {name: host}, "children": groups}}))
    write("vars.json", json.dumps(request["extra_vars"]))


def write(name, text):
    with open(f"{STATE}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


def read_name(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def kernel_release():
    """The newest that is installed is what boots."""
    try:
        names = os.listdir("/lib/modules")
    except OSError:
        return None
    return max(names, default=None,
               key=lambda name: [int(part) for part in re.findall(r"\d+", name)])


def guest_facts(facts, name):
    """Ansible reads the operating system from the tree, which is right; of the kernel, the network
    and the hardware it would tell the builder's."""
    links = {f"ansible_{link.replace('-', '_')}" for link in facts.get("ansible_interfaces", [])}
    kept = {key: value for key, value in facts.items()
            if not UNKNOWN.fullmatch(key) and key not in links}
    host = read_name("/etc/hostname") or name
    known = {"kernel": kernel_release(), "hostname": host.split(".")[0], "nodename": host,
             "fqdn": host, "domain": host.partition(".")[2], "virtualization_type": "kvm",
             "virtualization_role": "guest", "service_mgr": "systemd"}
    for key, value in known.items():
        if f"ansible_{key}" in kept and value is not None:
            kept[f"ansible_{key}"] = value
    return kept


def pinned(arguments):
    """Indexes do not change while an image is built: a module that asks for newer ones has them."""
    left = {key: value for key, value in arguments.items()
            if key not in ("update_cache", "update-cache", "cache_valid_time")}
    return {**left, "update_cache": False}


def stand_in(name):
    """What modules of Ansible's own would ask a running system is answered for the image."""
    from ansible.plugins.action import ActionBase
    execute = ActionBase._execute_module

    def execute_for_image(self, module_name=None, module_args=None, **named):
        collection, _, leaf = (module_name or self._task.action).rpartition(".")
        if collection not in BUILT_IN:
            return execute(self, module_name, module_args, **named)
        if leaf in SERVICES:
            module_name = "goldmill_service"
        elif leaf in PACKAGES:
            module_args = pinned(self._task.args if module_args is None else module_args)
        result = execute(self, module_name, module_args, **named)
        if leaf == "setup" and "ansible_facts" in result:
            result["ansible_facts"] = guest_facts(result["ansible_facts"], name)
        return result

    ActionBase._execute_module = execute_for_image


class Report:
    """Filled by callback/goldmill.py."""

    def __init__(self):
        self.rows = []
        self.messages = []
        self.services = set()
        self.plays = 0

    def add_error(self, error):
        """What Ansible says where in words becomes a file and a line."""
        text = str(error)
        found = (re.search(r"appears to be in '(?P<file>[^']+)': line (?P<line>\d+)", text)
                 or re.search(r"Origin: (?P<file>\S+?):(?P<line>\d+)", text))
        text = re.sub(r"(?s).*Syntax Error while loading YAML\.", "not valid YAML:", text)
        words = " ".join(re.split(r"\n\s*\n|\nThe error appears|\nOrigin: ", text)[0].split())
        self.messages.append({"level": "err", "message": words.removeprefix("ERROR! "),
                              "file": found and found["file"],
                              "line": found and int(found["line"])})

    def settle(self, status):
        """What failed and was rescued is no failure; the last of the others ended the run."""
        failed = [row for row in self.rows if row["status"] == "failed"]
        if status == 0:
            for row in failed:
                row["status"] = "ignored"
        elif failed and not any(message["level"] == "err" for message in self.messages):
            words = [failed[-1]["resource"], *(event["message"] for event in failed[-1]["events"])]
            self.messages.append({"level": "err", "message": ": ".join(words),
                                  "file": failed[-1]["file"], "line": failed[-1]["line"]})


def run(request, report):
    """As ansible-playbook's exit status: 0, or what failed."""
    from ansible.cli.playbook import PlaybookCLI
    from ansible.errors import AnsibleError
    stand_in(request["name"])
    try:
        return PlaybookCLI(["ansible-playbook", "--extra-vars", f"@{STATE}/vars.json",
                            f"{INPUT}/{request['playbook']}"]).run()
    except AnsibleError as error:
        report.add_error(error)
        return 1


def main():
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with open(f"{ROOM}/request.json", encoding="utf-8") as file:
        request = json.load(file)
    unpack(request["trees"])
    make_places(request)
    os.environ["ANSIBLE_CONFIG"] = f"{STATE}/ansible.cfg"
    sys.executable = PYTHON
    report = Report()
    sys.modules["goldmill_report"] = report
    from ansible.release import __version__
    status = run(request, report)
    report.settle(status)
    said = {"version": __version__}
    if status == 0 and report.plays == 0:
        names = ", ".join(repr(name) for name in ("all", request["name"], *request["groups"]))
        said["refused"] = [f"no play is for this image, which is in {names}"]
    else:
        changed = any(row["status"] == "changed" for row in report.rows)
        said |= {"status": 1 if status else 2 if changed else 0, "resources": report.rows,
                 "messages": report.messages, "services": sorted(report.services)}
    json.dump(said, answer)
    answer.close()


if __name__ == "__main__":
    main()
