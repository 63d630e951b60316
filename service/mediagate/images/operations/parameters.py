"""Types that parameters of several operations share."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

LONGEST_EDGE = 65_500
"""The longest edge of a JPEG, in pixels."""
CLEAR = "#00000000"
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})")

Edge = Annotated[int, Field(ge=1, le=LONGEST_EDGE)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Position = Literal["top_left", "top", "top_right", "left", "centre", "right", "bottom_left", "bottom", "bottom_right"]
"""Where a smaller picture lies in a larger one."""


def _checked_colour(value: str) -> str:
    """Return a colour as ``#rrggbbaa``."""
    lower = value.lower()
    if lower == "transparent":
        return CLEAR
    if not _HEX.fullmatch(lower):
        raise ValueError('not a colour; write "#rrggbb", "#rrggbbaa", "#rgb" or "transparent"')
    digits = lower[1:]
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return f"#{digits:f<8}"


Colour = Annotated[str, Field(max_length=11), AfterValidator(_checked_colour)]


def _checked_aspect(value: str) -> str:
    match = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", value)
    if match is None:
        raise ValueError('not an aspect ratio; write two whole numbers, such as "16:9"')
    return value


Aspect = Annotated[str, Field(max_length=9), AfterValidator(_checked_aspect)]


def rgba(colour: str) -> tuple[int, int, int, int]:
    """Return the channels of a checked colour."""
    red, green, blue, alpha = bytes.fromhex(colour[1:])
    return red, green, blue, alpha


def ratio(aspect: str) -> float:
    """Return width divided by height of a checked aspect ratio."""
    across, down = map(int, aspect.split(":"))
    return across / down


def offset(position: Position, inner: tuple[int, int], outer: tuple[int, int]) -> tuple[int, int]:
    """Return left and top of a picture of size ``inner`` that lies at a position of ``outer``."""
    room = outer[0] - inner[0], outer[1] - inner[1]
    across = 0 if "left" in position else room[0] if "right" in position else room[0] // 2
    down = 0 if "top" in position else room[1] if "bottom" in position else room[1] // 2
    return across, down
