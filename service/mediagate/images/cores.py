"""A core for each image process; the others may borrow an idle process's core, for one encoding at a time.

So the processes together never run more threads than there are processes, even when a second image begins during the
first. The exception is an encoding that takes longer than ``PATIENCE_S``.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO

PATIENCE_S = 0.5
"""How long an image waits for its lent core before it starts anyway, concurrently with the encoding on that core."""
ASK_AGAIN_S = 0.001

GiveBack = Callable[[], None]


class Cores:
    """The cores from the view of one process: its own, and those of the others.

    Each core is a byte of a file. A process uses a core while it holds the lock on that byte; the kernel releases the
    locks of a process that dies. ``file`` may be shared by fork.
    """

    def __init__(self, file: IO[bytes], *, own: int, count: int) -> None:
        self._file = file
        self._own = own
        self._others = [core for core in range(count) if core != own]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Hold the process's own core during the block."""
        patience = time.monotonic() + PATIENCE_S
        while not self._take(self._own) and time.monotonic() < patience:
            time.sleep(ASK_AGAIN_S)
        try:
            yield
        finally:
            self._give_back(self._own)

    def borrow(self) -> GiveBack | None:
        """Take an unused core and return a function that gives it back; ``None`` when all are in use."""
        for core in self._others:
            if self._take(core):
                return partial(self._give_back, core)
        return None

    def _take(self, core: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, core)
        except OSError:
            return False
        return True

    def _give_back(self, core: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, core)


def lock_file() -> IO[bytes]:
    """Return an empty file for locks, sealed against writes where the system supports that."""
    if not hasattr(os, "memfd_create"):
        return tempfile.TemporaryFile()
    memory = os.memfd_create("mediagate-cores", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    with suppress(OSError):  # some systems have memory files but cannot seal them
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return os.fdopen(memory, "r+b", buffering=0)
