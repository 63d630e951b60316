"""AVIF and HEIC: colours, derived and further items, sequences."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.support.samples.bmff_writer import CODED as KINDS
from tests.support.samples.bmff_writer import (
    Coded,
    Item,
    coded,
    crop,
    extent,
    file,
    full,
    grid,
    mirror,
    nclx,
    overlay,
    turn,
)
from tests.support.samples.icc_writer import matrix_profile
from tests.support.samples.profiles import FALLING
from tests.support.samples.sample import EDGE, Pixels, Sample, cat, encoded, face, grey

HALF = EDGE // 2
NAMES = {"avif": "AVIF", "heic": "HEIF"}


def samples() -> Iterator[Sample]:
    """Yield a sample a kind, in both formats."""
    for image_format in ("avif", "heic"):
        of_face, of_cat = coded(face(), image_format), coded(cat(), image_format)
        for made in (colours, geometry, derived, further):
            for sample in made(image_format, of_face, of_cat):
                yield Sample(
                    f"{image_format}_{sample.name}", image_format, sample.data, sample.shown, True, sample.valid
                )
    yield from sequences()
    falling = matrix_profile([FALLING] * 3)
    data = encoded(255 - face(), "HEIF", quality=95, icc_profile=falling)
    yield Sample("heic_icc_falling", "heic", data, _rgb(face()), hidden=True)


def picture(image_format: str, from_encoder: Coded, *properties: bytes, without: tuple[bytes, ...] = ()) -> Item:
    """Return a coded picture as an item, with more properties or without some."""
    kept = tuple(whole for whole in from_encoder.properties if whole[4:8] not in without)
    return Item(KINDS[image_format], from_encoder.data, (*kept, *properties))


def colours(image_format: str, of_face: Coded, of_cat: Coded) -> Iterator[Sample]:
    """Code points in place of those of the encoder."""
    yield _sample("plain", file(image_format, [picture(image_format, of_face)]), face())
    for name, primaries, transfer, matrix, full_range in (
        ("p3", 12, 13, 6, True),
        ("bt2020", 9, 14, 9, True),
        ("pq", 9, 16, 9, True),
        ("hlg", 9, 18, 9, True),
        ("linear", 1, 8, 6, True),
        ("identity_matrix", 1, 13, 0, True),
        ("narrow_range", 1, 13, 6, False),
        ("unspecified", 2, 2, 2, True),
        ("ycgco", 1, 13, 8, True),
        ("reserved", 250, 250, 6, True),
    ):
        colour = nclx(primaries, transfer, matrix, full_range=full_range)
        item = picture(image_format, of_face, colour, without=(b"colr",))
        valid = not (image_format == "heic" and name == "reserved")  # libheif refuses it, and browsers show no HEIC
        yield _sample(f"nclx_{name}", file(image_format, [item]), valid=valid)
    none = picture(image_format, of_face, without=(b"colr",))
    yield _sample("no_nclx", file(image_format, [none]))
    icc = matrix_profile([FALLING] * 3)
    profile = struct.pack(">I4s", len(icc) + 12, b"colr") + b"prof" + icc
    for name, boxes in (("icc_and_nclx", (profile, nclx(1, 13))), ("nclx_and_icc", (nclx(1, 13), profile))):
        item = picture(image_format, of_face, *boxes, without=(b"colr",))
        yield _sample(name, file(image_format, [item]))


def geometry(image_format: str, of_face: Coded, of_cat: Coded) -> Iterator[Sample]:
    """Turned, mirrored, cut; and sizes that are not those of the data."""
    seen = Image.fromarray(face())
    quarter = picture(image_format, of_face, turn(1))
    yield _sample("irot", file(image_format, [quarter]), np.asarray(seen.transpose(Image.Transpose.ROTATE_90)))
    for axis, flip in ((0, Image.Transpose.FLIP_TOP_BOTTOM), (1, Image.Transpose.FLIP_LEFT_RIGHT)):
        flipped = picture(image_format, of_face, mirror(axis))
        yield _sample(f"imir_{axis}", file(image_format, [flipped]), np.asarray(seen.transpose(flip)))
    both = picture(image_format, of_face, turn(1), mirror(0))
    yield _sample("irot_imir", file(image_format, [both]))
    turned_and_cut = picture(image_format, of_face, crop(HALF, EDGE), turn(1))
    yield _sample("clap_irot", file(image_format, [turned_and_cut]))
    corner = picture(image_format, of_face, crop(HALF, HALF, -HALF // 2, -HALF // 2))
    yield _sample("clap", file(image_format, [corner]), face()[:HALF, :HALF])
    # Beside the cat there is a face, which is cut away.
    wide = coded(np.concatenate([cat(), face()], axis=1), image_format)
    hides = picture(image_format, wide, crop(EDGE, EDGE, -HALF, 0))
    yield _sample("clap_hides_face", file(image_format, [hides]), cat())
    outside = picture(image_format, of_face, crop(EDGE, EDGE, HALF, 0))
    yield _sample("clap_outside", file(image_format, [outside]), valid=False)
    for name, size in (("smaller", (HALF, HALF)), ("larger", (2 * EDGE, 2 * EDGE))):
        item = picture(image_format, of_face, extent(*size), without=(b"ispe",))
        yield _sample(f"ispe_{name}", file(image_format, [item]), valid=False)
    exif = b"\0\0\0\6Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    about = Item(b"Exif", exif, references=((b"cdsc", (1,)),), hidden=True)
    yield _sample("exif_turned", file(image_format, [picture(image_format, of_face), about]))
    yield _sample("exif_turned_irot", file(image_format, [quarter, about]))


def derived(image_format: str, of_face: Coded, of_cat: Coded) -> Iterator[Sample]:
    """Pictures that are put together from others."""
    tiles = [coded(np.ascontiguousarray(part), image_format) for part in _quarters(face())]
    parts = [Item(KINDS[image_format], tile.data, tile.properties, hidden=True) for tile in tiles]
    # The pixi and the colour of the whole are those of its tiles.
    common = tuple(whole for whole in tiles[0].properties if whole[4:8] in (b"pixi", b"colr"))
    whole = (extent(EDGE, EDGE), *common)

    def made_of(kind: bytes, data: bytes, numbers: tuple[int, ...], properties: tuple[bytes, ...]) -> Item:
        return Item(kind, data, properties, ((b"dimg", numbers),))

    sheet = made_of(b"grid", grid(2, 2, EDGE, EDGE), (2, 3, 4, 5), whole)
    yield _sample("grid", file(image_format, [sheet, *parts]), face())
    backwards = made_of(b"grid", grid(2, 2, EDGE, EDGE), (5, 4, 3, 2), whole)
    yield _sample("grid_backwards", file(image_format, [backwards, *parts]))
    same = made_of(b"grid", grid(2, 2, EDGE, EDGE), (2, 2, 2, 2), whole)
    yield _sample("grid_of_one_tile", file(image_format, [same, *parts]), valid=False)
    cut = made_of(b"grid", grid(2, 2, EDGE - 16, EDGE - 16), (2, 3, 4, 5), (extent(EDGE - 16, EDGE - 16), *common))
    yield _sample("grid_cut", file(image_format, [cut, *parts]))
    few = made_of(b"grid", grid(2, 2, EDGE, EDGE), (2, 3, 4), whole)
    yield _sample("grid_lacks_tile", file(image_format, [few, *parts]), valid=False)
    below, above = picture(image_format, of_cat), picture(image_format, of_face)
    for name, offsets, numbers in (
        ("covers", ((0, 0), (0, 0)), (2, 3)),
        ("covered", ((0, 0), (0, 0)), (3, 2)),
        ("beside", ((0, 0), (HALF, 40)), (2, 3)),
        ("outside", ((0, 0), (-400, 0)), (2, 3)),
    ):
        data = overlay(EDGE, EDGE, offsets, (0xFFFF, 0, 0, 0xFFFF))
        item = made_of(b"iovl", data, numbers, whole)
        yield _sample(f"iovl_{name}", file(image_format, [item, below, above]), valid=False)
    copy = made_of(b"iden", b"", (2,), (extent(EDGE, EDGE), *common, turn(1)))
    yield _sample("iden", file(image_format, [copy, above]), valid=False)


def further(image_format: str, of_face: Coded, of_cat: Coded) -> Iterator[Sample]:
    """More items than the one that is shown."""
    shown, other = picture(image_format, of_cat), picture(image_format, of_face)
    yield _sample("second_item", file(image_format, [shown, other]), cat())
    yield _sample("primary_second", file(image_format, [other, shown], 2), cat())
    thumb = Item(other.kind, other.data, other.properties, ((b"thmb", (1,)),))
    yield _sample("thumbnail_face", file(image_format, [shown, thumb]), cat())
    kinds = {
        "alpha": b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
        "depth": b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth",
        "gain_map": b"urn:com:apple:photo:2020:aux:hdrgainmap",
    }
    mono = coded(Image.fromarray(grey(face())), image_format)
    for name, kind in kinds.items():
        described = full(b"auxC", kind + b"\0")
        kept = tuple(whole for whole in mono.properties if whole[4:8] != b"colr")
        beside = Item(other.kind, mono.data, (*kept, described), ((b"auxl", (1,)),), hidden=True)
        yield _sample(f"auxiliary_{name}", file(image_format, [shown, beside]), None if name == "alpha" else cat())
    # A gain map: version 0, then numerators and denominators of its parameters (ISO 21496-1, annex C).
    fraction = struct.pack(">2I", 4, 1)
    gains = b"\0" + struct.pack(">2H", 0, 0) + b"\x40" + fraction * 7
    tone = Item(b"tmap", gains, (extent(EDGE, EDGE), nclx(1, 13)), ((b"dimg", (1, 3)),))
    gain = Item(other.kind, mono.data, mono.properties, hidden=True)
    yield _sample("tmap", file(image_format, [shown, tone, gain]), cat())
    yield _sample("tmap_primary", file(image_format, [shown, tone, gain], 2), valid=False)
    sample = file(image_format, [shown])
    yield _sample("behind", sample + file(image_format, [other]), valid=False)
    yield _sample("garbage_behind", sample + b"garbage that is no box at all", cat())


def sequences() -> Iterator[Sample]:
    """AVIF that moves."""
    frames = [Image.fromarray(pixels) for pixels in (cat(), face(), cat())]
    for name, durations in (("", 100), ("_no_time", [100, 1, 100])):
        data = encoded(
            frames[0], "AVIF", quality=90, speed=10, save_all=True, append_images=frames[1:], duration=durations
        )
        yield Sample(f"avif_sequence{name}", "avif", data, hidden=True)
    # One brand says that this is a still.
    still = data[:8] + b"avif" + data[12:]
    yield Sample("avif_sequence_branded_still", "avif", still, hidden=True, valid=False)
    alpha = [Image.fromarray(np.dstack([pixels, np.full((EDGE, EDGE), 90, np.uint8)])) for pixels in (cat(), face())]
    data = encoded(alpha[0], "AVIF", quality=90, speed=10, save_all=True, append_images=alpha[1:], duration=100)
    yield Sample("avif_sequence_alpha", "avif", data, hidden=True)
    for level in (0, 1, 8, 9):
        veiled = np.dstack([face(), np.full((EDGE, EDGE), level, np.uint8)])
        for image_format in ("avif", "heic"):
            data = encoded(veiled, NAMES[image_format], quality=95)
            yield Sample(f"{image_format}_alpha_{level}", image_format, data, Image.fromarray(veiled), hidden=True)


def _quarters(pixels: Pixels) -> list[Pixels]:
    return [pixels[top : top + HALF, left : left + HALF] for top in (0, HALF) for left in (0, HALF)]


def _sample(name: str, data: bytes, seen: Pixels | None = None, *, valid: bool = True) -> Sample:
    return Sample(name, "", data, None if seen is None else Image.fromarray(seen), valid=valid)


def _rgb(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels)
