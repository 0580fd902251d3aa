# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest in plain QEMU, as somebody without goldmill starts it."""
import pathlib
import re
import socket
import subprocess
import time

import product

OVMF = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Guest:
    """Its writes go into an overlay of its own beside its log: the disk stays as it is. Another
    guest may go on with that overlay. Use it with `with`; it also ends when the test is killed."""

    def __init__(self, disk, room, name, uefi=False):
        self.port = free_port()
        self.serial = room / f"{name}.serial"
        self.known_hosts = room / f"{name}.hosts"
        self.shared = room / f"{name}.%r.ssh"
        self.overlay = room / f"{name}.qcow2"
        product.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, self.overlay)
        self.command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64",
                        "-m", "512", "-display", "none", "-accel", "tcg", "-serial", f"file:{self.serial}",
                        "-drive", f"if=virtio,format=qcow2,file={self.overlay},cache=unsafe",
                        "-nic", f"user,model=virtio,hostfwd=tcp:127.0.0.1:{self.port}-:22"]
        if uefi:
            self.command += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def console(self):
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def wait(self, what, probe):
        """As long as the guest may need by its own measure, processor time: beside others it gets less
        of that. The clock ends the wait for one that hangs without any work."""
        begin = product.processor_seconds(self.process.pid)
        end = time.monotonic() + 1200
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise product.Failed(f"QEMU ended: {self.process.stderr.read().decode()}")
            used = product.processor_seconds(self.process.pid) - begin
            if found := probe():
                return found
            if used > 300:
                break
            time.sleep(1)
        raise product.Failed(f"no {what} by {used:.0f} s of processor\n{self.console()[-3000:]}")

    def wait_for_login(self):
        """Until its console asks who is there. Where a boot takes minutes, systemd gives the serial port
        up after 90 s and goes on without it: of such a boot, until it is done."""
        def is_there():
            console = self.console()
            given_up = re.search(r"Timed out waiting for device.*ttyS0", console)
            return re.search(r"Reached target.*multi-user\.target" if given_up else r"\S+ login:", console)
        self.wait("login", is_there)

    def host_keys(self):
        """What the guest shows to everybody, asked by ssh-keyscan."""
        def scan():
            said = subprocess.run(["ssh-keyscan", "-T", "10", "-p", str(self.port), "127.0.0.1"],
                                  capture_output=True, check=False).stdout.decode()
            return {" ".join(line.split()[1:3]) for line in said.splitlines()
                    if line and not line.startswith("#")}
        return self.wait("host key", scan)

    def ssh(self, words, user="ops", key=None, **options):
        """As the user that the recipe names, with the recipe's key; options as of product.run. All words
        of a user go over one connection: to log in takes an emulated guest seconds."""
        key = key or product.RECIPES / "ops"
        return product.run(
            "ssh", "-p", self.port, "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.known_hosts}",
            "-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-o", f"ControlPath={self.shared}",
            "-o", "ConnectTimeout=60", f"{user}@127.0.0.1", words, **options)
