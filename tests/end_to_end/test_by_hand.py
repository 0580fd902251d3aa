# SPDX-License-Identifier: GPL-3.0-or-later
"""The qcow2 in plain QEMU, without goldmill: it comes up, every copy is unique, and one that
upgrades its kernel with apt boots the new one, by BIOS and by UEFI.

The archive holds no newer kernel than the image's, so an older one under a newer version stands
for it: it says its own name (uname -r), which a kernel with a mere new label would not.
"""
import contextlib
import pathlib
import re
import shlex
import unittest

from by_hand import Guest
from product import Case, Failed, goldmill, run

META = "linux-image-cloud-amd64"
NEWER = "99:1"


def kernels(image):
    """The image's kernel package, and others of its flavour that the archive has, newest first."""
    installed = goldmill("show", image, "--json").json["packages_installed"]
    own = next(name for name in installed if re.fullmatch(r"linux-image-[0-9].*-cloud-amd64", name))
    series = re.match(r"linux-image-[0-9]+\.[0-9]+\.[0-9]+-", own).group()
    listed = run("apt-cache", "search", "--names-only", f"^{series}[0-9]+-cloud-amd64$")
    others = {line.split()[0] for line in listed.splitlines()} - {own}
    return own, sorted(others, key=lambda name: int(name[len(series):].split("-")[0]), reverse=True)


def make_archive(room, package):
    """A local archive with the kernel and the package by which guests follow kernels."""
    archive = room / "archive"
    archive.mkdir()
    run("apt-get", "download", package, cwd=room)
    tree = room / "tree"
    run("dpkg-deb", "-R", next(room.glob("linux-image-*.deb")), tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {NEWER}", control.read_text()))
    run("dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", tree, archive / "kernel.deb")
    meta = room / "meta" / "DEBIAN"
    meta.mkdir(parents=True)
    (meta / "control").write_text(
        f"Package: {META}\nVersion: {NEWER}\nArchitecture: amd64\nDepends: {package}\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: the newest kernel\n")
    run("dpkg-deb", "--root-owner-group", "-b", meta.parent, archive / "meta.deb")
    (archive / "Packages").write_text(run("dpkg-scanpackages", "-m", ".", cwd=archive))
    run("tar", "-C", archive, "-cf", room / "archive.tar", ".")
    return room / "archive.tar"


class ByHand(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        cls.disk = pathlib.Path(goldmill("show", "base", "--json").json["qcow2"])
        running = contextlib.ExitStack()
        cls.addClassCleanup(running.close)
        cls.before = (cls.disk.stat().st_mtime_ns, cls.disk.stat().st_size)
        cls.one = running.enter_context(Guest(cls.disk, cls.room, "one"))
        cls.two = running.enter_context(Guest(cls.disk, cls.room, "two", uefi=True))

    def inside(self, words, **options):
        return self.one.ssh("sudo sh -c " + shlex.quote(words), **options)

    def test_1_every_copy_is_unique(self):
        found = []
        for guest in (self.one, self.two):
            guest.wait_for_login()
            keys = guest.host_keys()
            self.assertTrue(any(key.startswith("ssh-ed25519 ") for key in keys))
            machine_id = guest.ssh("cat /etc/machine-id").strip()
            self.assertRegex(machine_id, r"^[0-9a-f]{32}$")
            self.assertEqual("", guest.ssh("systemctl --failed --no-legend").strip())
            self.assertEqual("0", guest.ssh("sudo -n id -u").strip())
            found.append((machine_id, keys))
        self.assertNotEqual(found[0][0], found[1][0])
        self.assertFalse(found[0][1] & found[1][1], "no host key in common")
        self.assertEqual(self.before, (self.disk.stat().st_mtime_ns, self.disk.stat().st_size))

    def test_2_an_upgraded_kernel_boots(self):
        self.two.__exit__()
        own, others = kernels("base")
        if not others:
            self.skipTest(f"the archive has no other kernel beside {own}")
        release = others[0].removeprefix("linux-image-")
        self.one.wait_for_login()
        self.assertEqual(own, "linux-image-" + self.inside("uname -r").strip())
        with open(make_archive(self.room, others[0]), "rb") as file:
            self.inside("mkdir /srv/archive && tar -C /srv/archive -xf -", stdin=file)
        self.inside("echo 'deb [trusted=yes] file:/srv/archive ./' > /etc/apt/sources.list.d/local.list;"
                    "apt-get -q update -o Dir::Etc::SourceList=/etc/apt/sources.list.d/local.list"
                    " -o Dir::Etc::SourceParts=/dev/null")
        # At the usual level an emulated processor compresses for long.
        self.inside("echo COMPRESSLEVEL=1 > /etc/initramfs-tools/conf.d/quick")
        self.inside("DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Options::=--force-unsafe-io"
                    f" install {META}")
        links = self.inside("readlink -f /vmlinuz /initrd.img; readlink -f /vmlinuz.old").split()
        self.assertEqual([f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}",
                          f"/boot/vmlinuz-{own.removeprefix('linux-image-')}"], links)
        # Not by reset: emulated, a QEMU that has run for long may then need minutes for its boot loader.
        with contextlib.suppress(Failed):
            self.inside("systemctl poweroff")
        self.one.process.wait(timeout=300)
        for firmware in ("bios", "uefi"):
            with self.subTest(firmware), \
                    Guest(self.one.overlay, self.room, firmware, uefi=firmware == "uefi") as guest:
                guest.wait_for_login()
                self.assertEqual(release, guest.ssh("uname -r").strip())
                self.assertEqual("", guest.ssh("systemctl --failed --no-legend").strip())
                efi = guest.ssh("test -d /sys/firmware/efi && echo uefi || echo bios").strip()
                self.assertEqual(firmware, efi)


if __name__ == "__main__":
    unittest.main()
