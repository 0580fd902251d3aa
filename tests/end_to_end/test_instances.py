# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet as its users meet it: launch, ssh, console, ps after a crash, stop, rm; and its cage."""
import contextlib
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
import types
import unittest

import product
from product import Case, end, goldmill, start

FLEET = f"fleet-{os.getpid()}"
# More than one part of the agent's protocol, and no text. Whatever ran it would leave a file.
USER_DATA = b"#!/bin/sh\ntouch /user-data-ran\nexit\n" + bytes(range(256)) * 160
WISHES = """
hostname; id -un; nproc; stat -c '%a %U' /run/goldmill/user-data; sha256sum < /run/goldmill/user-data
ls /user-data-ran 2>/dev/null || echo not run
"""


def record(name):
    return json.loads((product.HOME / "instances" / name / "instance.json").read_text())


def states():
    rows = goldmill("ps", "--json").json["instances"]
    return {row["name"]: row["state"] for row in rows if row["name"].startswith(FLEET)}


def inventory(fleet):
    """What `ps --format ansible` says of a fleet's instances, taken apart as Ansible does it."""
    group, hosts = "", {}
    for line in goldmill("ps", "--format", "ansible").out.splitlines():
        if line.startswith("["):
            group = line
        elif group == f"[{group_of(fleet)}]":
            name, *variables = shlex.split(line, comments=True)
            hosts[name] = dict(variable.split("=", 1) for variable in variables)
    return hosts


def group_of(fleet):
    return fleet.replace("-", "_")


def as_ansible(host, command, **others):
    """A command at a host of the inventory, or at that with other variables, by ssh as Ansible calls it."""
    host = {**host, **others}
    return product.run("ssh", "-F", "none", "-o", "BatchMode=yes",
                       "-p", host["ansible_port"], "-i", host["ansible_ssh_private_key_file"],
                       *shlex.split(host["ansible_ssh_common_args"]),
                       f"{host['ansible_user']}@{host['ansible_host']}", command, timeout=300)


class Console:
    """A `goldmill console` at a terminal of its own."""

    def __init__(self, test, name):
        self.ours, self.terminal = pty.openpty()
        for file in (self.ours, self.terminal):
            test.addCleanup(os.close, file)
        self.before = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen([str(product.BINARY), "console", name], env=product.environment(),
                                        stdin=self.terminal, stdout=self.terminal, stderr=self.terminal,
                                        start_new_session=True)
        test.addCleanup(end, self.process)

    def press(self, keys):
        os.write(self.ours, keys)

    def ask(self, what):
        """Presses Enter until that is said: what comes in between the guest may have dropped."""
        said, begin, pressed = b"", time.monotonic(), 0
        while what not in said:
            seconds = time.monotonic() - begin
            assert self.process.poll() is None and seconds < 300, (self.process.returncode, said)
            if seconds >= 15 * pressed:
                self.press(b"\r")
                pressed += 1
            if select.select([self.ours], [], [], 1)[0]:
                said += os.read(self.ours, 4096)

    def listen(self):
        """Collects in the background what is said, from now on: no `ask` any more."""
        self.said = b""

        def collect():
            with contextlib.suppress(OSError):
                while True:
                    self.said += os.read(self.ours, 4096)
        threading.Thread(target=collect, daemon=True).start()

    def ended(self):
        """Its status when it has ended by itself, and whether the terminal is as it was."""
        return self.process.wait(timeout=60), termios.tcgetattr(self.terminal) == self.before


