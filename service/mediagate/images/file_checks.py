"""What the host checks of the files that an image process sends: it trusts none."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mediagate.images.json_shapes import Malformed
from mediagate.values import ImageInfo, RenderedFile

FRAME_HEADERS = 64 << 10
BYTES_PER_PIXEL = 9
"""Limit of one frame of a published file: four incompressible channels of 16 bits, and headers."""
SIGNATURES: Mapping[str, re.Pattern[bytes]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "gif": re.compile(rb"GIF8[79]a"),
    "avif": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "pdf": re.compile(rb"%PDF-1\.7"),
    "heic": re.compile(rb"....ftyp(hei[cxms]|hev[cx]|mi?f1)", re.DOTALL),
}
"""How a file of each format begins."""


def check_file(file: RenderedFile, info: ImageInfo, width: int, height: int) -> None:
    """Raise ``Malformed`` for a file beyond these edges in pixels, too large for its own, or of another format."""
    if file.width > width or file.height > height:
        raise Malformed("a file of larger dimensions than requested")
    most = info.frames * (file.width * file.height * BYTES_PER_PIXEL + FRAME_HEADERS)
    if len(file.data) > most:
        raise Malformed("a file with more bytes than its pixels can need")
    if not SIGNATURES[file.format].match(file.data):
        raise Malformed("a file that is not of its declared format")
