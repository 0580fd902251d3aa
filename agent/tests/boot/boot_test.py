#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots an image with the agent under emulation, once per source of identity.

usage: boot_test.py TREE.tar AGENT WORK [CASE...]
TREE.tar holds a bootable Debian tree (kernel, systemd, openssh-server), e.g. from mmdebstrap.
"""
import base64, os, re, shutil, subprocess, sys

import guest as machine
from guest import Guest, b64, make_key, put, run

TREE, AGENT, WORK = sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, "..", "..", "files")
machine.WORK = WORK

REPORT = """#!/bin/sh
at() { systemctl show --value -p "$2TimestampMonotonic" "$1"; }
agent=$(at goldmill-agent ActiveEnter) first=others
[ "$agent" -le "$(at systemd-networkd ExecMainStart)" ] && [ "$agent" -le "$(at ssh ExecMainStart)" ] && first=agent
echo "REPORT source=$(journalctl -b -o cat -u goldmill-agent | sed -n 's/.*personalised: source //p' | tail -1)" \
 "hostname=$(hostname) machine_id=$(cat /etc/machine-id) key=$(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key | cut -d' ' -f2)" \
 "root_kib=$(df -k --output=size / | tail -1 | tr -d ' ') keys=$(cat /etc/goldmill/authorized_keys/* | wc -l)" \
 "first=$first routes=$(ip route show 169.254.169.254 | wc -l)" \
 "user_data=$(wc -c < /run/goldmill/user-data) failed=$(systemctl --failed --plain --no-legend | tr -d ' ') END" > /dev/ttyS0
"""


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
    put(f"{tree}/usr/lib/goldmill/clouds", "ec2\nopenstack\n")
    for unit in ("goldmill-agent.service", "goldmill-agent-ready.service"):
        shutil.copy(f"{FILES}/{unit}", f"{tree}/usr/lib/systemd/system/{unit}")
    shutil.copy(AGENT, f"{tree}/usr/lib/goldmill/goldmill-agent")
    os.chmod(f"{tree}/usr/lib/goldmill/goldmill-agent", 0o755)
    shutil.copy(f"{FILES}/sshd.conf", f"{tree}/etc/ssh/sshd_config.d/40-goldmill-agent.conf")
    run("systemctl", f"--root={tree}", "enable", "systemd-networkd", "goldmill-agent",
        "goldmill-agent-ready", "report")
    run(f"{HERE}/guest_image.sh", tree, out, "1200")
    shutil.rmtree(tree)


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


def case_cloud():
    """Clouds that the firmware names, on a network where their service answers; no port, no disk."""
    key = open(make_key() + ".pub").read().strip()
    for cloud, system in (("ec2", "manufacturer=Amazon EC2,product=m5.large"),
                          ("openstack", "manufacturer=RDO,product=OpenStack Nova")):
        asked = f"{WORK}/{cloud}.asked"
        put(asked, "")
        put(f"{WORK}/{cloud}.key", key)
        # QEMU forwards addresses of its own network only.
        guest = Guest(cloud, smbios=system, network=",net=169.254.0.0/16,dhcpstart=169.254.10.15,guestfwd=tcp:"
                      f"169.254.169.254:80-cmd:{HERE}/metadata_service.py {cloud} {WORK}/{cloud}.key {asked}")
        try:
            report = guest.report()
            assert report["source"] == cloud and report["hostname"] == f"vm-1.{cloud}.internal", report
            assert report["keys"] == "1" and int(report["user_data"]) == 6 and report["failed"] == "", report
            assert report["first"] == "agent", "the identity is there before network and SSH start"
            assert report["routes"] == "0", "nothing is left of the question"
            assert guest.ssh("hostname", make_key()).strip() == f"vm-1.{cloud}.internal"
        finally:
            guest.kill()
        requests = open(asked).read().splitlines()
        print(f"  {cloud} was asked: {requests}")
        if cloud == "ec2":
            assert requests[0] == "PUT /latest/api/token ", requests
            assert all(request.endswith(" token-1") for request in requests[1:]), requests
    # Nothing leaves this network, so nobody answers: the boot goes on all the same.
    guest = Guest("silent", smbios="manufacturer=Amazon EC2", network=",restrict=on")
    try:
        report = guest.report()
        assert report["source"] == "none" and report["failed"] == "" and report["routes"] == "0", report
        assert report["first"] == "agent", report
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
