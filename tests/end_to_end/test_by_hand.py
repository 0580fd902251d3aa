# SPDX-License-Identifier: GPL-3.0-or-later
"""The qcow2 in plain QEMU, without goldmill: it comes up, by BIOS and by UEFI, and every copy is
unique."""
import pathlib
import unittest

from by_hand import Guest
from product import Case, goldmill


class ByHand(Case):
    def test_every_copy_is_unique(self):
        room = self.scratch()
        disk = pathlib.Path(goldmill("show", "base", "--json").json["qcow2"])
        before = (disk.stat().st_mtime_ns, disk.stat().st_size)
        with Guest(disk, room, "one") as one, Guest(disk, room, "two", uefi=True) as two:
            self.look_at(one, two)
        self.assertEqual(before, (disk.stat().st_mtime_ns, disk.stat().st_size))

    def look_at(self, *guests):
        found = []
        for guest in guests:
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


if __name__ == "__main__":
    unittest.main()
