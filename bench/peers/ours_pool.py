"""mediagate's image processes, one a core, without a moderator and without originals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from bench.peers.protocol import WIDTHS, Request, Variants, descendants, serve
from mediagate import Source, VariantSpec
from mediagate.images import ImagePool

PROCESSES = 2
GIB = 1024**3


class Rendering:
    """A pool that stays open over all requests."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._pool = ImagePool(processes=PROCESSES, memory_bytes=GIB, timeout_s=60, moderator=None)
        runner.run(self._pool.open())

    def work(self, request: Request) -> Iterator[Variants]:
        yield from self._runner.run(self._all(request))

    def close(self) -> None:
        self._runner.run(self._pool.close())

    async def _all(self, request: Request) -> list[Variants]:
        specs = {str(width): VariantSpec(width=width, quality=request.quality) for width in WIDTHS}
        source = Source(variants=specs, effort=request.effort, original="delete")
        slots = asyncio.Semaphore(request.parallel)

        async def one(path: Path) -> Variants:
            async with slots:
                data = path.read_bytes()  # noqa: ASYNC240  # of the page cache
                rendered = await self._pool.render(data, source)
            return {int(file.name): file.data for file in rendered.variants}

        return await asyncio.gather(*map(one, request.files))


def main() -> None:
    with asyncio.Runner() as runner:
        rendering = Rendering(runner)
        try:
            serve(rendering.work, lambda: descendants(os.getpid()))
        finally:
            rendering.close()


if __name__ == "__main__":
    main()
