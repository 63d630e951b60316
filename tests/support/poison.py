"""Moderators that do to their process what a hostile picture might do to a decoder, and some that behave.

Image processes import this module, so pytest has its folder on the path.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mediagate.errors import ModerationFailed
from mediagate.moderation import Picture
from mediagate.values import Verdict


def crash() -> None:
    ctypes.string_at(0)


def hang() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(1.5)


def nap() -> None:
    time.sleep(0.25)


def hog() -> None:
    bytearray(600 << 20)


def leave() -> None:
    os._exit(3)


def fail() -> None:
    raise ValueError("cannot read /srv/secret/model.onnx with token=hunter2\nTraceback of the session")


def refuse() -> None:
    raise ModerationFailed("/srv/secret/model.onnx has changed since the gate started")


def nothing() -> None: ...


@dataclass(frozen=True)
class Poison:
    """Allows every picture, after having done something with those of one width in pixels, and once at the start."""

    deed: Callable[[], None] = nothing
    width: int = 128
    at_start: Callable[[], None] = nothing
    labels: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def prepare(self) -> None:
        self.at_start()

    def judge(self, picture: Picture) -> Verdict:
        if picture.width == self.width:
            self.deed()
        return Verdict(model="poison")


@dataclass(frozen=True)
class Reds:
    """Scores how much of a picture is red, and how much is light, each from 0 to 1."""

    labels: frozenset[str] = frozenset({"red", "light"})
    groups: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"colourful": frozenset({"red"})})

    def prepare(self) -> None: ...

    def judge(self, picture: Picture) -> Verdict:
        pixels = picture.resized(16, 16).rgb()
        triples = [pixels[at : at + 3] for at in range(0, len(pixels), 3)]
        red = sum(r > 150 and g < 100 and b < 100 for r, g, b in triples) / len(triples)
        return Verdict(scores={"red": red, "light": sum(pixels) / len(pixels) / 255}, model="reds")
