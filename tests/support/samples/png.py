"""PNG: colour chunks, depths, transparency, passes, and animation."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.support.samples.icc_writer import SRGB_NAME, matrix_profile
from tests.support.samples.png_writer import (
    COLOUR,
    COLOUR_ALPHA,
    GREY,
    GREY_ALPHA,
    PALETTE,
    PASSES,
    SIGNATURE,
    chunk,
    frame_control,
    header,
    packed,
    palette,
    png,
)
from tests.support.samples.profiles import FALLING
from tests.support.samples.sample import EDGE, Pixels, Sample, cat, face, grey

P3_CHROMATICITIES = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
RAMP = np.arange(256).astype(np.uint8)


def samples() -> Iterator[Sample]:
    """Yield a sample a kind."""
    yield Sample("png_plain", "png", png(face()), _rgb(face()), hidden=True)
    yield from colour_chunks()
    yield from depths()
    yield from transparency()
    yield from passes()
    yield from palettes()
    yield from structure()
    yield from animations()


def gamma(value: float) -> bytes:
    """Return gAMA."""
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def code_points(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    """Return cICP (ITU-T H.273)."""
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full)))


def colour_chunks() -> Iterator[Sample]:
    """Chunks that say what the values mean, alone and against each other."""
    # Stored so dark that only the exponent of gAMA brings it out: shown = stored ** (1 / (gAMA * 2.2)).
    dark = np.rint((face() / 255) ** 4.4 * 65535).astype(np.uint16)
    yield Sample("png_gama_dark", "png", png(dark, depth=16, before=gamma(2.0)), _rgb(face()), hidden=True)
    light = np.rint((face() / 255) ** 0.22 * 65535).astype(np.uint16)
    yield Sample("png_gama_light", "png", png(light, depth=16, before=gamma(0.1)), _rgb(face()), hidden=True)
    linear = gamma(1.0)
    primaries = chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in P3_CHROMATICITIES)))
    rotated = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 15000, 6000, 64000, 33000, 30000, 60000))
    srgb = chunk(b"sRGB", b"\0")
    icc = chunk(b"iCCP", b"name\0\0" + zlib.compress(matrix_profile([FALLING] * 3, name=SRGB_NAME)))
    for name, chunks in (
        ("gama_1.0", linear),
        ("gama_0", gamma(0)),
        ("gama_45455", gamma(0.45455)),
        ("gama_huge", chunk(b"gAMA", b"\xff" * 4)),
        ("gama_twice", gamma(0.45455) + linear),
        ("chrm", primaries),
        ("chrm_gama", primaries + gamma(0.45455)),
        ("chrm_gama_rotated", rotated + gamma(0.45455)),
        ("srgb_and_gama", srgb + linear),
        ("gama_and_srgb", linear + srgb),
        ("iccp_and_srgb", icc + srgb),
        ("srgb_and_iccp", srgb + icc),
        ("iccp_and_gama", icc + linear),
        ("cicp_srgb", code_points(1, 13)),
        ("cicp_p3", code_points(12, 13)),
        ("cicp_bt2020", code_points(9, 14)),
        ("cicp_pq", code_points(9, 16)),
        ("cicp_hlg", code_points(9, 18)),
        ("cicp_linear", code_points(1, 8)),
        ("cicp_narrow_range", code_points(1, 13, 0, 0)),
        ("cicp_with_matrix", code_points(1, 13, 6, 1)),
        ("cicp_reserved", code_points(250, 250)),
        ("cicp_and_iccp", code_points(1, 13) + icc),
        ("iccp_and_cicp", icc + code_points(12, 13)),
        ("cicp_and_gama", code_points(1, 13) + linear),
        ("hdr_metadata", chunk(b"mDCV", bytes(24)) + chunk(b"cLLI", struct.pack(">2I", 10_000_000, 100_000))),
    ):
        yield Sample(f"png_{name}", "png", png(face(), before=chunks), hidden=True)
    yield Sample("png_gama_after_idat", "png", png(face(), after=linear), hidden=True)
    yield Sample("png_iccp_after_idat", "png", png(face(), after=icc), hidden=True)
    late = palette(np.repeat(RAMP[:, np.newaxis], 3, axis=1)) + linear
    yield Sample("png_gama_after_plte", "png", png(grey(face()), PALETTE, before=late), hidden=True)


def depths() -> Iterator[Sample]:
    """Every depth of every colour type."""
    wide = face().astype(np.uint16) * 257
    luma, alpha = grey(face()), np.full((EDGE, EDGE, 1), 65535, np.uint16)
    luma16 = luma.astype(np.uint16)[..., np.newaxis] * 257
    for depth in (1, 2, 4):
        values = luma >> (8 - depth)
        seen = (values.astype(np.float64) * 255 / (2**depth - 1)).astype(np.uint8)
        yield Sample(f"png_grey_{depth}", "png", png(values, GREY, depth), _rgb(seen), hidden=True)
    yield Sample("png_grey_16", "png", png(luma16, GREY, 16), _rgb(luma), hidden=True)
    yield Sample("png_colour_16", "png", png(wide, COLOUR, 16), _rgb(face()), hidden=True)
    both = np.concatenate([luma16, alpha], axis=2), np.concatenate([wide, alpha // 2], axis=2)
    yield Sample("png_grey_alpha_16", "png", png(both[0], GREY_ALPHA, 16), _rgb(luma), hidden=True)
    yield Sample("png_colour_alpha_16", "png", png(both[1], COLOUR_ALPHA, 16), hidden=True)
    low = (wide & 0xFF00) // 256 * 0 + face()  # a picture in the low byte alone: black to all eyes
    yield Sample("png_low_bytes_16", "png", png(low, COLOUR, 16), hidden=True)
    under = np.concatenate([wide, np.full_like(alpha, 200)], axis=2)  # alpha below 1/255
    yield Sample("png_alpha_200_of_65535", "png", png(under, COLOUR_ALPHA, 16), hidden=True)


def transparency() -> Iterator[Sample]:
    """tRNS of every colour type, and alpha over a picture that must not be seen."""
    luma, wide = grey(face()), face().astype(np.uint16) * 257
    key = chunk(b"tRNS", struct.pack(">H", 20))
    yield Sample("png_trns_grey", "png", png(luma, GREY, before=key), hidden=True)
    yield Sample("png_trns_grey_high_byte", "png", png(luma, GREY, before=chunk(b"tRNS", b"\x01\x14")), hidden=True)
    four = luma >> 4
    yield Sample("png_trns_grey_4", "png", png(four, GREY, 4, before=chunk(b"tRNS", b"\0\x0f")), hidden=True)
    two = luma >> 6
    yield Sample("png_trns_grey_2", "png", png(two, GREY, 2, before=chunk(b"tRNS", b"\0\x03")), hidden=True)
    grey16 = luma.astype(np.uint16) * 257
    yield Sample("png_trns_grey_16", "png", png(grey16, GREY, 16, before=chunk(b"tRNS", b"\x14\x14")), hidden=True)
    colour = struct.pack(">3H", *map(int, face()[5, 5]))
    yield Sample("png_trns_colour", "png", png(face(), before=chunk(b"tRNS", colour)), hidden=True)
    colour16 = struct.pack(">3H", *(int(value) * 257 for value in face()[5, 5]))
    yield Sample("png_trns_colour_16", "png", png(wide, COLOUR, 16, before=chunk(b"tRNS", colour16)), hidden=True)
    # Only the high bytes are the key's: seen at 16 bits no pixel is transparent.
    nearly = struct.pack(">3H", *(int(value) * 257 ^ 1 for value in face()[5, 5]))
    yield Sample("png_trns_colour_16_nearly", "png", png(wide, COLOUR, 16, before=chunk(b"tRNS", nearly)), hidden=True)
    ramp = palette(np.repeat(RAMP[:, np.newaxis], 3, axis=1))
    for name, alphas in (
        ("short", bytes(range(100))),
        ("long", bytes(range(256)) + b"\0"),
        ("ones", b"\x01" * 256),
        ("dark_hidden", b"\0" * 128),
    ):
        indexed = png(luma, PALETTE, before=ramp + chunk(b"tRNS", alphas))
        yield Sample(f"png_trns_palette_{name}", "png", indexed, hidden=True)
    for level in (0, 1, 8, 9, 40):
        veiled = np.dstack([face(), np.full((EDGE, EDGE), level, np.uint8)])
        yield Sample(f"png_alpha_{level}", "png", png(veiled, COLOUR_ALPHA), Image.fromarray(veiled), hidden=True)
    # On white the cat, on black the face: C = face, alpha = 255 - (cat - face), where the cat is made the lighter one.
    on_white, on_black = 128 + grey(cat()) // 2, luma // 2
    alpha = 255 - (on_white.astype(np.int16) - on_black)
    colours = np.clip(np.rint(on_black * 255.0 / np.maximum(alpha, 1)), 0, 255)
    two_faced = np.dstack([colours, alpha]).astype(np.uint8)
    yield Sample("png_white_cat_black_face", "png", png(two_faced, GREY_ALPHA), hidden=True)
    # On white and on black nothing to speak of, on grey a face: no such picture exists, since grey lies between them.
    fading = np.dstack([face(), np.linspace(0, 255, EDGE * EDGE).reshape(EDGE, EDGE).astype(np.uint8)])
    yield Sample("png_alpha_gradient", "png", png(fading, COLOUR_ALPHA), Image.fromarray(fading), hidden=True)
    noise = np.random.default_rng(3).integers(0, 2, (EDGE, EDGE)).astype(np.uint8) * 255
    dotted = np.dstack([face(), noise])
    yield Sample("png_alpha_dots", "png", png(dotted, COLOUR_ALPHA), Image.fromarray(dotted), hidden=True)
    on_alpha = png(np.dstack([face(), noise]), COLOUR_ALPHA, before=chunk(b"tRNS", colour))
    yield Sample("png_trns_on_alpha", "png", on_alpha, hidden=True)
    backdrop = chunk(b"bKGD", struct.pack(">3H", 255, 0, 0))
    yield Sample(
        "png_background", "png", png(dotted, COLOUR_ALPHA, before=backdrop), Image.fromarray(dotted), hidden=True
    )


def passes() -> Iterator[Sample]:
    """Adam7 whose first passes are another picture."""
    yield Sample("png_adam7", "png", png(face(), interlaced=True), _rgb(face()), hidden=True)
    for name, first, rest in (("face_first", face, cat), ("cat_first", cat, face)):
        values = rest().copy()
        for left, top, across, down in PASSES[:3]:
            part = values[top::down, left::across]
            small = Image.fromarray(first()).resize((part.shape[1], part.shape[0]), Image.Resampling.BOX)
            values[top::down, left::across] = np.asarray(small)
        yield Sample(f"png_adam7_{name}", "png", png(values, interlaced=True), _rgb(values), hidden=True)
    one = png(face()[:1, :1], interlaced=True)
    yield Sample("png_adam7_one_pixel", "png", one, _rgb(face()[:1, :1]))


def palettes() -> Iterator[Sample]:
    """Indices beyond the palette, and palettes that hide."""
    luma = grey(face())
    sixteen = palette(np.repeat((RAMP[:16] * 4)[:, np.newaxis], 3, axis=1))
    beyond = 16 + luma // 16
    yield Sample("png_indices_beyond", "png", png(beyond, PALETTE, before=sixteen), hidden=True)
    partly = luma // 8
    yield Sample("png_indices_partly_beyond", "png", png(partly, PALETTE, before=sixteen), hidden=True)
    four_bits = palette(np.repeat((RAMP[:5] * 60)[:, np.newaxis], 3, axis=1))
    yield Sample("png_indices_beyond_4", "png", png(luma >> 4, PALETTE, 4, before=four_bits), hidden=True)
    black = palette(np.zeros((256, 3), np.uint8))
    yield Sample("png_palette_black", "png", png(luma, PALETTE, before=black), hidden=True)
    ramp = palette(np.repeat(RAMP[:, np.newaxis], 3, axis=1))
    yield Sample("png_palette", "png", png(luma, PALETTE, before=ramp), _rgb(luma), hidden=True)
    yield Sample("png_palette_twice", "png", png(luma, PALETTE, before=ramp + black), hidden=True, valid=False)
    yield Sample("png_palette_missing", "png", png(luma, PALETTE), hidden=True, valid=False)
    yield Sample("png_palette_after_idat", "png", png(luma, PALETTE, after=ramp), hidden=True, valid=False)
    yield Sample("png_palette_on_colour", "png", png(face(), before=ramp), _rgb(face()), hidden=True)


def structure() -> Iterator[Sample]:
    """Chunks around, within and behind the data."""
    values = face().astype(np.uint16)
    data = packed(values)
    half = len(data) // 2
    split = chunk(b"IDAT", data[:half]) + chunk(b"IDAT") + chunk(b"IDAT", data[half:])
    start, end = SIGNATURE + header(EDGE, EDGE, COLOUR), chunk(b"IEND")
    yield Sample("png_idat_in_parts", "png", start + split + end, _rgb(face()), hidden=True)
    torn = chunk(b"IDAT", data[:half]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", data[half:])
    yield Sample("png_idat_torn", "png", start + torn + end, hidden=True, valid=False)
    more = chunk(b"IDAT", packed(np.concatenate([values, cat()])))
    yield Sample("png_more_rows", "png", start + more + end, hidden=True, valid=False)
    fewer = chunk(b"IDAT", packed(values[: EDGE // 2]))
    yield Sample("png_fewer_rows", "png", start + fewer + end, hidden=True, valid=False)
    second = chunk(b"IDAT", data) + chunk(b"IDAT", packed(cat().astype(np.uint16)))
    yield Sample("png_second_stream", "png", start + second + end, hidden=True, valid=False)
    yield Sample("png_behind_png", "png", png(cat(), behind=png(face())), _rgb(cat()), hidden=True)
    short = chunk(b"pHYs", bytes(8))
    yield Sample("png_phys_short", "png", png(face(), before=short), _rgb(face()), hidden=True)
    text = bytearray(chunk(b"tEXt", b"Comment\0hello"))
    text[-1] ^= 1
    yield Sample("png_text_checksum", "png", png(face(), before=bytes(text)), _rgb(face()), hidden=True)
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20)))
    yield Sample("png_text_of_3_mib", "png", png(face(), before=bomb), _rgb(face()), hidden=True)
    yield Sample("png_sbit", "png", png(face(), before=chunk(b"sBIT", b"\1\1\1")), _rgb(face()), hidden=True)
    exif = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    yield Sample("png_exif_turned", "png", png(face(), before=chunk(b"eXIf", exif)), hidden=True)
    yield Sample("png_exif_turned_after_idat", "png", png(face(), after=chunk(b"eXIf", exif)), hidden=True)


def animations() -> Iterator[Sample]:
    """APNG: default images, and frames that dispose and blend in each way."""
    small: Pixels = face(80)
    opaque = np.dstack([cat(), np.full((EDGE, EDGE), 255, np.uint8)])
    part = np.dstack([small, np.full((80, 80), 255, np.uint8)])
    veil = np.dstack([small, np.full((80, 80), 100, np.uint8)])
    for dispose in (0, 1, 2):
        for blend in (0, 1):
            data = _animated(opaque, [(veil, 40, 40, dispose, blend), (part[:20, :20], 0, 0, dispose, 1 - blend)])
            yield Sample(f"png_dispose_{dispose}_blend_{blend}", "png", data, hidden=True)
    face_first = _animated(np.dstack([face(), opaque[..., 3]]), [(opaque, 0, 0, 0, 0)], default=True)
    yield Sample("png_default_face", "png", face_first, hidden=True)
    cat_first = _animated(opaque, [(np.dstack([face(), opaque[..., 3]]), 0, 0, 0, 0)], default=True)
    yield Sample("png_default_cat", "png", cat_first, hidden=True)
    both = [(np.dstack([face(), opaque[..., 3]]), 0, 0, 0, 0), (opaque, 0, 0, 0, 0)]
    yield Sample("png_default_cat_of_three", "png", _animated(opaque, both, default=True), hidden=True)
    yield Sample("png_face_of_no_time", "png", _animated(opaque, both, ms=0), hidden=True)
    yield Sample("png_says_9_frames", "png", _animated(opaque, both, says=9), hidden=True, valid=False)
    yield Sample("png_says_1_frame", "png", _animated(opaque, both, says=1), hidden=True, valid=False)
    beyond = _animated(opaque, [(part, 100, 100, 0, 0)])
    yield Sample("png_frame_beyond", "png", beyond, hidden=True, valid=False)
    misnumbered = _animated(opaque, both, first=5)
    yield Sample("png_frames_misnumbered", "png", misnumbered, hidden=True, valid=False)
    first_previous = _animated(opaque, [(veil, 10, 10, 2, 1), (part, 48, 48, 0, 1)], first_dispose=2)
    yield Sample("png_first_dispose_previous", "png", first_previous, hidden=True)


Part = tuple[Pixels, int, int, int, int]
"""Pixels with alpha, left, top, dispose, blend."""


def _animated(
    still: Pixels,
    parts: list[Part],
    *,
    default: bool = False,
    ms: int = 100,
    says: int = 0,
    first: int = 0,
    first_dispose: int = 0,
) -> bytes:
    """Return an APNG of its still, unless that is a mere ``default``, and further frames."""
    height, width, _ = still.shape
    number, body = first, b""
    if not default:
        body += frame_control(number, width, height, ms=ms, dispose=first_dispose)
        number += 1
    body += chunk(b"IDAT", packed(still.astype(np.uint16)))
    for pixels, left, top, dispose, blend in parts:
        high, wide, _ = pixels.shape
        body += frame_control(number, wide, high, left, top, ms=ms, dispose=dispose, blend=blend)
        body += chunk(b"fdAT", struct.pack(">I", number + 1) + packed(pixels.astype(np.uint16)))
        number += 2
    count = says or len(parts) + (not default)
    control = chunk(b"acTL", struct.pack(">2I", count, 0))
    return SIGNATURE + header(width, height, COLOUR_ALPHA) + control + body + chunk(b"IEND")


def _rgb(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels).convert("RGB")
