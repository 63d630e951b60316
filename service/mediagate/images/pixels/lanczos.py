"""Lanczos resizing with SIMD instructions, where ``cykooz-resizer`` is installed; its only importer.

It reads and writes Pillow's pixels in place, through internals of Pillow. So it is used only after it has resized a few
small pictures as Pillow does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from math import ceil, nextafter
from types import ModuleType

from PIL import Image, ImageChops

from mediagate.images.pixels.allocation import ensure_room
from mediagate.images.pixels.trial import passes, sample

simd: ModuleType | None
try:
    simd = import_module("cykooz_resizer")
except ImportError:  # the extra `fast` is not installed, or has no wheel for this machine
    simd = None

MODES = ("L", "RGB", "RGBA")
TOLERANCE = 10
"""Levels (0-255) by which a pixel may differ from Pillow's: both compute in integers, with different roundings."""
PIXEL_BYTES: Mapping[str, int] = {"L": 1, "RGB": 4, "RGBA": 4}
"""What each pixel takes in Pillow, by mode."""
BAND_BYTES = 1 << 21
"""Of the picture that the library holds between its two passes, from which size on a picture is resized in bands."""
BAND_ROWS, MOST_BANDS = 250, 6
"""The least rows of a band before resizing, and the most bands: for each the library computes its weights again, so six
take a quarter more time than the picture in one piece."""
REACH = 3
"""Of Lanczos 3 to each side, in pixels of the smaller picture."""
WEIGHTS_BYTES = 128
"""At most per pixel of the edges, since the filter is six pixels wide."""
SMALL_BYTES = 1 << 20

Box = tuple[float, float, float, float]


def resize(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """Return a box of a picture in one of ``MODES`` at another size (Lanczos 3, alpha premultiplied).

    Raises ``MemoryError``.
    """
    left, top, right, bottom = box
    width, height = size
    between = PIXEL_BYTES[image.mode] * width * (bottom - top)
    bands = min(MOST_BANDS, height, int((bottom - top) // BAND_ROWS), ceil(between / BAND_BYTES))
    if bands <= 1 or image.mode == "RGBA":  # for each band, the library would premultiply the whole picture
        return _resized(image, size, box)
    made = Image.new(image.mode, size)
    for number in range(bands):
        first, end = height * number // bands, height * (number + 1) // bands
        above, below = (min(top + (bottom - top) * row / height, bottom) for row in (first, end))
        made.paste(_resized(image, (width, end - first), (left, above, right, below)), (0, first))
    return made


def _resized(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    assert simd is not None
    left, top, right, bottom = box
    made = Image.new(image.mode, size)
    # Rust ends the process when an allocation fails. It holds a picture between its two passes, with the rows that the
    # filter reaches, the weights of both, and of a picture with alpha a copy with premultiplied colours.
    rows = min(image.height, bottom - top + 2 * REACH * max(1, (bottom - top) / size[1]) + 2)
    copy = image.height * image.width if image.mode == "RGBA" else 0
    weights = WEIGHTS_BYTES * (sum(image.size) + sum(size))
    ensure_room(PIXEL_BYTES[image.mode] * (ceil(rows) * size[0] + copy) + weights + SMALL_BYTES)
    options = simd.ResizeOptions(
        simd.ResizeAlg.convolution(simd.FilterType.lanczos3),
        crop_box=simd.CropBox(left, top, _length(left, right), _length(top, bottom)),
    )
    try:
        simd.Resizer().resize_pil(image, made, options)
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as panic:  # one of Rust, which PyO3 does not derive from ``Exception``
        raise RuntimeError(f"cykooz-resizer panicked: {panic}") from None
    return made


def _length(start: float, end: float) -> float:
    """Return the largest length from ``start`` that does not pass ``end``, in floating-point numbers."""
    length = end - start
    return length if start + length <= end else nextafter(length, 0.0)


@cache
def usable() -> bool:
    """Whether the library is installed and resizes as Pillow does, on this machine and with this Pillow."""
    return simd is not None and passes("cykooz-resizer", MODES, _as_pillow)


def name() -> str:
    """Return what resizes pictures, with its version, for ``doctor``."""
    return f"cykooz-resizer {version('cykooz-resizer')}" if usable() else "Pillow"


def _as_pillow(mode: str) -> bool:
    picture = sample(mode)
    for size, box in (
        ((13, 9), (0.0, 0.0, 41.0, 31.0)),
        ((24, 5), (3.5, 2.25, 40.75, 30.0)),
        ((1, 17), (0.0, 0.0, 41.0, 31.0)),
        ((60, 50), (1.0, 1.0, 30.0, 29.0)),
    ):
        theirs, pillows = resize(picture, size, box), picture.resize(size, Image.Resampling.LANCZOS, box=box)
        if (theirs.mode, theirs.size) != (mode, size) or _furthest(theirs, pillows) > TOLERANCE:
            return False
    return True


def _furthest(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of two pictures on black, in levels."""
    pair = [image.convert("RGBa") if image.mode == "RGBA" else image for image in (one, other)]
    return max(max(band.tobytes()) for band in ImageChops.difference(*pair).split())
