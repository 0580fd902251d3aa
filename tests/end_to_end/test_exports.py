# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format that export writes, judged by the tools of others."""
import json
import os
import signal
import subprocess
import tarfile
import time
import unittest

import product
from product import Case, copy_recipes, end, goldmill, run, start

# format -> what qemu-img calls it
DISKS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vhdx": "vhdx", "vhd": "vpc"}



class Exports(Case):
    """`wide` is base with drivers for all hypervisors: only its initramfs differs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        copy_recipes(cls.room)
        recipe = cls.room / "wide.yaml"
        recipe.write_text("recipe: wide\nfrom: base\nhardware: [virtio, nvme, vmware, hyperv]\n")
        goldmill("build", recipe)
        cls.raw = cls.room / "wide.raw"
        cls.exported = goldmill("export", "wide", "-F", "raw", "-o", cls.raw)

    def partitions(self, disk):
        """number -> (first sector, sectors, name)"""
        found = {}
        for line in run("sgdisk", "-p", disk).splitlines():
            words = line.split()
            if len(words) >= 6 and words[0].isdigit():
                found[int(words[0])] = (int(words[1]), int(words[2]) - int(words[1]) + 1, words[5])
        return found

    def test_partition_table_and_file_systems(self):
        said = run("sgdisk", "-v", self.raw)
        self.assertIn("No problems found", said)
        root = max(self.partitions(self.raw).values())
        esp = next(p for p in self.partitions(self.raw).values() if p[2] == "EF00")
        for (first, sectors, _), check in ((root, ("e2fsck", "-fn")), (esp, ("fsck.fat", "-n"))):
            part = self.room / "part"
            run("dd", f"if={self.raw}", f"of={part}", "bs=1M", "iflag=skip_bytes,count_bytes",
                f"skip={first * 512}", f"count={sectors * 512}", "conv=sparse")
            if product.shutil.which(check[0], path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
                checked = run(*check, part)
                self.assertNotIn("WARNING", checked)
            part.unlink()

    def test_disks_are_equal(self):
        for name, qemu in DISKS.items():
            if name == "raw":
                continue
            with self.subTest(name):
                file = self.room / f"wide.{name}"
                goldmill("export", "wide", "-F", name, "-o", file)
                if name in ("qcow2", "vmdk", "vhdx"):
                    run("qemu-img", "check", "-f", qemu, file)
                run("qemu-img", "compare", "-f", "raw", "-F", qemu, self.raw, file)
                self.assertEqual(0o644, file.stat().st_mode & 0o777)
                file.unlink()

    def test_own_qcow2_is_what_instances_use(self):
        image = goldmill("show", "wide", "--json").json
        run("qemu-img", "check", image["qcow2"])
        run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", self.raw, image["qcow2"])
        self.assertEqual(image["stored_bytes"], os.stat(image["qcow2"]).st_size)
        base = goldmill("show", "base", "--json").json
        self.assertEqual([base["qcow2"]], image["backing"])
        self.assertLess(image["stored_bytes"], base["stored_bytes"] / 10)
        exported = self.room / "wide.qcow2"
        goldmill("export", "wide", "-F", "qcow2", "-o", exported)
        self.assertEqual(image["qcow2_bytes"], exported.stat().st_size)
        exported.unlink()

    def test_anyone_can_compute_the_disk_digest(self):
        expected = goldmill("show", "wide", "--json").json["disk_digest"]
        answer = goldmill("digest", self.raw, "--json").json
        self.assertEqual({"file": str(self.raw), "disk_digest": expected}, answer)
        text = (product.HERE.parent.parent / "docs/reference/disk-digest.md").read_text()
        program = self.room / "digest.py"
        program.write_text(text.split("```python\n")[1].split("```")[0])
        self.assertEqual(expected, run("python3", program, self.raw).strip())
        part = self.room / "odd.raw"  # not a multiple of a chunk, and holes at the end
        with self.raw.open("rb") as disk:
            part.write_bytes(disk.read(3 * 1024 * 1024 + 5))
        os.truncate(part, 7 * 1024 * 1024 + 11)
        self.assertEqual(run("python3", program, part).strip(),
                         goldmill("digest", part).out.split()[0])
        image = goldmill("show", "wide", "--json").json
        self.assertIn("qemu-img convert", goldmill("digest", image["qcow2"], status=2).err)
        goldmill("digest", self.room, status=2)
        goldmill("digest", self.room / "nothing", status=3)

    def test_tar_is_the_tree(self):
        file = self.room / "wide.tar"
        goldmill("export", "wide", "-F", "tar", "-o", file)
        with tarfile.open(file) as archive:
            names = {}
            for member in archive:
                self.assertNotIn("..", member.name.split("/"))
                self.assertFalse(member.name.startswith("/"))
                names[member.name.removeprefix("./").rstrip("/")] = member
        listed = run("tar", "-tf", file).splitlines()
        self.assertEqual(len(listed), len(set(listed)), "each path once")
        # The judge: the files of the disk itself, read by debugfs.
        first, sectors, _ = max(self.partitions(self.raw).values())
        part = self.room / "root"
        run("dd", f"if={self.raw}", f"of={part}", "bs=1M", "iflag=skip_bytes,count_bytes",
            f"skip={first * 512}", f"count={sectors * 512}", "conv=sparse")
        for directory in ("/etc", "/usr/bin", "/etc/ssh", "/boot", "/var/lib/dpkg"):
            said = run("debugfs", "-R", f"ls -p {directory}", part)
            on_disk = {line.split("/")[5] for line in said.splitlines() if line.count("/") > 5}
            prefix = directory.strip("/") + "/"
            in_tar = {name[len(prefix):] for name in names
                      if name.startswith(prefix) and "/" not in name[len(prefix):]}
            self.assertEqual(on_disk - {".", ".."} - self.ours(directory), in_tar - self.ours(directory))
        part.unlink()
        self.assertEqual(0o4755, names["usr/bin/sudo"].mode & 0o7777)
        self.assertEqual(0o640, names["etc/shadow"].mode & 0o7777)
        self.assertEqual(0, names["etc/machine-id"].size)
        file.unlink()

    @staticmethod
    def ours(directory):
        """The boot loader's files are put on the disk, not into the tree."""
        return {"grub"} if directory == "/boot" else set()

    def test_container_disk_is_a_container_image(self):
        """Judges: skopeo, which reads it as registries do, and umoci, which unpacks it."""
        file, layout, bundle = (self.room / name for name in ("c.tar", "layout", "bundle"))
        goldmill("export", "wide", "-F", "containerdisk", "-o", file)
        # As root of a user namespace: a plain user's skopeo 1.9 gives what it unpacks to root, in vain.
        run(*product.AS_GUEST_ROOT, "skopeo", "copy", f"oci-archive:{file}", f"oci:{layout}:wide")
        said = json.loads(run("skopeo", "inspect", f"oci:{layout}:wide"))
        self.assertEqual(("linux", "amd64", 1),
                         (said["Os"], said["Architecture"], len(said["Layers"])))
        run("umoci", "unpack", *(() if product.IS_ROOT else ("--rootless",)), "--image",
            f"{layout}:wide", bundle)
        disk = bundle / "rootfs/disk/disk.qcow2"
        run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", self.raw, disk)
        if product.IS_ROOT:
            self.assertEqual((107, 107), (disk.stat().st_uid, disk.stat().st_gid))

    def test_refused(self):
        refusals = {
            "no such hardware": ("base", "vmdk", self.room / "b.vmdk", 2, "vmware"),
            "no such format": ("base", "ovaa", self.room / "b", 2, "format"),
            "no such directory": ("base", "raw", self.room / "none" / "b.raw", 3, "none"),
            "a directory": ("base", "raw", self.room, 2, "regular file"),
        }
        for name, (image, form, file, status, words) in refusals.items():
            with self.subTest(name):
                before = sorted(self.room.iterdir())
                answer = goldmill("export", image, "-F", form, "-o", file, status=status)
                self.assertIn(words, answer.err)
                self.assertIn("hint: ", answer.err)
                self.assertLess(answer.seconds, self.exported.seconds, "said before anything slow")
                self.assertEqual(before, sorted(self.room.iterdir()))

    @unittest.skipUnless(product.IS_ROOT, "mounts a small file system")
    def test_full_directory(self):
        small = self.room / "small"
        small.mkdir()
        script = (f'mount -t tmpfs -o size=20m none {small} && "$@"; status=$?; '
                  f'ls -A {small}; exit $status')
        for form in ("raw", "qcow2", "tar"):
            with self.subTest(form):
                answer = goldmill("export", "base", "-F", form, "-o", small / "b", status=7,
                                  before=("unshare", "--mount", "sh", "-c", script, "sh"))
                self.assertEqual("", answer.out, "nothing is left in the directory")
                self.assertIn("space", answer.err)

    def test_interrupted(self):
        target = self.room / "target"
        target.mkdir()
        sessions = set()
        for form, number in (("raw", signal.SIGKILL), ("qcow2", signal.SIGKILL),
                             ("vmdk", signal.SIGKILL), ("qcow2", signal.SIGINT)):
            for delay in (0.3, 1.2, 2.0):
                with self.subTest(f"{form} {number.name} {delay}"):
                    process = start("export", "wide", "-F", form, "-o", target / "b",
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    sessions.add(process.pid)
                    time.sleep(delay)
                    status = end(process, number)
                    self.assertEqual([], product.gone_within(target, 5))
                    # All or nothing, also where the end came between the two.
                    left = list(target.iterdir())
                    self.assertIn(left, ([target / "b"],) if status == 0 else ([target / "b"], []))
                    for file in left:
                        run("qemu-img", "compare", "-f", "raw", "-F", form, self.raw, file)
                        file.unlink()
        goldmill("list")
        self.assertEqual([], product.gone_within(product.HOME / "work", 2, sessions))


if __name__ == "__main__":
    unittest.main()
