"""GIF: passes, disposal, canvas and background."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.samples.gif_writer import GREYS, TRAILER, Frame, extension, gif
from tests.support.samples.sample import EDGE, Sample, cat, face, grey

SMALL = 80


def samples() -> Iterator[Sample]:
    """Yield a sample a kind."""
    whole = grey(face())
    yield _sample("plain", gif([Frame(whole)], EDGE, EDGE), whole)
    yield from stills()
    yield from passes()
    yield from animations()
    yield from canvases()


def stills() -> Iterator[Sample]:
    """One frame."""
    whole = grey(face())
    key = int(whole[5, 5])
    yield _sample("transparent", gif([Frame(whole, transparent=key)], EDGE, EDGE))
    yield _sample("transparent_background", gif([Frame(whole, transparent=key)], EDGE, EDGE, background=200))
    for background in (0, 128):
        corner = gif([Frame(grey(face(SMALL)), 40, 40)], EDGE, EDGE, background=background)
        yield _sample(f"small_on_{background}", corner)
    coloured = bytes(value for level in range(256) for value in (level, 255 - level, level // 2))
    yield _sample("local_palette", gif([Frame(whole, palette=GREYS)], EDGE, EDGE, palette=coloured), whole)
    yield _sample("no_palette", gif([Frame(whole)], EDGE, EDGE, palette=None))
    short = gif([Frame(whole)], EDGE, EDGE, palette=GREYS[: 16 * 3])
    yield _sample("indices_beyond", short)
    yield _sample("no_trailer", gif([Frame(whole)], EDGE, EDGE, after=b""), whole)
    plain_text = extension(0x01, struct.pack("<4HBBBB", 0, 0, EDGE, EDGE, 8, 8, 255, 0), b"plain text " * 10)
    yield _sample("plain_text_before", gif([Frame(whole)], EDGE, EDGE, before=plain_text), whole)
    yield _sample("plain_text_after", gif([Frame(whole)], EDGE, EDGE, after=plain_text + TRAILER), whole)
    control = extension(0xF9, b"\x01\x0a\x00\x05")
    yield _sample("control_twice", gif([Frame(whole)], EDGE, EDGE, before=control))
    black = gif([Frame(whole)], EDGE, EDGE, palette=bytes(768))
    yield _sample("palette_black", black)
    empty = gif([Frame(whole), Frame(whole[:0, :0])], EDGE, EDGE)
    yield _sample("empty_second_frame", empty, valid=False)


def passes() -> Iterator[Sample]:
    """Interlaced, with a first pass that is another picture."""
    whole, other = grey(face()), grey(cat())
    yield _sample("interlaced", gif([Frame(whole, interlaced=True)], EDGE, EDGE), whole)
    for name, first, rest in (("face_first", whole, other), ("cat_first", other, whole)):
        rows = rest.copy()
        rows[::8] = np.asarray(Image.fromarray(first).resize((EDGE, len(rows[::8])), Image.Resampling.BOX))
        yield _sample(f"interlaced_{name}", gif([Frame(rows, interlaced=True)], EDGE, EDGE), rows)


def animations() -> Iterator[Sample]:
    """Disposal of each kind, and frames that are hardly there."""
    whole, other, part = grey(face()), grey(cat()), grey(face(SMALL))
    holed = np.where(np.indices(part.shape).sum(axis=0) % 3, part, 7).astype(np.uint8)
    for dispose in range(8):
        frames = [
            Frame(other, dispose=dispose if dispose != 3 else 0),
            Frame(holed, 40, 40, dispose, transparent=7),
            Frame(other[:30, :30], EDGE - 30, 0, dispose),
            Frame(part[:20, :20], 10, EDGE - 20),
        ]
        yield _sample(f"dispose_{dispose}", gif(frames, EDGE, EDGE))
        first = [
            Frame(holed, 20, 20, dispose, transparent=7),
            Frame(part[:40, :40], EDGE - 40, 80, dispose),
            Frame(part, 40, 0),
        ]
        yield _sample(f"dispose_{dispose}_first_small", gif(first, EDGE, EDGE, background=9))
    for name, hundredths in (("no_time", (10, 0, 10)), ("all_no_time", (0, 0, 0)), ("1_hundredth", (50, 1, 50))):
        middle = [Frame(at, hundredths=time) for at, time in zip((other, whole, other), hundredths, strict=True)]
        yield _sample(f"face_of_{name}", gif(middle, EDGE, EDGE))
    yield _sample("same_frames", gif([Frame(other)] * 5, EDGE, EDGE))
    yield _sample("loops_65535", gif([Frame(other), Frame(whole)], EDGE, EDGE, loops=65535))
    yield _sample("plays_once", gif([Frame(other), Frame(whole)], EDGE, EDGE, loops=None))
    two_palettes = [Frame(other), Frame(255 - whole, palette=GREYS[::-1])]
    yield _sample("palette_reversed_in_second", gif(two_palettes, EDGE, EDGE))
    shrinking = [Frame(whole, dispose=2, transparent=255), Frame(np.full((1, 1), 255, np.uint8), transparent=255)]
    yield _sample("disposed_by_pixel", gif(shrinking, EDGE, EDGE))
    restored = [Frame(whole, dispose=3), Frame(part, 0, 0, 3), Frame(part, EDGE - SMALL, EDGE - SMALL)]
    yield _sample("first_restores_nothing", gif(restored, EDGE, EDGE))


def canvases() -> Iterator[Sample]:
    """Frames that are smaller than the canvas, larger, or beyond it."""
    whole, other = grey(face()), grey(cat())
    yield _sample("larger_than_canvas", gif([Frame(whole)], SMALL, SMALL))
    yield _sample("beyond_right", gif([Frame(whole, 80, 80)], EDGE, EDGE))
    yield _sample("beyond_in_second", gif([Frame(other), Frame(whole, 80, 80)], EDGE, EDGE))
    yield _sample("second_larger", gif([Frame(other[:SMALL, :SMALL]), Frame(whole)], SMALL, SMALL))
    yield _sample("far_beyond", gif([Frame(other), Frame(whole, 400, 400)], EDGE, EDGE))
    yield _sample("canvas_0", gif([Frame(whole)], 0, 0), valid=False)
    yield _sample("first_far_beyond", gif([Frame(whole, 400, 400), Frame(other)], EDGE, EDGE), valid=False)


def _sample(name: str, data: bytes, seen: NDArray[np.uint8] | None = None, *, valid: bool = True) -> Sample:
    shown = None if seen is None else Image.fromarray(seen).convert("RGB")
    return Sample(f"gif_{name}", "gif", data, shown, hidden=True, valid=valid)
