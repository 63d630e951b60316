"""Variants, compared with the same pictures made by slow and plain references."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, ImageStat

from mediagate import Source, VariantSpec
from mediagate.images.pixels import has_simd
from mediagate.images.render import render
from tests.support.charts import ADOBE_RGB, chart, glow, png16, rgb_profile, saved
from tests.support.references import (
    Box,
    colour_difference,
    in_srgb,
    on,
    opened,
    resized,
    sharpness,
    ssim,
    waves_of,
    waves_told,
)
from tests.support.rendered import MIDDLE, lossless, picture, variants

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("each_resizer")]

DATA = Path(__file__).parents[1] / "data"
WIDTHS = (64, 256, 640, 1280, 1920)


def hopper() -> Image.Image:
    return opened((DATA / "formats" / "hopper.png").read_bytes()).convert("RGB").resize((300, 300))


def file(name: str) -> bytes:
    return (DATA / "formats" / name).read_bytes()


def profile_of(name: str) -> bytes:
    return bytes(Image.open(io.BytesIO(file(name))).info["icc_profile"])


def wide_grey() -> Image.Image:
    return Image.fromarray(np.linspace(0, 65535, 300 * 200).reshape(200, 300).astype(np.uint16))


def wide_colours() -> bytes:
    """Return a PNG with 16 bits per channel."""
    return png16(np.asarray(hopper(), dtype=np.uint16) * 257)


COLOURED: dict[str, Callable[[], bytes]] = {
    "sRGB JPEG": lambda: saved(hopper(), "JPEG", quality=90),
    "Display P3 JPEG": lambda: saved(hopper(), "JPEG", quality=90, icc_profile=profile_of("p3.png")),
    "Display P3 PNG with alpha": lambda: saved(glow(300), "PNG", icc_profile=profile_of("p3.png")),
    "Adobe RGB JPEG": lambda: saved(hopper(), "JPEG", icc_profile=rgb_profile(ADOBE_RGB, 2.19921875)),
    "Adobe RGB PNG": lambda: saved(hopper(), "PNG", icc_profile=rgb_profile(ADOBE_RGB, 2.19921875)),
    "Adobe RGB WebP": lambda: saved(hopper(), "WEBP", icc_profile=rgb_profile(ADOBE_RGB, 2.19921875)),
    "linear RGB PNG": lambda: saved(hopper(), "PNG", icc_profile=rgb_profile(ADOBE_RGB, 1.0)),
    "CMYK JPEG with profile": lambda: file("Channel_digital_image_CMYK_color.jpg"),
    "CMYK JPEG": lambda: saved(hopper().convert("CMYK"), "JPEG", quality=90),
    "grey JPEG": lambda: saved(hopper().convert("L"), "JPEG", quality=90),
    "grey PNG": lambda: saved(hopper().convert("L"), "PNG"),
    "grey PNG with alpha, profile and 16 bits": lambda: file("16-bit-grey-alpha.png"),
    "grey PNG with 16 bits": lambda: saved(wide_grey(), "PNG"),
    "RGB PNG with 16 bits": wide_colours,
    "palette PNG": lambda: saved(hopper().quantize(64), "PNG"),
    "palette PNG with a transparent colour": lambda: saved(hopper().quantize(64), "PNG", transparency=7),
    "palette PNG with alpha": lambda: saved(glow(300).quantize(64), "PNG"),
    "bilevel PNG": lambda: saved(hopper().convert("1", dither=Image.Dither.NONE), "PNG"),
    "RGBA PNG": lambda: file("alpha-premultiply-1024x768-paper.png"),
    "RGBA WebP": lambda: file("5_webp_a.webp"),
    "AVIF": lambda: file("fox.avif"),
    "GIF": lambda: file("hopper.gif"),
}


@pytest.mark.parametrize("name", COLOURED)
def test_variant_keeps_the_colours_of_the_picture(name: str) -> None:
    data = COLOURED[name]()
    source = Source(variants={str(width): lossless(width=width) for width in (40, 250)}, original="delete")
    upright = in_srgb(opened(data))
    for made in variants(source, data).values():
        like = resized(upright, made.size)
        for grey in (255, 0) if like.mode == "RGBA" else (255,):
            assert colour_difference(on(made, grey), on(like, grey)) < 1
            # No filter changes the average of a picture, so a different average means different colours.
            average = ImageStat.Stat(on(like, grey)).mean
            assert ImageStat.Stat(on(made, grey)).mean == pytest.approx(average, abs=0.75)


def test_soft_edge_takes_no_colour_from_hidden_pixels() -> None:
    made = variants(Source(variants={"xs": lossless(width=40), "sm": lossless(width=101)}), saved(glow(300), "PNG"))
    for image in made.values():
        pixels = np.asarray(image, dtype=float)
        shown = pixels[..., 3] > 8  # fainter pixels are black
        assert np.count_nonzero(shown & (pixels[..., 3] < 250)) > 50
        # Premultiplied colours have 8 bits, so the fainter a pixel, the coarser its colour.
        coarse = 3 * 255 / pixels[..., 3:][shown]
        assert (np.abs(pixels[shown][:, :3] - (255, 128, 0)) <= coarse).all()


PICTURES: dict[str, Callable[[], bytes]] = {
    "photo": (DATA / "photos" / "photo_2725x2225.jpg").read_bytes,
    "dog": (DATA / "photos" / "dog_exif_xmp_icc.jpg").read_bytes,
    "landscape": (DATA / "oriented" / "landscape_6.jpg").read_bytes,
    "hopper": (DATA / "formats" / "hopper.png").read_bytes,
    "paper": (DATA / "formats" / "alpha-premultiply-1024x768-paper.png").read_bytes,
    "cmyk": (DATA / "formats" / "Channel_digital_image_CMYK_color.jpg").read_bytes,
    "chart": lambda: saved(chart(3860, 1200), "JPEG", quality=95, subsampling=0),
    "PNG chart": lambda: saved(chart(2500, 800), "PNG", compress_level=1),
}


@dataclass(frozen=True)
class Case:
    """A picture, and the widths or heights of its variants in pixels."""

    picture: str
    lengths: tuple[int, ...]
    side: str = "width"

    def __str__(self) -> str:
        return f"{self.picture} in {self.side} {self.lengths[-1]}"


@dataclass(frozen=True)
class Likeness:
    """How close a variant is to its reference."""

    ssim: float
    sharpness: float
    colour_difference: float


CASES = (
    # Decoded at full size, because half of it does not cover a variant of 1920 pixels.
    Case("photo", WIDTHS),
    Case("landscape", WIDTHS),
    Case("PNG chart", WIDTHS),
    # Decoded at half or a quarter of the size, which just covers the largest variant.
    Case("photo", WIDTHS[:4]),
    Case("photo", WIDTHS[:3]),
    Case("dog", WIDTHS, "height"),
    Case("chart", WIDTHS),
)
CHARTS = ("chart", "PNG chart")
"""Pictures of the finest details only: lines of one pixel, a zone plate, small letters."""


@cache
def whole(name: str) -> Image.Image:
    return in_srgb(opened(PICTURES[name]()))


@cache
def direct(name: str, size: tuple[int, int]) -> Image.Image:
    return resized(whole(name), size)


@cache
def decoded(case: Case) -> tuple[Image.Image, Box | None]:
    """Return the stored picture, decoded at the scale that just covers the largest variant, and its box."""
    width, height = whole(case.picture).size
    scale = min(1.0, case.lengths[-1] / (width if case.side == "width" else height))
    wanted = round(width * scale), round(height * scale)
    with Image.open(io.BytesIO(PICTURES[case.picture]())) as image:
        sideways = image.size != (width, height)
        scaled = image.draft(None, wanted[::-1] if sideways else wanted)
        image.load()
        return image, scaled[1] if scaled else None


def in_one_step(case: Case, size: tuple[int, int]) -> Image.Image:
    """Return a variant resized by one Lanczos filter from the decoded pixels."""
    image, box = decoded(case)
    sideways = (image.width > image.height) != (size[0] > size[1])
    small = image.resize(size[::-1] if sideways else size, Image.Resampling.LANCZOS, box=box)
    return in_srgb(ImageOps.exif_transpose(small))


@cache
def likenesses(case: Case, simd: bool) -> dict[int, tuple[Likeness, Likeness]]:
    """Return, by length, how close each variant is to one made in one step, and to one of the whole picture."""
    specs = {str(length): lossless(**{case.side: length}) for length in case.lengths}
    found = {}
    for name, made in variants(Source(variants=specs, original="delete"), PICTURES[case.picture]()).items():
        likes = in_one_step(case, made.size), direct(case.picture, made.size)
        near, far = (Likeness(ssim(made, like), sharpness(made, like), colour_difference(made, like)) for like in likes)
        found[int(name)] = near, far
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_variant_matches_one_resized_in_one_step(case: Case) -> None:
    for length, (likeness, _) in likenesses(case, has_simd()).items():
        # On pictures of soft colours the rounding of two implementations alone makes 0.001 of SSIM.
        assert likeness.ssim >= 0.998, length
        assert 0.98 <= likeness.sharpness <= 1.02, length
        assert likeness.colour_difference < (2 if case.picture in CHARTS else 1), length


@pytest.mark.parametrize("case", CASES, ids=str)
def test_variant_matches_one_resized_from_the_whole_picture(case: Case) -> None:
    for length, (_, likeness) in likenesses(case, has_simd()).items():
        # A JPEG decoded at the smallest sufficient scale has already lost some of the finest details.
        assert likeness.ssim >= (0.93 if case.picture in CHARTS else 0.985), length
        assert 0.58 <= likeness.sharpness <= 1.15, length
        assert likeness.colour_difference < (4 if case.picture in CHARTS else 1), length


@pytest.mark.parametrize(
    "case",
    [
        Case("landscape", WIDTHS),
        Case("photo", WIDTHS),
        Case("dog", WIDTHS[:3]),
        Case("photo", WIDTHS[:3]),
    ],
    ids=str,
)
def test_webp_variant_has_the_size_and_quality_of_plain_webp(case: Case) -> None:
    source = Source(variants={str(width): VariantSpec(width=width) for width in case.lengths}, original="delete")
    for file in render(PICTURES[case.picture](), source, MIDDLE, None).variants:
        like = direct(case.picture, (file.width, file.height))
        plain = saved(like, "WEBP", quality=80, method=4)
        assert 0.85 <= len(file.data) / len(plain) <= 1.10, file.name
        assert ssim(picture(file), like) >= 0.93, file.name


@pytest.mark.parametrize("name", ["photo", "dog", "landscape", "hopper", "paper", "cmyk"])
@pytest.mark.parametrize("width", [40, 300])
def test_blurhash_has_the_waves_of_the_picture(name: str, width: int) -> None:
    data = PICTURES[name]()
    # Browsers reduce pictures by averaging levels, not light.
    seen = on(whole(name), 255).resize((64, 64), Image.Resampling.BOX)
    rendered = render(data, Source(variants={"xs": VariantSpec(width=width)}, original="delete"), MIDDLE, None)
    average, waves = waves_told(rendered.blurhash)
    exact_average, exact_waves = waves_of(seen, 4, 3)
    assert np.abs(average - exact_average).max() <= 3
    assert np.abs(waves - exact_waves).max() <= 0.15
    assert np.corrcoef(waves.ravel(), exact_waves.ravel())[0, 1] >= 0.99


@pytest.mark.parametrize("name", ["photo", "landscape", "soft edges"])
def test_render_makes_the_same_bytes_on_any_number_of_threads(name: str) -> None:
    data = saved(glow(700), "PNG") if name == "soft edges" else PICTURES[name]()
    one, two, again = (render(data, Source(effort=1), MIDDLE, None, threads=threads) for threads in (1, 2, 2))
    assert one.original is not None
    for other in (two, again):
        assert (other.variants, other.original) == (one.variants, one.original)
        assert (other.blurhash, other.dominant_color) == (one.blurhash, one.dominant_color)
