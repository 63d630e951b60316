"""Decoded uploads, compared with Chromium: animations, clean apertures and damaged files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.images.pixels import decode
from mediagate.values import ImageInfo
from tests.support.samples import bmff, gif, png
from tests.support.samples.bmff_writer import box, coded, crop, file, mirror, turn
from tests.support.samples.gif_writer import Frame
from tests.support.samples.gif_writer import gif as gif_of
from tests.support.samples.png_writer import COLOUR, SIGNATURE, chunk, header, packed
from tests.support.samples.png_writer import png as written
from tests.support.samples.sample import EDGE, Sample, cat, encoded, grey
from tests.support.showing.browser import Browser, Cell

SOURCE = Source(variants={"small": VariantSpec(width=64)}, animation="keep", damaged="accept")
BACKGROUNDS = ("white", "black")
LEVELS = 3
"""Tolerance per pixel: Chromium and Pillow round differently in decoding and blending."""
EDGES = 0.03
"""Share of pixels that may be off by more: the last rows of a truncated file."""


def judged(data: bytes) -> tuple[ImageInfo, list[Image.Image]]:
    """Return the info and the decoded frames, each on white and then on black."""
    decoded = decode(data, SOURCE)
    found = []
    for frame in decoded.frames:
        for background in BACKGROUNDS:
            wide = frame.convert("RGBA")
            found.append(Image.alpha_composite(Image.new("RGBA", wide.size, background), wide).convert("RGB"))
    return decoded.info, found


def shown(browser: Browser, image_format: str, data: bytes) -> tuple[tuple[int, int], list[Image.Image]]:
    """Return the size and the frames in Chromium, each on white and then on black."""
    [seen] = browser.load([(image_format, data)])
    size = seen.width, seen.height
    cells = [Cell(0, *size, background, number) for number in range(max(1, seen.frames)) for background in BACKGROUNDS]
    return size, browser.look(cells)


def off(one: Image.Image, other: Image.Image) -> float:
    """Return the share of pixels that differ."""
    difference = np.abs(np.asarray(one, dtype=np.int16) - np.asarray(other, dtype=np.int16)).max(axis=2)
    return float((difference > LEVELS).mean())


def compared(browser: Browser, image_format: str, data: bytes) -> float:
    """Return the largest share of differing pixels in a frame; 1 if the number or size of frames differs."""
    size, expected = shown(browser, image_format, data)
    info, found = judged(data)
    if (info.width, info.height) != size or len(found) != len(expected):
        return 1.0
    return max(off(one, other) for one, other in zip(found, expected, strict=True))


def animations() -> Iterator[Sample]:
    """Yield animations, and stills on a canvas of another size."""
    yield from (sample for kind in (gif.stills, gif.animations, gif.canvases) for sample in kind())
    yield from (sample for sample in png.samples() if b"acTL" in sample.data and sample.valid)


SKIPPED = {"gif_empty_second_frame"}
"""Chromium shows the first frame twice; here it is shown for longer."""


@pytest.mark.parametrize("image_format", ["gif", "png"])
def test_animation_frames_match_chromium(image_format: str, browser: Browser) -> None:
    samples = [sample for sample in animations() if sample.format == image_format and sample.name not in SKIPPED]
    assert len(samples) > 5
    different = {sample.name: compared(browser, image_format, sample.data) for sample in samples}
    assert not {name: share for name, share in different.items() if share > 0.001}


def test_avif_aperture_and_rotation_match_chromium(browser: Browser) -> None:
    pixels = np.ascontiguousarray(cat()[:, : EDGE - 32])
    item = coded(pixels, "avif")
    corner = crop(48, 64, -24, -32)
    half = box(b"clap", struct.pack(">8i", 47, 1, 63, 1, -49, 2, -65, 2))
    ways = {
        "corner": (corner,),
        "odd": (half,),
        "middle": (crop(48, 64),),
        "outside": (crop(96, 128, 20),),
        "no size": (crop(0, 64),),
        "corner, turned": (corner, turn(1)),
        "corner, turned and mirrored": (corner, turn(3), mirror(0)),
        **{f"turned {at}, mirrored {axis}": (turn(at), mirror(axis)) for at in range(4) for axis in range(2)},
    }
    different = {
        name: compared(browser, "avif", file("avif", [bmff.picture("avif", item, *properties)]))
        for name, properties in ways.items()
    }
    assert not {name: share for name, share in different.items() if share > 0.001}


def damaged_pngs() -> Iterator[tuple[str, bytes]]:
    """Yield damaged PNGs, some with all of their pixels."""
    pixels = cat().astype(np.uint16)
    whole, passes = written(pixels), written(pixels, interlaced=True)
    stream = packed(pixels)
    wrong = stream[:-1] + bytes([stream[-1] ^ 1])

    def of(content: bytes, last: int = 0) -> bytes:
        data = SIGNATURE + header(EDGE, EDGE, COLOUR) + chunk(b"IDAT", content)
        return data[:-1] + bytes([data[-1] ^ last]) + chunk(b"IEND")

    yield "wrong checksum of the pixels", of(wrong)
    yield "no checksum of the pixels", of(stream[:-4])
    yield "wrong checksum of the chunk", of(stream, last=1)
    yield "both checksums wrong", of(wrong, last=1)
    yield "no end", whole[:-12]
    yield "half", whole[: len(whole) // 2]
    yield "few rows", of(zlib.compress(zlib.decompress(stream)[: (1 + 3 * EDGE) * 40]))
    yield "a third, interlaced", passes[: len(passes) // 3]


def test_damaged_png_matches_chromium(browser: Browser) -> None:
    different = {name: compared(browser, "png", data) for name, data in damaged_pngs() if "interlaced" not in name}
    assert not {name: share for name, share in different.items() if share > EDGES}


def test_damaged_interlaced_png_is_as_coarse_as_in_chromium(browser: Browser) -> None:
    data = dict(damaged_pngs())["a third, interlaced"]
    size, expected = shown(browser, "png", data)
    _, found = judged(data)
    # Chromium also shows the pixels of an incomplete pass.
    reduced = [np.asarray(image.reduce(8), dtype=np.int16) for image in (found[0], expected[0])]
    assert size == found[0].size
    assert np.abs(reduced[0] - reduced[1]).mean() < 4
    assert off(found[0], expected[0]) < 0.4


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_blocks": 5}], ids=str
)
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_truncated_jpeg_matches_chromium(options: dict[str, int], share: float, browser: Browser) -> None:
    data = encoded(cat(), "JPEG", quality=90, **options)
    cut = data[: round(len(data) * share)]
    assert compared(browser, "jpeg", cut) <= EDGES


def test_truncated_gif_matches_chromium(browser: Browser) -> None:
    data = gif_of([Frame(grey(cat()))], EDGE, EDGE)
    assert compared(browser, "gif", data[: len(data) // 2]) <= EDGES
