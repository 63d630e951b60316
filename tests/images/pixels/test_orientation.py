"""Orientation and clean aperture: read from EXIF, or from the boxes of AVIF and HEIC."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.errors import ImageTooLarge
from mediagate.images.pixels import decode
from tests.support.charts import corners, saved
from tests.support.samples.bmff import picture
from tests.support.samples.bmff_writer import Item, box, coded, crop, file, mirror, turn

SOURCE = Source(variants={"xs": VariantSpec(width=64)})
EXIF = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d xmlns:tiff="t" tiff:Orientation="6"/></x:xmpmeta>'
RED, GREEN, BLUE = (220, 40, 40), (40, 180, 60), (40, 70, 220)


def wide() -> Image.Image:
    return corners(96, 64)


def near(seen: Any, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(seen, colour)).max() < 12)


def size(data: bytes) -> tuple[int, int]:
    info = decode(data, SOURCE).info
    return info.width, info.height


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_rotates_the_picture(image_format: str) -> None:
    data = saved(wide(), image_format, exif=b"Exif\0\0" + EXIF)
    assert size(data) == (64, 96)
    upper_left = decode(data, SOURCE).frames[0].getpixel((5, 5))
    assert near(upper_left, BLUE), "the stored lower left"


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "avif", "heic"])
def test_xmp_orientation_is_ignored(image_format: str) -> None:
    if image_format in ("avif", "heic"):
        about = Item(b"mime", XMP, references=((b"cdsc", (1,)),), hidden=True, extra=b"application/rdf+xml\0")
        data = file(image_format, [picture(image_format, coded(wide(), image_format)), about])
    else:
        data = saved(wide(), image_format, xmp=XMP)
    decoded = decode(data, SOURCE)
    assert (decoded.removed, decoded.info.width, decoded.info.height) == (("xmp",), 96, 64)


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_heif_boxes_rotate_the_picture_and_exif_does_not(image_format: str) -> None:
    of = coded(wide(), image_format)
    about = Item(b"Exif", b"\0\0\0\6Exif\0\0" + EXIF, references=((b"cdsc", (1,)),), hidden=True)
    assert size(file(image_format, [picture(image_format, of), about])) == (96, 64)
    for boxes in ((turn(1),), (turn(3), mirror(1)), (mirror(0), turn(1))):
        assert size(file(image_format, [picture(image_format, of, *boxes), about])) == (64, 96)
    upside_down = decode(file(image_format, [picture(image_format, of, turn(2)), about]), SOURCE).frames[0]
    assert near(upside_down.getpixel((90, 60)), RED)


@pytest.mark.parametrize(
    ("image_format", "shown"),
    [
        ("avif", {"corner": (48, 32), "middle": (96, 64), "outside": (96, 64), "half a pixel": (96, 64)}),
        ("heic", {"corner": (48, 32), "middle": (48, 32)}),
    ],
    ids=["AVIF", "HEIC"],
)
def test_clean_aperture_crops_heic_anywhere_and_avif_at_the_corner(
    image_format: str, shown: Mapping[str, tuple[int, int]]
) -> None:
    of = coded(wide(), image_format)
    boxes = {
        "corner": crop(48, 32, -24, -16),
        "middle": crop(48, 32),
        "outside": crop(96, 64, 40),
        "half a pixel": box(b"clap", struct.pack(">8i", 95, 2, 64, 1, -97, 4, 0, 1)),
    }
    assert {name: size(file(image_format, [picture(image_format, of, boxes[name])])) for name in shown} == shown


def test_clean_aperture_is_applied_before_rotation() -> None:
    of = coded(wide(), "avif")
    frame = decode(file("avif", [picture("avif", of, crop(48, 32, -24, -16), turn(1))]), SOURCE).frames[0]
    whole = decode(file("avif", [picture("avif", of)]), SOURCE).frames[0]
    assert frame.tobytes() == whole.crop((0, 0, 48, 32)).transpose(Image.Transpose.ROTATE_90).tobytes()


@pytest.mark.parametrize(
    ("width", "height", "max_pixels"),
    [(17_000, 17_000, 50_000_000), (17_000, 17_000, 10**9), (40_000, 10, 10**9), (3_000, 20_000, 50_000_000)],
)
def test_oversized_avif_is_reported_as_too_large_not_as_damaged(width: int, height: int, max_pixels: int) -> None:
    data = bytearray(saved(wide(), "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    with pytest.raises(ImageTooLarge, match=f"{width} x {height} pixels"):
        decode(bytes(data), SOURCE.model_copy(update={"max_pixels": max_pixels}))


@pytest.mark.parametrize("extra", [b"\0", b"\0\0\0\0trailing", bytes(300)], ids=["1", "12", "300"])
def test_jpeg_adobe_marker_of_any_length_sets_the_colour_space(extra: bytes) -> None:
    options: dict[str, Any] = {"keep_rgb": True, "quality": 95}
    data = saved(wide(), "JPEG", **options)
    at = data.index(b"\xff\xee")
    length = int.from_bytes(data[at + 2 : at + 4])
    longer = data[: at + 2] + (length + len(extra)).to_bytes(2) + data[at + 4 : at + 2 + length] + extra
    frame = decode(longer + data[at + 2 + length :], SOURCE).frames[0]
    assert near(frame.getpixel((5, 5)), RED)
    assert near(frame.getpixel((90, 5)), GREEN)
