"""Moderators that do what models, drivers and hostile pictures do; they act by the width of the picture."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from mediagate import Picture, Verdict
from mediagate.errors import ModerationFailed
from mediagate.values import Decision

GOOD, CRASHES, HANGS, HOGS, RAISES, REVIEWS, REJECTS = 100, 101, 102, 103, 104, 105, 106


class Scripted:
    """Allows a picture of width 100; every other width up to 106 has its own fault or score."""

    labels: frozenset[str] = frozenset({"NUDE", "SWIM"})
    groups: Mapping[str, frozenset[str]] = {"explicit": frozenset({"NUDE"}), "suggestive": frozenset({"SWIM"})}

    def prepare(self) -> None:
        """Nothing to load."""

    def judge(self, picture: Picture) -> Verdict:
        scores = {"NUDE": 0.01, "SWIM": 0.02}
        match picture.width:
            case 101:
                ctypes.string_at(0)
            case 102:
                while True:
                    pass
            case 103:
                hog = [bytearray(64 * 1024 * 1024) for _ in range(1000)]
                del hog
            case 104:
                raise RuntimeError("the model server is down")
            case 105:
                scores["SWIM"] = 0.75
            case 106:
                scores["NUDE"] = 0.97
        return Verdict(scores=scores, model="scripted", model_hash="0" * 64)


class Circular(Scripted):
    """Fails with an error that refers to itself, so that only the garbage collector finds it."""

    def judge(self, picture: Picture) -> Verdict:
        failure = ModerationFailed("the model is gone")
        failure.args = (*failure.args, failure)
        raise failure


class Chatty(Scripted):
    """Writes a line to standard error for each picture, as a C library does: without logging."""

    def judge(self, picture: Picture) -> Verdict:
        sys.stderr.write(f"judged a picture {picture.width} wide\n")
        sys.stderr.flush()
        return super().judge(picture)


@dataclass(frozen=True)
class Fixed:
    """Gives every picture the same scores, or fails."""

    name: str
    scores: Mapping[str, float]
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    input_edge: int = 320
    reads: tuple[str, ...] = ()
    decision: Decision = "allow"
    fails: str = ""

    @property
    def labels(self) -> frozenset[str]:
        """The labels that it scores."""
        return frozenset(self.scores)

    def prepare(self) -> None:
        """Nothing to load."""

    def judge(self, picture: Picture) -> Verdict:
        if self.fails:
            raise ModerationFailed(self.fails)
        flags = () if self.decision == "allow" else (self.name,)
        return Verdict(self.decision, flags, self.scores, model=f"{self.name}.onnx", model_hash=f"{self.name}-hash")
