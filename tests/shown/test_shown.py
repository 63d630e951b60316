"""Published files show what was judged: samples of every kind, rendered and compared in Chromium and Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pytest
from PIL import Image

from mediagate.images.pixels.picture import PixelPicture
from mediagate.moderation import Moderator
from mediagate.values import RenderedFile
from mediagate_plugins.nudenet import model_file
from mediagate_plugins.onnx_moderation import load
from mediagate_plugins.onnx_moderation.options import Options
from tests.support.samples.catalogue import KINDS
from tests.support.samples.sample import Sample
from tests.support.showing.browser import Browser, Cell
from tests.support.showing.comparison import apart, check, views_of
from tests.support.showing.engine import BLACK, WHITE, Outcome, process

ALIKE = 14
"""Mean tolerance of a sample in levels: colour tables are coarse, and another picture differs by far more."""
BATCH = 40
FORBIDDEN = 0.5
SMALLEST = 64
"""Edge in pixels below which no face is recognised."""
METADATA = {
    "exif",
    "icc_profile",
    "xmp",
    "XML:com.adobe.xmp",
    "comment",
    "photoshop",
    "mp",
    "mpoffset",
    "gamma",
    "chromaticity",
}


@dataclass(frozen=True, slots=True)
class Result:
    """A sample, its outcome, and the differences between its files and the judged pictures."""

    sample: Sample
    outcome: Outcome
    differences: list[str]


@pytest.fixture(scope="module")
def model() -> Moderator:
    moderator = load(Options(model=model_file(), fit="corner", pad=0))
    moderator.prepare()
    return moderator


@cache
def made(kind: str) -> list[Sample]:
    return list(KINDS[kind]())


@pytest.fixture(scope="module", params=list(KINDS))
def results(request: pytest.FixtureRequest, browser: Browser) -> list[Result]:
    found = []
    samples = made(request.param)
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        outcomes = [process(sample.data) for sample in batch]
        for sample, outcome, differences in zip(batch, outcomes, check(outcomes, browser), strict=True):
            found.append(Result(sample, outcome, [str(difference) for difference in differences]))
    return found


def test_published_files_match_the_judged_pictures(results: list[Result]) -> None:
    assert any(result.outcome.status == "COMPLETE" for result in results)
    different = {result.sample.name: result.differences for result in results if result.differences}
    assert not different, _told(different)


def test_uploads_shown_by_browsers_are_published(results: list[Result]) -> None:
    refused = {
        result.sample.name: result.outcome.status
        for result in results
        if result.outcome.status != "COMPLETE" and (result.sample.valid or result.outcome.broken)
    }
    assert not refused


def test_published_files_contain_only_pixels(results: list[Result]) -> None:
    found = {}
    for result in results:
        for file in result.outcome.rendered.files if result.outcome.rendered else ():
            with Image.open(io.BytesIO(file.data)) as image:
                image.load()
                held = METADATA & image.info.keys()
                if held or image.info.get("interlace"):
                    found[f"{result.sample.name}: {file.name}.{file.format}"] = held or {"interlace"}
    assert not found


@pytest.mark.parametrize("kind", list(KINDS))
def test_samples_in_chromium_match_their_declared_look(kind: str, browser: Browser) -> None:
    told = [sample for sample in made(kind) if sample.shown is not None and sample.format != "heic"]
    sizes = browser.load([(sample.format, sample.data) for sample in told])
    shots = iter(
        browser.look([Cell(at, seen.width, seen.height, "white") for at, seen in enumerate(sizes) if seen.width])
    )
    wrong = {}
    for sample, seen in zip(told, sizes, strict=True):
        assert seen.width, f"{sample.name} is not shown at all"
        assert sample.shown is not None
        mean, _ = apart(next(shots), _on_white(sample.shown))
        if mean > ALIKE or (seen.width, seen.height) != sample.shown.size:
            wrong[sample.name] = f"{seen.width} x {seen.height}, mean {mean:.1f}"
    assert not wrong


def test_hidden_faces_are_rejected_or_not_shown(results: list[Result], browser: Browser, model: Moderator) -> None:
    # If one judged picture of a sample is forbidden, the policy rejects the sample, and none of it is shown.
    passed = [result for result in results if result.sample.hidden and not _forbidden(result.outcome.seen, model)]
    files = [(at, original) for at, result in enumerate(passed) if (original := _original(result.outcome))]
    shown = set()
    for (at, _), views in zip(files, views_of(browser, [file for _, file in files]), strict=True):
        looks = {view.image.tobytes(): view.image for view in views if view.scale == 1 and view.grey in (WHITE, BLACK)}
        if _forbidden(looks.values(), model):
            shown.add(passed[at].sample.name)
    assert not shown


def test_model_detects_the_face_at_the_size_of_the_samples(model: Moderator) -> None:
    face = next(sample for sample in made("png") if sample.name == "png_plain")
    assert process(face.data, moderator=model).status == "REJECTED"


def _forbidden(pictures: Iterable[Image.Image], model: Moderator) -> bool:
    return any(model.judge(PixelPicture(picture)).scores["FACE_FEMALE"] >= FORBIDDEN for picture in pictures)


def _original(outcome: Outcome) -> RenderedFile | None:
    """Return the published original, unless it is too small for a face."""
    original = outcome.rendered.original if outcome.rendered else None
    return original if original and min(original.width, original.height) >= SMALLEST else None


def _told(found: dict[str, list[str]]) -> str:
    lines = [f"{name}: {len(each)}, first {each[0]}" for name, each in found.items()]
    return f"{len(found)} samples\n" + "\n".join(lines)


def _on_white(image: Image.Image) -> Image.Image:
    wide = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", wide.size, "white"), wide).convert("RGB")