class Fleet(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        (cls.room / "user-data").write_bytes(USER_DATA)
        product.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", cls.room / "key")
        cls.addClassCleanup(goldmill, "rm", "--force", FLEET, status=None)
        launcher = start("launch", "java", "-n", 2, "--fleet", FLEET, "--disk-size", "6GiB",
                         "--memory", "384MiB", "--cpus", 2, "--ssh-key", cls.room / "key.pub",
                         "--user-data", cls.room / "user-data", "--json", stdout=subprocess.PIPE)
        cls.addClassCleanup(end, launcher)
        cls.watched = cls.watch_boot(f"{FLEET}-002", launcher)
        cls.launched = json.loads(launcher.communicate()[0])
        cls.names = [instance["name"] for instance in cls.launched["instances"]]

    @classmethod
    def watch_boot(cls, name, launcher):
        """A console, as soon as there is a machine to connect to."""
        while not has_agent(name):
            assert launcher.poll() is None, "it ended before it had started it"
            time.sleep(0.02)
        console = Console(types.SimpleNamespace(addCleanup=cls.addClassCleanup), name)
        console.listen()
        return console

    def test_1_who_watches_a_boot_hides_nothing_from_its_launcher(self):
        """The console of one that boots ends when it is ready; until then the log goes on, too."""
        self.assertEqual((0, True), self.watched.ended())
        log = read(product.HOME / "instances" / self.names[1] / "serial.log")
        last = self.watched.said.rstrip(b"\r\n").rsplit(b"\n", 1)[-1].strip()
        self.assertIn(b"Linux version", self.watched.said)
        self.assertIn(last, log)

    def test_1_identities_differ(self):
        instances = self.launched["instances"]
        self.assertEqual(["ready"] * 2, [instance["state"] for instance in instances])
        for key in ("name", "hostname", "machine_id", "ssh_host_key", "ssh_port"):
            self.assertEqual(2, len({instance[key] for instance in instances}), key)
        for instance in instances:
            self.assertRegex(instance["machine_id"], r"^[0-9a-f]{32}$")
            self.assertRegex(instance["ssh_host_key"], r"^ssh-ed25519 [A-Za-z0-9+/=]+")
            self.assertGreater(instance["ready_seconds"], 0)
            self.assertIsNone(instance["error"])
        macs = {record(name)["mac"] for name in self.names}
        self.assertEqual(2, len(macs))

    def test_2_inside(self):
        for instance in self.launched["instances"]:
            name = instance["name"]
            said = goldmill("ssh", name, "--", "java -version 2>&1; hostname; cat /etc/machine-id; "
                            "cat /etc/ssh/ssh_host_ed25519_key.pub; df -k --output=size / | tail -1")
            lines = said.out.splitlines()
            self.assertIn("openjdk version", lines[0])
            hostname, machine_id, key, size = lines[-4:]
            self.assertEqual(instance["hostname"], hostname)
            self.assertEqual(instance["machine_id"], machine_id)
            self.assertEqual(instance["ssh_host_key"].split()[:2], key.split()[:2])
            self.assertGreater(int(size), 5 << 20, "root grew with its 6 GiB disk")
        failing = goldmill("ssh", self.names[0], "--", "exit 7", status=7)
        self.assertEqual("", failing.out)

    def test_2_what_was_asked_for(self):
        """Two processors, the given key for root, user-data to the byte and not run."""
        known = self.room / "known_hosts"
        rows = {row["name"]: row for row in goldmill("ps", "--json").json["instances"]}
        for row in map(rows.get, self.names):
            known.write_text(f"[{row['address']}]:{row['ssh_port']} {row['ssh_host_key']}\n")
            said = product.run("ssh", "-F", "none", "-i", self.room / "key", "-p", row["ssh_port"],
                               "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                               "-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "StrictHostKeyChecking=yes",
                               "-o", f"UserKnownHostsFile={known}", f"root@{row['address']}", WISHES,
                               timeout=300)
            self.assertEqual([row["hostname"], "root", "2", "600 root",
                              hashlib.sha256(USER_DATA).hexdigest() + "  -", "not run"], said.splitlines())

    def test_2_ansible_reaches_them(self):
        hosts = inventory(FLEET)
        self.assertEqual(self.names, sorted(hosts))
        first, second = (hosts[name] for name in self.names)
        self.assertEqual(self.names[0], as_ansible(first, "hostname").strip())
        with self.assertRaisesRegex(product.Failed, "Host key verification failed"):
            as_ansible(first, "hostname", ansible_port=second["ansible_port"])

    @unittest.skipUnless(shutil.which("ansible-inventory"), "ansible-inventory is not installed")
    def test_2_ansible_reads_the_same(self):
        room = self.scratch()
        (room / "inventory").write_text(goldmill("ps", "--format", "ansible").out)
        (room / "ansible.cfg").touch()
        said = json.loads(product.run(
            "ansible-inventory", "-i", room / "inventory", "--list", cwd=room, timeout=300,
            env={**os.environ, "ANSIBLE_CONFIG": str(room / "ansible.cfg"), "LC_ALL": "C.UTF-8",
                 "ANSIBLE_LOCAL_TEMP": str(room / "tmp")}))
        self.assertEqual(self.names, sorted(said[group_of(FLEET)]["hosts"]))
        for name, variables in inventory(FLEET).items():
            seen = said["_meta"]["hostvars"][name]
            self.assertEqual(variables, {key: str(value) for key, value in seen.items()})

    def test_2_no_hosts_file_lists_them(self):
        """A port of this machine's loopback is no address of theirs."""
        self.assertNotIn(FLEET, goldmill("ps", "--format", "hosts").out)

    def test_2_each_is_alone(self):
        """Its gateway does not lead to this machine's loopback, where the others' SSH ports are."""
        with socket.create_server(("127.0.0.1", 0)) as service:
            for port in (self.launched["instances"][1]["ssh_port"], service.getsockname()[1]):
                said = goldmill("ssh", self.names[0], "--",
                                "gateway=$(ip -4 route show default | cut -d' ' -f3); timeout 20 bash "
                                f"-c \"exec 3<>/dev/tcp/$gateway/{port}\" && echo open || echo closed")
                self.assertEqual("closed\n", said.out, said)
            service.setblocking(False)
            with self.assertRaises(BlockingIOError):
                service.accept()

    def test_3_caged(self):
        for name in self.names:
            process = pathlib.Path("/proc", str(record(name)["process"]["id"]))
            status = dict(line.split(":\t", 1) for line in (process / "status").read_text()
                          .splitlines() if ":\t" in line)
            self.assertEqual("0" * 16, status["CapEff"])
            self.assertEqual("1", status["NoNewPrivs"])
            self.assertEqual("2", status["Seccomp"], "no filter of system calls")
            self.assertNotIn("0", status["Uid"].split(), "QEMU runs as this machine's root")
            if product.IS_ROOT:  # others may not look
                for space in ("user", "mnt", "pid"):  # user networking needs this machine's net
                    self.assertNotEqual(os.readlink(f"/proc/self/ns/{space}"),
                                        os.readlink(process / "ns" / space), space)
                self.assertFalse((process / "root" / "home").exists(), "it sees more than /usr")

    def test_3_the_console(self):
        """Its serial port asks who is there. A second connection ends the first; Ctrl-] leaves."""
        name = self.names[0]
        # Where a boot takes minutes, systemd has given the port up. By now it is there.
        goldmill("ssh", name, "--", "systemctl start serial-getty@ttyS0")
        prompt = f"{name} login:".encode()
        first = Console(self, name)
        first.ask(prompt)
        second = Console(self, name)
        second.ask(prompt)
        self.assertEqual((0, True), first.ended())
        second.press(b"\x1d")
        self.assertEqual((0, True), second.ended())
        self.assertEqual("ready", states()[name])

    def test_4_one_that_stands_still_is_not_ready(self):
        """As QEMU leaves it when this machine's disk was full, though there be room again."""
        name = self.names[0]
        control(name, "stop")
        (row,) = [row for row in goldmill("ps", "--json").json["instances"] if row["name"] == name]
        self.assertEqual("stopped", row["state"])
        self.assertIn("QEMU has paused it", row["error"])
        goldmill("start", name)
        self.assertEqual("ready", states()[name])
        self.assertEqual(name, goldmill("ssh", name, "--", "hostname").out.strip())

    def test_4_ps_after_a_crash(self):
        victim = self.names[1]
        os.kill(record(victim)["process"]["id"], signal.SIGKILL)
        time.sleep(1)
        self.assertEqual({self.names[0]: "ready", victim: "stopped"}, states())
        row = next(r for r in goldmill("ps", "--json").json["instances"] if r["name"] == victim)
        self.assertIn("ended", row["error"])
        goldmill("ssh", victim, "--", "true", status=5)
        self.assertIn("does not run", goldmill("console", victim, status=5).err)

    def test_5_rm_refuses_what_runs(self):
        self.assertIn("stop", goldmill("rm", self.names[0], status=4).err)
        self.assertEqual("ready", states()[self.names[0]])

    def test_6_stop_and_rm_leave_nothing(self):
        process = record(self.names[0])["process"]["id"]
        goldmill("stop", self.names[0])
        self.assertEqual("stopped", states()[self.names[0]])
        self.assertFalse(product.is_running(process))
        goldmill("rm", "--force", FLEET)
        self.assertEqual({}, states())
        self.assertFalse([name for name in os.listdir(product.HOME / "instances")
                          if name.startswith(FLEET)])
        running = product.gone_within(product.HOME / "instances" / FLEET, 5)
        self.assertEqual([], running)
        for name in self.names:
            found = product.run("sh", "-c", f"grep -lsz -- '{name}' /proc/[0-9]*/cmdline || true")
            own = {f"/proc/{os.getpid()}/cmdline"}
            self.assertFalse([line for line in re.findall(r"/proc/\d+/cmdline", found)
                              if line not in own and b"qemu" in read(line)])


class KilledLauncher(Case):
    """Two that its launcher left without identity while they booted, one whose QEMU ended, one without memory."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        fleet = FLEET + "k"
        cls.addClassCleanup(goldmill, "rm", "--force", fleet, status=None)
        expected = ["starting"] * 2 + ["failed"] * (2 if product.IS_ROOT else 1)
        launcher = start("launch", "base", "-n", len(expected), "--parallel", 3, "--fleet", fleet,
                         before=cls.little_memory() if product.IS_ROOT else (),
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while (victim := process_of(f"{fleet}-003")) is None:
                assert launcher.poll() is None, "it ended before it had started the third"
                time.sleep(0.02)
            os.kill(victim, signal.SIGKILL)
            while (list(states().values()) != expected or
                   not all(map(has_agent, list(states())[:2]))):
                assert launcher.poll() is None, "it ended before it was killed"
                time.sleep(0.1)
        finally:
            end(launcher)
        # Not asked of ps, which looks after those that it lists.
        names = [f"{fleet}-{number:03}" for number in range(1, 1 + len(expected))]
        cls.adopted, cls.lost, cls.broken, *cls.failed = names
        cls.directory = product.HOME / "instances" / cls.lost
        # Nobody finds its agent until it has gone on by itself.
        os.rename(cls.directory / "agent.sock", cls.directory / "agent.away")

    @classmethod
    def little_memory(cls):
        """Puts a command where free memory is enough for three."""
        facts = cls.class_scratch() / "meminfo"
        facts.write_text("MemTotal: 1048576 kB\nMemAvailable: 819200 kB\n")
        return ("unshare", "--mount", "sh", "-c",
                f"mount --bind '{facts}' /proc/meminfo && exec \"$@\"", "sh")

    @unittest.skipUnless(product.IS_ROOT, "shows it another machine's memory, by a mount")
    def test_0_one_for_which_there_is_no_memory_fails_alone(self):
        said = record(self.failed[0])
        self.assertIn("not enough memory: 800 MiB are available", said["error"])
        self.assertIsNone(said.get("process"))

    def test_0_one_whose_qemu_ends_fails_alone(self):
        said = record(self.broken)
        self.assertEqual("failed", said["state"])
        self.assertRegex(said["error"], "QEMU ended (at once )?with status 137")  # by SIGKILL
        self.assertIsNone(said.get("process"))
        for name in (self.adopted, self.lost):
            self.assertIsNone(record(name)["error"])
            self.assertTrue(product.is_running(record(name)["process"]["id"]), name)

    def test_1_one_is_adopted(self):
        limit = time.monotonic() + 600
        while states()[self.adopted] == "starting" and time.monotonic() < limit:
            time.sleep(1)
        found = states()
        self.assertEqual(("ready", "starting"), (found[self.adopted], found[self.lost]))
        self.assertEqual(self.adopted, goldmill("ssh", self.adopted, "--", "hostname").out.strip())

    def test_2_one_that_is_nobody_is_stopped(self):
        limit = time.monotonic() + 600
        while b"login:" not in read(self.directory / "serial.log") and time.monotonic() < limit:
            time.sleep(1)
        os.rename(self.directory / "agent.away", self.directory / "agent.sock")
        process = record(self.lost)["process"]["id"]
        (row,) = [row for row in goldmill("ps", "--json").json["instances"]
                  if row["name"] == self.lost]
        self.assertEqual("stopped", row["state"])
        self.assertIn("identity", row["error"])
        self.assertFalse(product.is_running(process))


def process_of(name):
    """The number of its QEMU, as soon as its record has one."""
    with contextlib.suppress(FileNotFoundError, KeyError):
        return record(name)["process"]["id"]
    return None


def control(name, command):
    """One command to its QEMU."""
    directory = os.open(product.HOME / "instances" / name, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(60)
        channel.connect(f"/proc/self/fd/{directory}/qmp.sock")
        os.close(directory)
        with channel.makefile("rw") as lines:
            lines.readline()
            for word in ("qmp_capabilities", command):
                lines.write(json.dumps({"execute": word}) + "\n")
                lines.flush()
                while "return" not in (answer := json.loads(lines.readline())):
                    assert "error" not in answer, answer


def has_agent(name):
    return (product.HOME / "instances" / name / "agent.sock").exists()


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


if __name__ == "__main__":
    unittest.main()
