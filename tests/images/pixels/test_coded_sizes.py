"""AVIF and HEIC files with too many boxes, or with another size in their boxes than in the bitstream."""

from __future__ import annotations

import io
import random
import struct
import tempfile

import pytest
from PIL import Image

from mediagate.config import Source, VariantSpec
from mediagate.errors import ImageTooLarge, MediagateError, UndecodableImage
from mediagate.images.pixels import decode, probe
from mediagate.images.pixels.coded_sizes import check_coded_sizes
from tests.support.samples.bmff_writer import Coded, Item, box, boxes, coded, extent, file, full, grid

CODED = {"avif": b"av01", "heic": b"hvc1"}
ALPHA = full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
SMALL = {"small": VariantSpec(width=64)}
SOURCE = Source(variants=SMALL)


def picture(image_format: str, width: int, height: int) -> Coded:
    return coded(Image.new("RGB", (width, height), (30, 90, 200)), image_format)


def declared(one: Coded, width: int, height: int) -> tuple[bytes, ...]:
    """Return the properties with another declared size."""
    return (extent(width, height), *(whole for whole in one.properties if whole[4:8] != b"ispe"))


def single(image_format: str, one: Coded, *more: Item, properties: tuple[bytes, ...] | None = None) -> bytes:
    return file(image_format, [Item(CODED[image_format], one.data, properties or one.properties), *more])


def tiled(image_format: str, one: Coded, properties: tuple[bytes, ...], tiles: tuple[int, ...], size: int) -> bytes:
    """Return a grid of one column; ``tiles`` are the numbers of its hidden items."""
    canvas = (size, size * len(tiles))
    derived = Item(b"grid", grid(len(tiles), 1, *canvas), (extent(*canvas),), ((b"dimg", tiles),))
    return file(
        image_format,
        [derived, *[Item(CODED[image_format], one.data, properties, hidden=True) for _ in range(max(tiles) - 1)]],
    )


def changed(data: bytes, name: bytes, new: bytes) -> bytes:
    """Return the file with ``new`` in place of the box ``name``, which must lie behind the data."""
    whole = next(whole for found, whole, _ in boxes(data) if found == name)
    at = data.index(whole)
    moved = len(new) - len(whole)
    meta = data.index(b"meta") - 4
    size = int.from_bytes(data[meta : meta + 4]) + moved
    return data[:meta] + struct.pack(">I", size) + data[meta + 4 : at] + new + data[at + len(whole) :]


@pytest.mark.parametrize("image_format", ["avif", "heic"])
@pytest.mark.parametrize("name", [b"iinf", b"iloc", b"iref", b"ipma", b"free"])
def test_probe_refuses_boxes_with_thousands_of_entries(image_format: str, name: bytes) -> None:
    data = single(image_format, picture(image_format, 32, 32))
    numbers = range(2, 2102)
    entries = {
        b"iinf": full(b"iinf", struct.pack(">H", 2100) + 2100 * full(b"infe", b"\0\1\0\0Exif\0", 2)),
        b"iloc": full(
            b"iloc", struct.pack(">BBH", 0x44, 0, 2100) + b"".join(struct.pack(">3H2I", n, 0, 1, 0, 1) for n in numbers)
        ),
        b"iref": full(b"iref", b"".join(box(b"cdsc", struct.pack(">3H", n, 1, 1)) for n in numbers)),
        b"ipma": full(b"ipma", struct.pack(">I", 2100) + b"".join(struct.pack(">HB", n, 0) for n in numbers)),
        b"free": 2100 * box(b"free", b""),
    }
    replaced = name if name in (b"iinf", b"iloc", b"ipma") else b"hdlr"
    if replaced == b"ipma":
        properties = next(content for found, _, content in boxes(data) if found == b"iprp")
        data = changed(data, b"iprp", box(b"iprp", properties + entries[name]))
    else:
        data = changed(data, replaced, entries[name])
    with tempfile.TemporaryFile() as upload, pytest.raises(UndecodableImage, match="entries"):
        upload.write(data)
        upload.flush()
        probe(upload, SOURCE)


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_declared_size_that_contradicts_the_bitstream_is_refused(image_format: str) -> None:
    one = picture(image_format, 640, 480)
    with pytest.raises(UndecodableImage, match="16 x 16 pixels, but the picture is coded with 640 x 480"):
        decode(single(image_format, one, properties=declared(one, 16, 16)), SOURCE)


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_grid_tile_larger_than_declared_is_refused(image_format: str) -> None:
    one = picture(image_format, 640, 512)
    with pytest.raises(UndecodableImage, match="coded with 640 x 512"):
        decode(tiled(image_format, one, declared(one, 64, 64), (2, 3, 4), 64), SOURCE)


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_alpha_plane_larger_than_declared_is_refused(image_format: str) -> None:
    one, large = picture(image_format, 64, 64), picture(image_format, 640, 512)
    alpha = Item(CODED[image_format], large.data, (*declared(large, 64, 64), ALPHA), ((b"auxl", (1,)),), hidden=True)
    with pytest.raises(UndecodableImage, match="coded with 640 x 512"):
        decode(single(image_format, one, alpha), SOURCE)


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_reused_grid_tile_is_counted_each_time(image_format: str) -> None:
    one = picture(image_format, 512, 512)
    data = tiled(image_format, one, one.properties, (2,) * 40, 512)
    with pytest.raises(ImageTooLarge, match="the picture's parts have 10,485,760 pixels"):
        decode(data, Source(variants=SMALL, max_pixels=512 * 512))


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_item_without_declared_size_is_checked_against_max_pixels(image_format: str) -> None:
    one = picture(image_format, 640, 512)
    properties = tuple(whole for whole in one.properties if whole[4:8] != b"ispe")
    with pytest.raises(ImageTooLarge, match="640 x 512"):
        decode(single(image_format, one, properties=properties), Source(variants=SMALL, max_pixels=100_000))


