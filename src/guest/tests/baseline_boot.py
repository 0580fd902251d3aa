#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies a baseline to a tree, boots it under emulation and looks from outside and inside.

usage: baseline_boot.py TREE.tar RELEASE APPLY WORK
TREE.tar: a Debian tree with a kernel and baseline_packages(); APPLY: guest_baseline_real_test.
"""
import os, shutil, socket, subprocess, sys, time

TREE, RELEASE, APPLY, WORK = sys.argv[1:5]
HERE = os.path.dirname(os.path.abspath(__file__))
BOOT = os.path.join(HERE, "..", "..", "..", "agent", "tests", "boot")
sys.path.insert(0, BOOT)
import guest as machine
from guest import Guest, make_key, run

machine.WORK = WORK


def make_image(key):
    tree = f"{WORK}/tree"
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    run("tar", "-C", tree, "--xattrs", "-xpf", TREE)
    for directory, prefix in (("etc/ssh", "ssh_host_"), ("boot", "initrd.img")):
        for name in os.listdir(f"{tree}/{directory}"):
            if name.startswith(prefix):
                os.unlink(f"{tree}/{directory}/{name}")
    run(APPLY, tree, RELEASE, key + ".pub")
    run(f"{BOOT}/guest_image.sh", tree, f"{WORK}/image", "1200")
    shutil.rmtree(tree)


def echo(port, seconds):
    """What a listener that echoes answers, b"" when nothing comes."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
            peer.settimeout(seconds)
            peer.sendall(b"hello\n")
            return peer.recv(16)
    except OSError:
        return b""


def check(name, found, wanted):
    print(f"  {'ok  ' if found == wanted else 'FAIL'} {name}: {found!r}", flush=True)
    return found == wanted


def main():
    os.makedirs(WORK, exist_ok=True)
    key = make_key()
    make_image(key)
    guest = Guest("baseline", port=True, forward=(8080,))
    good = True
    try:
        guest.expect("hello")
        guest.send("begin protocol=1", "hostname name=web-7", "end")
        guest.expect("personalised")
        guest.expect("ready")
        seconds = time.time() - guest.start

        def ask(command):
            return guest.ssh(command, key, "ops").strip()

        good &= check("failed units", ask("systemctl --failed --plain --no-legend"), "")
        good &= check("state", ask("systemctl is-active multi-user.target"), "active")
        good &= check("host name", ask("hostname"), "web-7")
        good &= check("sudo without password", ask("sudo -n id -u"), "0")
        good &= check("time zone", ask("date +%Z -d 2026-01-01"), "CET")
        good &= check("locale", ask("echo $LANG"), "C.UTF-8")
        good &= check("address by DHCP", ask("ip -4 -o addr show dynamic | wc -l"), "1")
        good &= check("resolver", ask("readlink /etc/resolv.conf"), "../run/systemd/resolve/stub-resolv.conf")
        good &= check("dmesg is restricted", ask("sudo sysctl -n kernel.dmesg_restrict"), "1")
        good &= check("redirects", ask("sudo sysctl -n net.ipv4.conf.all.accept_redirects"), "0")
        good &= check("sysctl errors", ask("sudo journalctl -b -u systemd-sysctl -p warning -o cat"), "")
        good &= check("root is locked", ask("sudo getent shadow root | cut -d: -f2"), "*")
        refused = subprocess.run(
            ["ssh", "-p", str(guest.ssh_port), "-o", "StrictHostKeyChecking=no", "-o",
             "UserKnownHostsFile=/dev/null", "-o", "PubkeyAuthentication=no", "-o", "LogLevel=ERROR",
             "-o", "NumberOfPasswordPrompts=0", "ops@127.0.0.1", "true"], capture_output=True, text=True)
        good &= check("password login", refused.stderr.strip(), "ops@127.0.0.1: Permission denied (publickey).")
        ask("sudo systemd-run -q systemd-socket-activate -a --inetd -l 8080 cat")
        time.sleep(3)
        good &= check("port 8080 is closed", echo(guest.forwarded[8080], 10), b"")
        ask("sudo nft insert rule inet goldmill input tcp dport 8080 accept")
        good &= check("port 8080 once opened", echo(guest.forwarded[8080], 30), b"hello\n")
        ask("sudo systemctl reload goldmill-firewall")
        good &= check("port 8080 after a reload", echo(guest.forwarded[8080], 10), b"")
        print(f"  ready after {seconds:.1f} s;", ask("systemd-analyze | head -1"), flush=True)
        print(ask("systemd-analyze blame | head -8; free -m | head -2"), flush=True)
        guest.send("poweroff")
        guest.expect("ok")
        good &= check("power-off", guest.process.wait(90), 0)
    finally:
        guest.kill()
    sys.exit(0 if good else 1)


main()
