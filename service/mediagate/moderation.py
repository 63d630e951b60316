"""Moderation: the protocol of a moderator, and the policy that turns its scores into a verdict for a source."""

from __future__ import annotations

from typing import Protocol


class Picture(Protocol):
    """One upright sRGB picture without alpha, as a moderator sees it; sizes in pixels."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def resized(self, width: int, height: int) -> Picture:
        """Return the picture stretched to exactly this size (bilinear with antialiasing)."""
        ...

    def rgb(self) -> bytes:
        """Return ``height x width x 3`` bytes, row by row."""
        ...
