# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets on hosts of libvirt: two real daemons, each with files of its own, on one bridge; one is
reached by TLS, the other by SSH."""
import filecmp
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
import urllib.parse

import product
from bridge import Bridge
from product import Case, end, goldmill, start

LIBVIRTD = "/usr/sbin/libvirtd"
PRIVATE = {"run": "/run/libvirt", "lib": "/var/lib/libvirt", "etc": "/etc/libvirt",
           "cache": "/var/cache/libvirt", "log": "/var/log/libvirt"}
QEMU_CONF = ('user = "root"\ngroup = "root"\nstdio_handler = "file"\nsecurity_driver = "none"\n'
             "remember_owner = 0\n")
DAEMON_CONF = 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n'


TLS_PORT = 16514  # in the network of the test alone


class Certificates:
    """What both ends of TLS need: an authority, and a certificate of it for either, as libvirt names them."""

    def __init__(self, room):
        room.mkdir()
        self.room = room
        (room / "config").write_text("[req]\ndistinguished_name = name\n[name]\n")
        self.make("ca", "basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign")
        for end_of_it in ("server", "client"):
            self.make(end_of_it, f"extendedKeyUsage={end_of_it}Auth", "subjectAltName=IP:127.0.0.1",
                      "-CA", room / "cacert.pem", "-CAkey", room / "cakey.pem")

    def make(self, name, *words):
        more = [word for text in words for word in
                (("-addext", text) if "=" in str(text) else (text,))]
        product.run("openssl", "req", "-x509", "-config", self.room / "config", "-newkey", "ec",
                    "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", f"/CN={name}",
                    "-keyout", self.room / f"{name}key.pem", "-out", self.room / f"{name}cert.pem",
                    *more)

    def daemon_conf(self):
        files = {"ca_file": "cacert.pem", "cert_file": "servercert.pem", "key_file": "serverkey.pem"}
        return f'listen_addr = "127.0.0.1"\ntls_port = "{TLS_PORT}"\n' + "".join(
            f'{key} = "{self.room / file}"\n' for key, file in files.items())

    def uri(self):
        return (f"qemu+tls://127.0.0.1:{TLS_PORT}/system?pkipath=" +
                urllib.parse.quote(str(self.room)))


class Daemon:
    """A libvirtd that sees directories of its own at the places where libvirt keeps its state."""

    def __init__(self, room, inside, certificates=None):
        self.room = room
        for name in PRIVATE:
            (room / name).mkdir(parents=True)
        (room / "etc/qemu.conf").write_text(QEMU_CONF)
        (room / "etc/libvirtd.conf").write_text(
            DAEMON_CONF + (certificates.daemon_conf() if certificates else ""))
        listen = "--listen" if certificates else ""
        binds = "".join(f"mkdir -p {place}; mount --bind '{room / name}' {place}; "
                        for name, place in PRIVATE.items())
        with (room / "stderr").open("w") as errors:
            self.process = subprocess.Popen(
                [*inside, "unshare", "--mount", "sh", "-ec",
                 f"{binds} exec {LIBVIRTD} {listen} --pid-file '{room}/pid'"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        self.socket = room / "run/libvirt-sock"
        self.uri = "qemu+unix:///system?socket=" + urllib.parse.quote(str(self.socket))
        limit = time.monotonic() + 60
        while not self.socket.exists() and time.monotonic() < limit:
            time.sleep(0.1)

    def virsh(self, *words):
        return product.run("virsh", "--connect", self.uri, "--quiet", *words)

    def machines(self):
        return self.virsh("list", "--all", "--name").split()

    def guests(self):
        """Numbers of its QEMU processes."""
        return [int(file.read_text()) for file in (self.room / "run/qemu").glob("*.pid")
                if file.name != "driver.pid"]

    def volumes(self):
        return {file.name for file in (self.room / "lib/images/goldmill").iterdir()}

    def end(self):
        end(self.process, signal.SIGTERM)
        for number in self.guests():
            if product.is_running(number):
                os.kill(number, signal.SIGKILL)


class SshServer:
    """The way to a daemon on another host: sshd, as the images have it, where the daemon is."""

    def __init__(self, room, daemon, inside):
        (room / "run" / "sshd").mkdir(parents=True)
        (room / "run" / "libvirt").mkdir()
        layer = goldmill("show", "base", "--json").json["layers"][0].removeprefix("sha256:")
        tree = product.HOME / "trees" / layer
        for file in (tree / "usr/sbin/sshd", *tree.glob("usr/lib/*-linux-gnu/libwrap.so*")):
            shutil.copy(file, room)
        for key in ("host", "user"):
            product.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", room / key)
        (room / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.PORT}\nHostKey {room}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {room}/user.pub\nStrictModes no\n")
        accounts = {"passwd": "root:x:0:0::/root:/bin/sh\nsshd:x:65533:65534::/run/sshd:/bin/false\n",
                    "shadow": "root:*:1::::::\n"}
        for name, lines in accounts.items():
            (room / name).write_text(lines)
        self.process = subprocess.Popen(
            ["nsenter", "--mount", f"--target={daemon.process.pid}", *inside, "unshare", "--mount",
             "sh", "-ec", f"mount --rbind /run/libvirt '{room}/run/libvirt'\n"
             f"mount --rbind '{room}/run' /run\n"
             f"for name in passwd shadow; do mount --bind '{room}'/$name /etc/$name; done\n"
             f"LD_LIBRARY_PATH='{room}' exec '{room}/sshd' -D -E '{room}/log' "
             f"-f '{room}/config'"], stdin=subprocess.DEVNULL)
        host_key = " ".join((room / "host.pub").read_text().split()[:2])
        (room / "known").write_text(f"[127.0.0.1]:{self.PORT} {host_key}\n")
        client = room / "ssh"
        client.write_text(f"#!/bin/sh\nexec ssh -F none -i '{room}/user' -o BatchMode=yes "
                          f"-o IdentitiesOnly=yes -o UserKnownHostsFile='{room}/known' \"$@\"\n")
        client.chmod(0o700)
        self.uri = (f"qemu+ssh://root@127.0.0.1:{self.PORT}/system?command=" +
                    urllib.parse.quote(str(client)))

    PORT = 2222  # in the network of the test alone

    def end(self):
        end(self.process, signal.SIGTERM)


def times(pool, name):
    """When the files of an image's disk were written."""
    return {file.name: file.stat().st_mtime_ns for file in pool.glob(f"{name}*")}


