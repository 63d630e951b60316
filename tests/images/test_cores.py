"""Cores shared by image processes, with real processes: forked, and killed at any moment."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from mediagate.images.cores import PATIENCE_S, Cores


@contextmanager
def child(work: Callable[[], None]) -> Iterator[int]:
    """Run ``work`` in a forked process, and kill it at the end of the block."""
    began, begin = os.pipe()
    pid = os.fork()
    if not pid:
        work()
        os.write(begin, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(began, 1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(began)
        os.close(begin)


def cores(file: IO[bytes], own: int) -> Cores:
    return Cores(file, own=own, count=2)


def test_core_can_be_borrowed_while_its_owner_is_idle() -> None:
    with tempfile.TemporaryFile() as file:
        ours = cores(file, 0)
        with child(lambda: None), ours.used():
            for _ in range(2):
                give_back = ours.borrow()
                assert give_back is not None
                give_back()


def test_core_of_a_busy_process_cannot_be_borrowed_until_it_dies() -> None:
    with tempfile.TemporaryFile() as file:
        ours = cores(file, 0)
        with child(cores(file, 1).used().__enter__), ours.used():
            assert ours.borrow() is None
        assert ours.borrow() is not None


def test_owner_waits_for_its_borrowed_core_for_a_limited_time() -> None:
    with tempfile.TemporaryFile() as file:
        ours = cores(file, 1)

        def borrows() -> None:
            assert cores(file, 0).borrow() is not None

        with child(borrows):
            started = time.monotonic()
            with ours.used():
                assert time.monotonic() - started >= PATIENCE_S
        started = time.monotonic()
        with ours.used():
            assert time.monotonic() - started < PATIENCE_S
