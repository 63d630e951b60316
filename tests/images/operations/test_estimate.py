"""Estimates: the sizes that pictures will have, and that costs add up as the pipeline counts them."""

from __future__ import annotations

from typing import Any

import pytest

from mediagate.errors import OperationFailed
from mediagate.images.operations import Frames, estimate, parse
from tests.support.charts import ramp
from tests.support.recipes import OPERATIONS, applied

STEPS: list[dict[str, Any]] = [
    {"op": "resize", "width": 60},
    {"op": "resize", "width": 50, "height": 50, "fit": "cover"},
    {"op": "resize", "percent": 150, "enlarge": True},
    {"op": "crop", "x": 10, "y": 10, "width": 500, "height": 20},
    {"op": "crop", "aspect": "1:1"},
    {"op": "rotate", "degrees": 90},
    {"op": "straighten", "degrees": 7.5},
    {"op": "pad", "all": 7},
    {"op": "extend_canvas", "aspect": "16:9"},
    {"op": "change_dimensions", "width": 13, "height": 17},
    {"op": "blur", "radius": 2},
]


@pytest.mark.parametrize("step", STEPS, ids=[f"{step['op']} {number}" for number, step in enumerate(STEPS)])
def test_estimate_has_the_size_that_the_step_makes(step: dict[str, Any]) -> None:
    first, last = estimate(parse([step], OPERATIONS), OPERATIONS, (200, 120))
    made = applied(ramp(200, 120), **step)
    assert isinstance(made, Frames)
    assert first.size == last.size == made.size
    assert last.op == "save" and last.cost.cpu_ms > 0


def test_estimate_follows_branches() -> None:
    steps = [
        {"op": "resize", "width": 100},
        {"op": "save", "as": "half"},
        {"op": "rotate", "from": "original", "degrees": 90},
        {"op": "save", "as": "turned"},
        {"op": "flip", "from": "half"},
        {"op": "save", "as": "flipped"},
    ]
    sizes = [each.size for each in estimate(parse(steps, OPERATIONS), OPERATIONS, (200, 120))]
    assert sizes == [(100, 60), (100, 60), (120, 200), (120, 200), (100, 60), (100, 60)]


def test_cost_grows_with_pixels_and_frames() -> None:
    recipe = parse([{"op": "look", "name": "mono"}], OPERATIONS)
    small, large, moving = (
        estimate(recipe, OPERATIONS, size, frames)[0].cost
        for size, frames in (((1000, 1000), 1), ((2000, 1000), 1), ((1000, 1000), 3))
    )
    assert large.cpu_ms == pytest.approx(2 * small.cpu_ms) and moving.bytes == 3 * small.bytes


def test_cost_of_a_mask_counts_for_each_frame() -> None:
    recipe = parse([{"op": "remove_background"}], OPERATIONS)
    one, many = (estimate(recipe, OPERATIONS, (8, 8), frames)[0].cost for frames in (1, 100))
    assert many.cpu_ms == pytest.approx(100 * one.cpu_ms, rel=0.01)
    assert many.bytes == one.bytes, "the frames are masked one after another"


def test_quarter_turn_that_cuts_pixels_off_costs_as_much_as_any_rotation() -> None:
    def cost(**turn: Any) -> float:
        return estimate(parse([{"op": "rotate", **turn}], OPERATIONS), OPERATIONS, (200, 120))[0].cost.cpu_ms

    assert cost(degrees=90, expand=False) > cost(degrees=90) == cost(degrees=180, expand=False)


def test_estimate_names_a_step_that_cannot_work() -> None:
    recipe = parse([{"op": "flip"}, {"op": "crop", "x": 500, "y": 0, "width": 1, "height": 1}], OPERATIONS)
    with pytest.raises(OperationFailed) as failed:
        estimate(recipe, OPERATIONS, (200, 120))
    assert (failed.value.step, failed.value.op) == (1, "crop")


def test_estimate_leaves_out_a_step_that_will_be_skipped_and_goes_on_from_its_picture() -> None:
    crop = {"op": "crop", "from": "original", "x": 500, "y": 0, "width": 1, "height": 1, "onError": "skip"}
    steps = [{"op": "resize", "width": 100}, {"op": "save", "as": "half"}, crop, {"op": "save", "as": "whole"}]
    made = estimate(parse(steps, OPERATIONS), OPERATIONS, (200, 120))
    assert [(each.step, each.size) for each in made] == [(0, (100, 60)), (1, (100, 60)), (3, (200, 120))]
