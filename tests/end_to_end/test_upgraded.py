# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that upgrades its kernel with apt boots the new one, by BIOS and by UEFI.

The archive holds no newer kernel than the image's, so an older one under a newer version stands
for it: it says its own name (uname -r), which a kernel with a mere new label would not.
"""
import contextlib
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


class Upgraded(Case):
    def test_an_upgraded_kernel_boots(self):
        own, others = kernels("base")
        if not others:
            self.skipTest(f"the archive has no other kernel beside {own}")
        release = others[0].removeprefix("linux-image-")
        room = self.scratch()
        with Guest(goldmill("show", "base", "--json").json["qcow2"], room, "one") as guest:
            def inside(words, **options):
                return guest.ssh("sudo sh -c " + shlex.quote(words), **options)
            guest.wait_for_login()
            self.assertEqual(own, "linux-image-" + inside("uname -r").strip())
            with open(make_archive(room, others[0]), "rb") as file:
                inside("mkdir /srv/archive && tar -C /srv/archive -xf -", stdin=file)
            inside("echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list.d/local.list;"
                   "apt-get -q update -o Dir::Etc::SourceList=/etc/apt/sources.list.d/local.list"
                   " -o Dir::Etc::SourceParts=/dev/null")
            # At the usual level an emulated processor compresses for long.
            inside("echo COMPRESSLEVEL=1 > /etc/initramfs-tools/conf.d/quick")
            inside("DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Options::=--force-unsafe-io"
                   f" install {META}")
            links = inside("readlink -f /vmlinuz /initrd.img; readlink -f /vmlinuz.old").split()
            self.assertEqual([f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}",
                              f"/boot/vmlinuz-{own.removeprefix('linux-image-')}"], links)
            # Not by reset: emulated, a QEMU that has run for long may then need minutes for its boot
            # loader.
            with contextlib.suppress(Failed):
                inside("systemctl poweroff")
            guest.process.wait(timeout=300)
        for firmware in ("bios", "uefi"):
            with self.subTest(firmware), \
                    Guest(room / "one.qcow2", room, firmware, uefi=firmware == "uefi") as guest:
                guest.wait_for_login()
                self.assertEqual(release, guest.ssh("uname -r").strip())
                self.assertEqual("", guest.ssh("systemctl --failed --no-legend").strip())
                efi = guest.ssh("test -d /sys/firmware/efi && echo uefi || echo bios").strip()
                self.assertEqual(firmware, efi)


if __name__ == "__main__":
    unittest.main()
