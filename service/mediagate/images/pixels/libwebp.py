"""Decoding of the WebP files that were encoded here, by libwebp's simple functions.

Pillow decodes each WebP as an animation: libwebp then takes twice the time and holds two canvases of four bytes a pixel
besides the picture. The simple functions (``webp/decode.h``) are those of the library that Pillow has loaded. They are
used only after they have decoded a few small pictures as Pillow does.
"""

from __future__ import annotations

import ctypes
import io
import os
import re
from functools import cache
from pathlib import Path

from PIL import Image, ImageChops

from mediagate.images.pixels.trial import passes, sample

MODES = ("RGB", "RGBA")
_LOADED = re.compile(rb"\s(/.*/libwebp(?:-[0-9a-f]+)?\.so[.\d]*)$", re.MULTILINE)
"""A line of ``/proc/self/maps``; libwebpmux and libwebpdemux are other libraries."""
_ANIMATION = 0x02
"""The flag of VP8X for an animation (RFC 9649, section 2.7.1)."""


def decode(data: bytes, mode: str) -> Image.Image:
    """Return the picture of a sound still file, ``RGBX`` in place of ``RGB``; raises ``MemoryError``."""
    library, width, height = _library(), ctypes.c_int(), ctypes.c_int()
    if library is None or not library.WebPGetInfo(data, len(data), ctypes.byref(width), ctypes.byref(height)):
        raise ValueError("not a WebP, or no libwebp to decode it")
    row = 4 * width.value
    pixels = bytearray(row * height.value)
    into = (ctypes.c_char * len(pixels)).from_buffer(pixels)
    if not library.WebPDecodeRGBAInto(data, len(data), into, len(pixels), row):
        raise MemoryError
    layout = "RGBX" if mode == "RGB" else mode
    return Image.frombuffer(layout, (width.value, height.value), pixels, "raw", layout, 0, 1)


def decodes(data: bytes) -> bool:
    """Whether ``decode`` may be called for a file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or (data[12:16] == b"VP8X" and data[20] & _ANIMATION):
        return False
    return usable()


@cache
def usable() -> bool:
    """Whether the functions are there and decode as Pillow does."""
    return _library() is not None and passes("libwebp", MODES, _as_pillow)


def name() -> str:
    """Return what decodes the files that were encoded here, for ``doctor``."""
    return "libwebp" if usable() else "Pillow"


@cache
def _library() -> ctypes.CDLL | None:
    """Return the library that Pillow has loaded, if it is a file of its own and the system says where."""
    Image.init()
    try:
        found = _LOADED.search(Path("/proc/self/maps").read_bytes())  # paths in any encoding
        library = ctypes.CDLL(os.fsdecode(found[1])) if found else None
        if library is not None:
            library.WebPGetInfo.argtypes = [
                ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int),
            ]  # fmt: skip
            library.WebPDecodeRGBAInto.argtypes = [
                ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
            ]  # fmt: skip
            library.WebPDecodeRGBAInto.restype = ctypes.c_void_p
    except (OSError, AttributeError):  # no such system, or no such functions
        return None
    return library


def _as_pillow(mode: str) -> bool:
    file = io.BytesIO()
    sample(mode).save(file, "WEBP", quality=80)
    shown = decode(file.getvalue(), mode)
    with Image.open(file) as theirs:
        pair = [_on_black(shown, mode), _on_black(theirs, mode)]
    return pair[0].size == pair[1].size and ImageChops.difference(*pair).getbbox() is None


def _on_black(image: Image.Image, mode: str) -> Image.Image:
    return image.convert("RGBa" if mode == "RGBA" else "RGB")
