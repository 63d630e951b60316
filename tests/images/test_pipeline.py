"""Pipelines in one process: the order of steps, what they start from, judgement, limits, skipped steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediagate import Picture, Source, Verdict
from mediagate.errors import (
    ImageTooLarge,
    MediagateError,
    ModerationFailed,
    OperationFailed,
    UndecodableImage,
    UnsupportedType,
)
from mediagate.values import Produced, StepEnd
from tests.support.charts import corners, ramp, saved
from tests.support.recipes import OPERATIONS, array, opened, ran, with_misbehaving

MIB = 1024 * 1024
LOUD = Source(reject={"LOUD": 0.5})


@dataclass
class Contrast:
    """A stand-in for a detector: sees a forbidden picture wherever black and white lie in one view."""

    labels: frozenset[str] = frozenset({"LOUD"})
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    seen: list[tuple[int, int]] = field(default_factory=list)
    fails: bool = False

    def prepare(self) -> None: ...

    def judge(self, picture: Picture) -> Verdict:
        if self.fails and self.seen:
            raise RuntimeError("the model is gone")
        self.seen.append((picture.width, picture.height))
        levels = np.frombuffer(picture.rgb(), np.uint8)
        return Verdict(scores={"LOUD": float(np.ptp(levels)) / 255}, model="contrast")


def hidden() -> Image.Image:
    """Return a picture of contrasts too weak to be seen."""
    picture = Image.new("RGB", (64, 64), (120, 120, 120))
    picture.paste((130, 130, 130), (20, 20, 44, 44))
    return picture


def revealing() -> str:
    """Return a table that turns 120 to black and 130 to white."""
    edge = 33
    lines = [f"LUT_3D_SIZE {edge}"]
    levels = [min(1.0, max(0.0, red / (edge - 1) * 255 - 124)) for red in range(edge)]
    return "\n".join([*lines, *[f"{level:.4f} {level:.4f} {level:.4f}" for level in levels] * edge**2])


def step_of(error: MediagateError) -> tuple[int | None, str | None]:
    return error.step, error.op


def test_steps_run_in_the_order_in_which_they_are_written() -> None:
    picture = corners(60, 40)
    crop, turn = {"op": "crop", "x": 0, "y": 0, "width": 20, "height": 10}, {"op": "rotate", "degrees": 90}
    cropped, turned = (opened(ran(picture, *steps).outputs[0]) for steps in ([crop, turn], [turn, crop]))
    assert (cropped.size, turned.size) == ((10, 20), (20, 10))
    assert np.array_equal(array(cropped), np.rot90(array(picture)[:10, :20], -1))
    assert np.array_equal(array(turned), np.rot90(array(picture), -1)[:10, :20])


def test_step_may_run_twice() -> None:
    steps = [{"op": "crop", "x": 5, "y": 5, "width": 20, "height": 20}] * 2
    assert opened(ran(ramp(60, 40), *steps).outputs[0]).tobytes() == ramp(60, 40).crop((10, 10, 25, 25)).tobytes()


def test_branches_start_from_the_original_and_from_saves() -> None:
    produced = ran(
        ramp(60, 40),
        {"op": "resize", "width": 30},
        {"op": "save", "as": "half"},
        {"op": "flip", "from": "original"},
        {"op": "save", "as": "flipped"},
        {"op": "mirror", "from": "half"},
        {"op": "save", "as": "small"},
    )
    half, flipped, small = map(opened, produced.outputs)
    assert [output.name for output in produced.outputs] == ["half", "flipped", "small"]
    assert np.array_equal(array(flipped), array(ramp(60, 40))[::-1])
    assert np.array_equal(array(small), array(half)[:, ::-1])


def test_save_lets_the_next_step_go_on_with_its_picture_as_it_was() -> None:
    produced = ran(
        ramp(60, 40),
        {"op": "save", "as": "bad", "format": "jpeg", "quality": 1},
        {"op": "flip"},
        {"op": "save", "as": "good"},
    )
    assert np.array_equal(array(opened(produced.outputs[1])), array(ramp(60, 40))[::-1])


def test_oriented_photos_are_upright(data: Path) -> None:
    produced = ran((data / "photos" / "dog_exif_xmp_icc.jpg").read_bytes(), {"op": "resize", "width": 300})
    assert (produced.outputs[0].width, produced.outputs[0].height) == (300, 400)
    assert produced.removed


def test_result_tells_steps_data_and_times() -> None:
    told: list[StepEnd] = []
    produced = ran(saved(ramp(20, 10), "JPEG"), {"op": "flip"}, {"op": "read_metadata"}, told=told.append)
    assert [(end.step, end.op, end.status) for end in told] == [
        (0, "flip", "done"),
        (1, "read_metadata", "done"),
        (2, "save", "done"),
    ]
    assert produced.steps == tuple(told)
    assert [(data.step, data.op) for data in produced.data] == [(1, "read_metadata")]
    assert (produced.info.format, produced.outputs[0].format, produced.outputs[0].name) == ("jpeg", "jpeg", "output")


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "pdf"])
def test_picture_that_a_step_reveals_is_not_published(format_: str) -> None:
    moderator = Contrast()
    produced = ran(
        hidden(),
        {"op": "read_metadata"},
        {"op": "save", "as": "harmless", "format": "png"},
        {"op": "lut", "cube": revealing()},
        {"op": "save", "as": "revealed", "format": format_},
        {"op": "flip"},
        {"op": "save", "as": "later"},
        source=LOUD,
        moderator=moderator,
    )
    assert produced.verdict.decision == "reject"
    assert produced.verdict.flags == ("LOUD",)
    assert (produced.outputs, produced.data) == ((), ())
    assert len(produced.steps) == 3, "the steps after the rejection ran"


def test_hidden_picture_alone_is_published() -> None:
    produced = ran(hidden(), {"op": "flip"}, source=LOUD, moderator=Contrast())
    assert produced.verdict.decision == "allow" and produced.outputs


def test_small_part_that_a_crop_enlarges_is_judged_as_it_is_shown() -> None:
    produced = ran(
        hidden(),
        {"op": "crop", "x": 18, "y": 18, "width": 4, "height": 4},
        {"op": "lut", "cube": revealing()},
        {"op": "resize", "width": 400, "enlarge": True},
        source=LOUD,
        moderator=Contrast(),
    )
    assert produced.verdict.decision == "reject" and not produced.outputs


def test_input_is_judged_even_if_nothing_of_it_is_saved() -> None:
    loud = Image.new("RGB", (64, 64), "white")
    loud.paste("black", (0, 0, 9, 9))
    told: list[StepEnd] = []
    steps = [{"op": "crop", "x": 20, "y": 20, "width": 9, "height": 9}]
    produced = ran(loud, *steps, source=LOUD, moderator=Contrast(), told=told.append)
    assert produced.verdict.decision == "reject" and not produced.outputs and not told


def test_further_inputs_are_judged() -> None:
    loud = Image.new("RGB", (64, 64), "white")
    loud.paste("black", (0, 0, 9, 9))
    step = {"op": "watermark", "picture": "logo", "opacity": 1}
    inputs = {"logo": saved(loud, "PNG")}
    produced = ran(hidden(), step, source=LOUD, moderator=Contrast(), inputs=inputs)
    assert produced.verdict.decision == "reject" and not produced.outputs


def test_palette_is_judged_as_it_is_written() -> None:
    judged = Contrast()
    ran(ramp(40, 30), {"op": "save", "format": "gif", "colours": 2}, source=Source(), moderator=judged)
    assert len(judged.seen) == 2, "the input and the picture with two colours"


def test_identical_pixels_are_judged_once() -> None:
    moderator = Contrast()
    cut = {"op": "crop", "x": 0, "y": 0, "width": 30, "height": 30}
    saves: list[dict[str, Any]] = [{"op": "save", "as": "a"}, {"op": "save", "as": "b", "format": "webp"}]
    steps = [*saves, cut, {"op": "save", "as": "c"}]
    produced = ran(hidden(), *steps, source=LOUD, moderator=moderator)
    assert len(moderator.seen) == 2
    assert produced.model_runs == 2


def test_large_outputs_are_judged_in_parts_also_if_originals_are_deleted() -> None:
    moderator = Contrast()
    source = Source(original="delete", scrutiny="thorough")
    ran(Image.new("RGB", (1300, 700)), {"op": "flip"}, source=source, moderator=moderator)
    assert len(moderator.seen) >= 1
    moderator = Contrast()
    ran(ramp(1300, 700), {"op": "flip"}, source=source, moderator=moderator)
    assert len(moderator.seen) > 6


def test_moderator_that_fails_at_an_output_is_never_skipped() -> None:
    steps = [{"op": "flip"}, {"op": "save", "onError": "skip"}]
    with pytest.raises(ModerationFailed):
        ran(ramp(64, 64), *steps, source=Source(), moderator=Contrast(fails=True))


def test_verdict_without_moderation_says_so() -> None:
    assert ran(ramp(9, 9), {"op": "flip"}).verdict.model == "off"


def test_failed_step_is_named() -> None:
    with pytest.raises(OperationFailed) as failed:
        ran(ramp(20, 10), {"op": "flip"}, {"op": "crop", "x": 50, "y": 0, "width": 5, "height": 5})
    assert step_of(failed.value) == (1, "crop")


def test_skipped_step_leaves_the_picture_and_a_warning() -> None:
    crop = {"op": "crop", "x": 50, "y": 0, "width": 5, "height": 5, "onError": "skip"}
    produced = ran(ramp(20, 10), {"op": "flip"}, crop)
    (warning,) = produced.warnings
    assert (warning.step, warning.code) == (1, "operation_failed")
    assert [end.status for end in produced.steps] == ["done", "skipped", "done"]
    assert np.array_equal(array(opened(produced.outputs[0])), array(ramp(20, 10))[::-1])


def test_skipped_step_leaves_the_picture_from_which_it_starts() -> None:
    crop = {"op": "crop", "from": "original", "x": 50, "y": 0, "width": 5, "height": 5, "onError": "skip"}
    produced = ran(
        ramp(20, 10), {"op": "resize", "width": 8}, {"op": "save", "as": "a"}, crop, {"op": "save", "as": "b"}
    )
    assert [opened(output).size for output in produced.outputs] == [(8, 4), (20, 10)]


def test_skipped_save_has_no_output_and_no_branch() -> None:
    steps: list[dict[str, Any]] = [
        {"op": "save", "as": "tiny", "format": "jpeg", "target_bytes": 100, "onError": "skip"},
        {"op": "flip", "from": "tiny"},
        {"op": "save", "as": "b"},
    ]
    with pytest.raises(OperationFailed, match="the step that saves 'tiny' was skipped") as failed:
        ran(ramp(200, 100), *steps)
    assert step_of(failed.value) == (1, "flip")
    steps[1]["onError"] = "skip"
    produced = ran(ramp(200, 100), *steps)
    assert [output.name for output in produced.outputs] == ["b"]
    assert [warning.step for warning in produced.warnings] == [0, 1]


@pytest.mark.parametrize(
    "step",
    [
        {"op": "resize", "width": 2000, "enlarge": True},
        {"op": "resize", "percent": 1000, "enlarge": True},
        {"op": "resize", "width": 65_500, "height": 65_500, "fit": "contain"},
        {"op": "change_dimensions", "width": 65_500, "height": 65_500},
        {"op": "pad", "all": 65_500},
        {"op": "extend_canvas", "width": 65_500, "height": 65_500},
        {"op": "extend_canvas", "aspect": "9999:1"},
        {"op": "grow"},
    ],
)
def test_max_pixels_holds_after_every_step(step: dict[str, Any]) -> None:
    with pytest.raises(ImageTooLarge, match="up to 100,000 are accepted") as refused:
        ran(ramp(200, 100), {"op": "flip"}, step, source=Source(max_pixels=100_000), operations=with_misbehaving())
    assert step_of(refused.value) == (1, step["op"])


def test_rotation_may_not_grow_beyond_max_pixels() -> None:
    with pytest.raises(ImageTooLarge):
        ran(ramp(300, 300), {"op": "rotate", "degrees": 45}, source=Source(max_pixels=100_000))


def moving(count: int, size: int) -> bytes:
    frames = [Image.new("RGB", (size, size), (50 * number,) * 3) for number in range(count)]
    return saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True)


def test_max_animation_pixels_holds_after_every_step() -> None:
    source = Source(animation="keep", max_animation_pixels=100_000)
    with pytest.raises(ImageTooLarge, match="the animation's frames would have 500,000 pixels"):
        ran(moving(5, 100), {"op": "change_dimensions", "width": 1000, "height": 100}, source=source)


def test_animation_goes_through_every_operation() -> None:
    source = Source(animation="keep")
    params: dict[str, dict[str, Any]] = {
        "resize": {"width": 20},
        "crop": {"aspect": "2:1"},
        "rotate": {"degrees": 10},
        "straighten": {"degrees": 10},
        "pad": {"all": 2},
        "extend_canvas": {"width": 90},
        "change_dimensions": {"width": 9, "height": 9},
        "look": {"name": "mono"},
        "lut": {"cube": revealing(), "intensity": 50},
        "blur": {"radius": 2},
        "pixelate": {"size": 3},
        "watermark": {"text": "a"},
        "set_metadata": {"artist": "A"},
        "save": {"format": "webp"},
    }
    for name, operation in OPERATIONS.items():
        if operation.gives != "data" and operation.takes == "picture":
            produced = ran(moving(3, 40), {"op": name, **params.get(name, {})}, source=source)
            assert [output.frames for output in produced.outputs] == [3], name
            assert getattr(opened(produced.outputs[0]), "n_frames", 1) == 3, name


def test_first_frame_of_an_animation_is_a_still() -> None:
    assert ran(moving(3, 40), {"op": "flip"}).outputs[0].frames == 1


@pytest.mark.parametrize(
    ("step", "limits"),
    [
        ({"op": "hog"}, {}),
        ({"op": "blur", "radius": 3}, {"memory_bytes": 30 * MIB}),
    ],
)
def test_step_without_memory_is_too_large(step: dict[str, Any], limits: dict[str, Any]) -> None:
    with pytest.raises(ImageTooLarge, match="memory"):
        ran(saved(ramp(1600, 1000), "JPEG"), step, operations=with_misbehaving(), **limits)


def test_steps_that_take_too_long_are_refused_before_they_run() -> None:
    steps = [{"op": "rotate", "degrees": 10, "expand": False}] * 18
    with pytest.raises(ImageTooLarge, match=r"one image may take 0\.5 s") as refused:
        ran(ramp(1000, 1000), *steps, time_s=0.5)
    assert refused.value.step


def test_step_that_is_refused_for_its_cost_does_not_count() -> None:
    slow = {"op": "save", "as": "slow", "format": "avif", "onError": "skip"}
    steps = [slow, {"op": "flip"}, {"op": "save", "as": "b", "format": "webp"}]
    produced = ran(ramp(1000, 1000), *steps, time_s=0.4)
    assert [output.name for output in produced.outputs] == ["b"]
    assert [warning.code for warning in produced.warnings] == ["image_too_large"]


@pytest.mark.parametrize("op", ["chatter", "nan"])
def test_data_that_cannot_be_sent_fails_its_step(op: str) -> None:
    with pytest.raises(OperationFailed, match="data that cannot be sent") as failed:
        ran(ramp(9, 9), {"op": op}, operations=with_misbehaving())
    assert step_of(failed.value) == (0, op)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_every_operation_takes_tiny_pictures(size: tuple[int, int]) -> None:
    steps: list[dict[str, Any]] = [
        {"op": "orient"},
        {"op": "resize", "width": 1},
        {"op": "crop", "aspect": "1:1", "to": "content"},
        {"op": "rotate", "degrees": 33},
        {"op": "deskew"},
        {"op": "straighten", "degrees": 20},
        {"op": "trim"},
        {"op": "pad", "all": 1},
        {"op": "extend_canvas", "aspect": "3:2"},
        {"op": "look", "name": "vivid"},
        {"op": "blur", "radius": 100},
        {"op": "sharpen"},
        {"op": "pixelate", "size": 500},
        {"op": "vignette"},
        {"op": "grain"},
        {"op": "watermark", "text": "tiny", "tiled": True},
    ]
    for picture in (Image.new("RGB", size, "red"), Image.new("RGBA", size, (1, 2, 3, 0))):
        assert ran(picture, *steps).outputs
        for step in steps:
            assert ran(picture, step, {"op": "save", "as": "a", "format": "jpeg"}).outputs


def test_files_that_are_refused_by_uploads_are_refused_here(data: Path) -> None:
    bad = sorted((data / "bad").iterdir())
    for path in bad:
        with pytest.raises((UnsupportedType, UndecodableImage, ImageTooLarge)) as refused:
            ran(path.read_bytes(), {"op": "flip"}, source=Source(animation="keep"))
        assert refused.value.step is None, "decoding is not a step"


def test_formats_of_the_source_are_the_only_ones() -> None:
    with pytest.raises(UnsupportedType):
        ran(saved(ramp(9, 9), "PNG"), {"op": "flip"}, source=Source(formats=("jpeg",)))


def test_rejection_is_the_strictest_of_all_verdicts() -> None:
    produced: Produced = ran(hidden(), {"op": "lut", "cube": revealing()}, source=LOUD, moderator=Contrast())
    assert produced.verdict.scores["LOUD"] > 0.9
