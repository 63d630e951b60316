"""Damaged stills that browsers show and decoders refuse: accepted with a warning if no pixel is missing."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.errors import UndecodableImage
from mediagate.images.pixels import Decoded, decode
from tests.support.charts import corners, saved
from tests.support.samples.png_writer import COLOUR, PALETTE, SIGNATURE, chunk, header, packed
from tests.support.samples.png_writer import png as written

DATA = Path(__file__).parents[2] / "data"
REFUSING = Source(variants={"xs": VariantSpec(width=64)})
ACCEPTING = REFUSING.model_copy(update={"damaged": "accept"})
WIDTH, HEIGHT = 48, 64
NO_CHECKSUM = "the PNG's pixels have a wrong checksum or no end"


def picture() -> Image.Image:
    with Image.open(DATA / "formats" / "hopper.jpg") as image:
        return image.convert("RGB").resize((WIDTH, HEIGHT))


def pixels() -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.asarray(picture()).astype(np.uint16)


def png_of(stream: bytes, *, pieces: int = 1, wrong: bool = False, end: bytes = chunk(b"IEND")) -> bytes:
    """Return a PNG with this compressed stream; ``wrong`` spoils the checksum of its last IDAT chunk."""
    size = -(-len(stream) // pieces)
    data = b"".join(chunk(b"IDAT", stream[at : at + size]) for at in range(0, len(stream), size))
    return SIGNATURE + header(WIDTH, HEIGHT, COLOUR) + data[:-1] + bytes([data[-1] ^ wrong]) + end


def wrong_end(stream: bytes) -> bytes:
    return stream[:-1] + bytes([stream[-1] ^ 1])


def opaque_rows(decoded: Decoded) -> int:
    """Return how many rows from the top are opaque, after checking that all others are transparent."""
    alpha = np.asarray(decoded.frames[0].convert("RGBA"))[..., 3]
    rows = int((alpha == 255).all(axis=1).sum())
    assert not alpha[rows:].any()
    return rows


STREAM = packed(pixels())
WHOLE: Mapping[str, tuple[bytes, str]] = {
    "wrong checksum of the pixels": (png_of(wrong_end(STREAM)), NO_CHECKSUM),
    "no checksum of the pixels": (png_of(STREAM[:-4]), ""),
    "no end": (png_of(STREAM, end=b""), NO_CHECKSUM),
    "no end of a chunk": (png_of(STREAM, end=b"")[:-3], NO_CHECKSUM),
    "interlaced": (written(pixels(), interlaced=True)[:-14], NO_CHECKSUM),
    "JPEG": (saved(picture(), "JPEG", quality=85)[:-2], "the JPEG has no end"),
    "half of the end of a JPEG": (saved(picture(), "JPEG")[:-1], "the JPEG has no end"),
    "progressive JPEG": (saved(picture(), "JPEG", progressive=True)[:-2], "the JPEG has no end"),
    "JPEG in CMYK": (saved(picture().convert("CMYK"), "JPEG")[:-2], "the JPEG has no end"),
    "grey JPEG": (saved(picture().convert("L"), "JPEG", restart_marker_blocks=3)[:-2], "the JPEG has no end"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_still_with_all_of_its_pixels_is_accepted(name: str) -> None:
    data, warning = WHOLE[name]
    decoded = decode(data, REFUSING)
    assert decoded.warnings == ((warning,) if warning else ())
    if "JPEG" in name:
        expected = decode(data if data.endswith(b"\xff\xd9") else data.rstrip(b"\xff") + b"\xff\xd9", REFUSING)
        assert decoded.frames[0].tobytes() == expected.frames[0].tobytes()
    else:
        assert decoded.frames[0].tobytes() == picture().tobytes()


MISSING: Mapping[str, tuple[bytes, int]] = {
    "cut off": (png_of(STREAM)[: len(png_of(STREAM)) // 2], 27),
    "cut off, in pieces": (png_of(STREAM, pieces=9)[: len(png_of(STREAM)) // 2], 27),
    "few rows": (png_of(zlib.compress(zlib.decompress(STREAM)[: (1 + 3 * WIDTH) * 40])), 40),
    "broken stream": (png_of(STREAM[: len(STREAM) // 2] + b"\xff" * 40 + STREAM[len(STREAM) // 2 + 40 :]), 27),
    "JPEG": (saved(picture(), "JPEG")[:-300], 24),
    "lossy WebP": (saved(picture(), "WEBP")[:-300], 24),
    "lossless WebP": (saved(picture(), "WEBP", lossless=True)[:-3000], 20),
}


@pytest.mark.parametrize("name", MISSING)
def test_still_with_missing_pixels_is_refused_or_transparent_there(name: str) -> None:
    data, least = MISSING[name]
    with pytest.raises(UndecodableImage):
        decode(data, REFUSING)
    decoded = decode(data, ACCEPTING)
    rows = opaque_rows(decoded)
    assert least <= rows < HEIGHT
    assert len(decoded.warnings) == 1
    shown = np.asarray(decoded.frames[0])[:rows, :, :3].astype(int)
    assert (
        np.abs(shown - pixels()[:rows]).mean() < (9 if "JPEG" in name or "lossy" in name else 0.1) or "broken" in name
    )


@pytest.mark.parametrize("stream", [STREAM, wrong_end(STREAM)], ids=["right stream", "wrong stream"])
def test_png_with_wrong_checksum_of_idat_is_damaged(stream: bytes) -> None:
    data = png_of(stream, pieces=3, wrong=True)
    with pytest.raises(UndecodableImage):
        decode(data, REFUSING)
    assert opaque_rows(decode(data, ACCEPTING)) == HEIGHT


def test_truncated_progressive_jpeg_is_refused_or_coarse() -> None:
    data = saved(picture(), "JPEG", progressive=True, quality=90)
    with pytest.raises(UndecodableImage):
        decode(data[: len(data) // 2], REFUSING)
    coarse = decode(data[: len(data) // 2], ACCEPTING)
    assert (coarse.frames[0].mode, coarse.warnings) == ("RGB", ("the JPEG is truncated",))
    assert np.abs(np.asarray(coarse.frames[0]).astype(int) - pixels()).mean() < 20


def test_progressive_jpeg_truncated_between_scans_is_damaged() -> None:
    data = saved(picture(), "JPEG", progressive=True, quality=90)
    for at in (data.rindex(b"\xff\xda"), data.rindex(b"\xff\xc4"), data.rindex(b"\xff\xc4") + 9):
        with pytest.raises(UndecodableImage):
            decode(data[:at], REFUSING)
        coarse = decode(data[:at], ACCEPTING)
        assert (coarse.frames[0].mode, coarse.warnings) == ("RGB", ("the JPEG is truncated",))


def test_missing_rows_rotate_with_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(picture(), "JPEG", exif=exif.tobytes())[:-300]
    alpha = decode(data, ACCEPTING).frames[0].getchannel("A")
    assert alpha.size == (HEIGHT, WIDTH)
    assert (alpha.getpixel((HEIGHT - 1, 0)), alpha.getpixel((0, 0))) == (255, 0), "the top is at the right"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_file_of_a_few_bytes_is_refused_even_if_damage_is_accepted(image_format: str) -> None:
    data = saved(picture(), image_format)
    for size in (0, 3, 20, 40):
        with pytest.raises(Exception) as refused:
            decode(data[:size], ACCEPTING)
        assert getattr(refused.value, "code", "") in ("image_undecodable", "unsupported_type")


def test_broken_ancillary_png_chunk_is_ignored_with_a_warning() -> None:
    text = chunk(b"tEXt", b"Comment\0words")
    long = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20 + 1)))
    foreign = chunk(b"iTXt", b"Comment\0\1\0en\0Kommentar\0" + zlib.compress(bytes(2**20 + 1)))
    for before, warnings in (
        (text[:-1] + b"!", ("PNG chunks with a wrong checksum were ignored: tEXt",)),
        (chunk(b"gAMA", b"\0") + chunk(b"tIME", b"\0"), ("PNG chunks of a wrong length were ignored: gAMA, tIME",)),
        (long, ("a text of more than 1 MiB was ignored",)),
        (foreign, ("a text of more than 1 MiB was ignored",)),
        (text + chunk(b"pHYs", bytes(9)), ()),
    ):
        decoded = decode(written(pixels(), before=before), REFUSING)
        assert (decoded.warnings, decoded.frames[0].tobytes()) == (warnings, picture().tobytes())


@pytest.mark.parametrize("depth", [4, 8])
def test_png_index_beyond_the_palette_shows_its_last_colour(depth: int) -> None:
    colours = bytes((1, 2, 3, 200, 100, 50))
    for index, seen in ((0, (1, 2, 3)), (1, (200, 100, 50)), (9, (200, 100, 50))):
        content = zlib.compress(bytes((0, index if depth == 8 else index << 4)))
        pieces = [header(1, 1, PALETTE, depth), chunk(b"PLTE", colours), chunk(b"IDAT", content), chunk(b"IEND")]
        assert decode(SIGNATURE + b"".join(pieces), REFUSING).frames[0].getpixel((0, 0)) == seen


def test_png_with_transparent_bottom_is_not_damaged() -> None:
    clear = Image.new("RGBA", (WIDTH, HEIGHT))
    clear.paste(corners(20, 20), (0, 0))
    file = io.BytesIO()
    clear.save(file, "PNG")
    assert decode(file.getvalue(), REFUSING).warnings == ()
