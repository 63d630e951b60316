"""The sizes of coded pictures in AVIF and HEIC files, which their boxes may lie about.

A decoder decodes at the size in the bitstream and scales to the size in the boxes; the limits of a source apply to
both.
"""

from __future__ import annotations

import mmap
from collections import Counter
from itertools import chain

from mediagate.config import Source
from mediagate.errors import ImageTooLarge, UndecodableImage
from mediagate.images.pixels import av1, hevc
from mediagate.images.pixels.heif_boxes import Box
from mediagate.images.pixels.heif_items import Fields, Items, check_count, counted, samples

TOLERANCE = 64
"""The most pixels that are cropped from an honest picture, in each direction.

HEVC codes whole blocks of up to 64 x 64 (ITU-T H.265, section 7.4.3.2.1), and encoders pad small pictures to that size.
"""
DECODED_FACTOR, DECODED_MORE = 4, 4_000_000
"""The limit of the total of coded pixels: a multiple of the source's ``max_pixels`` plus a constant.

Colours and alpha may have ``max_pixels`` each; the same amount again is allowed for overlays. A grid's tiles may exceed
its edge by one row and one column: the constant suffices for tiles of up to 1024 x 1024.
"""
DECODERS_PIXELS, DECODERS_EDGE = 16384 * 16384, 32768
"""The limits of libavif (``AVIF_DEFAULT_IMAGE_SIZE_LIMIT`` and ``AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT``); libheif has the
same edge."""
MAX_DEPTH = 8
"""Levels of derived pictures: a grid of rotated tiles with alpha takes four."""
MAX_UNITS = 20_000
"""Units of bitstreams; a tile has about three, and encoders write only a few more for a large picture."""


def check_coded_sizes(data: bytes | mmap.mmap, source: Source) -> None:
    """Raise for an AVIF or HEIC with coded pictures larger than declared, or with too many entries.

    Raises ``ImageTooLarge`` and ``UndecodableImage``. Unreadable parts pass, and so do files of other formats.
    """
    if data[4:8] != b"ftyp":
        return
    file = memoryview(data)
    reader = _Reader(file, source)
    for name, body in counted(file):
        if name == b"meta":
            reader.check_items(body)
        elif name == b"moov":
            reader.check_tracks(body)


