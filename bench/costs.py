"""Where a job's time goes, and what makes it cost more; writes the plot of docs/how-to/tune.md.

    python -m bench costs

The job's path is that of an open gate with SQLite, files and NudeNet's model, one job at a time. The other tables are
CPU milliseconds of one render on one thread, of the 6 MP photo of the tests unless a table says otherwise. Medians.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

from PIL import Image

from bench.size import Size
from mediagate import MediaGate, Settings, Source, VariantSpec
from mediagate.config.variants import DEFAULT_VARIANTS
from mediagate.images import ImagePool
from mediagate.images.render import render
from mediagate_plugins.nudenet import nudenet

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "tests" / "data" / "photos"
PLOT = ROOT / "docs" / "how-to" / "job_time.svg"
MIDDLE = (0.5, 0.5)
MEGAPIXELS = (0.25, 1, 3, 6, 12, 24, 48)
NEVER = Source(reject={"explicit": 1.0})
"""Moderated like any other, and nothing is certain enough to be rejected."""
STEPS = (
    "receive",
    "queue",
    "decode",
    "resize",
    "moderate",
    "encode",
    "blurhash",
    "original",
    "publish",
    "rest",
)
COLOURS = (
    "#8dd3c7",
    "#ffffb3",
    "#bebada",
    "#fb8072",
    "#80b1d3",
    "#fdb462",
    "#b3de69",
    "#fccde5",
    "#d9d9d9",
    "#bc80bd",
)


def photo(megapixels: float) -> bytes:
    """Return the 6 MP photo of the tests at another size, as a camera would store it."""
    with Image.open(PHOTOS / "photo_2725x2225.jpg") as image:
        scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        sized = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
    file = io.BytesIO()
    sized.save(file, "JPEG", quality=90)
    return file.getvalue()


def cpu_ms(work: Callable[[], object], runs: int) -> float:
    """Return the CPU milliseconds of this process, median of several runs after one that is not counted."""
    work()
    taken = []
    for _ in range(runs):
        started = time.process_time()
        work()
        taken.append((time.process_time() - started) * 1000)
    return median(taken)


async def job_path(pictures: Mapping[str, bytes], runs: int) -> dict[str, dict[str, float]]:
    """Return milliseconds by step for each picture, taken through an open gate."""
    with TemporaryDirectory() as folder:
        gate = MediaGate(sources={"photo": NEVER}, settings=Settings(data_dir=Path(folder)))
        gate.register(nudenet)
        async with gate:
            return {name: await _medians(gate, data, runs) for name, data in pictures.items()}


async def _medians(gate: MediaGate, data: bytes, runs: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {step: [] for step in STEPS}
    for _ in range(runs + 1):
        started = time.perf_counter()
        status = await gate.upload(data, source_type="photo", source_id="bench")
        received = time.perf_counter()
        job = (await gate.wait(status.job_id)).job
        total = (time.perf_counter() - received) * 1000
        assert job.started_at is not None
        steps = dict(job.timings_ms)
        steps["receive"] = (received - started) * 1000
        steps["queue"] = max(0.0, (job.started_at - job.created_at).total_seconds() * 1000 - steps["receive"])
        known = {step: steps.get(step, 0.0) for step in STEPS if step != "rest"}
        known["rest"] = max(0.0, total + steps["receive"] - sum(known.values()))
        for step, ms in known.items():
            taken[step].append(ms)
    return {step: median(ms[1:]) for step, ms in taken.items()}


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n")
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(f"{cell:,.1f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def svg(paths: Mapping[str, Mapping[str, float]]) -> str:
    """Return stacked bars, one for each picture, in milliseconds."""
    left, width, height, bar = 130, 760, 26, 18
    longest = max(sum(path.values()) for path in paths.values())
    drawn = []
    for row, (name, path) in enumerate(paths.items()):
        y, x = 14 + row * height, float(left)
        drawn.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        for step, colour in zip(STEPS, COLOURS, strict=True):
            wide = path[step] / longest * (width - left - 60)
            told = f"<title>{step} {path[step]:.0f} ms</title>"
            drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{bar}" fill="{colour}">{told}</rect>')
            x += wide
        drawn.append(f'<text x="{x + 6:.1f}" y="{y + 13}">{sum(path.values()):.0f} ms</text>')
    below = 14 + len(paths) * height + 6
    for at, (step, colour) in enumerate(zip(STEPS, COLOURS, strict=True)):
        x, y = left + at % 6 * 100, below + at // 6 * 20
        drawn.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 17}" y="{y + 10}">{step}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{below + 44}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def details(size: Size) -> None:
    """Print all tables and, of the whole size, write the plot."""
    runs = size.runs
    upright = PHOTOS / "photo_2725x2225.jpg"
    pictures = {
        "12 MP, turned": (PHOTOS / "dog_exif_xmp_icc.jpg").read_bytes(),
        "12 MP": photo(12),
        "6 MP": upright.read_bytes(),
        "1 MP": photo(1),
        "avatar 500 x 500": photo(0.25),
    }
    base = pictures["6 MP"]
    if not size.is_whole:
        pictures = {"avatar 500 x 500": (base := photo(0.25))}
    paths = asyncio.run(job_path(pictures, runs))
    rows = [[name, *(path[step] for step in STEPS), sum(path.values())] for name, path in paths.items()]
    print_table("A job alone, milliseconds (steps may run side by side)", ["picture", *STEPS, "sum"], rows)
    plot = svg(paths)
    if size.is_whole:
        PLOT.write_text(plot)

    print_table("Megapixels, CPU ms", ["MP", "JPEG", "PNG"], list(_by_size(size)))
    widths = [(name, spec.width) for name, spec in DEFAULT_VARIANTS.items()]
    print_table(
        "Variants, CPU ms",
        ["variants", "CPU ms"],
        [
            [" + ".join(str(width) for _, width in widths[:count]), _cost(base, runs, widths[:count])]
            for count in range(1, len(widths) + 1)
        ],
    )
    print_table(
        "Effort, five WebP", ["effort", "CPU ms", "bytes"], [_effort(base, runs, effort) for effort in range(7)]
    )
    formats = [("webp", 4), ("avif", 4), ("avif", 2), ("jpeg", 4), ("png", 4)]
    print_table(
        "Format of one variant 1280 px wide",
        ["format", "effort", "CPU ms", "bytes"],
        [[name, effort, *_format(base, runs, name, effort)] for name, effort in formats],
    )
    print_table("Image processes, pictures/s of 6 MP", ["processes", "pictures/s"], asyncio.run(_by_processes(base)))


def _by_size(size: Size) -> Iterator[list[object]]:
    for megapixels in MEGAPIXELS[: size.of(len(MEGAPIXELS))]:
        data = photo(megapixels)
        with Image.open(io.BytesIO(data)) as image, io.BytesIO() as file:
            image.save(file, "PNG", compress_level=1)
            png = file.getvalue()
        source = Source(max_bytes=10**9, max_pixels=10**8)
        yield [megapixels, *(_render_ms(each, source, size.runs) for each in (data, png))]


def _render_ms(data: bytes, source: Source, runs: int) -> float:
    return cpu_ms(lambda: render(data, source, MIDDLE, None), runs)


def _cost(data: bytes, runs: int, widths: Sequence[tuple[str, int | None]]) -> float:
    source = Source(variants={name: VariantSpec(width=width) for name, width in widths})
    return _render_ms(data, source, runs)


def _effort(data: bytes, runs: int, effort: int) -> list[object]:
    source = Source(effort=effort)
    rendered = render(data, source, MIDDLE, None)
    return [effort, _render_ms(data, source, runs), f"{sum(len(file.data) for file in rendered.variants):,}"]


def _format(data: bytes, runs: int, name: str, effort: int) -> tuple[float, str]:
    spec = VariantSpec.model_validate({"width": 1280, "format": name, "effort": effort})
    source = Source(variants={"one": spec})
    rendered = render(data, source, MIDDLE, None)
    return _render_ms(data, source, runs), f"{len(rendered.variants[0].data):,}"


async def _by_processes(data: bytes) -> list[list[object]]:
    rows: list[list[object]] = []
    for processes in (1, 2, 4):
        pool = ImagePool(processes=processes, memory_bytes=2**30, timeout_s=60, moderator=None)
        await pool.open()
        try:
            await asyncio.gather(*(pool.render(data, Source()) for _ in range(processes)))
            started = time.perf_counter()
            await asyncio.gather(*(pool.render(data, Source()) for _ in range(12)))
            rows.append([processes, 12 / (time.perf_counter() - started)])
        finally:
            await pool.close()
    return rows
