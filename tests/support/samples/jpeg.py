"""JPEG: what the coded picture itself leaves open to its reader."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.samples.jpeg_writer import (
    ADOBE,
    APP0,
    APP14,
    COM,
    DNL,
    DRI,
    EOI,
    JFIF,
    SOF0,
    SOF2,
    SOI,
    Component,
    Plane,
    flat,
    frame,
    huffman,
    quantization,
    quantized,
    reduced,
    scan,
    segment,
    ycbcr,
)
from tests.support.samples.sample import EDGE, Pixels, Sample, cat, encoded, face, grey

STEP = 4
"""The step of quantization, so fine that it cannot be seen."""
LARGE = 1280
"""Pixels of a picture that is decoded at half its size where its variants are small."""


def samples() -> Iterator[Sample]:
    """Yield a sample a kind."""
    yield Sample("jpeg_plain", "jpeg", plain(), _rgb(face()), hidden=True)
    yield overshoot()
    yield from quantization_tables()
    yield from sampling()
    yield from colours()
    yield from progressive()
    yield from structure()
    yield from orientation()


def plain(pixels: Pixels | None = None, head: bytes = segment(APP0, JFIF), between: bytes = b"") -> bytes:
    """Return a baseline picture in YCbCr; ``between`` stands before its frame header."""
    parts = components(ycbcr(face() if pixels is None else pixels))
    return file(parts, head=head + between)


def components(planes: Sequence[Plane], names: Sequence[int] = (1, 2, 3, 4), step: int = STEP) -> list[Component]:
    """Return planes of one size as components with one table."""
    return [Component(name, quantized(plane, flat(step))) for name, plane in zip(names, planes, strict=False)]


def file(
    parts: Sequence[Component],
    *,
    head: bytes = b"",
    size: tuple[int, int] = (EDGE, EDGE),
    scans: bytes | None = None,
    marker: int = SOF0,
    step: int = STEP,
) -> bytes:
    """Return a whole file; without ``scans`` one of all components."""
    start = SOI + head + quantization(flat(step)) + frame(marker, *size, parts) + huffman()
    return start + (scan(parts) if scans is None else scans) + EOI


def overshoot() -> Sample:
    """Of four pixels the fourth lies so far beyond 0-255 that their mean is the cat's; cut off, the four are a face."""
    target = 64 + grey(face(LARGE // 2)).astype(np.float64) / 2
    mean = grey(cat(LARGE // 2)).astype(np.float64)
    three = np.where(mean >= target, (4 * target - 255) / 3, 4 * target / 3)
    plane = np.repeat(np.repeat(three, 2, axis=0), 2, axis=1)
    plane[1::2, 1::2] = 4 * mean - 3 * three
    data = file(components([plane], step=12), size=(LARGE, LARGE), step=12, head=segment(APP0, JFIF))
    shown = Image.fromarray(np.rint(target).astype(np.uint8)).convert("RGB").resize((LARGE, LARGE), 0)
    return Sample("jpeg_overshoot", "jpeg", data, shown, hidden=True)


def quantization_tables() -> Iterator[Sample]:
    """Tables that change between scans, and components that each name another one."""
    luma = components([grey(face()).astype(np.float64)])
    halves = scan(luma, 0, 0) + quantization(flat(1)) + scan(luma, 1, 63)
    yield Sample("jpeg_dqt_redefined", "jpeg", file(luma, scans=halves, marker=SOF2), hidden=True)
    late = scan(luma, 0, 0) + scan(luma, 1, 63) + quantization(flat(1))
    yield Sample("jpeg_dqt_after_scans", "jpeg", file(luma, scans=late, marker=SOF2), _grey(face()), hidden=True)
    planes, steps = ycbcr(face()), (4, 6, 2)
    parts = [Component(at + 1, quantized(plane, flat(steps[at])), table=3 - at) for at, plane in enumerate(planes)]
    tables = b"".join(quantization(flat(step), 3 - at) for at, step in enumerate(steps))
    data = SOI + tables + quantization(flat(99)) + frame(SOF0, EDGE, EDGE, parts) + huffman() + scan(parts) + EOI
    yield Sample("jpeg_tables_3_2_1", "jpeg", data, _rgb(face()), hidden=True)


def sampling() -> Iterator[Sample]:
    """Factors that cameras do not use."""
    planes = ycbcr(face())
    for factors in (
        ((1, 1), (2, 2), (1, 1)),
        ((4, 1), (1, 1), (1, 1)),
        ((2, 2), (1, 2), (2, 1)),
        ((1, 4), (1, 1), (1, 2)),
    ):
        widest, highest = (max(factor[axis] for factor in factors) for axis in (0, 1))
        parts = [
            Component(
                at + 1,
                quantized(reduced(plane, widest // across, highest // down), flat(STEP), across, down),
                across,
                down,
            )
            for at, (plane, (across, down)) in enumerate(zip(planes, factors, strict=True))
        ]
        name = "_".join(f"{across}{down}" for across, down in factors)
        yield Sample(f"jpeg_sampling_{name}", "jpeg", file(parts), _rgb(face()), hidden=True)
    luma = [Component(1, quantized(planes[0], flat(STEP), 2, 2), 2, 2)]
    yield Sample("jpeg_grey_sampling_22", "jpeg", file(luma), _grey(face()), hidden=True)


def colours() -> Iterator[Sample]:
    """Markers and names that say, or contradict, which colours the components are."""
    pixels = face()
    rgb = [pixels[..., at].astype(np.float64) for at in range(3)]
    ycc = ycbcr(pixels)
    jfif = segment(APP0, JFIF)
    adobe = [segment(APP14, ADOBE + bytes([transform])) for transform in (0, 1, 2)]
    yield Sample("jpeg_ids_rgb", "jpeg", file(components(rgb, b"RGB")), _rgb(pixels), hidden=True)
    yield Sample("jpeg_ids_rgb_jfif", "jpeg", file(components(rgb, b"RGB"), head=jfif), hidden=True)
    yield Sample("jpeg_ids_rgb_adobe_ycc", "jpeg", file(components(rgb, b"RGB"), head=adobe[1]), hidden=True)
    yield Sample("jpeg_ids_0_1_2", "jpeg", file(components(ycc, (0, 1, 2))), hidden=True)
    yield Sample("jpeg_adobe_rgb", "jpeg", file(components(rgb), head=adobe[0]), _rgb(pixels), hidden=True)
    yield Sample("jpeg_jfif_adobe_rgb", "jpeg", file(components(rgb), head=jfif + adobe[0]), hidden=True)
    yield Sample("jpeg_adobe_jfif_rgb", "jpeg", file(components(rgb), head=adobe[0] + jfif), hidden=True)
    yield Sample("jpeg_adobe_ycck_of_three", "jpeg", file(components(ycc), head=adobe[2]), hidden=True)
    yield Sample("jpeg_adobe_twice", "jpeg", file(components(rgb), head=adobe[1] + adobe[0]), hidden=True)
    long = segment(APP14, ADOBE + b"\0\0")
    yield Sample("jpeg_adobe_13_bytes", "jpeg", file(components(rgb), head=long), hidden=True)
    inks = [*rgb, np.full((EDGE, EDGE), 255.0)]
    yccs = [*ycc, np.full((EDGE, EDGE), 255.0)]
    for name, planes, head in (
        ("cmyk", inks, b""),
        ("cmyk_adobe", inks, adobe[0]),
        ("ycck_adobe", yccs, adobe[2]),
        ("cmyk_adobe_transform_1", inks, adobe[1]),
        ("cmyk_jfif", inks, jfif),
    ):
        yield Sample(f"jpeg_{name}", "jpeg", file(components(planes), head=head), hidden=True)


def progressive() -> Iterator[Sample]:
    """Scans of which the later ones replace the first ones, or that leave something out."""
    for name, first, last in (("face_then_cat", face(), cat()), ("cat_then_face", cat(), face())):
        before, after = (components([grey(pixels).astype(np.float64)])[0] for pixels in (first, last))
        # A scan only writes coefficients that are not 0, so that a 0 would leave the earlier picture's.
        final = after.coefficients.copy()
        final[(final == 0) & (before.coefficients != 0)] = 1
        parts = [Component(1, before.coefficients)], [Component(1, final)]
        scans = b"".join(scan(part, 0, 0) + scan(part, 1, 63) for part in parts)
        data = file(parts[1], scans=scans, marker=SOF2)
        yield Sample(f"jpeg_progressive_{name}", "jpeg", data, _grey(last), hidden=True)
    parts_of_face = components(ycbcr(face()))
    only_luma = scan(parts_of_face[:1])
    yield Sample("jpeg_scan_of_luma_only", "jpeg", file(parts_of_face, scans=only_luma), hidden=True, valid=False)
    coarse = scan(parts_of_face, 0, 0)
    yield Sample("jpeg_progressive_dc_only", "jpeg", file(parts_of_face, scans=coarse, marker=SOF2), hidden=True)
    three = b"".join(scan([part]) for part in parts_of_face)
    yield Sample("jpeg_three_scans", "jpeg", file(parts_of_face, scans=three), _rgb(face()), hidden=True)
    late = scan(parts_of_face) + scan(components(ycbcr(cat())))
    yield Sample("jpeg_second_baseline_scan", "jpeg", file(parts_of_face, scans=late), hidden=True, valid=False)


def structure() -> Iterator[Sample]:
    """Markers and bytes around the coded data."""
    parts = components(ycbcr(face()))
    whole, jfif = _rgb(face()), segment(APP0, JFIF)
    wide = segment(APP0, b"JFIF\0\1\1\0\0\1\0\3\0\0")
    yield Sample("jpeg_density_1_3", "jpeg", file(parts, head=wide), whole, hidden=True)
    dnl = segment(DNL, struct.pack(">H", EDGE))
    start = SOI + quantization(flat(STEP)) + frame(SOF0, EDGE, 0, parts) + huffman() + scan(parts)
    yield Sample("jpeg_dnl", "jpeg", start + dnl + EOI, hidden=True, valid=False)
    half = segment(DNL, struct.pack(">H", EDGE // 2))
    yield Sample("jpeg_dnl_of_half", "jpeg", file(parts, scans=scan(parts) + half), hidden=True, valid=False)
    yield Sample("jpeg_bytes_between", "jpeg", plain(between=b"not a marker\0\xff\xff\xff"), whole, hidden=True)
    yield Sample("jpeg_fill_bytes", "jpeg", plain(between=b"\xff" * 300), whole, hidden=True)
    with_comment = scan(parts) + segment(COM, b"after the scan")
    yield Sample("jpeg_comment_after_scan", "jpeg", file(parts, scans=with_comment), whole, hidden=True)
    dri = segment(DRI, struct.pack(">H", 7))
    restarted = file(parts, head=jfif + dri, scans=scan(parts, restart=7))
    yield Sample("jpeg_restarts", "jpeg", restarted, whole, hidden=True)
    lost = restarted.replace(b"\xff\xd3", b"\xff\xd5", 1)
    yield Sample("jpeg_restart_misnumbered", "jpeg", lost, hidden=True, valid=False)
    tail = plain(pixels=cat())
    yield Sample("jpeg_behind_jpeg", "jpeg", plain() + tail, whole, hidden=True)
    yield Sample("jpeg_cat_before_face", "jpeg", tail + plain(), _rgb(cat()), hidden=True)
    yield Sample("jpeg_no_eoi", "jpeg", plain()[:-2], hidden=True, valid=False)
    yield Sample("jpeg_cut_in_half", "jpeg", plain()[: len(plain()) // 2], hidden=True, valid=False)
    nested = segment(0xE5, plain()) if len(plain()) < 65000 else b""
    yield Sample("jpeg_in_app5", "jpeg", plain(pixels=cat(), between=nested), _rgb(cat()), hidden=True)


def orientation() -> Iterator[Sample]:
    """Every value that the tag has, and some that it has not."""
    upright = Image.fromarray(face()).crop((0, 0, EDGE, EDGE - 32))
    for value in range(10):
        exif = Image.Exif()
        exif[0x0112] = value
        data = encoded(upright, "JPEG", quality=95, exif=exif.tobytes())
        yield Sample(f"jpeg_orientation_{value}", "jpeg", data, _turned(upright, value), hidden=True)


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the picture as the orientation has it (Exif 2.32, section 4.6.4)."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _rgb(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels)


def _grey(pixels: Pixels | NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels).convert("L").convert("RGB")
