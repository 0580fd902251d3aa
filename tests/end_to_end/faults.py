# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a goldmill in which the n-th change of a file is the last, or fails (tests/faults)."""
import contextlib
import ctypes
import mmap
import os
import tempfile

import product

BINARY = product.BINARY.with_name("goldmill_with_faults")
KILL, FULL, BROKEN = 1, 2, 3
WRITES, NAMES, SYNCS, REMOVALS, SPELLS = 1, 2, 4, 8, 16
CHANGES = NAMES | SYNCS | REMOVALS


class Control(ctypes.Structure):  # as in tests/faults/faults.cpp
    _fields_ = [("count", ctypes.c_uint64), ("at", ctypes.c_uint64), ("mode", ctypes.c_uint32),
                ("kinds", ctypes.c_uint32), ("tripped", ctypes.c_uint32),
                ("last_file", ctypes.c_uint64)]


class Outcome:
    def __init__(self, answer, control):
        self.answer = answer
        self.count = control.count
        self.tripped = bool(control.tripped)


def run(*arguments, home, mode=0, kinds=WRITES | CHANGES, at=0, status=None):
    """One run; with mode 0 it only counts."""
    with tempfile.NamedTemporaryFile() as file:  # where guest ids find it, too
        file.truncate(mmap.PAGESIZE)
        os.chmod(file.name, 0o666)
        with contextlib.closing(mmap.mmap(file.fileno(), mmap.PAGESIZE)) as memory:
            control = Control.from_buffer(memory)
            control.at, control.mode, control.kinds = at, mode, kinds
            answer = product.goldmill(*arguments, home=home, binary=BINARY, status=status,
                                      env={"GOLDMILL_FAULTS": file.name})
            outcome = Outcome(answer, control)
            del control
    return outcome
