# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds base and java, once, for all tests of this directory."""
import product

for name, report in product.images().items():
    ran = [step["name"] for step in report["steps"] if step["result"] == "ran"]
    print(f"{name}@{report['image']['version']}: {report['seconds']:.1f} s, ran {ran or 'nothing'}")
