"""How a contestant in Python is asked: a line of JSON comes in, a line of JSON goes out.

In: ``files``, and, where they are not the defaults, ``parallel`` (pictures in flight), ``quality``, ``effort``,
``original`` (its format, if it is to be made as well) and ``out`` (a folder for the variants). Out: ``wall_ms``,
``cpu_ms`` (all threads and processes), ``rss_idle_mb`` (before), ``rss_peak_mb`` (meanwhile) and ``bytes`` (of all
variants); ``error`` instead of these when it failed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDTHS = (64, 256, 640, 1280, 1920)
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
Variants = Mapping[int, bytes]
"""WebP files by the width that was asked for."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be made of which pictures."""

    files: tuple[Path, ...]
    parallel: int = 1
    quality: int = 80
    effort: int = 4
    original: str | None = None
    out: Path | None = None
    task: str = ""
    """Something else that the contestant can do, by its name."""

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Request:
        """Return what the fields of a line say."""
        out = fields.get("out")
        files = tuple(map(Path, fields["files"]))
        return cls(**{**fields, "files": files, "out": Path(out) if out else None})


def serve(work: Callable[[Request], Iterable[Variants]], processes: Callable[[], list[int]] = lambda: []) -> None:
    """Answer requests until the input ends.

    ``work`` yields the variants of one file after the other, in their order; ``processes`` are those beside this one
    that do it.
    """
    answer_lines(lambda fields: _answer(work, processes, Request.read(fields)))


def answer_lines(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer each line of JSON by a line of JSON."""
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as exc:
            said = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(said), flush=True)


def _answer(
    work: Callable[[Request], Iterable[Variants]], processes: Callable[[], list[int]], request: Request
) -> dict[str, Any]:
    others = processes()
    everyone = [os.getpid(), *others]
    for pid in everyone:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak starts anew
    idle = sum(memory_mb(pid, "VmRSS") for pid in everyone)
    cpu, wall = _cpu_ms(others), time.perf_counter()
    size = 0
    for path, variants in zip(request.files, work(request), strict=True):
        size += sum(map(len, variants.values()))
        if request.out is not None:
            for width, data in variants.items():
                (request.out / f"{path.stem}-{width}").write_bytes(data)
    return {
        "wall_ms": (time.perf_counter() - wall) * 1000,
        "cpu_ms": _cpu_ms(others) - cpu,
        "rss_idle_mb": idle,
        "rss_peak_mb": sum(memory_mb(pid, "VmHWM") for pid in everyone),
        "bytes": size,
    }


def memory_mb(pid: int, field: str) -> float:
    """Return a field of a process's status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def _cpu_ms(others: list[int]) -> float:
    """Return the CPU time of this process, to the nanosecond, and of others, to the tick."""
    used = time.process_time() * 1000
    for pid in others:
        with suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) * TICK_MS
    return used


def descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread may end meanwhile
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found
