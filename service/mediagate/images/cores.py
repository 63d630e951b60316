"""A core for each image process; while one has nothing to do, the others may borrow its core, for one encoding each.

So the processes together never run more threads than there are processes, also when an image that began alone is
joined by another, but for an encoding that takes longer than ``PATIENCE_S``.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO

PATIENCE_S = 0.5
"""How long an image waits for a core that is lent; then it begins beside the encoding that has it."""
ASK_AGAIN_S = 0.001

GiveBack = Callable[[], None]


class Cores:
    """As one process sees them: its own, and those of the others.

    Each is a byte of a file; a process that has the lock on it uses the core, and a process that dies gives back what
    it had. ``file`` may be shared by fork.
    """

    def __init__(self, file: IO[bytes], *, own: int, count: int) -> None:
        self._file = file
        self._own = own
        self._others = [core for core in range(count) if core != own]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Use the own core for the length of the block."""
        patience = time.monotonic() + PATIENCE_S
        while not self._take(self._own) and time.monotonic() < patience:
            time.sleep(ASK_AGAIN_S)
        try:
            yield
        finally:
            self._give_back(self._own)

    def borrow(self) -> GiveBack | None:
        """Take a core that nobody uses and return how to give it back; ``None`` when there is none."""
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
