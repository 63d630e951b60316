"""Fuzz the image processes with mutants: ``python -m bench.mutants --count 20000 --seed 1 [--format gif]``.

Each mutant of a format is probed and rendered in image processes as the service runs them. A table says how often each
outcome came about; the exit status is 1 if any was ``processing_failed``, ``internal_error`` or ``image_crashed``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # to find the tests, from wherever it is run

from mediagate import Source, VariantSpec  # noqa: E402
from mediagate.errors import MediagateError  # noqa: E402
from mediagate.images import ImagePool  # noqa: E402
from tests.support.samples import payloads  # noqa: E402 - the path comes first
from tests.support.samples.catalogue import KINDS  # noqa: E402
from tests.support.samples.mutation import mutant  # noqa: E402
from tests.support.samples.random_picture import random_file  # noqa: E402
from tests.support.samples.sample import cat, face  # noqa: E402

FORMATS = {
    "jpeg": "jpeg",
    "png": "png",
    "gif": "gif",
    "webp": "webp",
    "avif": "avif",
    "heic": "heic",
    "apng": "png",
    "mpo": "jpeg",
}
"""What is mutated, and the structure that it has."""
RANDOM_FILES = 300
LARGE_SAMPLE = 100_000
"""Bytes of a sample that is too slow to be mutated again and again."""
MEMORY_BYTES, TIMEOUT_S = 512 * 2**20, 20.0
LIMITS: dict[str, Any] = {"max_pixels": 1_000_000, "max_frames": 50, "max_animation_pixels": 2_000_000}
WRONG = ("processing_failed", "internal_error", "image_crashed")
PLAIN = Source(variants={"small": VariantSpec(width=48)}, effort=0, **LIMITS)
SOURCES = (
    PLAIN,
    PLAIN.model_copy(update={"animation": "keep"}),
    PLAIN.model_copy(update={"animation": "keep", "damaged": "accept"}),
    PLAIN.model_copy(update={"original": "delete", "colour": "wide"}),
)


class Mutants:
    """Mutants of samples of one format; the same seed makes the same ones."""

    def __init__(self, name: str, samples: Sequence[bytes], seed: int) -> None:
        self._structure = FORMATS[name]
        self._random = Random(f"{name} {seed}")
        self._samples = samples

    def next(self) -> tuple[bytes, Source]:
        """Return one, and the source that it is sent to."""
        random = self._random
        data = mutant(random.choice(self._samples), self._structure, self._samples, random)
        return data, random.choice(SOURCES)


def samples_of(name: str, seed: int, folder: Path | None) -> list[bytes]:
    """Return what is mutated: the files of a folder that are called so, or else those of the tests and random ones."""
    if folder is not None:
        found = [path.read_bytes() for path in sorted(folder.glob(f"*.{name}"))]
    elif name == "mpo":
        found = [_saved("MPO", quality=quality) for quality in (60, 90)]
    elif name == "apng":
        found = [data for image_format, data in _made(seed) if image_format == "png" and b"acTL" in data]
        found.append(_saved("PNG", duration=70))
    else:
        found = [data for image_format, data in _made(seed) if image_format == name]
    return [data for data in found if len(data) < LARGE_SAMPLE]


@cache
def _made(seed: int) -> list[tuple[str, bytes]]:
    random = Random(seed)
    samples = [*(sample for kind in KINDS.values() for sample in kind()), *payloads.samples()]
    return [*((sample.format, sample.data) for sample in samples), *(random_file(random) for _ in range(RANDOM_FILES))]


def _saved(image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    first, second = (Image.fromarray(pixels) for pixels in (cat(), face()))
    first.save(file, image_format, save_all=True, append_images=[second, first.rotate(90)], **options)
    return file.getvalue()


async def outcome(pool: ImagePool, path: Path, data: bytes, source: Source) -> str:
    """Return ``COMPLETE`` or the code of an error, for a mutant that is probed and then rendered."""
    await asyncio.to_thread(path.write_bytes, data)
    try:
        await pool.probe(path, source)
        await pool.render(data, source)
    except MediagateError as error:
        return error.code
    return "COMPLETE"


async def run(options: argparse.Namespace) -> int:
    """Print a row a format, and return how many mutants had a wrong outcome."""
    wrong = 0
    pool = ImagePool(processes=options.processes, memory_bytes=MEMORY_BYTES, timeout_s=TIMEOUT_S, moderator=None)
    print("| format | mutants | seconds | outcomes |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        await pool.open()
        try:
            for name in options.format or list(FORMATS):
                if samples := samples_of(name, options.seed, options.samples):
                    mutants = Mutants(name, samples, options.seed)
                    wrong += await _count(name, mutants, Path(folder), pool, options)
        finally:
            await pool.close()
    return wrong


async def _count(name: str, mutants: Mutants, folder: Path, pool: ImagePool, options: argparse.Namespace) -> int:
    started, outcomes, left = monotonic(), Counter[str](), iter(range(options.count))

    async def work(number: int) -> None:
        for _ in left:
            data, source = mutants.next()
            became = await outcome(pool, folder / str(number), data, source)
            outcomes[became] += 1
            if became in WRONG and options.keep:
                _save(options.keep / f"{became}-{hashlib.sha256(data).hexdigest()[:12]}.{name}", data, source)

    # One more than there are processes, so that none waits for the next mutant to be made.
    await asyncio.gather(*(work(number) for number in range(options.processes + 1)))
    told = ", ".join(f"{code} {times:,}" for code, times in outcomes.most_common())
    print(f"| {name} | {options.count:,} | {monotonic() - started:.0f} | {told} |", flush=True)
    return sum(outcomes[code] for code in WRONG)


def _save(file: Path, data: bytes, source: Source) -> None:
    file.write_bytes(data)
    file.with_suffix(".json").write_text(source.model_dump_json())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return 1 if any outcome was wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="mutants of each format (2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutants (1)")
    parser.add_argument("--format", action="append", choices=FORMATS, help="all without one; may be repeated")
    parser.add_argument("--processes", type=int, default=2, help="image processes (2)")
    parser.add_argument("--samples", type=Path, help="folder of files to mutate, each called *.FORMAT")
    parser.add_argument("--keep", type=Path, help="folder for the mutants with a wrong outcome")
    options = parser.parse_args(arguments)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    logging.getLogger("mediagate").setLevel(logging.CRITICAL)
    return 1 if asyncio.run(run(options)) else 0


if __name__ == "__main__":
    sys.exit(main())
