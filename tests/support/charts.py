"""Pictures that show what a pipeline does wrong: fine lines, ramps, corners, profiles and 16 bits."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CORNERS = ((220, 40, 40), (40, 180, 60), (40, 70, 220), (230, 200, 40))
"""Top left, top right, bottom left, bottom right."""
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Its primaries as XYZ under D50, red, green and blue (Adobe RGB (1998), section 4.3.5.3)."""


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def chart(width: int, height: int) -> Image.Image:
    """Return a zone plate up to half of the highest frequency, with lines of text and lines of one pixel in it."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    squares = (across - width / 2) ** 2 + (down - height / 2) ** 2
    rings = 127.5 + 127.5 * np.cos(np.pi / 2 / width * squares)
    image = Image.fromarray(rings.astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 3, height // 3), fill="white")
    for top in range(0, height // 3 - 30, 30):
        draw.text((10, top), "Sphinx of black quartz, judge my vow 0123456789", "black", ImageFont.load_default(24))
    draw.rectangle((width // 3 * 2, height // 3 * 2, width, height), fill="black")
    for left in range(width // 3 * 2, width, 7):
        draw.line((left, height // 3 * 2, left + left % 5 * 8, height), fill=(255, 200, 40), width=1)
    return image


def ramp(width: int, height: int) -> Image.Image:
    """Return a picture whose red tells how far right a pixel is, and whose green how far down."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[..., 0] = np.linspace(0, 255, width)[None, :]
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(image)


def corners(width: int, height: int) -> Image.Image:
    """Return a ramp with another colour in each corner."""
    image = ramp(width, height)
    across, down = width // 4, height // 4
    for at, colour in enumerate(CORNERS):
        left, top = at % 2 * (width - across), at // 2 * (height - down)
        image.paste(colour, (left, top, left + across, top + down))
    return image


def glow(size: int) -> Image.Image:
    """Return an orange disc whose edge fades away, and what is hidden beside it is green."""
    image = Image.new("RGBA", (size, size), (0, 255, 0, 0))
    down, across = np.mgrid[0:size, 0:size] - (size - 1) / 2
    alpha = np.clip((0.45 * size - np.hypot(across, down)) / (0.1 * size), 0, 1) * 255
    disc = Image.new("RGBA", (size, size), (255, 128, 0, 255))
    disc.putalpha(Image.fromarray(np.rint(alpha).astype(np.uint8)))
    image.paste(disc, mask=disc.getchannel("A").point([0] + [255] * 255))
    return image


def png16(pixels: NDArray[np.uint16]) -> bytes:
    """Return ``height x width x 3`` values as a PNG with 16 bits a channel, which Pillow can read and not write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    written = (
        len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)
        for name, content in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def rgb_profile(primaries: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """Return an ICC profile of three primaries and one gamma (ICC.1:2001-04, 6.3.1.2), with D50 as its white."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv" + bytes(4) + (1).to_bytes(4) + round(gamma * 256).to_bytes(2) + bytes(2)
    name = b"Test RGB\0"
    description = b"desc" + bytes(4) + len(name).to_bytes(4) + name + bytes(78)
    white = (0.9642, 1.0, 0.8249)
    tags = {b"desc": description + bytes(-len(description) % 4), b"cprt": b"text" + bytes(8)}
    tags |= {
        tag: b"XYZ " + bytes(4) + fixed(*xyz)
        for tag, xyz in zip((b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ"), (white, *primaries), strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    at = 128 + 4 + 12 * len(tags)
    table = len(tags).to_bytes(4)
    for tag, content in tags.items():
        table += tag + at.to_bytes(4) + len(content).to_bytes(4)
        at += len(content)
    head = bytes(4) + b"\x02\x10\0\0" + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(*white) + bytes(48)
    return at.to_bytes(4) + head + table + b"".join(tags.values())
