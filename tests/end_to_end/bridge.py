# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge with a DHCP server in a network namespace of the test's own. Needs root."""
import os
import subprocess
import time

import product


class Bridge:
    """`br0`; what runs with `inside` in front is in its namespace. Ends with the test's class."""

    def __init__(self, test, leases):
        namespace = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        test.addClassCleanup(product.end, namespace)
        self.inside = ("nsenter", "--net", f"--target={namespace.pid}")
        self.leases = leases
        test.addClassCleanup(leases.unlink, missing_ok=True)
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{namespace.pid}/ns/net") == ours:
            time.sleep(0.01)
        for words in ("link set lo up", "link add br0 type bridge",
                      "addr add 198.18.77.1/24 dev br0", "link set br0 up"):
            product.run(*self.inside, "ip", *words.split())
        server = subprocess.Popen([*self.inside, "dnsmasq", "--no-daemon", "--conf-file=/dev/null",
                                   "--user=root", "--pid-file=", "--port=0", "--interface=br0",
                                   "--bind-interfaces", f"--dhcp-leasefile={leases}",
                                   "--dhcp-range=198.18.77.10,198.18.77.99,1h"],
                                  stderr=subprocess.DEVNULL)
        test.addClassCleanup(product.end, server)

    def taps(self):
        """How many instances are plugged into it."""
        return product.run(*self.inside, "ip", "-br", "link").count("gm-")

    def clients(self):
        """The ids by which DHCP clients named themselves: the last word of each lease."""
        return {line.split()[-1] for line in self.leases.read_text().splitlines()} - {"*"}
