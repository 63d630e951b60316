"""What operations of plugins give: what they did not declare fails their step, and never reaches the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.errors import Forbidden, OperationFailed
from mediagate.images.operations import Context, Frames, Operation, Operations, standard
from mediagate.images.operations.output.save import save
from mediagate.images.variant_steps import stepped
from tests.images.test_pipeline import LOUD, Contrast, hidden, revealing
from tests.support.charts import ramp, saved
from tests.support.recipes import CHEAP, Nothing, ran, still

Apply = Callable[[Frames, Any, Context], Any]


def operations_with(apply: Apply, gives: Literal["picture", "data", "file"] = "picture", **more: Any) -> Operations:
    return Operations((*standard().values(), Operation("own", "filter", Nothing, apply, CHEAP, gives=gives, **more)))


def converted(mode: str) -> Apply:
    return lambda frames, *_: frames.each(lambda image: image.convert(mode))


def raising(error: Exception) -> Apply:
    def apply(*_: Any) -> Frames:
        raise error

    return apply


@pytest.mark.parametrize(
    "apply",
    [
        converted("L"),
        converted("CMYK"),
        converted("I;16"),
        lambda *_: None,
        lambda *_: {"a": 1},
        lambda frames, *_: replace(frames, images=()),
        lambda frames, *_: replace(frames, images=frames.images * 3, durations_ms=(10,) * 3),
        lambda frames, *_: replace(frames, durations_ms=(10,) * 3),
        lambda frames, *_: frames.each(lambda image: image.crop((0, 0, 0, 0))),
        lambda frames, _, context: context.warn("Wrong Code!", "text") or frames,
        raising(Forbidden("an error of requests")),
        raising(OperationFailed("x" * 10_000)),
    ],
)
@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_picture_that_is_none_fails_its_step(apply: Apply, on_error: str) -> None:
    steps: list[dict[str, Any]] = [{"op": "own", "onError": on_error}, {"op": "save", "format": "webp"}]
    operations = operations_with(apply)
    if on_error == "skip":
        (warning,) = ran(ramp(9, 9), *steps, operations=operations).warnings
        assert warning.code == "operation_failed" and len(warning.detail) <= 2000
        return
    with pytest.raises(OperationFailed) as failed:
        ran(ramp(9, 9), *steps, operations=operations)
    assert (failed.value.step, failed.value.op) == (0, "own")


@pytest.mark.parametrize("change", [lambda image: image.resize((3, 3)), lambda image: image.convert("RGBA")])
def test_frames_that_differ_fail_their_step(change: Callable[[Image.Image], Image.Image]) -> None:
    first, second = ramp(9, 9), ramp(9, 9).rotate(90)
    moving = saved(first, "WEBP", save_all=True, append_images=[second], duration=50, lossless=True)
    operations = operations_with(
        lambda frames, *_: replace(frames, images=(frames.images[0], change(frames.images[1])))
    )
    with pytest.raises(OperationFailed, match="of one size"):
        ran(moving, {"op": "own"}, operations=operations, source=Source(animation="keep"))


@pytest.mark.parametrize(
    "declared", [{"resized": lambda *_: None}, {"resized": lambda *_: (1 // 0, 1)}, {"cost": lambda _: 1 // 0}]
)
def test_declaration_that_raises_fails_its_step(declared: dict[str, Any]) -> None:
    own = replace(operations_with(lambda frames, *_: frames)["own"], **declared)
    with pytest.raises(OperationFailed):
        ran(ramp(9, 9), {"op": "own"}, operations=Operations((*standard().values(), own)))


def test_picture_for_data_fails_its_step() -> None:
    with pytest.raises(OperationFailed, match="own declares that it gives data, and gave Frames"):
        ran(ramp(9, 9), {"op": "own"}, operations=operations_with(lambda frames, *_: frames, "data"))


def test_warnings_are_few_and_short() -> None:
    def chatter(frames: Frames, _: Any, context: Context) -> Frames:
        for _ in range(1000):
            context.warn("endless", "x" * 10_000)
        return frames

    warnings = ran(ramp(9, 9), {"op": "own"}, operations=operations_with(chatter)).warnings
    assert len(warnings) == 20 and {len(warning.detail) for warning in warnings} == {2000}


def test_data_of_all_steps_together_is_bounded() -> None:
    operations = operations_with(lambda *_: {"text": ["写" * 10_000] * 10}, "data")  # 600 kB of JSON
    assert len(ran(ramp(9, 9), *[{"op": "own"}] * 3, operations=operations).data) == 3
    with pytest.raises(OperationFailed, match="more than 2,097,152 bytes") as failed:
        ran(ramp(9, 9), *[{"op": "own"}] * 4, operations=operations)
    assert failed.value.step == 3


def test_file_of_a_plugins_save_is_judged_even_if_it_does_not_ask_for_that() -> None:
    def hasty(frames: Frames, params: Any, context: Context) -> Any:
        return save(frames, params, replace(context, judge=lambda _: None))

    operations = standard()
    operations.replace(replace(operations["save"], apply=hasty))
    steps = {"op": "lut", "cube": revealing()}, {"op": "save", "format": "png"}
    produced = ran(hidden(), *steps, operations=operations, source=LOUD, moderator=Contrast())
    assert (produced.verdict.decision, produced.outputs) == ("reject", ())


def test_variant_fails_with_a_picture_that_is_none() -> None:
    spec = VariantSpec(width=9, steps=({"op": "own"},))
    with pytest.raises(OperationFailed, match="all RGB, or all RGBA"):
        stepped(still(ramp(9, 9)), spec, Source(), operations_with(converted("L")), [])
