"""Colour conversions of profiles, PNG chunks and code points, against reference arithmetic."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from mediagate.images.pixels.conversion import Conversion, display_p3_to_srgb, read_conversion
from tests.support.colorimetry import (
    ADOBE,
    BT2020,
    D65,
    P3,
    PAL,
    SMPTE_C,
    SRGB_CURVE,
    Floats,
    chart,
    cicp,
    converted,
    decoded,
    encoded,
    gama,
    gamma,
    iccp,
    lab_to_srgb,
    levels,
    lookup_table,
    matrix_profile,
    parametric,
    png,
    profile,
    table,
)

RAMP = np.linspace(0, 1, 1024)
GREY_PROFILE = profile([(b"kTRC", gamma(1.0))], space=b"GRAY")
LINEAR = matrix_profile(curve=gamma(1.0))


def negative(device: Floats) -> Floats:
    return np.stack([100 - 100 * device[..., 1], 0 * device[..., 0], 0 * device[..., 0]], -1)


def tinted(device: Floats) -> Floats:
    """Return colours that are linear in the device's, so that all interpolation methods agree."""
    red, green, blue = device[..., 0], device[..., 1], device[..., 2]
    return np.stack([20 + 60 * green, 10 * (red - green), 10 * (green - blue)], -1)


def raised(device: Floats) -> Floats:
    return np.stack([10 + 90 * device[..., 1], 0 * device[..., 0], 0 * device[..., 0]], -1)


def printed(inks: Floats) -> Floats:
    cyan, magenta, yellow, black = (inks[..., channel] for channel in range(4))
    return np.stack([90 - 20 * (cyan + magenta) - 30 * black, 8 * (magenta - cyan), 8 * (yellow - magenta)], -1)


def test_linear_profile_named_srgb_is_converted() -> None:
    icc = matrix_profile(curve=gamma(1.0), name="sRGB IEC61966-2.1")
    assert_levels(shown(icc), encoded(chart() / 255))


@pytest.mark.parametrize("entries", [256, 4096])
def test_permuted_tone_curve_is_applied(entries: int) -> None:
    values = np.random.default_rng(3).permutation(entries) / (entries - 1)
    light = np.interp(chart() / 255, np.linspace(0, 1, entries), values)
    assert_levels(shown(matrix_profile(curve=table(values))), encoded(light))


def test_falling_tone_curve_inverts_the_picture() -> None:
    assert_levels(shown(matrix_profile(curve=table(decoded(1 - RAMP)))), 255.0 - chart())


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("primaries", [P3, ADOBE, BT2020, PAL], ids=["P3", "Adobe RGB", "BT.2020", "PAL"])
def test_matrix_profile_converts_primaries(primaries: tuple[tuple[float, float], ...], version: int) -> None:
    icc = matrix_profile(primaries, parametric(*SRGB_CURVE), version=version)
    assert_levels(shown(icc), converted(decoded(chart() / 255), primaries))


@pytest.mark.parametrize("curve", [parametric(*SRGB_CURVE), table(decoded(RAMP))], ids=["parametric", "table"])
def test_profile_like_srgb_needs_no_conversion(curve: bytes) -> None:
    assert conversion_of(matrix_profile(curve=curve, name="odd")) is None


@pytest.mark.parametrize("curve", [gamma(2.2), gamma(1.8)], ids=["gamma 2.2", "gamma 1.8"])
def test_profile_near_srgb_is_converted(curve: bytes) -> None:
    assert conversion_of(matrix_profile(curve=curve)) is not None


def test_lookup_table_takes_precedence_over_matrix() -> None:
    icc = matrix_profile(extra=[(b"A2B0", lookup_table(tinted))])
    icc = icc[:20] + b"Lab " + icc[24:]
    assert_levels(shown(icc), lab_to_srgb(tinted(chart() / 255)), most=2)


def test_perceptual_table_takes_precedence_over_colorimetric() -> None:
    icc = profile([(b"A2B1", lookup_table(negative)), (b"A2B0", lookup_table(tinted))], connection=b"Lab ")
    assert_levels(shown(icc), lab_to_srgb(tinted(chart() / 255)), most=2)


def test_colorimetric_table_is_used_if_there_is_no_other() -> None:
    icc = profile([(b"A2B1", lookup_table(negative))], connection=b"Lab ")
    assert_levels(shown(icc), lab_to_srgb(negative(chart() / 255)), most=2)


