"""Scrutiny with the real model: forbidden parts that are small, split over frames, or nearly invisible.

A face stands in for forbidden content; the pictures around it contain none.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediagate import Moderator, Source, VariantSpec
from mediagate.images import pixels as images
from mediagate.images.judgement import judge
from mediagate.images.render import render
from mediagate.values import Verdict
from mediagate_plugins.nudenet import model_file
from mediagate_plugins.onnx_moderation import load
from mediagate_plugins.onnx_moderation.options import Options

pytestmark = pytest.mark.slow

STANDARD = Source(reject={"FACE_FEMALE": 0.5})
THOROUGH = Source(reject={"FACE_FEMALE": 0.5}, scrutiny="thorough")
EDGE = 512
Pixels = NDArray[np.float64]


@pytest.fixture
def face(data: Path) -> Image.Image:
    return Image.open(data / "moderation" / "astronaut.png").convert("RGB")


@pytest.fixture
def cat(data: Path) -> Image.Image:
    return Image.open(data / "moderation" / "chelsea.png").convert("RGB")


@cache
def model() -> Moderator:
    moderator = load(Options(model=model_file(), fit="corner", pad=0))
    moderator.prepare()
    return moderator


def judged(
    *frames: Image.Image, source: Source = STANDARD, durations_ms: Sequence[int] = (), plays: int = 0
) -> tuple[Verdict, int]:
    plans = images.plan(frames[0].size, source)
    return judge(frames, durations_ms or [100] * len(frames), plays, plans, source, model())


def blocks(*choices: int) -> Pixels:
    """Return a random choice for each square of 8 pixels of the face, the same in all channels."""
    chosen = np.random.default_rng(3).choice(choices, (EDGE // 8, EDGE // 8, 1))
    return np.kron(chosen, np.ones((8, 8, 3)))


def picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels.round().astype(np.uint8))


@pytest.mark.parametrize("size", [(EDGE, 3000), (3000, EDGE)], ids=str)
def test_scrutiny_finds_a_part_of_a_long_strip(face: Image.Image, cat: Image.Image, size: tuple[int, int]) -> None:
    strip = cat.resize(size)
    assert judged(strip)[0].decision == "allow"
    strip.paste(face, ((size[0] - EDGE) // 3, (size[1] - EDGE) // 3))
    assert judged(strip)[0].decision == "reject"


def test_scrutiny_judges_the_avatar_cut_out_of_a_strip(face: Image.Image, cat: Image.Image) -> None:
    strip = cat.resize((EDGE, 3000))
    strip.paste(face, (0, 2200))
    file = io.BytesIO()
    strip.save(file, "JPEG", quality=95)
    avatar = {"avatar": VariantSpec(width=256, height=256, fit="cover")}
    source = Source(reject={"FACE_FEMALE": 0.5}, original="delete", variants=avatar)
    shown = render(file.getvalue(), source, (0.5, (2200 + EDGE / 2) / 3000), model())
    assert (shown.verdict.decision, shown.verdict.flags, shown.model_runs) == ("reject", ("FACE_FEMALE",), 2)
    elsewhere = render(file.getvalue(), source, (0.5, 0.1), model())
    assert (elsewhere.verdict.decision, elsewhere.model_runs) == ("allow", 2)


def test_thorough_scrutiny_finds_a_small_part_of_a_large_picture(face: Image.Image, cat: Image.Image) -> None:
    large = cat.resize((4000, 3600))
    large.paste(face, (1900, 700))
    standard, runs = judged(large)
    assert (standard.decision, runs) == ("allow", 5)
    thorough, runs = judged(large, source=THOROUGH)
    assert thorough.decision == "reject"
    assert thorough.scores["FACE_FEMALE"] > 0.7
    assert not thorough.complete
    assert runs < 75


def test_thorough_scrutiny_finds_faces_on_a_contact_sheet(face: Image.Image) -> None:
    sheet = Image.new("RGB", (5 * EDGE, 5 * EDGE))
    for at in range(25):
        sheet.paste(face, (at % 5 * EDGE, at // 5 * EDGE))
    assert model().judge(images.PixelPicture(sheet)).scores["FACE_FEMALE"] < 0.5, "too small in the whole"
    assert judged(sheet, source=THOROUGH)[0].decision == "reject"


def test_scrutiny_finds_one_frame_among_others(face: Image.Image, cat: Image.Image) -> None:
    others = [cat.resize((EDGE, EDGE)).rotate(90 * turn) for turn in range(3)]
    assert judged(*others)[0].decision == "allow"
    assert judged(*others, face)[0].decision == "reject"


@pytest.mark.parametrize(
    ("durations_ms", "decision"),
    [([30, 30], "reject"), ([45, 45], "reject"), ([60, 60], "allow")],
    ids=str,
)
def test_scrutiny_blends_two_frames_that_alternate_quickly(
    face: Image.Image, durations_ms: list[int], decision: str
) -> None:
    pixels = np.asarray(face, np.float64)
    noise = np.minimum(pixels, 255 - pixels) * blocks(-1, 1)
    frames = picture(pixels + noise), picture(pixels - noise)
    for frame in frames:
        assert judged(frame)[0].decision == "allow"
    assert judged(*frames, durations_ms=durations_ms)[0].decision == decision


def test_scrutiny_blends_five_frames_that_alternate_quickly(face: Image.Image) -> None:
    pixels, part = np.asarray(face, np.float64), blocks(0, 1, 2, 3, 4)
    frames = [picture(np.where(part == number, pixels, 128)) for number in range(5)]
    assert judged(*frames, durations_ms=[100] * 5)[0].decision == "allow"
    assert judged(*frames, durations_ms=[20] * 5)[0].decision == "reject"


def test_scrutiny_finds_nearly_transparent_content(face: Image.Image) -> None:
    for alpha in (9, 30):
        faint = face.convert("RGBA")
        faint.putalpha(alpha)
        assert judged(faint)[0].decision == "reject"


def test_scrutiny_finds_content_visible_only_on_grey(face: Image.Image) -> None:
    pixels = np.asarray(face.convert("L").convert("RGB"), np.float64) / 3 + 85
    clear = blocks(0, 1) * 0.66
    on_black = pixels - 128 * clear
    alpha = 1 - clear
    layers = [picture(on_black / alpha), Image.fromarray((255 * alpha[:, :, 0]).round().astype(np.uint8))]
    hidden = Image.merge("RGBA", (*layers[0].split(), layers[1]))
    for seen in (on_black, pixels + 127 * clear, on_black / alpha):
        assert judged(picture(seen))[0].decision == "allow"
    assert judged(hidden)[0].decision == "reject"


def test_thorough_scrutiny_allows_harmless_pictures(cat: Image.Image) -> None:
    half = cat.copy()
    half.putalpha(Image.linear_gradient("L").resize(cat.size))
    for frames in ([cat.resize((3000, 2600))], [half], [cat, cat.rotate(3), cat.rotate(6)]):
        verdict, _ = judged(*frames, source=THOROUGH, durations_ms=[20] * len(frames))
        assert (verdict.decision, verdict.complete) == ("allow", True)