class _Reader:
    def __init__(self, file: memoryview, source: Source) -> None:
        self._file, self._source = file, source
        self._units = 0
        self._joined = 0

    def check_items(self, meta: memoryview) -> None:
        """Check everything decoded for the primary item: the items it is derived from, and the alpha of each."""
        items = Items(self._file, meta)
        parts: dict[int, list[int]] = {}
        for origin, targets in items.references[b"dimg"]:
            parts.setdefault(origin, []).extend(targets)
        for origin, targets in items.references[b"auxl"]:
            if items.is_alpha(origin):
                for target in targets:
                    parts.setdefault(target, []).append(origin)
        pixels: dict[int, int] = {}
        total = 0
        # An item that is used twice is decoded twice, so each level counts how often it is used.
        level = Counter([] if items.primary is None else [items.primary])
        for _ in range(MAX_DEPTH):
            below: Counter[int] = Counter()
            for item, times in level.items():
                if item not in pixels:
                    pixels[item] = self._item_pixels(items, item)
                total += times * pixels[item]
                for part in parts.get(item, ()):
                    below[part] += times
            level = below
        if level:
            raise UndecodableImage("the picture is derived from others in too many steps; export it again")
        most = DECODED_FACTOR * self._source.max_pixels + DECODED_MORE
        if total > most:
            raise ImageTooLarge(f"the picture's parts have {total:,} pixels; up to {most:,} are accepted")
        if items.primary is not None and (declared := _declared(items.described(items.primary))) is not None:
            self._check_declared(*declared)

    def check_tracks(self, moov: memoryview) -> None:
        for track in counted(moov):
            if track.type != b"trak":
                continue
            inner = dict(counted(track.body))
            table = inner.get(b"mdia", memoryview(b""))
            for name in (b"minf", b"stbl"):
                table = dict(counted(table)).get(name, memoryview(b""))
            try:
                self._check_track(inner.get(b"tkhd", memoryview(b"")), dict(counted(table)))
            except IndexError:
                continue

    def _check_track(self, header: memoryview, table: dict[bytes, memoryview]) -> None:
        # Decoders search the list of runs for each chunk.
        check_count(Fields(table.get(b"stsc", memoryview(b"")), 4).read(4))
        declared = Fields(header, len(header) - 8)
        size = declared.read(4) >> 16, declared.read(4) >> 16
        for entry in counted(table.get(b"stsd", memoryview(b""))[8:]):
            described = counted(entry.body[78:])
            coded = [
                self._coded_size(described, sample) for sample in samples(self._file, table, self._source.max_frames)
            ]
            self._check(_largest(coded), size)

    def _item_pixels(self, items: Items, item: int) -> int:
        described = items.described(item)
        if not any(name in (b"av1C", b"hvcC") for name, _ in described):
            return 0
        return self._check(self._coded_size(described, self._data(items.extents(item))), _declared(described))

    def _data(self, parts: list[memoryview]) -> memoryview:
        """Return an item's data as one buffer, without a copy if it is contiguous."""
        if len(parts) == 1:
            return parts[0]
        self._joined += sum(map(len, parts))
        if self._joined > len(self._file):
            raise UndecodableImage("the parts of the picture overlap in the file; export it again")
        return memoryview(b"".join(parts))

    def _coded_size(self, described: list[Box], data: memoryview) -> tuple[int, int]:
        """Return the largest size in the headers of the configuration and of the data."""
        sizes = [(0, 0)]
        for name, body in described:
            try:
                if name == b"av1C":
                    for header in chain(av1.sequence_headers(body[4:]), av1.sequence_headers(data)):
                        self._count_unit()
                        sizes += [av1.sequence_size(header)] if header is not None else []
                elif name == b"hvcC":
                    in_data = hevc.parameter_sets(data, (body[21] & 3) + 1)
                    for header in chain(hevc.configured_sets(body), in_data):
                        self._count_unit()
                        sizes += [hevc.parameter_size(header)] if header is not None else []
            except IndexError:
                continue
        return _largest(sizes)

    def _count_unit(self) -> None:
        self._units += 1
        if self._units > MAX_UNITS:
            raise UndecodableImage("the picture's bitstream has too many units; export it again")

    def _check_declared(self, width: int, height: int) -> None:
        # Decoders report pictures beyond their own limits as damaged.
        most = min(self._source.max_pixels, DECODERS_PIXELS)
        if width * height > most or max(width, height) > DECODERS_EDGE:
            raise ImageTooLarge(
                f"the picture has {width} x {height} pixels; up to {most:,} are accepted, and {DECODERS_EDGE:,} an edge"
            )

    def _check(self, coded: tuple[int, int], declared: tuple[int, int] | None) -> int:
        """Return the pixel count of a coded picture; raises unless it has its declared size within the limits."""
        width, height = coded
        if declared is not None and (width > declared[0] + TOLERANCE or height > declared[1] + TOLERANCE):
            raise UndecodableImage(
                f"the file declares {declared[0]} x {declared[1]} pixels, but the picture is coded with "
                f"{width} x {height}; export it again"
            )
        if max(0, width - TOLERANCE) * max(0, height - TOLERANCE) > self._source.max_pixels:
            raise ImageTooLarge(
                f"the picture is coded with {width} x {height} pixels; up to {self._source.max_pixels:,} are accepted"
            )
        return width * height


def _declared(described: list[Box]) -> tuple[int, int] | None:
    """Return the size in the last ``ispe`` (ISO/IEC 23008-12, section 6.5.3)."""
    sizes = [body for name, body in described if name == b"ispe" and len(body) >= 12]
    return (int.from_bytes(sizes[-1][4:8]), int.from_bytes(sizes[-1][8:12])) if sizes else None


def _largest(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    return max((width for width, _ in sizes), default=0), max((height for _, height in sizes), default=0)
