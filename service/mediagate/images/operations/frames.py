"""What flows from step to step: the frames of one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod

from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Credits:
    """Texts about a picture that its files carry; checked text of the caller, never text of an uploaded file."""

    copyright: str = ""
    description: str = ""
    artist: str = ""

    def __bool__(self) -> bool:
        return bool(self.copyright or self.description or self.artist)


@dataclass(frozen=True, slots=True)
class Frames:
    """Upright frames of one size in sRGB, all in ``RGB`` or all in ``RGBA``.

    ``durations_ms`` has one entry a frame, ``plays`` 0 means for ever. Operations return new frames and change none.
    """

    images: tuple[Image, ...]
    durations_ms: tuple[int, ...] = (0,)
    plays: int = 1
    credits: Credits = field(default_factory=Credits)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.images[0].size

    @property
    def pixels(self) -> int:
        """Pixels of all frames together."""
        return prod(self.size) * len(self.images)

    @property
    def moves(self) -> bool:
        """Whether there is more than one frame."""
        return len(self.images) > 1

    @property
    def has_alpha(self) -> bool:
        """Whether the frames are in ``RGBA``."""
        return self.images[0].mode == "RGBA"

    def each(self, change: Callable[[Image], Image]) -> Frames:
        """Return the frames with every picture changed."""
        return replace(self, images=tuple(change(image) for image in self.images))

    def first(self) -> Frames:
        """Return the first frame as a still."""
        return replace(self, images=self.images[:1], durations_ms=(0,), plays=1)
