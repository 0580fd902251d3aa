# SPDX-License-Identifier: GPL-3.0-or-later
"""Guest: one emulated machine on an overlay of WORK/image, for the boot tests."""
import base64, os, re, socket, subprocess, time

WORK = ""  # set by the test
LIMIT = 240


def run(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def put(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Guest:
    """One emulated machine on an overlay of the image."""

    def __init__(self, name, port=False, iso=None, grow=None, keep=False, forward=(), network="",
                 smbios=""):
        """forward: more TCP ports of the guest; self.forwarded has theirs on this machine.
        network: more options of the user network; smbios: what the firmware says of the system."""
        self.name, self.overlay = name, f"{WORK}/{name}.qcow2"
        if not keep:
            run("qemu-img", "create", "-q", "-f", "qcow2", "-b", f"{WORK}/image/disk.raw", "-F", "raw",
                self.overlay, *([grow] if grow else []))
        self.log = f"{WORK}/{name}.log"
        if os.path.exists(self.log):
            os.unlink(self.log)
        self.forwarded = {guest: free_port() for guest in (22, *forward)}
        self.ssh_port = self.forwarded[22]
        rules = "".join(f",hostfwd=tcp:127.0.0.1:{ours}-:{guest}" for guest, ours in self.forwarded.items())
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-display", "none", "-no-reboot",
                "-nodefaults", "-serial", f"file:{self.log}", "-kernel", f"{WORK}/image/vmlinuz",
                "-initrd", f"{WORK}/image/initrd.img",
                "-append", "root=LABEL=root ro console=ttyS0 quiet systemd.show_status=no",
                "-drive", f"file={self.overlay},if=virtio,format=qcow2",
                "-netdev", "user,id=n" + network + rules,
                "-device", "virtio-net-pci,netdev=n", "-device", "virtio-rng-pci"]
        if smbios:
            argv += ["-smbios", "type=1," + smbios]
        if iso:
            argv += ["-drive", f"file={iso},media=cdrom,if=ide,readonly=on"]
        self.peer, self.input = None, b""
        if port:
            ours, theirs = socket.socketpair()
            os.set_inheritable(theirs.fileno(), True)
            argv += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=a,fd={theirs.fileno()}",
                     "-device", "virtserialport,chardev=a,name=org.goldmill.agent.0"]
            self.peer = ours
        self.start = time.time()
        self.process = subprocess.Popen(argv, close_fds=False)
        if port:
            theirs.close()

    def expect(self, verb):
        """Reads lines until one of this verb; gives its values."""
        while True:
            while b"\n" in self.input:
                line, self.input = self.input.split(b"\n", 1)
                print(f"  {time.time() - self.start:6.1f} s {self.name} < {line.decode()[:150]}", flush=True)
                words = line.decode().split(" ")
                if words[0] == verb:
                    return dict(word.split("=", 1) for word in words[1:])
            self.peer.settimeout(LIMIT)
            data = self.peer.recv(65536)
            assert data, "the port was closed"
            self.input += data

    def send(self, *lines):
        self.peer.sendall("".join(line + "\n" for line in lines).encode())

    def report(self):
        """The values that the guest wrote to its console."""
        while time.time() - self.start < LIMIT:
            assert self.process.poll() is None, "the machine has ended"
            text = open(self.log, errors="replace").read() if os.path.exists(self.log) else ""
            found = re.search(r"REPORT (.*) END", text)
            if found:
                print(f"  {time.time() - self.start:6.1f} s {self.name}: {found.group(1)}", flush=True)
                return dict(word.split("=", 1) for word in found.group(1).split(" ") if "=" in word)
            time.sleep(0.5)
        raise AssertionError("no report:\n" + open(self.log, errors="replace").read()[-3000:])

    def ssh(self, command, key, user="root"):
        return run("ssh", "-i", key, "-p", str(self.ssh_port), "-o", "StrictHostKeyChecking=no", "-o",
                   "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
                   f"{user}@127.0.0.1", command)

    def kill(self):
        self.process.kill()
        self.process.wait()


def b64(data):
    return base64.b64encode(data).decode()


def make_key():
    key = f"{WORK}/id"
    if not os.path.exists(key):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    return key
