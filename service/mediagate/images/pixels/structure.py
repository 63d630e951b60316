"""Checks of a file's boxes and chunks for facts that decoders do not report."""

from __future__ import annotations

import io
import mmap

from PIL import Image

from mediagate.config import Source
from mediagate.errors import ImageTooLarge, UndecodableImage
from mediagate.images.pixels.gif_blocks import count_images
from mediagate.images.pixels.heif_boxes import check_boxes
from mediagate.images.pixels.jpeg_segments import check_jpeg
from mediagate.images.pixels.png_chunks import check_chunks, for_pixels

MAX_WEBP_CHUNKS = 20_000
"""Chunks of the file and of its frames: an animation of 5,000 frames has about 10,000."""
BOXES = (b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"mfra", b"idat", b"free", b"skip", b"uuid", b"styp", b"sidx")
"""Boxes of a file's top level (ISO/IEC 14496-12, table 1). Bytes after them do not belong to the picture."""


def webp_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height of a WebP from its first 30 bytes (RFC 9649, sections 2.5 to 2.7), or ``None``.

    Pillow allocates a WebP's whole canvas when it opens the file, before its size could be checked.
    """
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    chunk = head[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def is_lossless_webp(data: bytes) -> bool:
    """Whether a WebP's first picture is lossless (RFC 9649, section 2: the chunk VP8L, perhaps within ANMF)."""
    at = 12
    while at + 8 <= len(data):
        chunk, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if chunk in (b"VP8L", b"VP8 "):
            return chunk == b"VP8L"
        at += 8 + (16 if chunk == b"ANMF" else size + size % 2)
    return False


def check_complete(data: bytes, image_format: str) -> int:
    """Return the end of an AVIF or HEIC, after which other bytes may follow; other formats end with the file.

    Raises ``ValueError``, or an error of Pillow, for a PNG with wrong checksums and for a truncated AVIF or HEIC: their
    decoders would accept the remaining data. The sizes of boxes: ISO/IEC 14496-12, section 4.2.
    """
    if image_format == "png":
        Image.open(io.BytesIO(for_pixels(data)), formats=["PNG"]).verify()
    if image_format not in ("avif", "heic"):
        return len(data)
    at = 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] in BOXES:
        size = int.from_bytes(data[at : at + 4])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        if size == 0:
            return len(data)
        if size < 8 or at + size > len(data):
            raise ValueError("a box reaches beyond the end of the file")
        at += size
    return at


def check_structure(data: bytes | mmap.mmap, source: Source) -> None:
    """Raise ``UndecodableImage`` or ``ImageTooLarge`` for a file with too many parts to be opened quickly.

    Decoders read some parts one by one in Python. For any file of 20 MB this check takes at most a tenth of a second.
    """
    check_jpeg(data)
    check_chunks(data)
    check_boxes(data)
    frames = max(count_images(data), _count_webp_frames(data))
    if source.animation == "keep":
        check_frames(frames, source)


def check_frames(frames: int, source: Source) -> None:
    """Raise ``ImageTooLarge`` for an animation of more frames than its source accepts."""
    if frames > source.max_frames:
        raise ImageTooLarge(f"the animation has {frames} frames; up to {source.max_frames} are accepted")


def _count_webp_frames(data: bytes | mmap.mmap) -> int:
    """Return the number of frames in a WebP, 0 for files of other formats."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return 0
    whole = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    frames, chunks, parts = 0, 0, [(12, whole)]
    while parts:
        at, end = parts.pop()
        while at + 8 <= end:
            chunk, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            behind = at + 8 + size + size % 2
            if chunk == b"ANMF":
                frames += 1
                parts.append((at + 24, min(behind, end)))
            chunks += 1
            if chunks > MAX_WEBP_CHUNKS:
                raise UndecodableImage(f"the WebP has more than {MAX_WEBP_CHUNKS:,} chunks; export it again")
            at = behind
    return frames
