"""Frames of GIF and APNG: decoded as browsers play them."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.errors import AnimationRefused, ImageTooLarge, UndecodableImage
from mediagate.images.pixels import Decoded, decode
from mediagate.images.render import render
from tests.support.samples.gif_writer import Frame, extension, gif, written
from tests.support.samples.png_writer import COLOUR_ALPHA, SIGNATURE, chunk, frame_control, header, packed

STILL = Source(variants={"xs": VariantSpec(width=64)})
MOVING = STILL.model_copy(update={"animation": "keep"})
LENIENT = MOVING.model_copy(update={"damaged": "accept"})
RED, GREEN, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
CLEAR = (0, 0, 0, 0)
PALETTE = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255)) + bytes(3 * 252)
OTHER = bytes((0, 0, 255, 255, 0, 0, 0, 255, 0, 0, 0, 0)) + bytes(3 * 252)
Part = tuple[NDArray[np.uint8], dict[str, int]]


def plain(width: int, height: int, index: int) -> NDArray[np.uint8]:
    return np.full((height, width), index, np.uint8)


def solid(width: int, height: int, colour: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.full((height, width, 4), colour, np.uint8)


def pixels(data: bytes, *places: tuple[int, int], source: Source = MOVING) -> list[tuple[Any, ...]]:
    """Return the RGBA pixels of each frame at some places."""
    return [tuple(frame.convert("RGBA").getpixel(at) for at in places) for frame in decode(data, source).frames]


def apng(parts: list[Part], *, promised: int | None = None, still: NDArray[np.uint8] | None = None) -> bytes:
    """Return an animated PNG; ``still`` is a default image outside the animation."""
    height, width = (parts[0][0] if still is None else still).shape[:2]
    told = struct.pack(">II", len(parts) if promised is None else promised, 0)
    pieces = [SIGNATURE, header(width, height, COLOUR_ALPHA), chunk(b"acTL", told)]
    if still is not None:
        pieces.append(chunk(b"IDAT", packed(still.astype(np.uint16))))
    number = 0
    for values, options in parts:
        pieces.append(frame_control(number, values.shape[1], values.shape[0], **options))
        coded = packed(values.astype(np.uint16))
        number += 1
        if len(pieces) == 4 and still is None:
            pieces.append(chunk(b"IDAT", coded))
        else:
            pieces.append(chunk(b"fdAT", struct.pack(">I", number) + coded))
            number += 1
    return b"".join([*pieces, chunk(b"IEND")])


def test_gif_frame_beyond_the_canvas_is_clipped() -> None:
    frames = [Frame(plain(10, 10, 0)), Frame(plain(20, 20, 2), 5, 6), Frame(plain(3, 3, 1), 90, 90)]
    seen = pixels(gif(frames, 10, 10, palette=PALETTE), (0, 0), (9, 9))
    assert seen == [(RED, RED), (RED, BLUE), (RED, BLUE)]
    assert decode(gif(frames, 10, 10), MOVING).info.width == 10


def test_gif_canvas_grows_for_the_first_frame_only() -> None:
    first = gif([Frame(plain(10, 10, 0), 5, 5), Frame(plain(40, 40, 2))], 10, 10, palette=PALETTE)
    assert decode(first, MOVING).info.width == 15
    assert pixels(first, (0, 0), (14, 14)) == [(CLEAR, RED), (BLUE, BLUE)]


def test_gif_canvas_around_a_small_first_frame_is_transparent() -> None:
    data = gif([Frame(plain(4, 4, 1), 3, 3)], 10, 10, palette=PALETTE, background=2)
    assert pixels(data, (0, 0), (4, 4), source=STILL) == [(CLEAR, GREEN)]


@pytest.mark.parametrize(
    ("disposal", "seen"), [(0, GREEN), (1, GREEN), (2, CLEAR), (3, RED), (4, RED), (5, GREEN), (7, GREEN)], ids=str
)
def test_gif_disposal_clears_or_restores_the_canvas(disposal: int, seen: tuple[int, ...]) -> None:
    frames = [Frame(plain(10, 10, 0)), Frame(plain(4, 4, 1), 0, 0, disposal), Frame(plain(2, 2, 2), 8, 8)]
    assert pixels(gif(frames, 10, 10, palette=PALETTE), (0, 0), (9, 9)) == [(RED, RED), (GREEN, RED), (seen, BLUE)]


def test_gif_first_frame_with_restore_previous_is_cleared() -> None:
    data = gif([Frame(plain(10, 10, 0), dispose=3), Frame(plain(2, 2, 2))], 10, 10, palette=PALETTE)
    assert pixels(data, (0, 0), (9, 9)) == [(RED, RED), (BLUE, CLEAR)]


def test_gif_empty_frame_lengthens_the_previous_frame() -> None:
    frames = [Frame(plain(8, 8, 0), hundredths=5), Frame(plain(0, 0, 1), hundredths=7), Frame(plain(8, 8, 2))]
    decoded = decode(gif(frames, 8, 8, palette=PALETTE), MOVING)
    assert decoded.durations_ms == [120, 100]
    first = decode(gif([Frame(plain(0, 0, 1)), Frame(plain(8, 8, 2))], 8, 8, palette=PALETTE), STILL)
    assert first.frames[0].getpixel((1, 1)) == BLUE[:3]


def test_gif_frame_uses_its_own_palette() -> None:
    frames = [
        Frame(plain(8, 8, 0), palette=OTHER),
        Frame(plain(4, 4, 1), transparent=3),
        Frame(np.array([[0, 1], [2, 3]], np.uint8), palette=OTHER, transparent=0),
        Frame(plain(1, 1, 200), 7, 7, palette=OTHER[:12]),
    ]
    seen = pixels(gif(frames, 8, 8, palette=PALETTE), (0, 0), (1, 0), (0, 1), (7, 7))
    assert seen[0] == (BLUE, BLUE, BLUE, BLUE)
    assert seen[1] == (GREEN, GREEN, GREEN, BLUE)
    assert seen[2] == (GREEN, RED, GREEN, BLUE)
    assert seen[3] == (GREEN, RED, GREEN, (0, 0, 0, 255)), "indices without a colour are black"


def test_gif_without_any_palette_is_black() -> None:
    assert pixels(gif([Frame(plain(4, 4, 200))], 4, 4, palette=None), (1, 1)) == [((0, 0, 0, 255),)]


@pytest.mark.parametrize(("loops", "plays"), [(None, 1), (0, 0), (1, 2), (65_535, 65_536)])
def test_gif_plays_once_more_than_it_repeats(loops: int | None, plays: int) -> None:
    data = gif([Frame(plain(4, 4, 0)), Frame(plain(4, 4, 1))], 4, 4, palette=PALETTE, loops=loops)
    assert decode(data, MOVING).plays == plays


def test_gif_last_loop_count_wins() -> None:
    again = extension(0xFF, b"ANIMEXTS1.0", b"\1\4\0") + b";"
    data = gif([Frame(plain(4, 4, 0)), Frame(plain(4, 4, 1))], 4, 4, palette=PALETTE, loops=9, after=again)
    assert decode(data, MOVING).plays == 5


def test_gif_ends_before_the_first_invalid_block() -> None:
    two = [Frame(plain(4, 4, 0)), Frame(plain(4, 4, 1))]
    data = gif(two, 4, 4, palette=PALETTE, after=b"x" + written(Frame(plain(4, 4, 2))) + b";")
    decoded = decode(data, MOVING)
    assert len(decoded.frames) == 2
    assert decoded.warnings == ("the GIF is truncated, or followed by other data",)


def test_gif_of_many_tiny_blocks_is_refused() -> None:
    data = gif([Frame(plain(4, 4, 0))], 4, 4, after=b"\x21\xfe" + b"\1a" * 1_000_001 + b"\0;")
    with pytest.raises(UndecodableImage, match="in more pieces than any program writes"):
        decode(data, STILL)


def test_gif_frame_counts_at_its_stored_size_against_the_pixel_limit() -> None:
    frames = [Frame(plain(4, 4, 0)), Frame(plain(600, 600, 1))]
    few = MOVING.model_copy(update={"max_animation_pixels": 100_000})
    with pytest.raises(ImageTooLarge, match="360,016 pixels; up to 100,000"):
        decode(gif(frames, 4, 4), few)
    assert len(decode(gif(frames, 4, 4), MOVING).frames) == 2


def test_transparent_still_gif_keeps_its_visible_pixels_only() -> None:
    rng = np.random.default_rng(4)
    colours = rng.integers(0, 256, 768, dtype=np.uint8).tobytes()
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    data = gif([Frame(indices, transparent=37)], 16, 16, palette=colours)
    file = render(data, STILL, (0.5, 0.5), None).original
    assert file is not None
    seen, sent = (np.asarray(Image.open(io.BytesIO(each)).convert("RGBA")) for each in (file.data, data))
    assert np.array_equal(seen[..., 3], sent[..., 3])
    assert np.array_equal(seen[seen[..., 3] > 0], sent[sent[..., 3] > 0])
    assert not seen[seen[..., 3] == 0][:, :3].any(), "hidden colours are published"


def test_apng_frames_follow_dispose_and_blend() -> None:
    half = solid(4, 4, (0, 0, 255, 128))
    parts: list[Part] = [
        (solid(10, 10, RED), {}),
        (solid(4, 4, GREEN), {"left": 2, "top": 2, "dispose": 1}),
        (half, {"left": 6, "top": 6, "dispose": 2, "blend": 1}),
        (half, {"left": 0, "top": 0}),
    ]
    seen = pixels(apng(parts), (0, 0), (3, 3), (8, 8))
    assert seen == [
        (RED, RED, RED),
        (RED, GREEN, RED),
        (RED, CLEAR, (127, 0, 128, 255)),
        ((0, 0, 255, 128), (0, 0, 255, 128), RED),
    ]


def test_apng_with_fewer_frames_than_declared_plays_them() -> None:
    parts: list[Part] = [(solid(8, 8, RED), {}), (solid(8, 8, GREEN), {})]
    decoded = decode(apng(parts, promised=7), MOVING)
    assert (len(decoded.frames), decoded.warnings) == (2, ("the animation has 2 of 7 frames",))
    assert len(decode(apng([*parts, *parts], promised=3), MOVING).frames) == 3


@pytest.mark.parametrize(
    "wrong", [{"left": 5}, {"dispose": 7}, {"blend": 2}], ids=["beyond the canvas", "disposal", "blending"]
)
def test_apng_ends_before_a_malformed_frame(wrong: dict[str, int]) -> None:
    parts: list[Part] = [(solid(8, 8, RED), {}), (solid(8, 8, GREEN), {}), (solid(8, 8, BLUE), wrong)]
    assert len(decode(apng(parts), MOVING).frames) == 2


def test_apng_default_image_outside_the_animation_is_skipped() -> None:
    data = apng([(solid(8, 8, RED), {}), (solid(8, 8, GREEN), {})], still=solid(8, 8, BLUE))
    assert pixels(data, (1, 1)) == [(RED,), (GREEN,)]


def broken_later(image_format: str) -> bytes:
    """Return an animation with an intact first frame and an undecodable second one."""
    if image_format == "gif":
        data = gif([Frame(plain(8, 8, 0)), Frame(plain(8, 8, 1))], 8, 8, palette=PALETTE)
        return data[: data.rindex(b"\x08") + 1] + b"\xff" * 4
    if image_format == "png":
        return apng([(solid(8, 8, RED), {}), (solid(8, 8, GREEN), {})])[:-40]
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    return file.getvalue()[:-6]


@pytest.mark.parametrize("image_format", ["gif", "png", "webp"])
def test_still_is_decoded_despite_broken_later_frames(image_format: str) -> None:
    decoded: Decoded = decode(broken_later(image_format), STILL)
    assert decoded.frames[0].convert("RGBA").getpixel((4, 4)) == RED


@pytest.mark.parametrize("image_format", ["gif", "webp"])
def test_truncated_animation_is_refused_unless_damage_is_accepted(image_format: str) -> None:
    data = broken_later(image_format)
    with pytest.raises(UndecodableImage):
        decode(data, MOVING)
    assert decode(data, LENIENT).frames[0].convert("RGBA").getpixel((4, 4)) == RED


def test_gif_with_empty_second_frame_is_not_an_animation() -> None:
    refusing = STILL.model_copy(update={"animation": "reject"})
    decode(gif([Frame(plain(8, 8, 0)), Frame(plain(0, 0, 0))], 8, 8), refusing)
    with pytest.raises(AnimationRefused):
        decode(gif([Frame(plain(8, 8, 0)), Frame(plain(8, 8, 0))], 8, 8), refusing)


def test_gif_of_a_thousand_frames_is_accepted_and_of_one_more_refused() -> None:
    frames = [Frame(plain(4, 4, number % 3)) for number in range(1001)]
    assert len(decode(gif(frames[:1000], 4, 4, palette=PALETTE), MOVING).frames) == 1000
    with pytest.raises(ImageTooLarge, match="1001 frames; up to 1000"):
        decode(gif(frames, 4, 4, palette=PALETTE), MOVING)
