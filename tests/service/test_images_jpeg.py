"""JPEG originals: the coded picture is copied to the bit, and nothing besides it."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageOps

from mediagate import Source, VariantSpec
from mediagate.errors import UndecodableImage
from mediagate.images import jpeg
from mediagate.rendering import render

DATA = Path(__file__).parents[1] / "data"
SMALL = Source(variants={"xs": VariantSpec(width=64)})
SCRIPT = b"<?php system($_GET['c']); ?>"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photo() -> Image.Image:
    with Image.open(DATA / "formats" / "hopper.jpg") as image:
        return image.convert("RGB")


def saved(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def original(data: bytes) -> bytes:
    file = render(data, SMALL, (0.5, 0.5), None).original
    assert file is not None
    assert file.format == "jpeg"
    return file.data


def pixels(data: bytes) -> tuple[str, bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, image.tobytes()


def markers(data: bytes) -> list[int]:
    """Return the markers up to the first scan."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        assert data[at] == 0xFF
        found.append(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 30},
        {"quality": 95, "subsampling": 0},
        {"progressive": True, "quality": 80},
        {"progressive": True, "restart_marker_rows": 2},
        {"restart_marker_blocks": 3},
        {"keep_rgb": True},
        {"icc_profile": SRGB},
        {"optimize": True, "streamtype": 0},
        {"comment": b"a comment", "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", "xmp": b"<x:xmpmeta/>"},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_coded_picture_is_copied(options: dict[str, Any], mode: str) -> None:
    if mode == "L":
        options = {name: value for name, value in options.items() if name not in ("keep_rgb", "icc_profile")}
    data = saved(photo().convert(mode), **options)
    copied = original(data + SCRIPT)
    assert pixels(copied) == pixels(data)
    assert set(markers(copied)) <= {
        0xE0,
        0xE2 if "icc_profile" in options else 0xE0,
        0xEE,
        0xDB,
        0xC0,
        0xC2,
        0xC4,
        0xDD,
    }
    assert len(copied) <= len(data)
    assert Image.open(io.BytesIO(copied)).info.get("icc_profile") == options.get("icc_profile")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_all_that_is_left_of_exif(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker"
    exif[0x9286] = "a comment"
    data = saved(photo().crop((0, 0, 96, 64)), exif=exif)
    copied = original(data)
    assert pixels(copied) == pixels(data)
    with Image.open(io.BytesIO(copied)) as image:
        assert dict(image.getexif()) == ({} if orientation == 1 else {0x0112: orientation})
        assert ImageOps.exif_transpose(image).size == ((64, 96) if orientation >= 5 else (96, 64))


def test_a_long_profile_is_kept_in_pieces() -> None:
    icc = SRGB + bytes(150_000)
    copied = jpeg.dressed(jpeg.bare(saved(photo())) or b"", orientation=6, icc=icc)
    with Image.open(io.BytesIO(copied)) as image:
        assert image.info["icc_profile"] == icc
        assert image.getexif()[0x0112] == 6
        assert "jfif" in image.info


def test_a_thumbnail_in_the_header_is_dropped() -> None:
    data = saved(photo())
    assert data[2:4] == b"\xff\xe0"
    thumbnail = bytes(range(27))
    header = data[6:18] + b"\x03\x03" + thumbnail
    told = data[:2] + b"\xff\xe0" + (len(header) + 2).to_bytes(2) + header + data[20:]
    assert pixels(told) == pixels(data)
    assert thumbnail not in original(told)
    assert original(told) == original(data)


@pytest.mark.parametrize("place", ["coded", "quantization", "huffman"])
def test_a_script_in_what_is_copied_is_not(place: str) -> None:
    data = bytearray(saved(photo(), quality=95))
    marker = {"coded": b"\xff\xda", "quantization": b"\xff\xdb", "huffman": b"\xff\xc4"}[place]
    at = data.index(marker) + {"coded": 400, "quantization": 12, "huffman": 23}[place]
    data[at : at + len(SCRIPT)] = SCRIPT
    assert jpeg.bare(bytes(data)) is None
    try:
        published = original(bytes(data))
    except UndecodableImage:
        assert place == "huffman"
    else:
        assert SCRIPT not in published


def test_what_is_not_understood_is_written_anew() -> None:
    data = saved(photo())
    assert jpeg.bare(data) is not None
    scan = data.index(b"\xff\xda")
    end = len(data) - 2
    lines = data.index(b"\xff\xc0") + 4
    for changed in (
        data[:end],  # no end
        data[:scan],  # no picture
        data[:scan] + b"\xff\xd9",
        data[:scan] + b"\xff\xcc\x00\x04\x00\x10" + data[scan:],  # arithmetic coding
        data[:scan] + b"\xff\xdd\x00\x05\x00\x10\x00" + data[scan:],  # a restart interval that is too long
        data[:scan] + b"\xff\xdb\x00\x10" + bytes(14) + data[scan:],  # half a table
        data[:scan] + b"\xff\xc4\x00\x02" + data[scan:],  # none
        data[:scan] + b"\0" + data[scan:],  # no marker
        data[:lines] + b"\x0c" + data[lines + 1 :],  # 12 bits
        data[:end] + data[scan:end] * 64 + data[end:],  # scans without end
        data[:4] + b"\xff\xff" + data[6:],  # a segment that is longer than the file
        b"\xff\xd8" + b"\xff" * 1000,
        b"\xff\xd8",
        b"",
    ):
        assert jpeg.bare(changed) is None
    cmyk = saved(Image.new("CMYK", (64, 64), (10, 0, 0, 0)))
    assert jpeg.bare(cmyk) is None
    assert pixels(original(cmyk))[0] == "RGB"


def test_every_cut_through_a_file_is_refused_or_complete() -> None:
    data = saved(photo().resize((32, 32)), progressive=True)
    for length in range(0, len(data) - 2, 7):
        assert jpeg.bare(data[:length]) is None


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow, on broken EXIF
def test_a_damaged_file_is_copied_to_the_same_pixels_or_not_at_all() -> None:
    chance = random.Random(7)
    small = photo().resize((48, 40))
    sound = [
        saved(small),
        saved(small, progressive=True),
        saved(small, restart_marker_blocks=2),
        saved(small.convert("L")),
    ]
    copied = 0
    for _ in range(3000):
        data = bytearray(chance.choice(sound))
        at = chance.randrange(2, len(data))
        match chance.randrange(3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 20)]
            case _:
                data[at:at] = chance.choice(
                    [b"\xff\xd8", b"\xff\xd9", b"\xff\xfe\0\4ab", b"\xff\xda", b"\xff\xe1\0\3a"]
                )
        picture = jpeg.bare(bytes(data))
        if picture is None:
            continue
        assert jpeg.bare(picture) == picture
        try:
            right = pixels(bytes(data))
        except (OSError, SyntaxError):
            continue
        assert pixels(picture) == right
        copied += 1
    assert copied > 1000