@pytest.mark.parametrize("tag", [b"A2B2", b"D2B0", b"D2B1"])
def test_lookup_table_that_browsers_ignore_is_ignored(tag: bytes) -> None:
    icc = matrix_profile(curve=gamma(1.0), extra=[(tag, lookup_table(negative))], version=4)
    assert_levels(shown(icc), encoded(chart() / 255))


def test_lookup_table_gets_no_black_point_compensation() -> None:
    icc = profile([(b"A2B0", lookup_table(raised))], connection=b"Lab ")
    assert_levels(shown(icc)[0, 0], lab_to_srgb(np.array([10.0, 0, 0])))


def test_lookup_table_after_permuted_curve_is_exact() -> None:
    values = np.random.default_rng(5).permutation(256)
    curve = (values * 257).astype(">u2").tobytes()
    icc = profile([(b"A2B0", lookup_table(tinted, curve=curve))], connection=b"Lab ")
    assert_levels(shown(icc), lab_to_srgb(tinted(values[chart()] / 255)), most=2)


def test_cicp_tag_takes_precedence_over_lookup_table() -> None:
    tags = [(b"A2B0", lookup_table(negative)), (b"cicp", b"cicp\0\0\0\0\x0c\x0d\0\1")]
    assert_levels(shown(profile(tags, connection=b"Lab ", version=4)), converted(decoded(chart() / 255), P3))


def test_cmyk_profile_is_applied() -> None:
    inks = np.random.default_rng(7).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    icc = profile([(b"A2B0", lookup_table(printed, 4, 5))], space=b"CMYK", connection=b"Lab ")
    conversion = conversion_of(icc, "CMYK")
    assert conversion is not None
    result = conversion.to_srgb(Image.fromarray(inks, "CMYK"))
    assert_levels(levels(result), lab_to_srgb(printed(inks / 255)), most=2)


def test_cmyk_without_profile_needs_no_conversion() -> None:
    assert conversion_of(None, "CMYK") is None


def test_grey_profile_in_rgb_picture_is_ignored() -> None:
    assert_ignored(GREY_PROFILE, "RGB", "it is for GRAY, and the picture is in RGB")


@pytest.mark.parametrize("icc", [GREY_PROFILE, LINEAR], ids=["grey", "rgb"])
def test_grey_picture_accepts_grey_and_rgb_profiles(icc: bytes) -> None:
    conversion = conversion_of(icc, "L")
    assert conversion is not None and not conversion.wide
    result = conversion.to_srgb(Image.frombytes("L", (256, 1), bytes(range(256))))
    assert_levels(levels(result), encoded(np.arange(256)[None, :, None].repeat(3, 2) / 255))


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_picture_with_alpha_accepts_grey_profile(depth: int) -> None:
    data = bytearray(png(np.full((2, 2, 2), 55, np.uint8), iccp(GREY_PROFILE)))
    data[24] = depth  # only the depth is read; the pixels are not decoded here
    conversion = read_conversion(Image.new("LA" if depth == 8 else "RGBA", (2, 2)), bytes(data), "png", [])
    assert conversion is not None
    result = conversion.to_srgb(Image.new("RGBA", (2, 2), (55, 55, 55, 7)))
    assert (result.mode, result.getpixel((0, 0))) == ("RGBA", (128, 128, 128, 7))


@pytest.mark.parametrize(
    ("icc", "reason"),
    [
        (b"junk" * 100, "it is damaged"),
        (LINEAR[:-40], "it is truncated"),
        (LINEAR[:136] + b"\0\xff" + LINEAR[138:], "it is truncated"),
        (matrix_profile(version=5), "its version is 5; versions up to 4 are supported"),
        (LINEAR[:68] + bytes(12) + LINEAR[80:], "its illuminant is not D50"),
        (profile([(b"rTRC", gamma(1.0))]), "cannot build transform"),
        (LINEAR[:16] + b"Lab " + LINEAR[20:], "it is not for RGB, CMYK or grey"),
        (LINEAR + bytes(8 * 2**20), "up to 8,388,608 are accepted"),
    ],
    ids=["junk", "cut off", "offset", "version 5", "illuminant", "no matrix", "Lab", "long"],
)
def test_broken_profile_is_ignored(icc: bytes, reason: str) -> None:
    assert_ignored(icc, "RGB", reason)


def test_mutated_profiles_are_converted_or_ignored() -> None:
    generator = random.Random(11)
    seeds = [
        matrix_profile(P3, table(RAMP[::16])),
        profile([(b"A2B0", lookup_table(tinted, steps=3))], connection=b"Lab "),
    ]
    for _ in range(60):
        icc = bytearray(generator.choice(seeds))
        for _ in range(generator.choice((1, 2, 8))):
            icc[generator.randrange(len(icc))] = generator.randrange(256)
        warnings: list[str] = []
        conversion = conversion_of(bytes(icc), warnings=warnings)
        if conversion is None:
            assert all("ignored" in warning or "HDR" in warning for warning in warnings)
        else:
            assert conversion.to_srgb(Image.new("RGB", (9, 9))).mode == "RGB"


