"""BlurHash (https://blurha.sh): a placeholder of about thirty characters."""

from __future__ import annotations

# The C function itself: the package's own wrapper calls a method that Pillow 14 no longer has.
from blurhash._functions import ffi, lib

COMPONENTS = (4, 3)
"""Waves across and down; the count that BlurHash's own documentation shows."""
EDGE = 32
"""Longest edge of the picture that is to be hashed, in pixels: the hash has no finer detail."""


def blurhash_of(width: int, height: int, rgb: bytes) -> str:
    """Return the BlurHash of ``height x width x 3`` bytes; raises ``ValueError`` when there are fewer or more."""
    if not (width > 0 and height > 0 and len(rgb) == width * height * 3):
        raise ValueError(f"{len(rgb)} bytes are no RGB picture of {width} x {height} pixels")
    across, down = COMPONENTS
    # One character each for the components and the scale, four for the average, two for each further one, and NUL.
    hashed = ffi.new("char[]", 2 + 4 + (across * down - 1) * 2 + 1)
    pixels = ffi.from_buffer("uint8_t[]", rgb)
    if lib.create_hash_from_pixels(across, down, width, height, pixels, width * 3, hashed) == ffi.NULL:
        raise ValueError("the picture cannot be hashed")
    return str(ffi.string(hashed).decode("ascii"))
