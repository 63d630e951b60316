"""WebP: frames that dispose and blend, and what lies under alpha (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.support.samples.sample import EDGE, Pixels, Sample, cat, encoded, face

SMALL = 80
ANIMATION, XMP, EXIF, ALPHA, ICC = 0x02, 0x04, 0x08, 0x10, 0x20
"""Flags of VP8X."""


def samples() -> Iterator[Sample]:
    """Yield a sample a kind."""
    yield _sample("lossless", lossless(face()), face())
    yield _sample("lossy", encoded(face(), "WEBP", quality=95), face())
    for level in (0, 1, 8, 9):
        veiled = np.dstack([face(), np.full((EDGE, EDGE), level, np.uint8)])
        yield _sample(f"alpha_{level}", lossless(veiled), veiled)
        lossy = encoded(veiled, "WEBP", quality=95, exact=True)
        yield _sample(f"alpha_{level}_lossy", lossy, veiled)
    gradient = np.linspace(0, 255, EDGE * EDGE).reshape(EDGE, EDGE).astype(np.uint8)
    fading = np.dstack([face(), gradient])
    yield _sample("alpha_gradient", lossless(fading), fading)
    # The flag of VP8X denies the alpha that the data has.
    yield _sample("alpha_denied", container(EDGE, EDGE, _data(lossless(fading)), flags=0), valid=False)
    yield from animations()
    yield from structure()


def lossless(pixels: Pixels) -> bytes:
    """Return a file that keeps every pixel, those under alpha 0 too."""
    return encoded(pixels, "WEBP", lossless=True, exact=True, method=0)


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk, padded."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def container(width: int, height: int, body: bytes, *, flags: int) -> bytes:
    """Return an extended file."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    inside = b"WEBP" + chunk(b"VP8X", struct.pack("<I", flags) + size) + body
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def frame(
    pixels: Pixels, left: int = 0, top: int = 0, *, ms: int = 100, dispose: bool = False, blend: bool = True
) -> bytes:
    """Return ANMF; left and top are even."""
    height, width, _ = pixels.shape
    numbers = (left // 2, top // 2, width - 1, height - 1, ms)
    head = b"".join(number.to_bytes(3, "little") for number in numbers) + bytes([dispose | (not blend) << 1])
    return chunk(b"ANMF", head + _data(lossless(pixels)))


def animated(frames: list[bytes], background: tuple[int, int, int, int] = (0, 0, 0, 0), loops: int = 0) -> bytes:
    """Return an animation; the background is blue, green, red, alpha."""
    control = chunk(b"ANIM", bytes(background) + struct.pack("<H", loops))
    return container(EDGE, EDGE, control + b"".join(frames), flags=ANIMATION | ALPHA)


def animations() -> Iterator[Sample]:
    """Each way to dispose and blend, on a background that shows or does not."""
    veil = np.dstack([face(SMALL), np.full((SMALL, SMALL), 120, np.uint8)])
    opaque = np.dstack([cat(), np.full((EDGE, EDGE), 255, np.uint8)])
    patch = np.ascontiguousarray(opaque[:40, :40])
    for background in ((0, 0, 0, 0), (255, 0, 0, 255)):
        for dispose in (False, True):
            for blend in (False, True):
                frames = [
                    frame(opaque),
                    frame(veil, 40, 40, dispose=dispose, blend=blend),
                    frame(patch, EDGE - 40, 0, dispose=dispose, blend=not blend),
                    frame(patch, 0, EDGE - 40),
                ]
                name = f"dispose_{dispose:d}_blend_{blend:d}_on_{'blue' if background[3] else 'nothing'}"
                yield _sample(name, animated(frames, background))
    yield _sample("first_small", animated([frame(veil, 20, 20), frame(opaque)], (0, 255, 0, 255)))
    both = np.dstack([face(), opaque[..., 3]])
    for ms in (0, 1):
        hidden = [frame(opaque), frame(both, ms=ms), frame(opaque)]
        yield _sample(f"face_of_{ms}_ms", animated(hidden))
    yield _sample("one_frame", animated([frame(both)]))
    yield _sample("loops_65535", animated([frame(opaque), frame(both)], loops=65535))
    yield _sample("frame_beyond", animated([frame(opaque), frame(veil, 100, 100)]), valid=False)


def structure() -> Iterator[Sample]:
    """Chunks that contradict each other, stand twice, or in the wrong place."""
    of_face, of_cat = _data(lossless(face())), _data(lossless(cat()))
    yield _sample("two_pictures", container(EDGE, EDGE, of_face + of_cat, flags=0), valid=False)
    unknown = chunk(b"ABCD", b"unknown " * 9)
    yield _sample("unknown_chunks", container(EDGE, EDGE, unknown + of_face + unknown, flags=0), face())
    yield _sample("canvas_larger", container(2 * EDGE, EDGE, of_face, flags=0), valid=False)
    yield _sample("behind_riff", lossless(cat()) + lossless(face()), cat())
    exif = chunk(b"EXIF", b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0))
    yield _sample("exif_turned", container(EDGE, EDGE, of_face + exif, flags=EXIF))
    yield _sample("exif_turned_undeclared", container(EDGE, EDGE, of_face + exif, flags=0))
    yield _sample("exif_first", container(EDGE, EDGE, exif + of_face, flags=EXIF))
    zero = bytearray(encoded(face(), "WEBP", quality=80))
    zero[26:28] = b"\0\0"
    yield _sample("width_0", bytes(zero), valid=False)


def _data(webp: bytes) -> bytes:
    """Return the chunks of a file that hold its picture."""
    at, found = 12, b""
    while at + 8 <= len(webp):
        size = int.from_bytes(webp[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if webp[at : at + 4] in (b"VP8L", b"VP8 ", b"ALPH"):
            found += webp[at:end]
        at = end
    return found


def _sample(name: str, data: bytes, seen: Pixels | None = None, *, valid: bool = True) -> Sample:
    shown = None if seen is None else Image.fromarray(seen)
    return Sample(f"webp_{name}", "webp", data, shown, hidden=True, valid=valid)
