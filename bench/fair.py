"""How long one avatar waits behind 1,000 photos of somebody else: ``python -m bench.fair [--photos N] [--runs N]``.

A gate with one image process, SQLite and files in a folder of its own takes photos of one owner (1600 x 1200 pixels).
When they wait, another owner uploads an avatar (500 x 500), and then a third one a photo to a source of high priority.
A job's time is what lies between two ends of the photos before; waits are from the upload's 202 to the moment at which
the attempt begins, and to COMPLETE. Without shares both would wait for all photos, which is reckoned, not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from PIL import Image

from mediagate import Job, JobState, MediaGate, Settings, Source

PHOTO = Path(__file__).parents[1] / "tests" / "data" / "photos" / "photo_2725x2225.jpg"
STEADY = 12
"""How many photos are worked on before the avatar comes."""


class Times:
    """When each job's attempt began, and when it ended (monotonic seconds)."""

    def __init__(self, gate: MediaGate) -> None:
        self.begun: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self._changed = asyncio.Condition()
        gate.add_hook("pre_process", self._begin)
        gate.add_hook("on_complete", self._end)

    async def _begin(self, job: Job) -> None:
        self.begun.setdefault(job.id, time.monotonic())

    async def _end(self, state: JobState) -> None:
        async with self._changed:
            self.ended[state.job.id] = time.monotonic()
            self._changed.notify_all()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something holds of what has ended."""
        async with self._changed:
            await self._changed.wait_for(reached)


def a_photo(width: int, height: int) -> bytes:
    """Return a photo of this size."""
    with Image.open(PHOTO) as image:
        file = io.BytesIO()
        image.convert("RGB").resize((width, height)).save(file, "JPEG", quality=88)
    return file.getvalue()


async def measure(folder: Path, count: int) -> tuple[float, list[tuple[float, float]]]:
    """Return a job's time, and for avatar and urgent photo how long until they began and were complete (seconds)."""
    gate = MediaGate(
        sources={"photo": Source(), "avatar": Source(), "urgent": Source(priority="high")},
        settings=Settings(data_dir=folder, image_processes=1, max_queue=0, drain_timeout_s=0),
        moderation="off",
    )
    times, photo, avatar = Times(gate), a_photo(1600, 1200), a_photo(500, 500)
    waits = []
    async with gate:
        for n in range(count):
            await gate.upload(photo, source_type="photo", source_id=f"album-{n}", owner="ann")
        await times.until(lambda: len(times.ended) >= STEADY)
        for source_type, owner, body in (("avatar", "bob", avatar), ("urgent", "cleo", photo)):
            sent = await gate.upload(body, source_type=source_type, source_id="one", owner=owner)
            accepted = time.monotonic()
            await times.until(partial(times.ended.__contains__, sent.job_id))
            waits.append((times.begun[sent.job_id] - accepted, times.ended[sent.job_id] - accepted))
        left = await gate.parts.records.queue_depth()
        assert left > count / 2, f"only {left} photos waited: the machine is too fast for so few"
        ends = sorted(times.ended.values())
    return median(after - before for before, after in pairwise(ends)), waits


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.fair")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print("| who | a job's time, ms | begun after, ms (job's times) | complete after, ms | first come, first served |")
    print("| --- | --- | --- | --- | --- |")
    for _ in range(options.runs):
        with TemporaryDirectory() as folder:
            job_s, waits = asyncio.run(measure(Path(folder), options.photos))
        for who, (begun_s, complete_s) in zip(("avatar", "photo of high priority"), waits, strict=True):
            before = f"{options.photos * job_s:,.0f} s"
            print(f"| {who} | {1000 * job_s:,.0f} | {1000 * begun_s:,.0f} ({begun_s / job_s:.2f}) | "
                  f"{1000 * complete_s:,.0f} | {before} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
