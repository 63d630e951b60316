"""The chunks of a WebP (RFC 9649, section 2.3)."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

_MOST_CHUNKS = 100_000
"""The most chunks that are read; each frame of an animation is one."""
_ANIMATION = 0x02
"""The flag of VP8X for an animation (section 2.7.1)."""


class _Chunk(NamedTuple):
    type: bytes
    start: int
    end: int
    """The offset after the padding."""


def playable(webp: bytes | mmap.mmap, most: int | None, *, lenient: bool) -> bytes | None:
    """Return an animated WebP reduced to its first ``most`` frames and the metadata; ``None``: all frames.

    Later frames may be damaged or absent; if ``lenient``, truncated frames are omitted. Returns ``None`` if there is
    nothing to omit.
    """
    if bytes(webp[:4]) != b"RIFF" or bytes(webp[8:16]) != b"WEBPVP8X" or not webp[20] & _ANIMATION:
        return None
    if most is None and not (lenient and 8 + int.from_bytes(webp[4:8], "little") > len(webp)):
        return None
    kept, frames = [], 0
    for chunk in _chunks(webp):
        frames += chunk.type == b"ANMF"
        if chunk.type != b"ANMF" or most is None or frames <= most:
            kept.append(bytes(webp[chunk.start : chunk.end]).ljust(chunk.end - chunk.start, b"\0"))
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body if frames else None


def _chunks(webp: bytes | mmap.mmap) -> Iterator[_Chunk]:
    """Yield the complete chunks."""
    at = 12
    for _ in range(_MOST_CHUNKS):
        size = int.from_bytes(webp[at + 4 : at + 8], "little")
        if at + 8 + size > len(webp) or at + 8 > len(webp):
            return
        end = at + 8 + size + size % 2
        yield _Chunk(bytes(webp[at : at + 4]), at, end)
        at = end
