"""The image engine beside its peers: five WebP variants and a BlurHash of each photo, and nothing stored.

    python -m bench engine --runs 3 --photos 100

Each contestant is a process of its own, asked by turns, with as many photos in flight as keep both cores busy. Neither
side keeps originals. ``peers/sharp_documented.js`` is sharp as its documentation shows it, ``peers/sharp_best.js`` as
fast as we could make it. Linux only, since memory is read from ``/proc``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import photos, quality
from bench.contestant import BEST, DOCUMENTED, Contestant, Cost
from bench.size import Size
from bench.table import Row, alternate
from bench.workshop import PEERS, workshop

IN_FLIGHT = 3
"""Of the photos on both cores: one more than there are cores, so that none waits."""
RESIZES = 7
"""Runs of each library that resizes."""
FEW = 4
"""Photos of 12 MP, one after the other."""
AVATARS: tuple[photos.Kind, photos.Kind] = ("avatar-jpeg", "avatar-png")
FLOOR = "decode and encode alone"
THREADS = 2
"""That encode one picture, as in an image process when a core is free."""


def rows(size: Size) -> list[Row]:
    """Measure everything that has a target."""
    rate = _rate(size.runs, photos.mixed(size.photos))
    return [*rate, *_single(size), *_originals(size), *_against_floor(size), *_memory(size), *quality.rows(size)]


def _rate(runs: int, files: list[Path]) -> list[Row]:
    with (
        Contestant.ours("ours_pool", nice=False) as ours,
        Contestant.node("sharp_documented") as documented,
        Contestant.node("sharp_best") as best,
    ):

        def rate(contestant: Contestant) -> float:
            return len(files) * 1000 / contestant.ask(files, parallel=IN_FLIGHT).wall_ms

        rates = alternate(
            runs,
            {name: partial(rate, it) for name, it in {"ours": ours, DOCUMENTED: documented, BEST: best}.items()},
        )
    what = f"{len(files)} mixed photos on both cores"
    return [
        Row(what, "images/s", rates["ours"], target, "higher", rates[peer], peer)
        for peer, target in ((DOCUMENTED, 1.65), (BEST, 1.25))
    ]


def _single(size: Size) -> list[Row]:
    """Compare one picture at a time."""
    upright = photos.of_kind("12mp-upright", size.of(FEW))
    jpegs, pngs = (photos.of_kind(kind, size.of(photos.EACH)) for kind in AVATARS)
    with Contestant.ours("ours_render") as ours, Contestant.node("sharp_documented") as sharp:

        def costs(files: list[Path]) -> tuple[list[Cost], list[Cost]]:
            mine, theirs = [], []
            for _ in range(size.runs):
                mine.append(ours.ask(files, parallel=THREADS))
                theirs.append(sharp.ask(files))
            return mine, theirs

        def row(what: str, files: list[Path], both: tuple[list[Cost], list[Cost]], field: str, target: float) -> Row:
            mine, theirs = ([getattr(cost, field) / len(files) for cost in side] for side in both)
            return Row(what, "ms", mine, target, "lower", theirs, DOCUMENTED)

        large, jpeg, png = costs(upright), costs(jpegs), costs(pngs)
        return [
            row("12 MP JPEG, CPU", upright, large, "cpu_ms", 0.55),
            row("avatar 500x500 JPEG, wall", jpegs, jpeg, "wall_ms", 0.38),
            row("avatar 500x500 JPEG, CPU", jpegs, jpeg, "cpu_ms", 0.30),
            row("avatar 500x500 PNG, wall", pngs, png, "wall_ms", 0.42),
            row("avatar 500x500 PNG, CPU", pngs, png, "cpu_ms", 0.33),
        ]


def _originals(size: Size) -> list[Row]:
    """Compare one picture at a time, with its original."""
    kinds: Mapping[str, tuple[photos.Kind | photos.Other, float]] = {
        "jpeg": ("12mp-upright", 0.65),
        "png": ("12mp-png", 0.50),
    }
    made = []
    for original, (kind, target) in kinds.items():
        files = photos.of_kind(kind, size.of(FEW))
        with Contestant.ours("ours_render") as ours, Contestant.node("sharp_documented") as sharp:

            def cpu(
                contestant: Contestant, parallel: int, files: list[Path] = files, original: str = original
            ) -> float:
                return contestant.ask(files, parallel=parallel, original=original).cpu_ms / len(files)

            costs = alternate(size.runs, {"ours": partial(cpu, ours, THREADS), "sharp": partial(cpu, sharp, 1)})
        what = f"12 MP {original.upper()} with its original, CPU"
        made.append(
            Row(what, "ms", costs["ours"], target, "lower", costs["sharp"], f"{DOCUMENTED}, with the same original")
        )
    return made


def _against_floor(size: Size) -> list[Row]:
    """Compare with decoding and encoding alone."""
    upright = photos.of_kind("12mp-upright", size.of(FEW))
    kinds = {"12 MP JPEG": (upright, 1.08), "a photo of each kind": (photos.mixed(size.of(5)), 1.12)}
    made = []
    for what, (files, target) in kinds.items():
        with Contestant.ours("ours_render") as ours:
            ours.ask(files, task="prepare")

            def cpu(task: str, ours: Contestant = ours, files: list[Path] = files) -> float:
                return ours.ask(files, task=task, parallel=1).cpu_ms / len(files)

            costs = alternate(size.runs, {"all": partial(cpu, ""), "floor": partial(cpu, "floor")})
        row = Row(f"CPU against the floor, {what}", "ms", costs["all"], target, "lower", costs["floor"], FLOOR)
        made.append(row)
    return made


def _memory(size: Size) -> list[Row]:
    """Compare peaks above idle in fresh processes; ours encodes on one thread, as when all image processes are busy."""

    def peak(start: Callable[[], Contestant], file: Path) -> float:
        with start() as contestant:
            return contestant.ask([file]).rss_above_idle_mb

    made = []
    for what, file in (("12 MP upright", photos.of_kind("12mp-upright", 1)[0]), ("50 MP", photos.large())):
        peaks = alternate(
            size.runs,
            {
                "ours": partial(peak, partial(Contestant.ours, "ours_render"), file),
                "sharp": partial(peak, partial(Contestant.node, "sharp_documented"), file),
            },
        )
        made.append(
            Row(
                f"memory of one image process above idle, {what}",
                "MB",
                peaks["ours"],
                0.60,
                "lower",
                peaks["sharp"],
                DOCUMENTED,
            )
        )
    return made


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the informative table: who, and asked for what."""

    start: Callable[[], Contestant]
    options: Mapping[str, Any]