def test_conversion_keeps_alpha_and_drops_info() -> None:
    pixels = np.concatenate([chart(), np.arange(43 * 64, dtype=np.uint8).reshape(43, 64, 1)], -1)
    frame = Image.fromarray(pixels)
    frame.info["transparency"] = 3
    conversion = conversion_of(LINEAR)
    assert conversion is not None
    result = conversion.to_srgb(frame)
    assert (result.mode, result.info) == ("RGBA", {})
    assert np.array_equal(np.asarray(result)[..., 3], pixels[..., 3])
    assert_levels(levels(result)[..., :3], encoded(chart() / 255))


@pytest.mark.parametrize(
    ("icc", "wide"),
    [
        (matrix_profile(P3), True),
        (matrix_profile(ADOBE, gamma(2.2)), True),
        (matrix_profile(BT2020, gamma(2.4)), True),
        (matrix_profile(curve=gamma(1.8)), False),
        (matrix_profile(SMPTE_C, gamma(2.2)), False),
        (matrix_profile(PAL, gamma(2.2)), False),
        (profile([(b"A2B0", lookup_table(lambda device: tinted(device) * (1, 9, 9)))], connection=b"Lab "), True),
    ],
    ids=["P3", "Adobe RGB", "BT.2020", "sRGB 1.8", "SMPTE C", "PAL", "table"],
)
def test_profile_with_gamut_beyond_srgb_is_wide(icc: bytes, wide: bool) -> None:
    conversion = conversion_of(icc)
    assert conversion is not None and conversion.wide is wide


def test_conversion_to_display_p3_keeps_wide_colours() -> None:
    conversion = conversion_of(matrix_profile(ADOBE))
    assert conversion is not None
    result = conversion.to_display_p3(Image.fromarray(chart()))
    assert_levels(levels(result), converted(decoded(chart() / 255), ADOBE, P3))


def test_display_p3_to_srgb_converts_a_copy() -> None:
    frame = Image.fromarray(chart())
    assert_levels(levels(display_p3_to_srgb(frame)), converted(decoded(chart() / 255), P3))
    assert np.array_equal(np.asarray(frame), chart())


def test_png_gamma_is_applied() -> None:
    assert_levels(png_shown(gama(100_000)), encoded(chart() / 255))
    assert png_shown(gama(100_000))[0, 55, 0] == 128


def test_png_chromaticities_are_applied_with_gamma() -> None:
    values = [value for point in (D65, *P3) for value in point]
    chrm = (b"cHRM", np.array([round(value * 100_000) for value in values], ">u4").tobytes())
    assert_levels(png_shown(gama(50_000), chrm), converted((chart() / 255) ** 2, P3))
    assert png_conversion(chrm) is None


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [gama(45_455)],
        [gama(46_000)],
        [gama(0)],
        [(b"sRGB", b"\0"), gama(100_000)],
        [cicp(1, 13), iccp(LINEAR)],
        [gama(100_000), (b"cHRM", bytes(32))],
        [(b"gAMA", b"\0\1")],
    ],
    ids=["nothing", "sRGB gamma", "near sRGB gamma", "zero", "sRGB", "cICP", "no primaries", "short"],
)
def test_png_in_srgb_needs_no_conversion(chunks: list[tuple[bytes, bytes]]) -> None:
    assert png_conversion(*chunks) is None


def test_png_code_points_take_precedence_over_profile() -> None:
    assert_levels(png_shown(cicp(12, 8), iccp(matrix_profile())), converted(chart() / 255, P3))


def test_png_profile_takes_precedence_over_srgb_and_gamma() -> None:
    found = png_shown((b"sRGB", b"\0"), gama(45_455), iccp(LINEAR))
    assert_levels(found, encoded(chart() / 255))


def test_png_unspecified_code_points_are_skipped() -> None:
    assert_levels(png_shown(cicp(2, 2), iccp(LINEAR)), encoded(chart() / 255))


def test_png_gamma_is_applied_if_profile_is_damaged() -> None:
    warnings: list[str] = []
    data = png(chart(), (b"iCCP", b"name\0\0no zlib stream"), gama(100_000))
    conversion = read_conversion(Image.new("RGB", (1, 1)), data, "png", warnings)
    assert conversion is not None
    assert warnings == ["the colour profile was ignored: it is damaged"]


