"""Published files show what was judged: also of a crop, in several formats, and after steps."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.moderation import Moderator
from mediagate.values import CropBox, RenderedFile, variant_of
from mediagate_plugins.nudenet import model_file
from mediagate_plugins.onnx_moderation import load
from mediagate_plugins.onnx_moderation.options import Options
from tests.support.samples.catalogue import KINDS
from tests.support.samples.sample import Sample
from tests.support.showing.browser import Browser
from tests.support.showing.comparison import LOSSY, Reference, apart, views_of
from tests.support.showing.engine import BLACK, SOURCE, SQUARES, WHITE, Outcome, process

CROP = CropBox(0.2, 0.1, 0.55, 0.7)
FORMATS = SOURCE.model_copy(
    update={
        "variants": {
            "whole": VariantSpec(width=512, formats=("png", "webp", "avif", "jpeg"), effort=0),
            "face": VariantSpec(width=64, height=64, fit="cover", formats=("avif", "webp", "jpeg"), effort=0),
        }
    }
)
LOOKS: dict[str, tuple[dict[str, Any], ...]] = {
    "noir": ({"op": "look", "name": "noir"},),
    "turned": ({"op": "rotate", "degrees": 20}, {"op": "look", "name": "vivid"}),
    "part": ({"op": "crop", "x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5, "unit": "fraction"}, {"op": "flip"}),
}
STEPPED = SOURCE.model_copy(
    update={
        "variants": {
            name: VariantSpec(width=160, formats=("png", "webp"), effort=0, steps=steps)
            for name, steps in LOOKS.items()
        },
        "original": "delete",
    }
)
SOME = 12
"""Samples of each kind, about; the whole catalogue goes through the engine in ``test_shown.py``."""
DIM = 16
"""Into one of this many parts of the range a face is darkened, so that the model does not find it."""


@pytest.fixture(scope="module")
def model() -> Moderator:
    moderator = load(Options(model=model_file(), fit="corner", pad=0))
    moderator.prepare()
    return moderator


@cache
def made(kind: str) -> list[Sample]:
    return list(KINDS[kind]())


def some(kind: str) -> list[Sample]:
    samples = made(kind)
    return samples[:: max(1, len(samples) // SOME)]


def face() -> Image.Image:
    data = next(sample.data for sample in made("png") if sample.name == "png_plain")
    return Image.open(io.BytesIO(data)).convert("RGB")


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def source(**options: Any) -> Source:
    spec = VariantSpec(width=512, format="png", effort=0, **options)
    return Source(variants={"whole": spec}, reject={"FACE_FEMALE": 0.5}, original="delete")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [SOURCE, FORMATS], ids=["one", "several"])
def test_cropped_files_of_every_format_match_the_judged_pictures(kind: str, options: Source, browser: Browser) -> None:
    samples = some(kind)
    outcomes = [process(sample.data, options, crop=CROP) for sample in samples]
    assert any(outcome.status == "COMPLETE" for outcome in outcomes)
    assert unlike(outcomes, browser) == []


@pytest.mark.parametrize("kind", KINDS)
def test_files_after_steps_match_judged_pictures(kind: str, browser: Browser) -> None:
    outcomes = [outcome for sample in some(kind) if (outcome := process(sample.data, STEPPED)).status == "COMPLETE"]
    made = [file for outcome in outcomes if outcome.rendered for file in outcome.rendered.variants]
    assert {variant_of(file.name) for file in made} == set(LOOKS)
    # No whole picture looks like these: they must have been judged themselves.
    assert unlike([replace(outcome, judged=()) for outcome in outcomes], browser) == []


def unlike(outcomes: list[Outcome], browser: Browser) -> list[str]:
    """Return the views of published files at full size that look like no judged picture, nor like its middle."""
    files = [(outcome, file) for outcome in outcomes if outcome.rendered for file in outcome.rendered.files]
    wrong = []
    for (outcome, file), views in zip(files, views_of(browser, [file for _, file in files]), strict=True):
        assert views, "Chromium shows nothing"
        for view in views:
            if view.scale == 1 and view.grey in (WHITE, BLACK) and not _judged(view.image, file, outcome):
                # JPEG has no alpha: the picture on white is what is published.
                grey = WHITE if file.format == "jpeg" else view.grey
                if not outcome.judged or not _like_the_whole(view.image, grey, file, outcome):
                    wrong.append(f"{file.name}.{file.format} of {outcome.rendered and outcome.rendered.info}: {view}")
    return wrong


def _like_the_whole(shown: Image.Image, grey: int, file: RenderedFile, outcome: Outcome) -> bool:
    mean, highest = Reference(outcome.judged).nearest(shown, grey, cut=variant_of(file.name) in SQUARES)
    return mean <= LOSSY[0] and highest <= LOSSY[1]


def _judged(shown: Image.Image, file: RenderedFile, outcome: Outcome) -> bool:
    """Whether a picture of this size was judged that looks like this file."""
    judged = [picture for picture in outcome.seen if picture.size == (file.width, file.height)]
    return any(mean <= LOSSY[0] and highest <= LOSSY[1] for mean, highest in (apart(shown, each) for each in judged))


def test_face_outside_the_crop_is_not_shown_and_inside_is_rejected(model: Moderator) -> None:
    shown = face()
    beside = Image.new("RGB", (2 * shown.width, shown.height), "grey")
    beside.paste(shown, (0, 0))
    assert process(png(beside), source(), model).status == "REJECTED"
    assert process(png(beside), source(), model, CropBox(0, 0, 0.5, 1)).status == "REJECTED"
    outcome = process(png(beside), source(), model, CropBox(0.5, 0, 0.5, 1))
    assert outcome.status == "COMPLETE"
    assert outcome.rendered is not None
    with Image.open(io.BytesIO(outcome.rendered.variants[0].data)) as published:
        assert len(published.convert("RGB").getcolors() or ()) == 1


def test_face_that_steps_bring_out_is_rejected(model: Moderator) -> None:
    dim = face().point(lambda level: level // DIM)
    assert process(png(dim), source(), model).status == "COMPLETE"
    assert process(png(dim), source(steps=({"op": "lut", "cube": _brighter()},)), model).status == "REJECTED"


def _brighter() -> str:
    """Return a table that shows the darkest part of the range over all of it."""
    edge = 33
    levels = [min(1.0, DIM * number / (edge - 1)) for number in range(edge)]
    colours = (f"{red:.5f} {green:.5f} {blue:.5f}" for blue in levels for green in levels for red in levels)
    return f"LUT_3D_SIZE {edge}\n" + "\n".join(colours) + "\n"
