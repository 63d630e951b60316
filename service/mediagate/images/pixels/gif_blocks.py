"""The limits of a GIF's blocks (GIF89a specification, 1990), checked before anything decodes them."""

from __future__ import annotations

import mmap
from collections.abc import Callable

from mediagate.errors import UndecodableImage

IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B
COMMENT, APPLICATION = 0xFE, 0xFF
"""The first bytes of blocks (sections 20, 23 to 27), and labels of extensions."""
MAX_BLOCKS = 20_000
"""Images and extensions: an animation of 5,000 frames has about 10,000."""
MAX_LOOSE = 64 * 1024
"""Bytes between blocks; some programs leave a zero there."""
SUB_BLOCKS, BYTES_A_SUB_BLOCK = 50_000, 100
"""The limit of sub-blocks: a constant, plus one for each 100 bytes. Encoders fill them with 255 bytes."""


def count_images(data: bytes | mmap.mmap) -> int:
    """Return the number of images in a GIF, 0 for files of other formats.

    Raises ``UndecodableImage`` if it has too many parts to be opened quickly. Blocks are located as Pillow does, which
    continues after an extension whose data begin with their terminator.
    """
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        return 0
    most = SUB_BLOCKS + len(data) // BYTES_A_SUB_BLOCK
    blocks, images, loose, subs = 0, 0, 0, 0

    def skip(at: int) -> int:
        """Return the offset of the block after these sub-blocks."""
        nonlocal subs
        while size := data[at]:
            at += size + 1
            subs += 1
            if subs > most:
                raise _too_many()
        return at + 1

    at = 13 + _colours(data[10])
    try:
        while (kind := data[at]) != TRAILER:
            if kind == IMAGE:
                images += 1
                at = skip(at + 11 + _colours(data[at + 9]))
            elif kind == EXTENSION:
                at = _behind(data, at, skip, first=not images)
            else:
                loose += 1
                at += 1
                if loose > MAX_LOOSE:
                    raise _too_many()
                continue
            blocks += 1
            if blocks > MAX_BLOCKS:
                raise _too_many()
    except IndexError:
        pass  # truncated
    return images


def _behind(data: bytes | mmap.mmap, at: int, skip: Callable[[int], int], *, first: bool) -> int:
    """Return the offset of the block after an extension; ``first``: the extension is before the first image."""
    label, size = data[at + 1], data[at + 2]
    if label == COMMENT:
        return skip(at + 2)
    if not size:
        return skip(at + 3)
    if first and label == APPLICATION and data[at + 3 : at + 14] == b"NETSCAPE2.0" and size >= 11:
        loop = at + 3 + size
        return skip(loop + 1 + data[loop])
    return skip(at + 2)


def _colours(flags: int) -> int:
    """Return the size in bytes of the colour table that these flags announce (sections 18 and 20)."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _too_many() -> UndecodableImage:
    return UndecodableImage(
        f"the GIF has more than {MAX_BLOCKS:,} images and extensions, or is in more pieces than any program writes; "
        "export it again"
    )
