#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots an image with the agent under emulation, once per source of identity.

usage: boot_test.py TREE.tar AGENT WORK [CASE...]
TREE.tar holds a bootable Debian tree (kernel, systemd, openssh-server), e.g. from mmdebstrap.
"""
import base64, os, re, shutil, socket, subprocess, sys, time

TREE, AGENT, WORK = sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, "..", "..", "files")
LIMIT = 240

REPORT = """#!/bin/sh
echo "REPORT source=$(journalctl -b -o cat -u goldmill-agent | sed -n 's/.*personalised: source //p' | tail -1)" \
 "hostname=$(hostname) machine_id=$(cat /etc/machine-id) key=$(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key | cut -d' ' -f2)" \
 "root_kib=$(df -k --output=size / | tail -1 | tr -d ' ') keys=$(cat /run/goldmill/authorized_keys/* | wc -l)" \
 "user_data=$(wc -c < /run/goldmill/user-data) failed=$(systemctl --failed --plain --no-legend | tr -d ' ') END" > /dev/ttyS0
"""


def run(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def put(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def make_image():
    tree, out = f"{WORK}/tree", f"{WORK}/image"
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    run("tar", "-C", tree, "--xattrs", "-xpf", TREE)
    for name in os.listdir(f"{tree}/etc/ssh"):
        if name.startswith("ssh_host_"):
            os.unlink(f"{tree}/etc/ssh/{name}")
    put(f"{tree}/etc/machine-id", "")
    put(f"{tree}/etc/hostname", "golden\n")
    put(f"{tree}/etc/fstab", "LABEL=root / ext4 defaults 0 1\n")
    put(f"{tree}/etc/systemd/network/80-dhcp.network", "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n")
    put(f"{tree}/usr/lib/goldmill/report", REPORT, 0o755)
    put(f"{tree}/etc/systemd/system/report.service",
        "[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=/usr/lib/goldmill/report\n"
        "[Install]\nWantedBy=multi-user.target\n")
    for unit in ("goldmill-agent.service", "goldmill-agent-ready.service"):
        shutil.copy(f"{FILES}/{unit}", f"{tree}/usr/lib/systemd/system/{unit}")
    shutil.copy(AGENT, f"{tree}/usr/lib/goldmill/goldmill-agent")
    os.chmod(f"{tree}/usr/lib/goldmill/goldmill-agent", 0o755)
    shutil.copy(f"{FILES}/sshd.conf", f"{tree}/etc/ssh/sshd_config.d/40-goldmill-agent.conf")
    run("systemctl", f"--root={tree}", "enable", "systemd-networkd", "goldmill-agent",
        "goldmill-agent-ready", "report")
    run(f"{HERE}/guest_image.sh", tree, out, "1200")
    shutil.rmtree(tree)


class Guest:
    """One emulated machine on an overlay of the image."""

    def __init__(self, name, port=False, iso=None, grow=None, keep=False):
        self.name, self.overlay = name, f"{WORK}/{name}.qcow2"
        if not keep:
            run("qemu-img", "create", "-q", "-f", "qcow2", "-b", f"{WORK}/image/disk.raw", "-F", "raw",
                self.overlay, *([grow] if grow else []))
        self.log = f"{WORK}/{name}.log"
        if os.path.exists(self.log):
            os.unlink(self.log)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.ssh_port = probe.getsockname()[1]
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-display", "none", "-no-reboot",
                "-nodefaults", "-serial", f"file:{self.log}", "-kernel", f"{WORK}/image/vmlinuz",
                "-initrd", f"{WORK}/image/initrd.img",
                "-append", "root=LABEL=root ro console=ttyS0 quiet systemd.show_status=no",
                "-drive", f"file={self.overlay},if=virtio,format=qcow2",
                "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22",
                "-device", "virtio-net-pci,netdev=n", "-device", "virtio-rng-pci"]
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
            self.peer.settimeout(max(0.1, LIMIT - (time.time() - self.start)))
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

    def ssh(self, command, key):
        return run("ssh", "-i", key, "-p", str(self.ssh_port), "-o", "StrictHostKeyChecking=no", "-o",
                   "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
                   "root@127.0.0.1", command)

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


def case_port():
    """A launcher on the port, a larger disk; then a power-off by the port."""
    key = make_key()
    guest = Guest("port", port=True, grow="3G")
    try:
        hello = guest.expect("hello")
        assert hello["protocol"] == "1" and hello["state"] == "waiting", hello
        guest.send("begin protocol=1", "hostname name=web-001.example.org", "instance id=f-1",
                   f"seed bytes_b64={b64(os.urandom(64))}",
                   f"ssh-key user=root line_b64={b64(open(key + '.pub').read().strip().encode())}",
                   f"user-data part_b64={b64(b'hello')}", "end")
        told = guest.expect("personalised")
        assert told["hostname"] == "web-001.example.org" and told["source"] == "port"
        assert re.fullmatch("[0-9a-f]{32}", told["machine_id"]), told
        guest.expect("ready")
        guest.send("ping id=7")
        assert guest.expect("pong")["state"] == "ready"
        report = guest.report()
        assert report["failed"] == "" and report["machine_id"] == told["machine_id"], report
        assert int(report["root_kib"]) > 2_700_000, report
        assert guest.ssh("hostname; hostname -f", key).split() == ["web-001.example.org"] * 2
        host_key = base64.b64decode(told["ssh_host_key_b64"]).decode()
        assert host_key in guest.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub", key)
        print("  agent:", guest.ssh("grep -E 'VmRSS|RssAnon' /proc/$(pidof goldmill-agent)/status; "
                                    "systemd-analyze blame | grep goldmill; systemd-analyze", key))
        guest.send(f"time unix_ns={1900000000 * 10**9}")
        guest.expect("ok")
        assert int(guest.ssh("date +%s", key)) >= 1900000000
        guest.send("begin protocol=1")
        assert guest.expect("error")["code"] == "wrong_state"
        guest.send("poweroff")
        guest.expect("ok")
        assert guest.process.wait(60) == 0
    finally:
        guest.kill()
    run("qemu-img", "convert", "-O", "raw", guest.overlay, f"{WORK}/grown.raw")
    assert "No problems found" in run("sgdisk", "-v", f"{WORK}/grown.raw")
    run("dd", f"if={WORK}/grown.raw", f"of={WORK}/root.ext4", "bs=2M", "skip=1", "conv=sparse")
    print("  e2fsck:", run("e2fsck", "-fn", f"{WORK}/root.ext4").splitlines()[-1])
    for name in ("grown.raw", "root.ext4"):
        os.unlink(f"{WORK}/{name}")


def case_none():
    """Plain QEMU twice: at once, each unique; and a cold power cut right after the first start."""
    seen = []
    for name in ("none-a", "none-b"):
        guest = Guest(name)
        try:
            seen.append(guest.report())
        finally:
            guest.kill()
    for report in seen:
        assert report["source"] == "none" and report["hostname"] == "golden", report
        assert report["failed"] == "", report
    assert seen[0]["machine_id"] != seen[1]["machine_id"] and seen[0]["key"] != seen[1]["key"]
    guest = Guest("none-a", keep=True)
    try:
        again = guest.report()
        assert again["key"] == seen[0]["key"], "the host key is kept"
        assert again["machine_id"] == seen[0]["machine_id"]
    finally:
        guest.kill()


def case_cidata():
    os.makedirs(f"{WORK}/ci", exist_ok=True)
    put(f"{WORK}/ci/meta-data", "instance-id: i-1\nlocal-hostname: from-iso\n")
    put(f"{WORK}/ci/user-data", f"#cloud-config\nssh_authorized_keys:\n  - {open(make_key() + '.pub').read()}")
    run("genisoimage", "-quiet", "-o", f"{WORK}/ci.iso", "-V", "cidata", "-J", "-R", f"{WORK}/ci")
    guest = Guest("cidata", iso=f"{WORK}/ci.iso")
    try:
        report = guest.report()
        assert report["source"] == "cidata" and report["hostname"] == "from-iso", report
        assert report["keys"] == "1" and int(report["user_data"]) > 50 and report["failed"] == "", report
        assert guest.ssh("hostname", make_key()).strip() == "from-iso"
    finally:
        guest.kill()


def case_kill():
    """The power goes the moment the guest has said that it has a key."""
    guest = Guest("kill", port=True)
    try:
        guest.expect("hello")
        guest.send("begin protocol=1", "end")
        first = guest.expect("personalised")
    finally:
        guest.kill()
    guest = Guest("kill", port=True, keep=True)
    try:
        guest.expect("hello")
        guest.send("begin protocol=1", "end")
        again = guest.expect("personalised")
        assert again["ssh_host_key_b64"] == first["ssh_host_key_b64"] != "", (first, again)
    finally:
        guest.kill()


CASES = {name[5:]: value for name, value in list(globals().items()) if name.startswith("case_")}


def main():
    os.makedirs(WORK, exist_ok=True)
    make_image()
    failed = []
    for name in sys.argv[4:] or CASES:
        print(f"case {name}", flush=True)
        try:
            CASES[name]()
            print(f"case {name}: passed", flush=True)
        except (AssertionError, subprocess.SubprocessError, OSError) as problem:
            print(f"case {name}: FAILED: {problem!r} {getattr(problem, 'stderr', '')}", flush=True)
            failed.append(name)
    sys.exit(1 if failed else 0)


main()
