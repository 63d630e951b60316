"""The canvas of an animation: each frame is drawn onto the remains of earlier ones, as in browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from PIL import Image

CLEAR = (0, 0, 0, 0)
SHORTEST_FRAME_MS = 11
DEFAULT_FRAME_MS = 100
"""Browsers show a frame whose duration is below the former for the latter (``kDefaultFrameDuration`` of Chromium)."""


class Disposal(Enum):
    """How a frame's box is treated before the next frame is drawn (GIF89a, section 23; PNG, 11.3.2.3)."""

    KEEP = auto()
    CLEAR = auto()
    RESTORE = auto()


@dataclass(frozen=True, slots=True)
class Part:
    """One frame as stored in a file.

    ``load`` returns its pixels in ``RGB`` or ``RGBA``. With ``over`` they are blended with the canvas, else they
    replace it. A box that reaches beyond the canvas is clipped.
    """

    left: int
    top: int
    width: int
    height: int
    load: Callable[[], Image.Image]
    duration_ms: int = 0
    disposal: Disposal = Disposal.KEEP
    over: bool = True


@dataclass(frozen=True, slots=True)
class Animation:
    """The frames of a file that are shown; ``plays`` 0 means for ever."""

    size: tuple[int, int]
    parts: Sequence[Part]
    plays: int = 1
    warnings: list[str] = field(default_factory=list)
    """Loading a part may add to them."""

    def frames(self, count: int) -> Iterator[tuple[Image.Image, int]]:
        """Yield the first frames as shown, each with its milliseconds; a yielded frame is not changed later."""
        first = self.parts[0]
        if count == 1 and (first.left, first.top, first.width, first.height) == (0, 0, *self.size):
            yield first.load(), first.duration_ms
            return
        canvas = Image.new("RGBA", self.size, CLEAR)
        for number, part in enumerate(self.parts[:count], 1):
            before = canvas.copy() if part.disposal is Disposal.RESTORE and number < count else canvas
            _draw(canvas, part)
            if number == count:
                yield canvas, part.duration_ms
                return
            yield canvas.copy(), part.duration_ms
            if part.disposal is Disposal.CLEAR:
                canvas.paste(CLEAR, (part.left, part.top, part.left + part.width, part.top + part.height))
            canvas = before


def shown_ms(stored_ms: int) -> int:
    """Return the milliseconds for which browsers show a frame."""
    return stored_ms if stored_ms >= SHORTEST_FRAME_MS else DEFAULT_FRAME_MS


def _draw(canvas: Image.Image, part: Part) -> None:
    image = part.load()
    if part.over and image.mode == "RGBA":
        # Pillow blends within the canvas only.
        inside = (0, 0, min(image.width, canvas.width - part.left), min(image.height, canvas.height - part.top))
        if min(inside[2:]) > 0:
            canvas.alpha_composite(image.crop(inside), (part.left, part.top))
    else:
        canvas.paste(image, (part.left, part.top))
