"""Code points in the boxes of AVIF and HEIC files, and in AV1 sequence headers."""

from __future__ import annotations

import io
import random
import struct

import pytest
from PIL import Image

from mediagate.images.pixels.code_points import CodePoints
from mediagate.images.pixels.heif_boxes import Colour, read_colour


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def full(name: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags), *parts)


def nclx(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">3HB", primaries, transfer, 6, 128))


def heif(properties: list[bytes], associations: dict[int, list[int]], *more: bytes, wide: bool = False) -> bytes:
    """Return a file whose primary item is number 1."""
    entries = b"".join(
        struct.pack(">IB" if wide else ">HB", item, len(indices))
        + b"".join(struct.pack(">H", 0x8000 | index) if wide else bytes([0x80 | index]) for index in indices)
        for item, indices in associations.items()
    )
    ipma = full(b"ipma", struct.pack(">I", len(associations)), entries, version=wide, flags=wide)
    meta = full(b"meta", full(b"pitm", b"\0\1"), box(b"iprp", box(b"ipco", *properties), ipma), *more)
    return box(b"ftyp", b"avif", bytes(4)) + meta


def avif(frames: int = 1) -> bytes:
    pictures = [Image.new("RGB", (64, 64), (80 * number, 40, 40)) for number in range(frames)]
    file = io.BytesIO()
    options = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(file, "AVIF", speed=10, **options)
    return file.getvalue()


def points_of(data: bytes) -> CodePoints | None:
    return read_colour(data).code_points


@pytest.mark.parametrize("wide", [False, True])
def test_nclx_of_the_primary_item_is_read(wide: bool) -> None:
    data = heif([nclx(9, 16), box(b"ispe"), nclx(12, 13)], {2: [1], 1: [2, 3]}, wide=wide)
    assert points_of(data) == CodePoints(12, 13)


def test_profile_box_is_skipped() -> None:
    data = heif([box(b"colr", b"prof", bytes(20)), nclx(12, 13)], {1: [1, 2]})
    assert points_of(data) == CodePoints(12, 13)


def test_grid_without_colour_box_uses_that_of_its_first_tile() -> None:
    iref = full(b"iref", box(b"dimg", struct.pack(">4H", 1, 2, 3, 2)))
    data = heif([nclx(9, 16), nclx(12, 13)], {2: [1], 3: [2]}, iref)
    assert points_of(data) == CodePoints(12, 13)


def test_grid_colour_box_takes_precedence_over_tiles() -> None:
    iref = full(b"iref", box(b"dimg", struct.pack(">4H", 1, 2, 3, 2)))
    data = heif([nclx(9, 16), nclx(12, 13)], {1: [1], 3: [2]}, iref)
    assert points_of(data) == CodePoints(9, 16)


def test_box_with_64_bit_size_is_read() -> None:
    head, meta = heif([nclx(12, 13)], {1: [1]}).split(b"meta", 1)
    size = int.from_bytes(head[-4:]) + 8
    assert points_of(head[:-4] + b"\0\0\0\1meta" + struct.pack(">Q", size) + meta) == CodePoints(12, 13)


def test_sequence_track_takes_precedence_over_item() -> None:
    data = avif(frames=3)
    assert data[8:12] == b"avis"
    of_item, of_track = data.find(b"colrnclx"), data.rfind(b"colrnclx")
    assert of_item < of_track
    set_track = data[: of_track + 8] + bytes([0, 12, 0, 8]) + data[of_track + 12 :]
    assert points_of(set_track) == CodePoints(12, 8)
    set_item = data[: of_item + 8] + bytes([0, 12, 0, 8]) + data[of_item + 12 :]
    assert points_of(set_item) == CodePoints(1, 13)


def test_sequence_header_gives_code_points_without_colour_box() -> None:
    data = avif().replace(b"colrnclx", b"freenclx")
    assert points_of(data) == CodePoints(1, 13)
    # The encoded description (1, 13, 6) is not aligned to bytes, so it is replaced bit by bit.
    bits = f"{int.from_bytes(data):0{8 * len(data)}b}"
    coded = f"{1:08b}{13:08b}{6:08b}"
    at = bits.rfind(coded, 0, bits.find(f"{int.from_bytes(b'mdat'):032b}") + 1000)
    changed = bits[:at] + f"{9:08b}{16:08b}" + bits[at + 16 :]
    assert points_of(int(changed, 2).to_bytes(len(data))) == CodePoints(9, 16)


@pytest.mark.parametrize("number", range(4))
def test_read_colour_survives_mutated_files(number: int) -> None:
    generator = random.Random(number)
    seeds = [avif(), avif(2), heif([nclx(12, 13)], {1: [1]}), avif().replace(b"colrnclx", b"freenclx")]
    for _ in range(500):
        data = bytearray(seeds[number])
        for _ in range(generator.choice((1, 2, 8))):
            data[generator.randrange(len(data))] = generator.choice((0, 1, 127, 255, generator.randrange(256)))
        found = points_of(bytes(data[: generator.randrange(len(data) + 1)]))
        assert found is None or found.primaries < 65536


@pytest.mark.parametrize(
    ("light", "peak"),
    [
        ([box(b"clli", struct.pack(">2H", 400, 100))], 400),
        ([box(b"mdcv", bytes(16), struct.pack(">2I", 6_000_000, 1))], 600),
        ([box(b"mdcv", bytes(16), struct.pack(">2I", 6_000_000, 1)), box(b"clli", struct.pack(">2H", 400, 100))], 400),
        ([box(b"clli", bytes(4)), box(b"mdcv", b"short")], None),
    ],
    ids=["content", "display", "both", "neither"],
)
def test_peak_luminance_is_read(light: list[bytes], peak: float | None) -> None:
    data = heif([nclx(9, 16), *light], {1: [1, 2, 3]})
    assert read_colour(data) == Colour(CodePoints(9, 16), peak)


def test_file_without_boxes_has_no_code_points() -> None:
    assert points_of(b"") is None
    assert points_of(b"\0\0\0\7meta" + bytes(40)) is None
