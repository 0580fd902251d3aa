# SPDX-License-Identifier: GPL-3.0-or-later
"""Puppet with `booted: true`: a manifest that needs a live daemon is applied inside the booted image; what
it did is in the image and nothing of the boot is; failures and what is not idempotent are named; a
killed build leaves nothing running."""
import subprocess
import time
import unittest

import product
from tool_case import ToolCase

# A database that only its own daemon can fill.
MANIFEST = """\
service { 'redis-server': ensure => running }
exec { 'greet':
  command  => 'redis-cli set greeting hello && redis-cli save',
  unless   => 'redis-cli get greeting | grep -qx hello',
  path     => '/usr/bin',
  provider => shell,
  require  => Service['redis-server'],
}
exec { '/bin/systemctl is-system-running --quiet && /bin/touch /srv/was-up':
  creates  => '/srv/was-up',
  provider => shell,
}
file { '/srv/bytes': content => 'kept', owner => 'redis', mode => '0640' }
exec { '/usr/sbin/setcap cap_net_raw+ep /srv/bytes':
  unless  => '/usr/sbin/getcap /srv/bytes | /bin/grep -q net_raw',
  require => File['/srv/bytes'],
}
"""
FAILING = """\

exec { '/bin/false': }
package { 'less': ensure => installed }
"""
RESIDUE = ("etc/machine-id", "etc/hostname", "etc/.updated", "etc/resolv.conf", "etc/adjtime",
           "lost+found", "usr/lib/goldmill", "etc/systemd/system/goldmill-build-step.service",
           "var/.updated", "var/backups/", "var/cache/", "var/lib/systemd/", "var/lib/dbus/",
           "var/lib/dhcp/", "var/lib/goldmill", "var/lib/private", "var/log/", "var/spool/",
           "boot/", "dev/", "proc/", "run/", "sys/", "tmp/", "var/tmp/", "root/")


class BootedPuppet(ToolCase):
    TOOL = "puppet"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Another key each time: nothing is found that an earlier run of this test made.
        cls.write("site.pp", MANIFEST + f"# {time.time_ns()}\n")
        cls.recipe("site", "manifest: site.pp, booted: true")
        # The daemon comes by packages, before anything is booted.
        cls.write("site.yaml", (cls.recipes / "site.yaml").read_text() +
                  "packages: [redis-server, libcap2-bin]\n")
        cls.killed = cls.kill_while_booting()
        cls.report = cls.build("site")

    @classmethod
    def kill_while_booting(cls):
        """A build that is killed while its guest runs. What ran of it before, and what does after."""
        log = product.HOME / "logs" / "site.puppet--site-pp.log"
        log.unlink(missing_ok=True)
        process = product.start("build", "site", cwd=cls.recipes, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        end = time.monotonic() + 600
        try:
            while "booting the image" not in (log.read_text() if log.exists() else ""):
                if time.monotonic() > end or process.poll() is not None:
                    raise product.Failed(f"the build never booted: status {process.poll()}")
                time.sleep(0.1)
            running = []
            while not any("qemu.log" in words for words in running):  # the builder has open files, too
                if time.monotonic() > end or process.poll() is not None:
                    raise product.Failed(f"no guest: status {process.poll()}, {running}")
                guests = [path for path in (product.HOME / "work").glob("*/guest") if path.is_dir()]
                running = [words for guest in guests for words in product.left_behind(guest)]
        finally:
            product.end(process)
        return running, [words for guest in guests for words in product.gone_within(guest, 20)]

    def test_a_killed_build_leaves_nothing_and_is_gone_on_with(self):
        running, left = self.killed
        self.assertNotEqual([], running, "or this test would not see what is left")
        self.assertEqual([], left)
        self.assertNotIn("packages", self.ran(self.report))
        self.assertIn("puppet: site.pp", self.ran(self.report))
        self.assertEqual([], list((product.HOME / "work").glob("*/guest")))

    def test_what_the_daemon_wrote_is_in_the_image(self):
        self.assertIn("greeting", self.read("var/lib/redis/dump.rdb"))
        self.assertIn("srv/was-up", self.paths())
        self.assertEqual("kept", self.read("srv/bytes"))
        mode = product.run(*product.AS_GUEST_ROOT, "stat", "-c", "%a", self.layer() / "srv/bytes")
        self.assertEqual("640\n", mode)
        attributes = product.run(*product.AS_GUEST_ROOT, "getfattr", "-m", "capability",
                                 self.layer() / "srv/bytes")
        self.assertIn("security.capability", attributes)

    def test_nothing_of_the_boot_is(self):
        for path in self.paths():
            with self.subTest(path):
                self.assertFalse(path.startswith(RESIDUE) and self.has_content(path), path)
                self.assertNotRegex(path, r"(?i)puppet|ruby|facter|ssh_host")
        self.assertLess(len(self.paths()), 20, "only what differs")
        self.assertEqual([], self.goldmill("show", "site", "--json").json["seal"])

    def has_content(self, path):
        """A log that a service owns stays, empty; D-Bus's machine-id is a link to the one of PID 1."""
        return product.run(*product.AS_GUEST_ROOT, "find", self.layer() / path, "-maxdepth", "0",
                           "-type", "f", "-size", "+0") != ""

    def test_what_runs_is_promised_and_the_report_is_kept(self):
        (report,) = self.goldmill("show", "site", "--puppet", "--json").json["reports"]
        rows = {row["resource"]: row for row in report["resources"]}
        self.assertEqual(("site.pp", 2, "changed"),
                         tuple(rows["Exec[greet]"][key] for key in ("file", "line", "status")))
        self.assertEqual(["redis-server.service"], report["services"])

    def test_it_is_not_run_again(self):
        self.assertEqual([], self.ran(self.goldmill("build", "site", "--json").json))

    def test_failures_are_named_with_file_and_line(self):
        self.write("broken.pp", FAILING)
        self.recipe("broken", "manifest: broken.pp, booted: true")
        answer = self.goldmill("build", "broken", status=6)
        self.assertRegex(answer.err, r"broken\.pp:2: .*/bin/false")
        self.assertRegex(answer.err, r"broken\.pp:3: .*less")
        self.assertIn("'packages:'", answer.err)

    def test_what_is_not_idempotent_is_named(self):
        self.write("again.pp", "\nexec { '/bin/date': }\n")
        self.recipe("again", "manifest: again.pp, booted: true")
        answer = self.goldmill("build", "again", status=6)
        self.assertRegex(answer.err, r"second run changed[^\n]*\n\s*again\.pp:2: Exec\[/bin/date\]")


if __name__ == "__main__":
    unittest.main()
