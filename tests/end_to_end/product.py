# SPDX-License-Identifier: GPL-3.0-or-later
"""The product as its users meet it: runs the goldmill binary and looks at what it leaves.

GOLDMILL names the binary. Images are kept in test-home beside it and shared by all files of this
directory, so that base and java are built once.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
BINARY = pathlib.Path(os.environ.get("GOLDMILL", HERE.parent.parent / "build" / "goldmill")).resolve()
ROOM = pathlib.Path(os.environ.get("GOLDMILL_TEST_HOME", BINARY.parent / "test-home")).resolve()
HOME = ROOM / "state"
RECIPES = ROOM / "recipes"
IS_ROOT = os.geteuid() == 0
# What changes layers, images or their names in the shared home: not while it is copied.
CHANGES = ("build", "gc", "keep-packages", "lock", "pack", "rm")
# Before a command that reads what belongs to guest ids, which a plain user may only so.
AS_GUEST_ROOT = () if IS_ROOT else ("unshare", "--map-auto", "--map-root-user")

# Of a build that needs no archive. A plain user who leaves the network's namespace leaves the guest ids
# behind, too: the way to the archive leads where nobody answers.
WITHOUT_ARCHIVE = ({"before": ("unshare", "--net")} if IS_ROOT else
                   {"env": {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}})

# A shell that starts something beside itself has it ignore Ctrl-C, and all that this starts, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Failed(AssertionError):
    """A goldmill that ended in another way than the test says."""


class Answer:
    def __init__(self, arguments, process, seconds):
        self.arguments = arguments
        self.status = process.returncode
        self.out = process.stdout.decode("utf-8", "replace")
        self.err = process.stderr.decode("utf-8", "replace")
        self.seconds = seconds

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return (f"goldmill {' '.join(map(str, self.arguments))}: status {self.status} after "
                f"{self.seconds:.1f} s\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}")


def environment(home=HOME, **more):
    names = {**os.environ, "GOLDMILL_HOME": str(home), "NO_COLOR": "1", **more}
    return {name: value for name, value in names.items() if value is not None}


def goldmill(*arguments, home=HOME, status=0, before=(), env=None, timeout=900, cwd=None,
             binary=BINARY, stdin=None):
    """Runs it; `before` is put in front (unshare, taskset, ...). status=None: any will do."""
    command = [*map(str, before), str(binary), *map(str, arguments)]
    with contextlib.ExitStack() as held:
        if home == HOME and arguments and arguments[0] in CHANGES:
            held.enter_context(changes())
        start = time.monotonic()
        process = subprocess.run(command, env=environment(home, **(env or {})), timeout=timeout,
                                 stdin=stdin or subprocess.DEVNULL, capture_output=True, cwd=cwd,
                                 check=False)
    answer = Answer(arguments, process, time.monotonic() - start)
    if status is not None and answer.status != status:
        raise Failed(str(answer))
    return answer


@contextlib.contextmanager
def locked(name, how):
    """One of the locks that the tests which run at the same time share."""
    ROOM.mkdir(parents=True, exist_ok=True)
    with open(ROOM / name, "w") as lock:
        fcntl.flock(lock, how)
        yield


def changes():
    """While the shared home is not as its catalogue says: nobody copies it then."""
    return locked("changes", fcntl.LOCK_SH)


def images():
    """Builds base and java in the shared home, unless they are there."""
    with locked("lock", fcntl.LOCK_EX):
        if not RECIPES.is_dir():
            shutil.copytree(EXAMPLES, RECIPES.with_suffix(".new"),
                            ignore=shutil.ignore_patterns("*.lock", "ops", "ops.pub"))
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ops", "-f",
                RECIPES.with_suffix(".new") / "ops")
            RECIPES.with_suffix(".new").rename(RECIPES)
        return {name: goldmill("build", RECIPES / f"{name}.yaml", "--json").json
                for name in ("base", "java")}


def start_over():
    """A shared home without an image, which keeps what was downloaded."""
    with locked("changes", fcntl.LOCK_EX):
        fresh = HOME.with_suffix(".new")
        remove(fresh)
        copy_packages(fresh)
        remove(HOME)
        fresh.rename(HOME)


def run(*command, **options):
    """Another program's standard output; it must succeed."""
    process = subprocess.run([str(word) for word in command], capture_output=True, check=False,
                             **options)
    if process.returncode != 0:
        raise Failed(f"{command}: status {process.returncode}\n{process.stdout.decode()[-3000:]}"
                     f"\n{process.stderr.decode()[-3000:]}")
    return process.stdout.decode("utf-8", "replace")


@contextlib.contextmanager
def scratch(parent=None):
    """A directory for one test, on the disk of the shared home."""
    parent = parent or ROOM
    parent.mkdir(parents=True, exist_ok=True)
    # No name that podman refuses in a reference: it knows none that ends in an underscore.
    path = parent / f"scratch-{secrets.token_hex(4)}"
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        remove(path)


