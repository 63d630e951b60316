"""Presets: typed parameters in their steps, checks when the gate boots, versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mediagate import MediaGate, Source
from mediagate.errors import ConfigError, InvalidPipeline
from mediagate.operations import standard
from mediagate_plugins.pipelines import Int, Number, OneOf, Preset, Text, pipelines

UNTYPED: Any = {"w": 5}
"""What code that is not type-checked may pass as ``params``."""
OPERATIONS = standard()
WORK = Source(visibility="private", ttl=timedelta(hours=24))
THUMB = Preset(
    steps=[
        {"op": "resize", "width": {"$param": "width"}, "height": 50, "fit": "cover"},
        {"op": "look", "name": {"$param": "look"}, "intensity": {"$param": "strength"}},
        {"op": "watermark", "text": {"$param": "mark"}},
        {"op": "save", "format": "webp"},
    ],
    params={
        "width": Int(1, 2000),
        "look": OneOf("noir", "sepia", default="noir"),
        "strength": Number(0, 100, default=100),
        "mark": Text(20, default="sample"),
    },
)


def faults(preset: Preset, **values: Any) -> dict[str, str]:
    """Return the code of each fault by its pointer."""
    try:
        preset.recipe(values, OPERATIONS)
    except InvalidPipeline as exc:
        return {error["pointer"]: error["code"] for error in exc.errors}
    return {}


def test_preset_fills_its_steps_with_values_and_defaults() -> None:
    recipe = THUMB.recipe({"width": 80, "mark": "mine"}, OPERATIONS)
    resize, look, watermark, save = recipe.to_json()
    assert (resize["width"], look["name"], watermark["text"], save["op"]) == (80, "noir", "mine", "save")


def test_preset_lists_every_fault_of_its_values() -> None:
    assert faults(THUMB, width=0, look="noirr", strength="5", mark="", heigth=3) == {
        "/params/width": "out_of_range",
        "/params/look": "unknown_value",
        "/params/strength": "wrong_type",
        "/params/mark": "too_short",
        "/params/heigth": "unknown_field",
    }
    assert faults(THUMB) == {"/params/width": "missing"}
    assert faults(THUMB, width=True) == {"/params/width": "wrong_type"}
    assert faults(THUMB, width=10**30, strength=float("nan")) == {
        "/params/width": "out_of_range",
        "/params/strength": "wrong_type",
    }


@pytest.mark.parametrize("value", [{"$param": "width"}, [1], {"op": "save"}, None])
def test_preset_takes_no_steps_in_a_value(value: object) -> None:
    assert faults(THUMB, width=5, mark=value) == {"/params/mark": "wrong_type"}


def test_text_that_looks_like_a_parameter_stays_a_text() -> None:
    recipe = THUMB.recipe({"width": 5, "mark": '{"$param":"w"}'}, OPERATIONS)
    assert recipe.to_json()[2]["text"] == '{"$param":"w"}'


def test_values_that_do_not_fit_together_point_to_params() -> None:
    lossless = Preset(
        steps=[{"op": "save", "format": {"$param": "format"}, "lossless": True}],
        params={"format": OneOf("webp", "jpeg")},
    )
    assert faults(lossless, format="webp") == {}
    assert faults(lossless, format="jpeg") == {"/params": "invalid_value"}


def test_schema_of_params_accepts_what_the_preset_accepts() -> None:
    validator = Draft202012Validator(THUMB.schema)
    for values in ({"width": 5}, {"width": 2000, "look": "sepia", "strength": 1.5, "mark": "x"}):
        assert validator.is_valid(values) and not faults(THUMB, **values)
    for wrong in ({}, {"width": 0}, {"width": 5, "look": "x"}, {"width": 5, "more": 1}, {"width": 5, "mark": "m" * 21}):
        assert not validator.is_valid(wrong) and faults(THUMB, **wrong)


def test_version_changes_with_the_steps_only() -> None:
    steps = [{"op": "flip"}, {"op": "save", "format": "webp"}]
    first = Preset(steps=steps)
    assert first.version == Preset(steps=[{"op": "flip"}, {"format": "webp", "op": "save"}], ad_hoc=True).version
    assert first.version != Preset(steps=[{"op": "mirror"}, steps[1]]).version
    assert first.version != Preset(steps=steps[::-1]).version


@pytest.mark.parametrize(
    ("preset", "problem"),
    [
        (Preset(steps=[{"op": "flipp"}]), "/steps/0/op: there is no operation 'flipp'; did you mean 'flip'?"),
        (Preset(steps=[]), "/steps: there is no step"),
        (
            Preset(steps=[{"op": "resize", "width": {"$param": "w"}}]),
            "the parameter 'w', which params does not declare",
        ),
        (Preset(steps=[{"op": "flip"}], params={"w": Int(1, 2)}), "params 'w': no step uses it"),
        (
            Preset(steps=[{"op": "resize", "width": {"$param": "w"}}], params={"w": Int(1, 70_000)}),
            '/steps/0/width: at most 65500 (with params {"w": 70000})',
        ),
        (
            Preset(steps=[{"op": "look", "name": {"$param": "n"}}], params={"n": OneOf("noir", "norr")}),
            '(with params {"n": "norr"})',
        ),
        (Preset(steps=[{"op": "resize", "width": {"$param": "w"}}], params={"w": Int(9, 1)}), "params 'w': Int takes"),
        (
            Preset(steps=[{"op": "resize", "width": {"$param": "w"}}], params={"w": Int(1, 9, default=10)}),
            "params 'w': the default does not fit: at most 9",
        ),
        (Preset(steps=[{"op": "resize", "width": object()}]), "use what JSON can say"),
        (Preset(steps=[{"op": "resize", "width": float("nan")}]), "use what JSON can say"),
        (Preset(steps=[{"op": "flip"}], params=UNTYPED), "params 'w': use Int, Number, Text, OneOf or Secret"),
        (Preset(steps=[{"op": "watermark", "picture": "logo"}]), "there is no input 'logo'"),
        (Preset(steps=[{"op": "watermark", "picture": "Logo"}], pictures=["Logo"]), "pictures 'Logo': use a-z"),
    ],
)
@pytest.mark.anyio
async def test_gate_does_not_open_with_an_invalid_preset(
    make_gate: Callable[..., MediaGate], preset: Preset, problem: str
) -> None:
    gate = make_gate(worker=False, sources={"work": WORK})
    gate.register(pipelines, presets={"bad": preset})
    with pytest.raises(ConfigError) as refused:
        await gate.open()
    assert "pipelines: preset 'bad': " in refused.value.detail
    assert problem in refused.value.detail


@pytest.mark.anyio
async def test_gate_does_not_open_with_a_preset_of_an_invalid_name(make_gate: Callable[..., MediaGate]) -> None:
    gate = make_gate(worker=False, sources={"work": WORK})
    gate.register(pipelines, presets={"../x": Preset(steps=[{"op": "flip"}])})
    with pytest.raises(ConfigError, match="name it with letters, digits, - and _"):
        await gate.open()


def test_preset_with_a_picture_takes_its_name_from_the_request() -> None:
    marked = Preset(steps=[{"op": "watermark", "picture": "logo"}], pictures=["logo"])
    assert marked.recipe({}, OPERATIONS).to_json()[0]["picture"] == "logo"