def test_png_colour_chunks_after_the_pixels_are_ignored() -> None:
    data = png(chart(), after=[gama(100_000), cicp(9, 8)])
    assert read_conversion(Image.new("RGB", (1, 1)), data, "png", []) is None


def test_png_profile_above_a_mebibyte_is_read() -> None:
    icc = LINEAR + bytes(1_500_000)
    assert_levels(png_shown(iccp(icc)), encoded(chart() / 255))


@pytest.mark.parametrize(
    ("transfer", "light"),
    [
        (1, lambda v: v**2.4),
        (4, lambda v: v**2.2),
        (5, lambda v: v**2.8),
        (7, lambda v: np.where(v <= 0.0912, v / 4, ((v + 0.1115) / 1.1115) ** (1 / 0.45))),
        (8, lambda v: v),
        (14, lambda v: v**2.4),
    ],
    ids=["BT.709", "gamma 2.2", "gamma 2.8", "SMPTE 240M", "linear", "BT.2020"],
)
def test_png_transfer_is_applied(transfer: int, light: object) -> None:
    assert callable(light)
    assert_levels(png_shown(cicp(9, transfer)), converted(light(chart() / 255), BT2020))


@pytest.mark.parametrize("points", [(12, 13), (12, 1), (12, 2)], ids=str)
@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
def test_nclx_primaries_are_converted(points: tuple[int, int], image_format: str) -> None:
    data = with_nclx(image_format, *points)
    conversion = read_conversion(Image.open(io.BytesIO(data)), data, "avif" if image_format == "AVIF" else "heic", [])
    assert conversion is not None and conversion.wide
    assert_levels(levels(conversion.to_srgb(Image.fromarray(chart()))), converted(decoded(chart() / 255), P3))


@pytest.mark.parametrize("points", [(1, 13), (1, 1), (2, 2), (1, 6), (99, 13), (9, 0)], ids=str)
def test_nclx_of_srgb_needs_no_conversion(points: tuple[int, int]) -> None:
    data = with_nclx("AVIF", *points)
    assert read_conversion(Image.open(io.BytesIO(data)), data, "avif", []) is None


def test_avif_profile_takes_precedence_over_nclx() -> None:
    data = with_nclx("AVIF", 9, 8, icc_profile=matrix_profile(curve=table(decoded(1 - RAMP))))
    conversion = read_conversion(Image.open(io.BytesIO(data)), data, "avif", [])
    assert conversion is not None
    assert_levels(levels(conversion.to_srgb(Image.fromarray(chart()))), 255.0 - chart())


def conversion_of(icc: bytes | None, mode: str = "RGB", warnings: list[str] | None = None) -> Conversion | None:
    image = Image.new(mode, (1, 1))
    image.info["icc_profile"] = icc
    return read_conversion(image, b"", "jpeg", [] if warnings is None else warnings)


def shown(icc: bytes) -> Floats:
    conversion = conversion_of(icc)
    assert conversion is not None
    return levels(conversion.to_srgb(Image.fromarray(chart())))


def png_conversion(*chunks: tuple[bytes, bytes]) -> Conversion | None:
    return read_conversion(Image.new("RGB", (1, 1)), png(chart(), *chunks), "png", [])


def png_shown(*chunks: tuple[bytes, bytes]) -> Floats:
    conversion = png_conversion(*chunks)
    assert conversion is not None
    return levels(conversion.to_srgb(Image.fromarray(chart())))


def with_nclx(image_format: str, primaries: int, transfer: int, **options: object) -> bytes:
    file = io.BytesIO()
    if image_format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    Image.new("RGB", (64, 64)).save(file, image_format, speed=10, **options)
    data = bytearray(file.getvalue())
    at = data.find(b"colrnclx")
    if at < 0:
        raise AssertionError("the encoder wrote no nclx")
    data[at + 8 : at + 12] = bytes([0, primaries, 0, transfer])
    return bytes(data)


def assert_levels(found: Floats, expected: Floats, most: float = 1) -> None:
    """Check that no level is off by more than ``most``, plus half a level of rounding."""
    assert float(np.abs(found - expected).max()) <= most + 0.5


def assert_ignored(icc: bytes, mode: str, reason: str) -> None:
    warnings: list[str] = []
    assert conversion_of(icc, mode, warnings) is None
    assert len(warnings) == 1 and warnings[0].startswith("the colour profile was ignored: ")
    assert reason in warnings[0]
