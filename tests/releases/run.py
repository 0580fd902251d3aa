#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds each release with the real program and checks the promises of what it built.

Usage: run.py GOLDMILL [RELEASE...]      RELEASE: a recipe beside this file, without ".yaml"

Boots by BIOS and UEFI together, then by UEFI with Secure Boot, then by BIOS from each other disk
controller that the recipe's hardware has. Prints one line of a table per
release; ends with 1 when one does not build or breaks a promise. State lies in a directory of its
own that is removed, or in $GOLDMILL_TEST_HOME, where a second run finds packages and steps again.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
BOOTS = (("bios", "uefi"), ("uefi-secure",))
CONTROLLERS = {"nvme": "nvme", "vmware": "pvscsi"}  # by `hardware:` of the recipe
MIB = 1024 * 1024


def goldmill(program, home, arguments):
    """The answer of one command, also of a test whose promises are broken."""
    environment = dict(os.environ, GOLDMILL_HOME=str(home / "home"))
    result = subprocess.run([program, *arguments, "--json"], cwd=home, env=environment,
                            stdout=subprocess.PIPE, text=True, check=False)
    if not result.stdout.strip():
        raise RuntimeError(f"goldmill {' '.join(arguments)} ended with {result.returncode}")
    answer = json.loads(result.stdout)
    if result.returncode not in (0, 1) or "error" in answer:
        raise RuntimeError(f"goldmill {' '.join(arguments)}: {json.dumps(answer)}")
    return answer


def prepare(home):
    home.mkdir(parents=True, exist_ok=True)
    for recipe in HERE.glob("*.yaml"):
        shutil.copy(recipe, home)
    if not (home / "ops").exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "ops"],
                       check=True)


def boot_result(boot, report):
    """The seconds of one boot, named as in its promises, or FAILED."""
    broken = [row["promise"] + ": " + row["found"] for row in report["promises"]
              if not row["passed"]]
    for line in broken:
        print(f"  not kept: {line}", file=sys.stderr)
    seconds = [row["found"] for row in report["promises"]
               if row["promise"] == f"{boot}: reaches multi-user"]
    return seconds[0] if report["passed"] and seconds else "FAILED"


def controllers_of(release):
    """Disk controllers besides virtio that the image promises to start from."""
    recipe = yaml.safe_load((HERE / f"{release}.yaml").read_text())
    return [CONTROLLERS[name] for name in recipe["hardware"] if name in CONTROLLERS]


def run(program, home, release):
    """One line of the table, and whether all was well."""
    built = goldmill(program, home, ["build", release])
    image = built["image"]
    cells = [release, str(image["packages"]), f"{image['disk_used_bytes'] // MIB} MiB",
             f"{built['seconds']:.0f} s"]
    passed = True
    for firmwares in BOOTS:
        options = [f"--firmware={firmware}" for firmware in firmwares]
        report = goldmill(program, home, ["test", release, *options])
        passed = passed and report["passed"]
        cells += [boot_result(firmware, report) for firmware in firmwares]
    controllers = controllers_of(release)
    if controllers:
        options = [f"--machine={controller}" for controller in controllers]
        report = goldmill(program, home, ["test", release, "--firmware=bios", *options])
        passed = passed and report["passed"]
        cells += [f"{controller} {boot_result(f'bios {controller}', report)}"
                  for controller in controllers]
    return "| " + " | ".join(cells) + " |", passed


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = str(pathlib.Path(sys.argv[1]).resolve())
    releases = sys.argv[2:] or sorted(recipe.stem for recipe in HERE.glob("*.yaml"))
    kept = os.environ.get("GOLDMILL_TEST_HOME")
    home = pathlib.Path(kept or tempfile.mkdtemp(prefix="gm-release-", dir="/var/tmp"))
    all_passed = True
    try:
        prepare(home)
        for release in releases:
            try:
                line, passed = run(program, home, release)
            except (RuntimeError, ValueError, KeyError) as error:
                line, passed = f"| {release} | FAILED: {error} |", False
            print(line, flush=True)
            all_passed = all_passed and passed
    finally:
        if not kept:
            subprocess.run(["rm", "-rf", str(home)], check=False)
    sys.exit(0 if all_passed else 1)


if __name__ == "__main__":
    main()