def remove(path):
    """Also what belongs to guest ids, which a plain user may remove only as their root."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists() and not IS_ROOT:
        run(*AS_GUEST_ROOT, "rm", "-rf", path)


def copy_recipes(directory, locks=True):
    """The recipes in a directory of their own, with the locks of the shared home."""
    directory.mkdir(parents=True, exist_ok=True)
    for entry in RECIPES.iterdir():
        if entry.name in ("base.yaml", "java.yaml", "ops.pub") or (
                locks and entry.name in ("base.lock", "java.lock")):
            shutil.copy(entry, directory / entry.name)


def copy_packages(home, source=HOME):
    """A new home that has all packages: a build in it needs no network."""
    home.mkdir(mode=0o700, parents=True)
    (home / "packages").mkdir()
    for package in (source / "packages").glob("*.deb"):
        os.link(package, home / "packages" / package.name)
    for directory in ("archives", "keyrings"):
        shutil.copytree(source / directory, home / directory, symlinks=True)


def clone_home(home, source=HOME, linked=("disks",)):
    """A home with the same images and layers, where nothing is shared but contents.

    What other tests do at the same time stays out: instances, snapshots, steps that run. Of the
    directories `linked` each file gets another name only: nobody may write into it.
    """
    left_out = ("instances", "snapshots", "work")
    home.mkdir(mode=0o700)
    with contextlib.ExitStack() as held:
        if source == HOME:
            held.enter_context(locked("changes", fcntl.LOCK_EX))
        copy_state(source, home, left_out, linked)


def copy_state(source, home, left_out, linked):
    with contextlib.closing(sqlite3.connect(source / "catalogue.db")) as catalogue, \
            contextlib.closing(sqlite3.connect(home / "catalogue.db")) as copy:
        catalogue.backup(copy)  # as of one moment, whoever has it open
    for entry in source.iterdir():
        if entry.name not in left_out and not entry.name.startswith("catalogue.db"):
            how = "--link" if entry.name in linked else "--reflink=auto"
            run(*(() if entry.name == "disks" else AS_GUEST_ROOT), "cp", "-a", how, entry, home)


def session_of(process):
    with contextlib.suppress(OSError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    return None


def left_behind(home, sessions=None):
    """What still refers to a home: processes by their directories and open files, and mounts.

    In a home where others work at the same time only processes of these `sessions` count: the
    numbers of what start() gave.
    """
    found = []
    prefix = str(home) + "/"
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        if sessions and session_of(entry) not in sessions:
            continue
        try:
            links = [entry / "cwd", entry / "root", entry / "exe", *(entry / "fd").iterdir()]
            for link in links:
                with contextlib.suppress(OSError):
                    if (os.readlink(link) + "/").startswith(prefix):
                        found.append(f"process {entry.name}: {link} -> {os.readlink(link)}")
            mounts = (entry / "mountinfo").read_text(errors="replace")
        except OSError:
            continue
        found.extend(f"process {entry.name} sees {line}" for line in mounts.splitlines()
                     if prefix in line)
    return found


def gone_within(home, seconds, sessions=None):
    """left_behind() as soon as it is empty, or after `seconds`."""
    end = time.monotonic() + seconds
    while (found := left_behind(home, sessions)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def workers(name):
    """Numbers of the processes of goldmill's that do this job."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = pathlib.Path("/proc", process, "cmdline").read_bytes().split(b"\0")
            if words[:2] == [b"goldmill-worker", name.encode()]:
                found.add(int(process))
    return found


def ended_within(seconds, processes):
    """Whether all of them end in that time."""
    limit = time.monotonic() + seconds
    while any(map(is_running, processes)) and time.monotonic() < limit:
        time.sleep(0.1)
    return not any(map(is_running, processes))


class Case(unittest.TestCase):
    """A test on the shared images."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.built = images()

    @classmethod
    def class_scratch(cls):
        """A directory for all tests of the class."""
        context = scratch()
        path = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return path

    def scratch(self, parent=None):
        path = self.enterContext(scratch(parent)) if hasattr(self, "enterContext") else None
        if path is None:  # Python 3.10
            context = scratch(parent)
            path = context.__enter__()
            self.addCleanup(context.__exit__, None, None, None)
        return path


class OwnHome(Case):
    """A test on a home of its own with the shared images, and on recipes beside it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.room = cls.class_scratch()
        cls.home = cls.room / "home"
        cls.recipes = cls.room / "recipes"
        clone_home(cls.home)
        copy_recipes(cls.recipes)

    @classmethod
    def goldmill(cls, *arguments, **options):
        return goldmill(*arguments, home=cls.home, cwd=cls.recipes, **options)

    def begin_without_end(self, name, parent):
        """A build on the parent that has come to a step which does not end."""
        (self.recipes / f"{name}.yaml").write_text(
            f"recipe: {name}\nfrom: {parent}\nprovision:\n"
            "  - shell: {script: 'echo it runs; while ! [ -e /run/goldmill/never ]; do sleep 1; done'}\n")
        build = start("build", name, home=self.home, cwd=self.recipes, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL)
        self.addCleanup(end, build)
        await_words(build, self.home, name, "it runs")
        return build

    @classmethod
    def keep_only_base(cls):
        """What other tests made goes, children first."""
        images = cls.goldmill("list", "--json").json["images"]
        for image in sorted(images, key=lambda image: image["created"], reverse=True):
            if image["name"] != "base":
                cls.goldmill("rm", f"{image['name']}@{image['version']}")


def is_running(process):
    """By number; one that has ended and only waits for its parent does not run."""
    try:
        stat = pathlib.Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def processor_seconds(process):
    """What it has used so far, also by threads that ended: its clock, clock_getcpuclockid(3)."""
    return time.clock_gettime(~process << 3 | 2)


def start(*arguments, home=HOME, before=(), **options):
    """A goldmill in a session of its own, still running. What is put in front must become it."""
    return subprocess.Popen([*map(str, (*before, BINARY, *arguments))], env=environment(home),
                            stdin=subprocess.DEVNULL, start_new_session=True, **options)


def await_words(process, home, image, words):
    """Until the log of a step of the image's, which this goldmill builds, says so."""
    limit = time.monotonic() + 120
    while not any(words in log.read_text() for log in (home / "logs").glob(f"{image}.*")):
        assert process.poll() is None, "it ended"
        assert time.monotonic() < limit, words
        time.sleep(0.1)


def end(process, number=signal.SIGKILL):
    """Ends a process that start() gave, by its number, and waits for it."""
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(timeout=60)
