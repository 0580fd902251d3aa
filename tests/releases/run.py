#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds each release with the real program and checks the promises of what it built.

Usage: run.py GOLDMILL [RELEASE...]      RELEASE: a recipe beside this file, without ".yaml"

Boots by BIOS and UEFI together, then by UEFI with Secure Boot. Prints one line of a table per
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

HERE = pathlib.Path(__file__).resolve().parent
BOOTS = (("bios", "uefi"), ("uefi-secure",))
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


def boot_result(firmware, report):
    broken = [row["promise"] + ": " + row["found"] for row in report["promises"]
              if not row["passed"]]
    for line in broken:
        print(f"  not kept: {line}", file=sys.stderr)
    seconds = [row["found"] for row in report["promises"]
               if row["promise"] == f"{firmware}: reaches multi-user"]
    return seconds[0] if report["passed"] and seconds else "FAILED"


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
