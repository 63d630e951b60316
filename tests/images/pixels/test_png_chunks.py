"""PNG chunks: those read for colour, and those passed on to a decoder."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mediagate.images.pixels.code_points import CodePoints
from mediagate.images.pixels.png_chunks import chunks, for_pixels, read_colour
from tests.support.colorimetry import chart, chunk, cicp, gama, iccp, matrix_profile, png

PROFILE = matrix_profile()


def test_colour_chunks_are_read() -> None:
    chrm = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    colour = read_colour(png(chart(), cicp(9, 16), iccp(PROFILE), (b"sRGB", b"\1"), gama(45_455), chrm))
    assert colour.code_points == CodePoints(9, 16)
    assert (colour.icc, colour.is_srgb, colour.gamma) == (PROFILE, True, 0.45455)
    assert colour.primaries == ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3127, 0.329))


def test_peak_luminance_is_read() -> None:
    content = (b"cLLI", struct.pack(">2I", 4_000_000, 1))
    display = (b"mDCV", bytes(16) + struct.pack(">2I", 6_000_000, 1))
    assert read_colour(png(chart(), display)).peak == 600
    assert read_colour(png(chart(), display, content)).peak == 400
    assert read_colour(png(chart(), (b"cLLI", bytes(8)))).peak is None


def test_first_chunk_of_a_type_wins() -> None:
    assert read_colour(png(chart(), gama(100_000), gama(45_455))).gamma == 1


def test_chunk_with_a_wrong_checksum_is_ignored() -> None:
    data = png(chart(), gama(100_000))
    assert read_colour(data.replace(chunk(*gama(100_000)), chunk(*gama(100_000))[:-1] + b"\0")).gamma is None


@pytest.mark.parametrize(
    "values", [b"\x0c\x0d\1\1", b"\x0c\x0d\0\0", b"\x0c\x0d\0", b"\x02\x0d\0\1", b"\x0c\x09\0\1"], ids=bytes.hex
)
def test_invalid_code_points_are_ignored(values: bytes) -> None:
    assert read_colour(png(chart(), (b"cICP", values))).code_points is None


@pytest.mark.parametrize(
    "packed",
    [
        b"name\0\1" + zlib.compress(PROFILE),
        b"name\0\0" + zlib.compress(PROFILE)[:-20],
        b"\0\0" + zlib.compress(PROFILE),
        b"name\0\0" + zlib.compress(bytes(9 * 2**20)),
    ],
    ids=["method", "cut off", "name", "long"],
)
def test_damaged_profile_is_read_as_empty(packed: bytes) -> None:
    assert read_colour(png(chart(), (b"iCCP", packed))).icc == b""


def test_for_pixels_keeps_only_the_pixels() -> None:
    others = [iccp(PROFILE + bytes(1_500_000)), (b"pHYs", b"short"), (b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))]
    bare = for_pixels(png(chart(), *others))
    assert [it.type for it in chunks(bare)] == [b"IHDR", b"IDAT", b"IEND"]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bare))), chart())


def test_for_pixels_keeps_transparency_and_drops_further_frames() -> None:
    frames = [Image.new("P", (4, 4), colour) for colour in (0, 1, 2)]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:], transparency=0, dpi=(72, 72))
    image = Image.open(io.BytesIO(for_pixels(file.getvalue())))
    assert (getattr(image, "n_frames", 1), "transparency" in image.info, "dpi" in image.info) == (1, True, False)


@pytest.mark.parametrize("length", range(0, 90, 7))
def test_truncated_png_is_read_up_to_its_end(length: int) -> None:
    data = png(chart(), gama(100_000))[:length]
    assert read_colour(data).gamma == (1 if length >= 49 else None)
