"""Steps of variants: they run on the resized picture, and what they make of it is judged."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image, ImageOps, ImageStat

from mediagate import Picture, Source, VariantSpec, Verdict
from mediagate.errors import ConfigError, ImageTooLarge, ModerationFailed, OperationFailed
from mediagate.images import check_steps, look_of
from mediagate.images.render import render
from mediagate.moderation import apply_policy
from mediagate.values import Rendered
from tests.support.references import opened
from tests.support.rendered import MIDDLE, picture

pytestmark = pytest.mark.usefixtures("each_resizer")

NOIR = ({"op": "look", "name": "noir"},)
NEGATIVE = """LUT_3D_SIZE 2
1 1 1
0 1 1
1 0 1
0 0 1
1 1 0
0 1 0
1 0 0
0 0 0
"""
INVERT: tuple[Mapping[str, Any], ...] = ({"op": "lut", "cube": NEGATIVE},)
WIDE: tuple[Mapping[str, Any], ...] = ({"op": "pad", "right": 5000},)


@dataclass
class Brightness:
    """Scores how bright a picture is, and keeps the sizes of all that it judges."""

    labels: frozenset[str] = frozenset({"BRIGHT"})
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    sums: list[bytes] = field(default_factory=list)

    def prepare(self) -> None: ...

    def judge(self, picture: Picture) -> Verdict:
        self.sizes.append((picture.width, picture.height))
        self.sums.append(picture.rgb())
        image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb())
        return Verdict(scores={"BRIGHT": ImageStat.Stat(image.convert("L")).mean[0] / 255}, model="brightness")


def source(**options: Any) -> Source:
    """Return a source with a plain variant, and one of the same width with these options."""
    changed = {"width": 60, "formats": ("png",), "effort": 0, **options}
    return Source(
        variants={"plain": VariantSpec(width=60, format="png", effort=0), "changed": VariantSpec(**changed)},
        original="delete",
        reject={"BRIGHT": 0.8},
        animation="keep",
    )


def dark(size: tuple[int, int] = (300, 200)) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 20).point(lambda level: level // 8).convert("RGB").save(file, "png")
    return file.getvalue()


def images(rendered: Rendered) -> dict[str, Image.Image]:
    return {file.name: picture(file).convert("RGB") for file in rendered.variants}


def test_steps_change_their_variant_alone() -> None:
    made = images(render(dark(), source(steps=INVERT), MIDDLE, None))
    assert ImageOps.invert(made["plain"]).tobytes() == made["changed"].tobytes()


def test_steps_run_in_their_order_on_the_resized_picture(photo: bytes) -> None:
    turned = ({"op": "rotate", "degrees": 90}, {"op": "crop", "x": 0, "y": 0, "width": 10, "height": 20}, *NOIR)
    made = images(render(photo, source(steps=turned), MIDDLE, None))
    assert made["changed"].size == (10, 20)
    red, green, blue = made["changed"].split()
    assert red.tobytes() == green.tobytes() == blue.tobytes() != made["plain"].getchannel("R").tobytes()


def test_steps_apply_to_every_format_and_frame() -> None:
    frames = [opened(dark((120, 80))).convert("RGB") for _ in range(2)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=200, lossless=True)
    rendered = render(file.getvalue(), source(steps=INVERT, formats=("png", "webp")), MIDDLE, None)
    names = [(made.name, made.format) for made in rendered.variants]
    assert names == [("plain", "png"), ("changed", "png"), ("changed.webp", "webp")]
    for made in rendered.variants[1:]:
        with Image.open(io.BytesIO(made.data)) as image:
            for number in range(2):
                image.seek(number)
                assert ImageStat.Stat(image.convert("L")).mean[0] > 200


def test_picture_that_steps_make_is_judged() -> None:
    moderator = Brightness()
    harmless = render(dark(), source(), MIDDLE, moderator)
    assert harmless.verdict.decision == "allow"
    rejected = render(dark(), source(steps=INVERT), MIDDLE, moderator)
    assert rejected.verdict.decision == "reject"
    assert rejected.verdict.flags == ("BRIGHT",)
    assert not rejected.files
    assert rejected.model_runs > harmless.model_runs


def test_steps_are_judged_when_nothing_is_published() -> None:
    assert render(dark(), source(steps=INVERT), MIDDLE, Brightness(), publish=False).verdict.decision == "reject"


def test_judged_pixels_of_steps_are_the_published_ones() -> None:
    moderator = Brightness()
    made = images(render(dark(), source(steps=NOIR), MIDDLE, moderator))
    assert made["changed"].tobytes() in moderator.sums


def test_equal_steps_are_run_and_judged_once() -> None:
    moderator = Brightness()
    same = source(steps=NOIR)
    twice = same.model_copy(update={"variants": {**same.variants, "again": same.variants["changed"]}})
    once = render(dark(), same, MIDDLE, moderator).model_runs
    rendered = render(dark(), twice, MIDDLE, moderator)
    assert rendered.model_runs == once
    assert rendered.variants[1].data == rendered.variants[2].data


def test_verdict_has_the_highest_scores_of_all_pictures() -> None:
    tolerant = source(steps=INVERT).model_copy(update={"reject": {"BRIGHT": 1.0}})
    verdict = render(dark(), tolerant, MIDDLE, Brightness()).verdict
    assert verdict.decision == "allow"
    assert verdict.scores["BRIGHT"] > 0.9
    assert apply_policy(verdict, tolerant, {}) == verdict


def test_moderator_that_fails_on_a_changed_picture_publishes_nothing() -> None:
    class Fragile(Brightness):
        def judge(self, picture: Picture) -> Verdict:
            verdict = super().judge(picture)
            if verdict.scores["BRIGHT"] > 0.5:
                raise RuntimeError("no")
            return verdict

    with pytest.raises(ModerationFailed):
        render(dark(), source(steps=INVERT), MIDDLE, Fragile())


def test_step_beyond_the_pixels_of_its_source_is_refused() -> None:
    limited = source(steps=WIDE).model_copy(update={"max_pixels": 60_000})
    with pytest.raises(ImageTooLarge, match="5060 x 40") as caught:
        render(dark(), limited, MIDDLE, None)
    assert (caught.value.step, caught.value.op) == (0, "pad")


def test_step_that_does_not_fit_its_picture_fails_or_is_skipped() -> None:
    outside = {"op": "crop", "x": 100, "y": 0, "width": 50, "height": 10}
    with pytest.raises(OperationFailed):
        render(dark(), source(steps=({**outside},)), MIDDLE, None)
    rendered = render(dark(), source(steps=({**outside, "onError": "skip"}, *INVERT)), MIDDLE, None)
    assert ImageOps.invert(images(rendered)["plain"]).tobytes() == images(rendered)["changed"].tobytes()
    assert len(rendered.warnings) == 1
    assert rendered.warnings[0].startswith("the step crop was skipped: ")


def test_steps_with_alpha_choose_formats_that_show_it(photo: bytes) -> None:
    turned = ({"op": "rotate", "degrees": 30, "background": "#00000000"},)
    rendered = render(photo, source(steps=turned, formats=("avif", "webp", "jpeg")), MIDDLE, None)
    assert [(file.name, file.format) for file in rendered.variants[1:]] == [
        ("changed", "webp"),
        ("changed.jpeg", "jpeg"),
    ]


def test_faults_of_steps_are_told_with_their_places() -> None:
    bad = (
        {"op": "lookk", "name": "noir"},
        {"op": "look", "name": "noire"},
        {"op": "blur", "radius": -1},
    )
    with pytest.raises(ConfigError) as caught:
        check_steps({"avatar": source(steps=bad), "post": source(steps=({"op": "save", "as": "x"},))})
    told = "\n".join(caught.value.problems)
    assert (
        "sources['avatar'].variants['changed'].steps[0].op: there is no operation 'lookk'; did you mean 'look'?" in told
    )
    assert "variants['changed'].steps[1].name: one of cinematic" in told
    assert "sources['post'].variants['changed'].steps[0].op: save is not a transform or filter" in told


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"op": "watermark", "text": "mine"}, "watermark is not a transform or filter"),
        ({"op": "read_metadata"}, "read_metadata is not a transform or filter"),
        ({"op": "look", "name": "noir", "from": "original"}, "steps[0].from: "),
    ],
)
def test_steps_that_are_not_of_one_picture_are_refused(step: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_steps({"avatar": source(steps=(step,))})
    assert told in str(caught.value)


def test_valid_steps_pass_the_check() -> None:
    check_steps({"avatar": source(steps=(*NOIR, *INVERT, {"op": "flip"})), "post": Source()})


def test_look_is_shared_by_equal_filters_and_no_transformations() -> None:
    noir, inverted = VariantSpec(width=8, steps=NOIR), VariantSpec(width=16, steps=INVERT)
    assert look_of("a", VariantSpec(width=8)) is None
    assert look_of("a", noir) == look_of("b", VariantSpec(width=16, steps=NOIR)) != look_of("a", inverted)
    turned = VariantSpec(width=8, steps=({"op": "flip"},))
    assert look_of("a", turned) != look_of("b", turned)