def details(size: Size) -> None:
    """Print who else there is, without targets, and what our sizes lose before encoding."""
    ours = partial(Contestant.ours, "ours_pool", nice=False)
    documented, best = (partial(Contestant.node, name) for name in ("sharp_documented", "sharp_best"))
    entries = {
        "mediagate": Entry(ours, {}),
        "mediagate, effort 2": Entry(ours, {"effort": 2}),
        "mediagate, Pillow resizes": Entry(partial(ours, simd=False), {}),
        DOCUMENTED: Entry(documented, {}),
        f"{DOCUMENTED}, effort 2": Entry(documented, {"effort": 2}),
        BEST: Entry(best, {}),
        f"{BEST}, effort 2": Entry(best, {"effort": 2}),
        "pyvips, a thread a photo": Entry(partial(Contestant.peer, "pyvips_threads"), {}),
        "Pillow as most write it, 2 processes": Entry(partial(Contestant.peer, "pillow_plain"), {}),
    }
    files = photos.mixed(size.photos)
    costs: dict[str, list[Cost]] = {name: [] for name in entries}
    with ExitStack() as stack:
        contestants = {name: stack.enter_context(entry.start()) for name, entry in entries.items()}
        for _ in range(size.runs):
            for name, entry in entries.items():
                costs[name].append(contestants[name].ask(files, parallel=IN_FLIGHT, **entry.options))
    print(f"\n### {len(files)} mixed photos; memory is summed over the processes of a contestant\n")
    print("| | images/s | CPU ms an image | peak RSS, MB | kB an image |\n| --- | --- | --- | --- | --- |")
    for name, found in costs.items():
        rate = len(files) * 1000 / median(cost.wall_ms for cost in found)
        cpu = median(cost.cpu_ms for cost in found) / len(files)
        peak = max(cost.rss_peak_mb for cost in found)
        print(f"| {name} | {rate:.2f} | {cpu:.0f} | {peak:.0f} | {found[0].bytes / len(files) / 1000:.0f} |")
    _print_others(size)
    quality.print_cascade(size)
    print("\n### Libraries that resize, each behind the same function; Pillow decodes and encodes\n", flush=True)
    upright = photos.of_kind("12mp-upright", size.of(2))
    resizers: list[Path | str] = [PEERS / "resizers.py", str(size.of(RESIZES)), *upright]
    subprocess.run([workshop().python, *resizers], check=True)


def _print_others(size: Size) -> None:
    """Print what other kinds of files cost, one at a time."""
    kinds: dict[str, photos.Kind | photos.Other] = {
        "12 MP JPEG": "12mp-upright",
        "12 MP PNG": "12mp-png",
        "12 MP AVIF": "12mp-avif",
        "screenshot 2560 x 1440, PNG": "screenshot",
        "avatar, PNG": "avatar-png",
    }
    starts = {
        "mediagate": partial(Contestant.ours, "ours_render"),
        "mediagate, Pillow resizes": partial(Contestant.ours, "ours_render", simd=False),
        DOCUMENTED: partial(Contestant.node, "sharp_documented"),
        BEST: partial(Contestant.node, "sharp_best"),
        "pyvips": partial(Contestant.peer, "pyvips_threads"),
    }
    print("\n### One picture at a time, CPU ms\n")
    print(f"| | {' | '.join(starts)} |\n| --- |{' --- |' * len(starts)}")
    with ExitStack() as stack:
        contestants = {name: stack.enter_context(start()) for name, start in starts.items()}
        for what, kind in kinds.items():
            files = photos.of_kind(kind, size.of(FEW))

            def cpu(contestant: Contestant, files: list[Path] = files) -> float:
                return contestant.ask(files).cpu_ms / len(files)

            costs = alternate(size.runs, {name: partial(cpu, one) for name, one in contestants.items()})
            print(f"| {what} | {' | '.join(f'{median(ms):.0f}' for ms in costs.values())} |", flush=True)
