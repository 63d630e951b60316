"""The image engine watched: what it gave the moderator, and what it wants to publish."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from mediagate import Picture, Source, VariantSpec, Verdict
from mediagate.errors import MediagateError
from mediagate.images.render import render
from mediagate.moderation import Moderator
from mediagate.values import CropBox, Rendered

MIDDLE = (0.5, 0.5)
SQUARES = ("face", "avatar")
"""Variants that are a square, cut out of the middle."""
SOURCE = Source(
    variants={
        "whole": VariantSpec(width=512, format="png", effort=0),
        "small": VariantSpec(width=96, format="webp", effort=0),
        "face": VariantSpec(width=64, height=64, fit="cover", format="webp", effort=0),
    },
    animation="keep",
    reject={"FACE_FEMALE": 0.5},
)
"""A lossless variant of the whole picture, a small lossy one, one that is cut out of the middle, and the original."""
WHITE, BLACK = 255, 0
ALIKE = 3
"""Levels by which two backgrounds may differ between the colours of one pixel, rounding included."""
NEAR = 6
"""How many pictures later the same frame is judged on another background, at most."""


class Recording:
    """Keeps every picture that it is given, and lets another moderator judge it, or allows it."""

    def __init__(self, inner: Moderator | None = None) -> None:
        self.inner = inner
        self.pictures: list[Image.Image] = []

    @property
    def labels(self) -> frozenset[str]:
        """Those of the other moderator."""
        return self.inner.labels if self.inner else frozenset({"FACE_FEMALE"})

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """Those of the other moderator."""
        return self.inner.groups if self.inner else {}

    def prepare(self) -> None:
        """Nothing to load: the other moderator is ready."""

    def judge(self, picture: Picture) -> Verdict:
        """Keep the picture, and judge it."""
        self.pictures.append(Image.frombytes("RGB", (picture.width, picture.height), picture.rgb()))
        return self.inner.judge(picture) if self.inner else Verdict(scores={"FACE_FEMALE": 0.0}, model="none")


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole picture as it was judged, on white and on black; the two are the same where it is opaque."""

    on_white: Image.Image
    on_black: Image.Image

    def on(self, grey: int) -> Image.Image:
        """Return it on a grey of 0-255: what lies between white and black does so in every pixel."""
        if self.on_white is self.on_black or grey == WHITE:
            return self.on_white
        return Image.blend(self.on_black, self.on_white, grey / 255)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an upload: files with the frames that were judged, or why there are none."""

    rendered: Rendered | None = None
    judged: tuple[Frame, ...] = ()
    pictures: tuple[Image.Image, ...] = ()
    """Every whole picture that the moderator was given, on whatever background, or without its alpha."""
    seen: tuple[Image.Image, ...] = ()
    """Every picture that the moderator was given."""
    refused: str = ""
    """The code of one of our errors."""
    broken: str = ""
    """The name of any other exception: the engine has no answer of its own to this upload."""
    error: BaseException | None = field(default=None, compare=False)

    @property
    def status(self) -> str:
        """``COMPLETE``, ``REJECTED``, the code of a refusal, or the name of an exception."""
        if self.rendered is None:
            return self.refused or self.broken
        return "COMPLETE" if self.rendered.verdict.decision == "allow" else "REJECTED"


def process(
    data: bytes, source: Source = SOURCE, moderator: Moderator | None = None, crop: CropBox | None = None
) -> Outcome:
    """Put an upload through the engine, in this process."""
    recording = Recording(moderator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow has something to say of many broken files
            rendered = render(data, source, MIDDLE, recording, crop=crop)
    except MediagateError as error:
        return Outcome(refused=error.code, error=error)
    except Exception as error:
        return Outcome(broken=type(error).__name__, error=error)
    # The first one is the first frame, and no other view of it is as large.
    whole = [picture for picture in recording.pictures if picture.size == recording.pictures[0].size]
    return Outcome(rendered, tuple(_frames(whole, rendered.has_alpha)), tuple(whole), tuple(recording.pictures))


def _frames(whole: list[Image.Image], has_alpha: bool) -> list[Frame]:
    if not has_alpha:
        return [Frame(picture, picture) for picture in whole]
    return [
        Frame(picture, other)
        for at, picture in enumerate(whole)
        for other in (picture, *whole[at + 1 : at + NEAR])
        if _darker(picture, other)
    ]


def _darker(on_white: Image.Image, other: Image.Image) -> bool:
    """Whether the other picture can be the same frame on black: nowhere lighter, and darker by the same in all colours.

    Of grey frames another one may be so too; it was judged as well.
    """
    difference = np.asarray(on_white, dtype=np.int16) - np.asarray(other, dtype=np.int16)
    alike = difference.max(axis=2) - difference.min(axis=2) <= ALIKE
    return bool(difference.min() >= -ALIKE and alike.all())
