"""PNG files compressed by igzip: the same pixels as Pillow's, in about as few bytes."""

from __future__ import annotations

import io
import logging
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from mediagate.config import Source
from mediagate.images import pixels
from mediagate.images.pixels import igzip
from mediagate.images.pixels.png_chunks import chunks
from mediagate.images.pixels.structure import check_complete
from tests.support.charts import chart

pytestmark = pytest.mark.skipif(igzip.isal is None, reason='no isal: pip install "mediagate[fast]"')


def picture(mode: str, width: int, height: int) -> Image.Image:
    """Return a picture of fine details; alpha falls from left to right."""
    image = chart(width, height).convert("L" if mode in ("L", "LA") else "RGB")
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").rotate(90).resize((width, height)))
    return image


def pillows(image: Image.Image, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", igzip.COLOUR_TYPES)
@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 700), (4001, 2), (333, 32), (333, 33), (801, 257)], ids=str)
def test_file_shows_the_picture(mode: str, size: tuple[int, int]) -> None:
    image = picture(mode, *size)
    file = igzip.encode(image)
    assert check_complete(file, "png") == len(file)
    with Image.open(io.BytesIO(file)) as read:
        assert (read.format, read.mode, read.size, read.tobytes()) == ("PNG", mode, size, image.tobytes())


@pytest.mark.parametrize("kind", igzip.NEIGHBOURS)
@pytest.mark.parametrize("mode", igzip.COLOUR_TYPES)
def test_each_filter_is_lossless(mode: str, kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(igzip, "_filter", lambda image: kind)
    image = picture(mode, 301, 99)
    with Image.open(io.BytesIO(igzip.encode(image))) as read:
        assert read.tobytes() == image.tobytes()


def test_files_are_about_as_small_as_pillows(data: Path) -> None:
    files = ("photos/photo_2725x2225.jpg", "photos/paris_icc_exif_xmp.png", "moderation/astronaut.png")
    photos = [Image.open(data / file).convert("RGB") for file in files]
    page = photos[0].quantize(64).convert("RGB")
    for image in (*photos, photos[0].convert("L"), page, Image.new("RGBA", (900, 700), (9, 8, 7, 60))):
        assert len(igzip.encode(image)) < 1.05 * len(pillows(image, compress_level=2))


@pytest.mark.parametrize("effort", range(4))
def test_low_efforts_take_it(effort: int) -> None:
    image = picture("RGB", 300, 200)
    assert pixels.encode([image], [0], 0, "png", 80, effort) == igzip.encode(image)


def test_originals_take_it(photo: bytes) -> None:
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    decoded = pixels.decode(pillows(image), Source())
    assert pixels.encode_original(decoded) == ("png", igzip.encode(image))


def test_the_highest_effort_makes_smaller_files(data: Path) -> None:
    image = Image.open(data / "moderation" / "astronaut.png").convert("RGB")
    assert len(pixels.encode([image], [0], 0, "png", 80, 6)) < 0.98 * len(igzip.encode(image))


def test_exif_and_profile_are_written() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = b"not a real profile"
    file = igzip.encode(picture("RGB", 40, 30), profile, exif.tobytes())
    with Image.open(io.BytesIO(file)) as read:
        assert read.info["icc_profile"] == profile
        assert read.getexif()[0x0112] == 6
    assert [bytes(chunk.type) for chunk in chunks(file)] == [b"IHDR", b"iCCP", b"eXIf", b"IDAT", b"IEND"]


def test_palettes_are_left_to_pillow() -> None:
    assert not igzip.encodes(picture("RGB", 40, 30).quantize(16))


@pytest.mark.parametrize(("mode", "size"), [("RGBA", (2400, 1800)), ("RGB", (200_000, 20)), ("L", (20, 200_000))])
def test_writing_takes_no_more_than_is_estimated(mode: str, size: tuple[int, int]) -> None:
    program = f"""
import os, resource
from pathlib import Path
from PIL import Image
from mediagate.images.memory import Memory
from mediagate.images.pixels import igzip
from mediagate.images.pixels.budget import ENCODING

assert igzip.usable()
noise = os.urandom({size[0] * size[1] * len(mode)})
image = Image.frombytes({mode!r}, {size!r}, noise)
del noise
Memory().give_back()
used = int(Path("/proc/self/statm").read_text().split()[0]) * {resource.getpagesize()}
resource.setrlimit(resource.RLIMIT_AS, (used + int(ENCODING["png"] * {size[0] * size[1]}), resource.RLIM_INFINITY))
igzip.encode(image)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_lack_of_memory_is_an_error_instead_of_a_crash() -> None:
    program = f"""
import resource
from pathlib import Path
from PIL import Image
from mediagate.images.pixels import igzip

assert igzip.usable()
image = Image.effect_noise((2400, 1800), 90).convert("RGB")
used = int(Path("/proc/self/statm").read_text().split()[0]) * {resource.getpagesize()}
outcomes = set()
for spare in range(1 << 20, 48 << 20, 1 << 20):
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))
    try:
        igzip.encode(image)
    except MemoryError:
        outcomes.add("refused")
    else:
        outcomes.add("written")
print(*sorted(outcomes))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.split()) == (0, ["refused", "written"]), ran.stderr[-500:]


def inverted(image: Image.Image) -> bytes:
    return pillows(ImageChops.invert(image.convert("RGB")).convert(image.mode))


def failing(image: Image.Image) -> bytes:
    raise OSError("no such function")


@pytest.mark.parametrize("encode", [inverted, failing])
def test_isal_is_not_used_where_its_files_show_something_else(
    encode: Callable[[Image.Image], bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(igzip, "encode", encode)
    with caplog.at_level(logging.WARNING, "mediagate"):
        assert not igzip.usable.__wrapped__()
    assert "isal disabled" in caplog.text


def test_pillow_writes_where_isal_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(igzip, "isal", None)
    monkeypatch.setattr(igzip, "usable", igzip.usable.__wrapped__)
    image = picture("RGB", 300, 200)
    assert pixels.encode([image], [0], 0, "png", 80, 3) == pillows(image, compress_level=2)
    assert igzip.name() == "Pillow"
