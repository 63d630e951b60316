"""The items and tracks of AVIF and HEIC files: their relations and the location of their data.

Everything is counted before it is read, because decoders look up each entry among all others (ISO/IEC 14496-12,
sections 8.7 and 8.11, and 23008-12, section 9.3.1).
"""

from __future__ import annotations

from collections.abc import Iterator

from mediagate.errors import UndecodableImage
from mediagate.images.pixels.heif_boxes import Box, boxes

MAX_ENTRIES = 2000
"""A picture of 100 megapixels has about 400 tiles of 512 x 512, and as many entries."""
ALPHA = (b"auxid:1\0", b":alpha\0")
"""Ends of the types of alpha, with MPEG's names (ISO/IEC 23008-12, annex B, and 23091-2)."""


class Fields:
    """Reads consecutive numbers of whole bytes; raises ``IndexError`` at the end."""

    def __init__(self, view: memoryview, at: int = 0) -> None:
        self.view, self.at = view, at

    def read(self, size: int) -> int:
        """Return the number in the next ``size`` bytes."""
        return int.from_bytes(self.skip(size))

    def skip(self, size: int) -> memoryview:
        """Return the next ``size`` bytes."""
        if self.at + size > len(self.view):
            raise IndexError("the box is truncated")
        self.at += size
        return self.view[self.at - size : self.at]


class Items:
    """The items in the body of a ``meta`` box.

    Raises ``UndecodableImage`` for more than ``MAX_ENTRIES`` entries of any kind; unreadable boxes count as absent.
    """

    def __init__(self, file: memoryview, meta: memoryview) -> None:
        self._file, self._idat = file, memoryview(b"")
        self._extents: dict[int, list[tuple[int, int, int]]] = {}
        self._numbers: dict[int, list[int]] = {}
        self._described: list[Box] = []
        self.primary: int | None = None
        self.references: dict[bytes, list[tuple[int, list[int]]]] = {b"dimg": [], b"auxl": []}
        for name, body in counted(meta[4:]):
            try:
                self._read(name, body)
            except IndexError:
                continue

    def described(self, item: int) -> list[Box]:
        """Return the properties of an item."""
        return [self._described[n - 1] for n in self._numbers.get(item, ()) if 0 < n <= len(self._described)]

    def is_alpha(self, item: int) -> bool:
        """Whether the item is the alpha of the items that it refers to."""
        return any(name == b"auxC" and bytes(body[4:]).endswith(ALPHA) for name, body in self.described(item))

    def extents(self, item: int) -> list[memoryview]:
        """Return the parts of an item's data, without parts in other files."""
        sources = {0: self._file, 1: self._idat}
        parts = []
        for method, offset, size in self._extents.get(item, ()):
            if (source := sources.get(method)) is not None:
                parts.append(source[offset : offset + size] if size else source[offset:])
        return parts

    def _read(self, name: bytes, body: memoryview) -> None:
        match name:
            case b"pitm":
                self.primary = Fields(body, 4).read(2 if body[0] == 0 else 4)
            case b"idat":
                self._idat = body
            case b"iinf":
                fields = Fields(body, 4)
                check_count(fields.read(2 if body[0] == 0 else 4))
            case b"iloc":
                self._read_places(body)
            case b"iref":
                self._read_references(body)
            case b"iprp":
                for inner, content in counted(body):
                    if inner == b"ipco":
                        self._described += counted(content)
                    elif inner == b"ipma":
                        self._read_associations(content)

    def _read_places(self, iloc: memoryview) -> None:
        version = iloc[0]
        fields = Fields(iloc, 4)
        widths = fields.read(2)
        offset_bytes, length_bytes, base_bytes = widths >> 12, widths >> 8 & 15, widths >> 4 & 15
        index_bytes = widths & 15 if version else 0
        id_bytes = 4 if version == 2 else 2
        total = 0
        for _ in range(check_count(fields.read(id_bytes))):
            item = fields.read(id_bytes)
            method = fields.read(2) & 15 if version else 0
            fields.skip(2)
            base = fields.read(base_bytes)
            extents = fields.read(2)
            total = check_count(total + extents)
            for _ in range(extents):
                fields.skip(index_bytes)
                offset, size = base + fields.read(offset_bytes), fields.read(length_bytes)
                self._extents.setdefault(item, []).append((method, offset, size))

    def _read_references(self, iref: memoryview) -> None:
        id_bytes = 2 if iref[0] == 0 else 4
        total = 0
        for name, body in counted(iref[4:]):
            fields = Fields(body)
            origin, count = fields.read(id_bytes), fields.read(2)
            total = check_count(total + count)
            if name in self.references:
                self.references[name].append((origin, [fields.read(id_bytes) for _ in range(count)]))

    def _read_associations(self, ipma: memoryview) -> None:
        id_bytes, size = (2 if ipma[0] == 0 else 4), (2 if ipma[3] & 1 else 1)
        fields = Fields(ipma, 4)
        for _ in range(check_count(fields.read(4))):
            item = fields.read(id_bytes)
            numbers = fields.skip(size * fields.read(1))
            self._numbers.setdefault(item, []).extend(
                int.from_bytes(numbers[at : at + size]) & (1 << 8 * size - 1) - 1 for at in range(0, len(numbers), size)
            )


def counted(view: memoryview) -> list[Box]:
    """Return the boxes of one level; raises ``UndecodableImage`` if they are too many."""
    found = list(boxes(view, MAX_ENTRIES + 1))
    check_count(len(found))
    return found


def check_count(count: int) -> int:
    """Return the number of entries; raises ``UndecodableImage`` if they are too many."""
    if count > MAX_ENTRIES:
        raise UndecodableImage(
            f"the AVIF or HEIC has more than {MAX_ENTRIES:,} items, references or other entries of one kind; "
            "export it again as a single picture"
        )
    return count


def samples(file: memoryview, table: dict[bytes, memoryview], most: int) -> Iterator[memoryview]:
    """Yield the data of a track's first ``most`` samples from its ``stbl`` (ISO/IEC 14496-12, section 8.7).

    Raises ``IndexError`` for truncated boxes.
    """
    chunk_bytes = 8 if b"co64" in table else 4
    chunks = Fields(table.get(b"co64", table.get(b"stco", memoryview(b""))), 4)
    sizes, runs = Fields(table.get(b"stsz", memoryview(b"")), 4), Fields(table.get(b"stsc", memoryview(b"")), 4)
    same, count = sizes.read(4), min(sizes.read(4), most)
    starts = [(runs.read(4), runs.read(4), runs.read(4))[:2] for _ in range(runs.read(4))]
    per_chunk, at_run = 0, 0
    for chunk in range(1, min(chunks.read(4), most) + 1):
        while at_run < len(starts) and starts[at_run][0] <= chunk:
            per_chunk, at_run = starts[at_run][1], at_run + 1
        at = chunks.read(chunk_bytes)
        for _ in range(min(per_chunk, count)):
            size = same or sizes.read(4)
            yield file[at : at + size]
            at, count = at + size, count - 1
