"""Pools of image processes, the processes themselves, and pictures for ``poison``."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from PIL import Image

from mediagate import Moderator
from mediagate.images import ForkServer, ImagePool
from mediagate.images.operations import Operations
from mediagate.observe import Observer

MIB = 1024 * 1024
SILENT = Observer()


class SharedForkServer(ForkServer):
    """A fork server that outlives the gates and pools that use it."""

    def close(self) -> None:
        """Do nothing: a gate has ended its own image processes when it closes its fork server."""

    def end(self) -> None:
        super().close()


SHARED = SharedForkServer()
"""The parent of image processes in all tests that do not look at it: loading the decoders takes longer than most tests.

The fixture ``fork_server`` ends it with the session.
"""


@asynccontextmanager
async def opened(
    moderator: Moderator | None = None,
    *,
    processes: int = 1,
    timeout_s: float = 30,
    memory_bytes: int = 512 * MIB,
    observer: Observer = SILENT,
    operations: Operations | None = None,
    server: ForkServer | None = SHARED,
) -> AsyncIterator[ImagePool]:
    """Run a pool for the length of a block; without a ``server`` it starts its own."""
    pool = ImagePool(
        processes=processes,
        memory_bytes=memory_bytes,
        timeout_s=timeout_s,
        moderator=moderator,
        observer=observer,
        operations=operations,
        server=server,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pool.close)
        await pool.open()
        yield pool
    assert not image_processes()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that run (a zombie does not)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return sorted(found)


def image_processes() -> list[int]:
    return [process for server in children(os.getpid()) for process in children(server)]


def threads(pid: int) -> int:
    """Return how many threads a process has: none if it has ended."""
    try:
        return len([*Path(f"/proc/{pid}/task").iterdir()])
    except FileNotFoundError:
        return 0


def cpu_s(pids: list[int]) -> float:
    """Return the seconds of CPU time that running processes have used together."""
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until_dead(pid: int) -> None:
    """Wait until a process has ended, which it does soon."""
    deadline = time.monotonic() + 30
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.01)


def until_used(pids: list[int], seconds: float) -> None:
    """Wait until processes have used this much CPU time together."""
    deadline = time.monotonic() + 60
    while cpu_s(pids) < seconds:
        assert time.monotonic() < deadline, "the processes are idle"
        time.sleep(0.01)


def picture(width: int, height: int = 64) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, "PNG")
    return file.getvalue()


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


POISONED, HARMLESS = picture(128), picture(100)
