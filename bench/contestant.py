"""A contestant: one long-lived process that is asked for the variants of photos, and says what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench import photos
from bench.workshop import PEERS, workshop

ROOT = Path(__file__).parents[1]
DOCUMENTED = "sharp as documented"
BEST = "best sharp"
NICENESS = "10"
"""That of our image processes, so that a busy machine takes as much from everyone."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request took: of all threads and processes, in milliseconds, megabytes and bytes of all variants."""

    wall_ms: float
    cpu_ms: float
    rss_idle_mb: float
    rss_peak_mb: float
    bytes: int

    @property
    def rss_above_idle_mb(self) -> float:
        """The peak, less what the process held before."""
        return self.rss_peak_mb - self.rss_idle_mb


class Contestant:
    """A process of ``bench/peers`` and its pipes; closed at the end of a ``with`` block.

    One that renders has rendered a small picture when it comes, so that nothing is loaded for the first time.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._name = Path(command[-1]).name
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @classmethod
    def node(cls, name: str) -> Self:
        """Start a peer in Node."""
        shop = workshop()
        return cls(["nice", "-n", NICENESS, str(shop.node), str(PEERS / f"{name}.js")], shop.environment)._warm()

    @classmethod
    def peer(cls, name: str) -> Self:
        """Start a peer in Python, with the peers' packages."""
        return cls(["nice", "-n", NICENESS, str(workshop().python), "-m", f"bench.peers.{name}"])._warm()

    @classmethod
    def judge(cls) -> Self:
        """Start what compares variants with their photo; it is asked by ``said``."""
        return cls([str(workshop().python), "-m", "bench.peers.ssim"])

    @classmethod
    def ours(cls, name: str, *, nice: bool = True, simd: bool = True) -> Self:
        """Start a contestant of ours, with the project's packages; without ``simd``, Pillow resizes."""
        environment = None if simd else {**os.environ, "PYTHONPATH": str(PEERS / "without")}
        command = [sys.executable, "-m", f"bench.peers.{name}"]
        return cls([*(["nice", "-n", NICENESS] if nice else []), *command], environment)._warm()

    def _warm(self) -> Self:
        self.ask(photos.of_kind("avatar-jpeg", 1))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def ask(self, files: Sequence[Path], **options: Any) -> Cost:
        """Have the variants of these files made; raises ``RuntimeError`` when the contestant cannot."""
        return Cost(**self.said(files, **options))

    def said(self, files: Sequence[Path], **options: Any) -> dict[str, Any]:
        """Return the answer as it is."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"files": [str(file) for file in files], **options}
        print(json.dumps(request, default=str), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise RuntimeError(f"{self._name}: {answer['error']}")
        return answer
