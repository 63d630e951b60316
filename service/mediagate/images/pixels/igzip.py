"""Still PNG files, compressed by igzip of ISA-L, where ``isal`` is installed; its only importer.

Pillow tries each of the five filters on each row, and zlib takes as long again. Here all rows have the same filter: the
one by which some of them become smallest. It is used only after Pillow has read a few small files as they were written.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from itertools import chain
from types import ModuleType

from PIL import Image, ImageChops

from mediagate.images.pixels.png_chunks import written
from mediagate.images.pixels.trial import passes, sample

isal: ModuleType | None
try:
    isal = import_module("isal.isal_zlib")
except ImportError:  # the extra `fast` is not installed
    isal = None

COLOUR_TYPES: Mapping[str, int] = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}
"""By Pillow's mode (PNG, third edition, section 11.2.1)."""
NEIGHBOURS: Mapping[bytes, tuple[int, int]] = {b"\0": (0, 0), b"\1": (-1, 0), b"\2": (0, -1)}
"""Which pixel is subtracted from each, by the type of the filter: none, the one to the left, the one above (section
9.2)."""
LEVEL = 2
"""Of igzip's levels, 0 to 3. Level 3 is slower, and makes no fewer bytes of photos."""
BAND_BYTES, SAMPLES = 1 << 18, 8
"""About how many bytes are compressed together, and how many such bands decide on the filter, up to twice as many."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(image: Image.Image, icc_profile: bytes = b"", exif: bytes = b"") -> bytes:
    """Return a picture in one of the modes of ``COLOUR_TYPES`` as a PNG; raises ``MemoryError``."""
    assert isal is not None
    header = image.width.to_bytes(4) + image.height.to_bytes(4) + bytes([8, COLOUR_TYPES[image.mode], 0, 0, 0])
    file = io.BytesIO(SIGNATURE)
    file.seek(0, io.SEEK_END)
    file.write(written(b"IHDR", header))
    if icc_profile:
        file.write(written(b"iCCP", b"ICC Profile\0\0", zlib.compress(icc_profile)))
    if exif:
        file.write(written(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    compressor, kind = isal.compressobj(LEVEL), _filter(image)
    for band in _bands(image):
        if part := compressor.compress(_filtered(image, kind, band)):
            file.write(written(b"IDAT", part))
    file.write(written(b"IDAT", compressor.flush()))
    file.write(written(b"IEND"))
    return file.getvalue()


def encodes(image: Image.Image) -> bool:
    """Whether ``encode`` may be called for a picture."""
    return image.mode in COLOUR_TYPES and usable()


@cache
def usable() -> bool:
    """Whether the library is installed, and its files show what was written."""
    return isal is not None and passes("isal", COLOUR_TYPES, _as_pillow)


def name() -> str:
    """Return what compresses PNG files, with its version, for ``doctor``."""
    return f"isal {version('isal')}" if usable() else "Pillow"


def _bands(image: Image.Image) -> list[range]:
    """Return the rows that are compressed together."""
    rows = max(1, BAND_BYTES // (len(image.getbands()) * image.width))
    return [range(top, min(top + rows, image.height)) for top in range(0, image.height, rows)]


def _filter(image: Image.Image) -> bytes:
    """Return the type of the filter by which every n-th band is smallest."""
    bands = _bands(image)
    samples = bands[:: max(1, len(bands) // SAMPLES)]
    return min(NEIGHBOURS, key=lambda kind: sum(_size(_filtered(image, kind, band)) for band in samples))


def _size(rows: bytes) -> int:
    assert isal is not None
    return len(isal.compress(rows, LEVEL))


def _filtered(image: Image.Image, kind: bytes, band: range) -> bytes:
    """Return the rows of a band, each after the type of its filter."""
    x, y = NEIGHBOURS[kind]
    part = image.crop((0, band.start, image.width, band.stop))
    if (x, y) != (0, 0):
        # Beyond the edges, a crop is zero in all channels, as PNG wants it.
        part = ImageChops.subtract_modulo(part, image.crop((x, band.start + y, image.width + x, band.stop + y)))
    pixels = memoryview(part.tobytes())
    return b"".join(chain.from_iterable((kind, row) for row in _rows(pixels, len(band))))


def _rows(pixels: memoryview, count: int) -> Iterator[memoryview]:
    length = len(pixels) // count
    return (pixels[start : start + length] for start in range(0, len(pixels), length))


def _as_pillow(mode: str) -> bool:
    picture = sample(mode)
    with Image.open(io.BytesIO(encode(picture))) as read:
        return (read.mode, read.size, read.tobytes()) == (mode, picture.size, picture.tobytes())
