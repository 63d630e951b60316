"""What one image costs, step by step: wall-clock and CPU milliseconds, and peak memory above an idle process.

    python bench/pipeline.py                        the photos of tests/data/photos
    python bench/pipeline.py a.jpg b.png            these
    python bench/pipeline.py --runs 10 --nudenet    medians of 10 runs; judged by NudeNet, which has to be installed

Each picture gets a process of its own, which has rendered another one before, so that nothing is loaded for the first
time. The steps run one after the other on one thread, as in an image process when all cores are busy, with the default
source: five WebP variants and the cleaned original. "render" is the whole path as the image process runs it,
unmoderated, on one encoding thread and, as when a core is free, on two; then without the original, which spares a JPEG
the decoding at full scale too. Memory is the peak of the resident set in a
step, less what the process held before it had the picture. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from mediagate import MODERATOR, MediaGate, Moderator, Source
from mediagate.images import pixels as images
from mediagate.images.blurhash import SIDE, blurhash_of
from mediagate.images.judgement import judge
from mediagate.images.memory import tune_allocator
from mediagate.images.pixels.fidelity import shows
from mediagate.images.render import render

PHOTOS = Path(__file__).parents[1] / "tests" / "data" / "photos"
SOURCE = Source()
NO_ORIGINAL = Source(original="delete")
COMPARISON = "of encode: compare"
"""Every lossy file is decoded again and compared with its picture; "encode" contains this."""
MIDDLE = (0.5, 0.5)
WHITE = (255, 255, 255)
MIB = 1024 * 1024


class Steps:
    """Measures steps by name, over several runs."""

    def __init__(self, idle: int) -> None:
        self.idle = idle
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}
        self.peak: dict[str, float] = {}

    def measure(self, name: str, step: Callable[[], Any]) -> Any:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        wall, cpu = time.perf_counter(), time.process_time()
        result = step()
        self.wall.setdefault(name, []).append((time.perf_counter() - wall) * 1000)
        self.cpu.setdefault(name, []).append((time.process_time() - cpu) * 1000)
        self.peak[name] = max(self.peak.get(name, 0), (memory("VmHWM") - self.idle) / MIB)
        return result

    def print(self, *, total_of: tuple[str, ...]) -> None:
        print(f"  {'step':<22}{'wall ms':>9}{'CPU ms':>9}{'peak MB':>9}")
        for name in self.wall:
            self._line(name, median(self.wall[name]), median(self.cpu[name]), self.peak[name])
            if name == total_of[-1]:
                wall, cpu = (sum(median(times[step]) for step in total_of) for times in (self.wall, self.cpu))
                self._line("all steps", wall, cpu, max(self.peak[step] for step in total_of))

    def _line(self, name: str, wall: float, cpu: float, peak: float) -> None:
        print(f"  {name:<22}{wall:9.1f}{cpu:9.1f}{peak:9.1f}")


def memory(field: str) -> int:
    """Return a field of this process's status in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def run_steps(path: Path, steps: Steps, moderator: Moderator | None) -> None:
    """Take a picture through the steps of ``mediagate.images.render.render``, one at a time."""
    data = path.read_bytes()
    decoded = steps.measure("decode", lambda: images.decode(data, SOURCE))
    plans = images.plan((decoded.info.width, decoded.info.height), SOURCE)
    order = sorted(plans, key=lambda name: -plans[name].scale)

    def to_largest() -> images.Image:
        return images.resized(decoded.frames[0], plans[order[0]].size)

    def others() -> list[images.Image]:
        return [images.resized(decoded.frames[0], plans[name].size) for name in order]

    def encode_all() -> list[tuple[bytes, images.Image]]:
        made = []
        for sized, name in {sized.size: (sized, name) for sized, name in zip(sizes, order, strict=True)}.values():
            spec = SOURCE.variants[name]
            made.append((images.encode([sized], [0], 0, spec.format, spec.quality, SOURCE.effort_of(spec)), sized))
        return made

    def placeholder() -> str:
        tiny = images.flattened(images.square(sizes[-1], SIDE), WHITE)
        return blurhash_of(SIDE, SIDE, tiny.tobytes()) + images.dominant_color(sizes[-1])

    largest = steps.measure("resize to largest", to_largest)
    if moderator is not None:
        steps.measure("moderate", lambda: judge([largest], [0], 0, plans, SOURCE, moderator))
    sizes = steps.measure("resize the others", others)
    files = steps.measure("encode", encode_all)
    steps.measure("blurhash", placeholder)
    steps.measure("original", lambda: images.encode_original(decoded))
    steps.measure(COMPARISON, lambda: [shows(data, [sized]) for data, sized in files])


def bench(path: Path, runs: int, moderator: Moderator | None) -> None:
    """Print the table of one picture; to be called in a process of its own."""
    tune_allocator()
    images.limit_threads()
    images.lift_pixel_limit()
    if moderator is not None:
        moderator.prepare()
    render((PHOTOS / "exif_gps_tiny.jpg").read_bytes(), SOURCE, MIDDLE, moderator)
    with path.open("rb") as file:
        info = images.probe(file, SOURCE)
    steps = Steps(memory("VmRSS"))
    for _ in range(runs):
        run_steps(path, steps, moderator)
    apart = tuple(name for name in steps.wall if name != COMPARISON)
    for threads in (1, 2):
        for _ in range(runs):
            # A rejected picture would cost nothing more, so this is without the moderator.
            whole_path = partial(render, path.read_bytes(), SOURCE, MIDDLE, None, threads=threads)
            steps.measure("render, 1 thread" if threads == 1 else f"render, {threads} threads", whole_path)
    for _ in range(runs):
        steps.measure("render, no original", partial(render, path.read_bytes(), NO_ORIGINAL, MIDDLE, None))
    print(f"\n{path.name}: {info.width} x {info.height} {info.format}, {path.stat().st_size / 1000:,.0f} kB")
    steps.print(total_of=apart)


async def nudenet_moderator() -> Moderator:
    """Return NudeNet as a gate would have it."""
    from mediagate_plugins.nudenet import nudenet

    gate = MediaGate(sources={"photo": Source(reject={"explicit": 0.5})})
    gate.register(nudenet)
    async with gate.assembled():
        return gate[MODERATOR]


def main() -> int:
    """Measure each picture in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path, default=sorted(PHOTOS.iterdir()))
    parser.add_argument("--runs", type=int, default=5, help="medians of so many runs (5)")
    parser.add_argument("--nudenet", action="store_true", help="moderate with NudeNet's model")
    options = parser.parse_args()
    if sys.platform != "linux":
        parser.error("memory is read from /proc, so this runs on Linux only")
    moderator = asyncio.run(nudenet_moderator()) if options.nudenet else None
    print(f"{images.codecs()}; medians of {options.runs} runs, {len(os.sched_getaffinity(0))} cores")
    failed = False
    for path in options.pictures:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                bench(path, options.runs, moderator)
            except Exception as exc:
                print(f"\n{path.name}: {type(exc).__name__}: {exc}")
                sys.stdout.flush()
                os._exit(1)
            sys.stdout.flush()
            os._exit(0)
        failed |= os.waitpid(child, 0)[1] != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
