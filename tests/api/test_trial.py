"""``gate.trial``: recipes in the image processes of a gate that is not open."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import pytest
from PIL import Image

from mediagate import MODERATOR, REMOTE_MODERATOR, MediaGate, Source, StepEnd, Verdict
from mediagate.errors import ConfigError, OperationFailed
from mediagate.operations import Recipe, parse, standard
from tests.support.moderators import GOOD, REJECTS, Scripted
from tests.support.pipeline_site import WORK, pipeline_gate

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


class Service:
    """A moderation service, which no trial may call."""

    name = "service"
    labels = frozenset({"seen"})
    groups: Mapping[str, frozenset[str]] = {}
    timeout_s = 5.0
    max_calls_per_day = None

    async def judge(self, jpeg: bytes) -> Verdict:
        raise AssertionError("called")


def recipe(*ops: str) -> Recipe:
    return parse([*({"op": op} for op in ops), {"op": "save", "format": "png"}], standard())


def picture(width: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 80), (120, 60, 30)).save(file, "PNG")
    return file.getvalue()


async def test_trial_runs_a_recipe_and_tells_the_end_of_each_step(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate)
    ends: list[StepEnd] = []
    async with gate.trial() as trial:
        produced = await trial.run(picture(GOOD), recipe("flip"), "work", told=ends.append)
    assert [end.op for end in ends] == ["flip", "save"]
    assert [output.format for output in produced.outputs] == ["png"]


async def test_trial_judges_as_its_source_says(make_gate: MakeGate) -> None:
    strict = WORK.model_copy(update={"reject": {"NUDE": 0.5}})
    gate = pipeline_gate(
        make_gate,
        sources={"avatar": Source(reject={"NUDE": 0.5}), "work": strict},
        settings={"moderation": "on"},
    )
    gate.decorate(MODERATOR, Scripted())
    async with gate.trial() as trial:
        allowed, refused = [await trial.run(picture(width), recipe(), "work") for width in (GOOD, REJECTS)]
    assert (allowed.verdict.decision, len(allowed.outputs)) == ("allow", 1)
    assert (refused.verdict.decision, len(refused.outputs)) == ("reject", 0)


async def test_trial_refuses_pictures_that_a_service_judges(make_gate: MakeGate) -> None:
    judged = Source(reject={"seen": 0.5})
    gate = pipeline_gate(
        make_gate,
        sources={"avatar": judged, "work": WORK.model_copy(update={"reject": {"seen": 0.5}})},
        settings={"moderation": "on"},
    )
    gate.decorate(REMOTE_MODERATOR, Service())
    async with gate.trial() as trial:
        with pytest.raises(ConfigError, match="a service judges the pictures of work"):
            await trial.run(picture(GOOD), recipe(), "work")


async def test_trial_names_the_step_that_failed_and_leaves_the_gate_closed(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate)
    outside = parse([{"op": "crop", "x": 500, "y": 0, "width": 9, "height": 9}], standard())
    async with gate.trial() as trial:
        with pytest.raises(OperationFailed) as failed:
            await trial.run(picture(GOOD), outside, "work")
    assert (failed.value.step, failed.value.op) == (0, "crop")
    async with gate:
        assert gate.parts.operations is not None
