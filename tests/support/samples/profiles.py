"""Pictures whose values mean little without their ICC profile."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.support.samples.icc_writer import (
    P3_PRIMARIES,
    SRGB_PRIMARIES,
    Floats,
    curve_tag,
    grey_profile,
    matrix_profile,
    profile,
    srgb_curve,
    table_tag,
)
from tests.support.samples.jpeg import plain
from tests.support.samples.jpeg_writer import APP2, segment
from tests.support.samples.sample import Pixels, Sample, cat, encoded, face, grey

RAMP = np.arange(256) / 255
FALLING = srgb_curve(1 - RAMP)
LOSSLESS: Mapping[str, Mapping[str, Any]] = {
    "png": {},
    "webp": {"lossless": True},
    "avif": {"quality": 100, "subsampling": "4:4:4"},
}


def samples() -> Iterator[Sample]:
    """Yield a sample a kind, the falling curve in each format."""
    seen = Image.fromarray(face())
    negative, falling = 255 - face(), matrix_profile([FALLING] * 3)
    for image_format, data in (
        ("jpeg", encoded(negative, "JPEG", quality=95, icc_profile=falling)),
        *((name, encoded(negative, name, icc_profile=falling, **options)) for name, options in LOSSLESS.items()),
    ):
        yield Sample(f"icc_falling_{image_format}", image_format, data, seen, hidden=True)
    yield from permutations()
    yield from tables()
    yield from others()
    yield from chunks()


def permutations() -> Iterator[Sample]:
    """Values that stand for others in any order: for each channel its own, and such that the file is noise."""
    order = np.random.default_rng(1).permutation(256)
    curve = np.empty(256)
    curve[order] = srgb_curve(RAMP)
    scrambled = order[face()].astype(np.uint8)
    permuted = matrix_profile([curve] * 3)
    for name, options in LOSSLESS.items():
        if name != "avif":
            data = encoded(scrambled, name, icc_profile=permuted, **options)
            yield Sample(f"icc_permuted_{name}", name, data, Image.fromarray(face()), hidden=True)
    # Each of 16 levels has 16 values, of which every pixel takes one by chance.
    noise = np.random.default_rng(2).integers(0, 16, face().shape)
    level = face() // 16
    spread = order[(level * 16 + noise)].astype(np.uint8)
    stairs = np.empty(256)
    stairs[order] = srgb_curve(RAMP)[np.arange(256) // 16 * 17]
    data = encoded(spread, "PNG", icc_profile=matrix_profile([stairs] * 3))
    yield Sample("icc_noise_png", "png", data, Image.fromarray((level * 17).astype(np.uint8)), hidden=True)
    grey_order = order[grey(face())].astype(np.uint8)
    data = encoded(Image.fromarray(grey_order), "PNG", icc_profile=grey_profile(curve, "sGray"))
    yield Sample("icc_permuted_grey_png", "png", data, _grey(face()), hidden=True)


def tables() -> Iterator[Sample]:
    """Profiles that mean one picture for the perceptual intent, and another for the colorimetric one."""

    def same(values: Floats) -> Floats:
        return values

    def negated(values: Floats) -> Floats:
        return 1 - values

    negative = 255 - face()
    for name, first, second, pixels, seen in (
        ("a2b0_negates", negated, same, negative, face()),
        ("a2b1_negates", same, negated, negative, negative),
        ("a2b1_negates_face", same, negated, face(), face()),
    ):
        tags = {b"A2B0": table_tag(first), b"A2B1": table_tag(second), b"A2B2": table_tag(second)}
        icc = profile(b"RGB ", b"Lab ", tags, "sRGB with tables")
        data = encoded(pixels, "PNG", icc_profile=icc)
        yield Sample(f"icc_{name}", "png", data, Image.fromarray(seen), hidden=True)
    only = profile(b"RGB ", b"Lab ", {b"A2B1": table_tag(negated)}, "sRGB with one table")
    yield Sample("icc_a2b1_only", "png", encoded(negative, "PNG", icc_profile=only), hidden=True)
    both = matrix_profile([srgb_curve(RAMP)] * 3, extra={b"A2B0": table_tag(negated)})
    yield Sample("icc_matrix_and_a2b0", "png", encoded(negative, "PNG", icc_profile=both), hidden=True)
    jpeg = encoded(
        negative, "JPEG", quality=95, icc_profile=profile(b"RGB ", b"Lab ", {b"A2B0": table_tag(negated)}, "sRGB")
    )
    yield Sample("icc_a2b0_jpeg", "jpeg", jpeg, Image.fromarray(face()), hidden=True)


def others() -> Iterator[Sample]:
    """Honest profiles, and ones that do not fit."""
    wide = matrix_profile([srgb_curve(RAMP)] * 3, P3_PRIMARIES, "Display P3")
    for name in ("png", "webp"):
        yield Sample(f"icc_p3_{name}", name, encoded(face(), name, icc_profile=wide, **LOSSLESS[name]), hidden=True)
    swapped = matrix_profile([srgb_curve(RAMP)] * 3, SRGB_PRIMARIES[::-1])
    turned = np.ascontiguousarray(face()[..., ::-1])
    data = encoded(turned, "PNG", icc_profile=swapped)
    yield Sample("icc_channels_swapped", "png", data, Image.fromarray(face()), hidden=True)
    linear = np.rint(srgb_curve(face() / 255) * 255).astype(np.uint8)
    data = encoded(linear, "PNG", icc_profile=matrix_profile([RAMP] * 3))
    yield Sample("icc_linear_named_srgb", "png", data, hidden=True)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield Sample("icc_srgb_v4", "jpeg", encoded(face(), "JPEG", quality=95, icc_profile=icc), _rgb(face()), hidden=True)
    grey_icc = grey_profile(FALLING)
    yield Sample(
        "icc_grey_on_colour",
        "jpeg",
        encoded(face(), "JPEG", quality=95, icc_profile=grey_icc),
        _rgb(face()),
        hidden=True,
    )
    luma = Image.fromarray(255 - grey(face()))
    yield Sample(
        "icc_falling_grey_jpeg",
        "jpeg",
        encoded(luma, "JPEG", quality=95, icc_profile=grey_icc),
        _grey(face()),
        hidden=True,
    )
    alpha = Image.merge("LA", (luma, Image.new("L", luma.size, 200)))
    yield Sample("icc_falling_grey_alpha", "png", encoded(alpha, "PNG", icc_profile=grey_icc), hidden=True)
    rgb_icc = matrix_profile([FALLING] * 3)
    yield Sample("icc_rgb_on_grey", "png", encoded(luma, "PNG", icc_profile=rgb_icc), hidden=True)
    indexed = Image.fromarray(255 - face()).quantize(200)
    yield Sample("icc_falling_palette", "png", encoded(indexed, "PNG", icc_profile=rgb_icc), hidden=True)
    inks = Image.fromarray(face()).convert("CMYK")
    yield Sample("icc_rgb_on_cmyk", "jpeg", encoded(inks, "JPEG", quality=95, icc_profile=rgb_icc), hidden=True)
    broken = rgb_icc[:200] + bytes(100)
    yield Sample("icc_broken", "png", encoded(face(), "PNG", icc_profile=broken), _rgb(face()), hidden=True)
    output = profile(b"RGB ", b"XYZ ", {b"rTRC": curve_tag(FALLING)}, "output", kind=b"prtr")
    yield Sample("icc_without_primaries", "png", encoded(face(), "PNG", icc_profile=output), hidden=True)
    steep = matrix_profile([np.where(RAMP < 0.25, srgb_curve(np.minimum(RAMP * 4, 1)), 1)] * 3)
    dark = (face() // 4).astype(np.uint8)
    yield Sample("icc_dark", "png", encoded(dark, "PNG", icc_profile=steep), hidden=True)


def chunks() -> Iterator[Sample]:
    """A profile in several segments of a JPEG: out of order, twice, and with one missing."""
    icc = matrix_profile([FALLING] * 3)
    half = len(icc) // 2
    parts = [icc[:half], icc[half:]]
    negative: Pixels = 255 - face()

    def part(number: int, count: int, content: bytes) -> bytes:
        return segment(APP2, b"ICC_PROFILE\0" + struct.pack("2B", number, count) + content)

    backwards = part(2, 2, parts[1]) + part(1, 2, parts[0])
    yield Sample("icc_segments_backwards", "jpeg", plain(negative, between=backwards), hidden=True)
    missing = part(1, 2, parts[0])
    yield Sample("icc_segment_missing", "jpeg", plain(face(), between=missing), hidden=True)
    honest = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, first, second in (("then_falling", honest, icc), ("after_falling", icc, honest)):
        twice = part(1, 1, first) + part(1, 1, second)
        yield Sample(f"icc_twice_honest_{name}", "jpeg", plain(negative, between=twice), hidden=True)
    zero = part(0, 0, icc)
    yield Sample("icc_segment_0_of_0", "jpeg", plain(negative, between=zero), hidden=True)
    with_cat = encoded(255 - cat(), "WEBP", quality=95, icc_profile=icc)
    yield Sample("icc_falling_lossy_webp", "webp", with_cat, _rgb(cat()))


def _rgb(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels)


def _grey(pixels: Pixels | NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels).convert("L").convert("RGB")