@unittest.skipUnless(product.IS_ROOT, "bridges and a system's libvirt need root")
@unittest.skipUnless(shutil.which("virsh") and os.path.exists(LIBVIRTD), "libvirt is not installed")
class OnTwoHosts(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        cls.home = cls.room / "home"
        product.clone_home(cls.home)
        cls.inside = Bridge(cls, cls.room / "leases").inside
        cls.daemons = {}
        certificates = Certificates(cls.room / "tls")
        for name, tls in (("one", certificates), ("two", None)):
            cls.daemons[name] = Daemon(cls.room / name, cls.inside, tls)
            cls.addClassCleanup(cls.daemons[name].end)
        way = SshServer(cls.room / "ssh", cls.daemons["two"], cls.inside)
        cls.addClassCleanup(way.end)
        cls.ways = {"one": certificates.uri(), "two": way.uri}

    @classmethod
    def goldmill(cls, *arguments, **options):
        return goldmill(*arguments, home=cls.home, before=cls.inside, **options)

    @classmethod
    def rows(cls):
        return {row["name"]: row for row in cls.goldmill("ps", "--json").json["instances"]}

    def add(self, name, uri):
        return self.goldmill("hosts", "add", uri, "--name", name, "--accelerator", "tcg")

    def test_1_hosts_are_named(self):
        self.assertIn("no libvirt host is known",
                      self.goldmill("launch", "base", "--engine", "libvirt", status=3).err)
        for name, uri in self.ways.items():
            self.add(name, uri)
        hosts = self.goldmill("hosts", "--json").json["hosts"]
        self.assertEqual(["one", "two"], [host["name"] for host in hosts])
        self.assertEqual({os.cpu_count()}, {host["cpus"] for host in hosts})
        self.assertTrue(all(host["memory_bytes"] > 2**28 for host in hosts), hosts)
        strangers = Certificates(self.room / "strangers")
        for nobody in ("qemu+unix:///system?socket=/nowhere", strangers.uri()):
            said = self.goldmill("hosts", "add", nobody, status=None)
            self.assertNotEqual(0, said.status)
            self.assertIn("cannot be reached", said.err)
        self.add("local", self.daemons["one"].uri)
        self.goldmill("hosts", "remove", "local")
        self.assertEqual(2, len(self.goldmill("hosts", "--json").json["hosts"]))

    def test_2_requests_that_cannot_be(self):
        for words, said in ((("--engine", "libvirt", "--warm"), "--warm is for the qemu engine"),
                            (("--engine", "libvirt", "--host", "three"), "there is no host 'three'"),
                            (("--host", "one"), "add --engine libvirt"),
                            (("--network", "network=default"), "is of libvirt")):
            with self.subTest(said):
                answer = self.goldmill("launch", "base", *words, status=None)
                self.assertIn(answer.status, (2, 3))
                self.assertIn(said, answer.err)

    def test_3_one_is_ready_and_one_whose_launcher_dies_is_adopted(self):
        network = ("--engine", "libvirt", "--network", "bridge=br0", "--json")
        lost = start(*("launch", "base", "--fleet", "lost", "--host", "two"), *network,
                     home=self.home, before=self.inside, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + 120
        while not self.daemons["two"].guests() and time.monotonic() < limit:
            time.sleep(0.05)
        end(lost, signal.SIGKILL)
        fleet = self.goldmill("launch", "base", "--fleet", "kept", "--host", "one", *network).json
        kept, = fleet["instances"]
        self.assertEqual("ready", kept["state"], kept)
        self.assertEqual("one", kept["host"])
        limit = time.monotonic() + 180
        while (row := self.rows()["lost-001"])["state"] == "starting" and time.monotonic() < limit:
            time.sleep(1)
        self.assertEqual("ready", row["state"], row)
        self.assertEqual("two", row["host"])
        self.assertEqual({"kept-001"}, set(self.daemons["one"].machines()))
        self.assertEqual({"lost-001"}, set(self.daemons["two"].machines()))
        self.assertNotEqual(kept["machine_id"], row["machine_id"])
        self.assertNotEqual(kept["ssh_host_key"], row["ssh_host_key"])

    def test_4_they_are_entered_and_reach_each_other(self):
        rows = self.rows()
        other = rows["lost-001"]["address"]
        self.assertTrue(other.startswith("198.18.77."), rows)
        said = self.goldmill("ssh", "kept-001", "--",
                             f"hostname; exec 3<>/dev/tcp/{other}/22; head -c 7 <&3").out
        self.assertEqual("kept-001\nSSH-2.0", said)
        self.assertEqual("lost-001\n", self.goldmill("ssh", "lost-001", "--", "hostname").out)
        self.assertGreater(rows["kept-001"]["memory_bytes"], 2**25)

    def test_5_a_host_gets_only_the_bytes_that_it_lacks(self):
        images = {image["name"]: image for image in
                  self.goldmill("list", "--json").json["images"]}
        pool = self.daemons["one"].room / "lib/images/goldmill"
        base = product.pathlib.Path(images["base"]["qcow2"])
        self.assertTrue(filecmp.cmp(base, pool / base.name, shallow=False))
        before = times(pool, base.name)
        said = self.goldmill("launch", "java", "--fleet", "made", "--engine", "libvirt",
                             "--host", "one", "--prepare-only")
        self.assertEqual(1, said.err.count("sending "), said)
        java = product.pathlib.Path(images["java"]["qcow2"])
        self.assertTrue(filecmp.cmp(java, pool / java.name, shallow=False))
        self.assertEqual(before, times(pool, base.name), "base was there")
        chain = product.run("nsenter", "--mount", f"--target={self.daemons['one'].process.pid}",
                            "qemu-img", "info", "--backing-chain", "--force-share",
                            f"{PRIVATE['lib']}/images/goldmill/" +
                            next(pool.glob("made-001-*.qcow2")).name)
        self.assertIn(java.name, chain)
        self.assertIn(base.name, chain)

    def test_6_an_orderly_stop_and_a_start(self):
        self.assertGreater(self.rows()["kept-001"]["uptime_seconds"], 0)
        self.goldmill("stop", "kept-001")
        self.assertEqual("stopped", self.rows()["kept-001"]["state"])
        self.assertIsNone(self.rows()["kept-001"]["uptime_seconds"])
        self.assertEqual("shut off", self.daemons["one"].virsh("domstate", "kept-001").strip())
        before = self.rows()["kept-001"]
        moment = time.time()
        self.goldmill("start", "kept-001")
        row = self.rows()["kept-001"]
        self.assertLessEqual(row["uptime_seconds"], time.time() - moment + 1)
        self.assertEqual("ready", row["state"], row)
        for part in ("machine_id", "ssh_host_key", "hostname"):
            self.assertEqual(before[part], row[part])

    def test_7_a_host_that_falls_silent_in_the_middle_of_a_launch_takes_only_its_own(self):
        launch = start("launch", "base", "-n", 2, "--fleet", "split", "--engine", "libvirt",
                       "--network", "bridge=br0", "--json", home=self.home, before=self.inside,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(launch.stdout.close)
        limit = time.monotonic() + 120
        while not all("split" in daemon.virsh("list", "--name") for daemon in self.daemons.values()):
            self.assertLess(time.monotonic(), limit, "both hosts start one")
            time.sleep(0.1)
        silent = self.daemons["two"].process
        silent.send_signal(signal.SIGSTOP)
        try:
            out, _ = launch.communicate(timeout=400)
        finally:
            silent.send_signal(signal.SIGCONT)
        self.assertEqual(1, launch.returncode)
        rows = {row["host"]: row for row in json.loads(out)["instances"]}
        self.assertEqual(("ready", None), (rows["one"]["state"], rows["one"]["error"]))
        self.assertEqual("failed", rows["two"]["state"])
        self.assertIn("host two", rows["two"]["error"])

    def test_8_a_lost_host_takes_only_its_own(self):
        self.daemons["two"].end()
        rows = self.rows()
        self.assertEqual("ready", rows["kept-001"]["state"])
        self.assertIsNone(rows["kept-001"]["error"])
        self.assertIn("host two", rows["lost-001"]["error"])
        fleet = self.goldmill("launch", "base", "--fleet", "next", "--engine", "libvirt",
                              "--prepare-only")
        self.assertIn("host two cannot be reached", fleet.err)
        self.assertEqual("one", self.rows()["next-001"]["host"])
        refused = self.goldmill("hosts", "remove", "two", status=None)
        self.assertIn("has 2 instances, lost-001", refused.err)
        self.goldmill("hosts", "remove", "two", "--forget")
        self.assertNotIn("lost-001", self.rows())

    def test_9_nothing_is_left(self):
        self.goldmill("rm", "--force", "kept", "made", "next", "split")
        self.assertEqual([], self.daemons["one"].machines())
        self.assertEqual([], self.daemons["one"].guests())
        images = {os.path.basename(self.goldmill("show", name, "--json").json["qcow2"])
                  for name in ("base", "java")}
        self.assertEqual(images | {f"{name}.whole" for name in images},
                         self.daemons["one"].volumes())
        self.assertEqual([], list((self.home / "instances").glob("[a-z]*")))


if __name__ == "__main__":
    unittest.main()
