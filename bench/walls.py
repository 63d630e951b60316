"""What the walls around the image processes cost: start-up, CPU per picture and per header, beside the same without.

    python -m bench walls --runs 7

Without them means that ``sandbox.enclose`` does nothing in the forked process; all else is the same code. By turns,
medians; the pictures are the tests' 6 MP photo, and its header alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from bench.costs import PHOTOS, print_table
from bench.size import Size
from mediagate import Source
from mediagate.images import ImagePool, forkserver
from mediagate.images.forkserver import PROGRAM

OPEN = (
    "import mediagate.images.sandbox as walls; "
    "walls.enclose = lambda readable, *, memory: walls.Walls(memory=memory); main("
)
"""What the program of the fork server does for pools that are to have no walls."""


def details(size: Size) -> None:
    """Print the table."""
    path = PHOTOS / "photo_2725x2225.jpg"
    asyncio.run(_measured(path, path.read_bytes(), size))


async def _measured(path: Path, data: bytes, size: Size) -> None:
    taken: dict[tuple[str, bool], list[float]] = {}
    for _ in range(size.runs):
        for walls in (True, False):
            for name, value in (await _once(path, data, size, walls=walls)).items():
                taken.setdefault((name, walls), []).append(value)
    rows = []
    for name in dict.fromkeys(name for name, _ in taken):
        before, after = median(taken[name, False]), median(taken[name, True])
        rows.append([name, before, after, f"{(after / before - 1) * 100:+.1f} %"])
    print_table("The walls around the image processes", ["", "without", "with", ""], rows)


async def _once(path: Path, data: bytes, size: Size, *, walls: bool) -> dict[str, float]:
    head, _, tail = PROGRAM.rpartition("main(")
    forkserver.PROGRAM = PROGRAM if walls else head + OPEN + tail
    pool = ImagePool(processes=1, memory_bytes=2**30, timeout_s=60, moderator=None)
    started = time.perf_counter()
    await pool.open()
    started = (time.perf_counter() - started) * 1000
    try:
        assert pool.walls is not None
        assert pool.walls.seccomp is walls
        await pool.render(data, Source())
        cpu = [(await pool.render(data, Source())).timings_ms["cpu"] for _ in range(size.of(5))]
        wall = [await _ms(lambda: pool.render(data, Source())) for _ in range(size.of(5))]
        probes = [await _ms(lambda: pool.probe(path, Source())) for _ in range(size.of(200))]
    finally:
        await pool.close()
    return {
        "start of two processes, ms": started,
        "CPU of a picture, ms": median(cpu),
        "a picture through the pool, ms": median(wall),
        "a header through the pool, ms": median(probes),
    }


async def _ms(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1000