def test_second_av1_sequence_header_is_checked() -> None:
    small, large = picture("avif", 64, 64), picture("avif", 640, 512)
    both = Coded(small.data + large.data, small.properties)
    with pytest.raises(UndecodableImage, match="coded with 640 x 512"):
        decode(single("avif", both), SOURCE)


def test_avif_sequence_with_frames_larger_than_declared_is_refused() -> None:
    frames = [Image.new("RGB", (320, 256), (60 * number, 0, 0)) for number in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "AVIF", save_all=True, append_images=frames[1:], speed=10)
    data = out.getvalue()
    check_coded_sizes(data, SOURCE)
    header = next(content for name, _, content in boxes(data[data.index(b"trak") + 4 :]) if name == b"tkhd")
    lie = header[:-8] + struct.pack(">2I", 16 << 16, 16 << 16)
    with pytest.raises(UndecodableImage, match="16 x 16 pixels, but the picture is coded with 320 x 256"):
        decode(data.replace(header, lie), SOURCE)


def test_avif_track_with_thousands_of_runs_is_refused() -> None:
    runs = full(b"stsc", struct.pack(">I", 2100) + b"".join(struct.pack(">3I", n, 1, 1) for n in range(1, 2101)))
    tables = box(b"mdia", box(b"minf", box(b"stbl", runs)))
    data = single("avif", picture("avif", 16, 16)) + box(b"moov", box(b"trak", full(b"tkhd", bytes(80)) + tables))
    with pytest.raises(UndecodableImage, match="entries"):
        decode(data, SOURCE)


@pytest.mark.parametrize("image_format", ["avif", "heic"])
@pytest.mark.parametrize("size", [(64, 64), (66, 130), (1002, 66)], ids=str)
def test_picture_of_exactly_max_pixels_is_accepted(image_format: str, size: tuple[int, int]) -> None:
    width, height = size
    decoded = decode(
        single(image_format, picture(image_format, *size)), Source(variants=SMALL, max_pixels=width * height)
    )
    assert decoded.frames[0].size == size


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_grid_of_exactly_max_pixels_is_accepted(image_format: str) -> None:
    one = picture(image_format, 512, 512)
    data = tiled(image_format, one, one.properties, tuple(range(2, 6)), 512)
    assert decode(data, Source(variants=SMALL, max_pixels=4 * 512 * 512)).frames[0].size == (512, 2048)


@pytest.mark.parametrize("image_format", ["avif", "heic"])
def test_check_coded_sizes_survives_mutated_files(image_format: str) -> None:
    generator = random.Random(7)
    one = picture(image_format, 64, 64)
    data = tiled(image_format, one, one.properties, (2, 3), 64)
    for _ in range(500):
        mutated = bytearray(data)
        for _ in range(generator.choice((1, 3, 9))):
            mutated[generator.randrange(len(data))] = generator.randrange(256)
        try:
            check_coded_sizes(bytes(mutated[: generator.randrange(len(data) + 1)]), SOURCE)
        except MediagateError as exc:
            assert exc.code in ("image_undecodable", "image_too_large")
