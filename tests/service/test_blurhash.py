"""BlurHash against the package's own wrapper, and against the average colour that its definition demands."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import blurhash
import pytest
from PIL import Image

from mediagate.blurhash import blurhash_of

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def average(hashed: str) -> tuple[int, int, int]:
    """Read the average colour that a hash states in its characters 3 to 6."""
    value = 0
    for digit in hashed[2:6]:
        value = value * 83 + DIGITS.index(digit)
    return value >> 16, value >> 8 & 255, value & 255


def average_light(picture: Image.Image) -> list[float]:
    """Average each channel in linear light, and return it in sRGB (IEC 61966-2-1)."""
    levels = []
    for channel in picture.split():
        shares = [(level / 255, count) for level, count in enumerate(channel.histogram())]
        light = sum((s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4) * count for s, count in shares)
        light /= picture.width * picture.height
        levels.append(255 * (light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))
    return levels


@pytest.mark.parametrize("name", ["hopper.png", "fox.avif", "4.webp"])
def test_it_hashes_as_the_wrapper_does(data: Path, name: str) -> None:
    small = Image.open(data / "formats" / name).convert("RGB").resize((32, 24))
    file = io.BytesIO()
    small.save(file, "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        expected = blurhash.encode(file, 4, 3)
    hashed = blurhash_of(*small.size, small.tobytes())
    assert hashed == expected
    assert len(hashed) == 28
    assert blurhash.is_valid_blurhash(hashed)
    assert average(hashed) == pytest.approx(average_light(small), abs=1)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (32, 1), (1, 32)])
def test_small_plain_pictures(size: tuple[int, int]) -> None:
    hashed = blurhash_of(*size, b"\x20\x80\xe0" * size[0] * size[1])
    assert blurhash.is_valid_blurhash(hashed)
    assert average(hashed) == pytest.approx((32, 128, 224), abs=1)


def test_bytes_that_are_no_such_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="11 bytes are no RGB picture of 2 x 2 pixels"):
        blurhash_of(2, 2, bytes(11))
    with pytest.raises(ValueError, match="0 x 4"):
        blurhash_of(0, 4, b"")
