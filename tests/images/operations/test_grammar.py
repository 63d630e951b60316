"""The grammar of pipelines: what is accepted, and that every fault is told at once, with its place."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from mediagate.errors import InvalidPipeline
from mediagate.images.operations import MOST_STEPS, Recipe, parse, standard
from mediagate.images.operations.operation import Extra
from tests.support.recipes import OPERATIONS, faults

SEED: list[dict[str, Any]] = [
    {"op": "resize", "width": 1600},
    {"op": "look", "name": "cinematic", "intensity": 72},
    {"op": "save", "as": "large", "format": "webp"},
    {"op": "resize", "from": "original", "width": 200, "height": 200, "fit": "cover"},
    {"op": "save", "as": "thumb", "format": "avif"},
    {"op": "read_metadata", "from": "original", "onError": "skip"},
]


def read(steps: Any) -> Recipe:
    return parse(steps, OPERATIONS)


def test_recipe_keeps_the_order_of_its_steps_and_what_they_start_from() -> None:
    recipe = read(SEED)
    assert [step.op for step in recipe.steps] == [step["op"] for step in SEED]
    assert [step.start for step in recipe.steps] == [None, None, None, "original", None, "original"]
    assert list(recipe.outputs) == ["large", "thumb"]
    assert recipe.kept == {"original"}


def test_recipe_survives_json_and_pickle() -> None:
    recipe = read(SEED)
    assert read(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_recipe_hash_ignores_the_order_of_fields_and_written_defaults() -> None:
    first = read([{"op": "resize", "width": 10, "fit": "inside"}])
    assert first.hash == read([{"width": 10, "op": "resize"}]).hash
    assert first.hash != read([{"op": "resize", "width": 11}]).hash
    assert read([{"op": "blur", "radius": 1}]).hash == read([{"op": "blur", "radius": 1.0}]).hash


def test_recipe_hash_depends_on_the_order_of_steps() -> None:
    flip, mirror = {"op": "flip"}, {"op": "mirror"}
    assert read([flip, mirror]).hash != read([mirror, flip]).hash


def test_recipe_hash_is_the_same_in_every_release() -> None:
    assert read(SEED).hash == "c8de573bb0748609f0e01766a80555ad7c1d9788ef43d88d21042de97dc3c5d1"


def test_parse_saves_the_last_picture_if_no_step_does() -> None:
    recipe = read([{"op": "flip"}])
    assert [step.op for step in recipe.steps] == ["flip", "save"]
    assert list(recipe.outputs) == ["output"]


def test_parse_saves_nothing_if_steps_give_data_alone() -> None:
    assert [step.op for step in read([{"op": "read_metadata"}]).steps] == ["read_metadata"]


def test_parse_tells_every_fault_at_once() -> None:
    assert faults(
        {"op": "resiz", "width": 3},
        {"op": "resize", "wdth": 5, "width": -3, "fit": "insid"},
        3,
        {"op": "look", "name": "cinematic", "intensity": 172},
        {"op": "save", "as": "a", "form/at": "webp"},
        {"op": "blur", "from": "b", "radius": 2},
        {"op": "save", "as": "a"},
        {"op": "crop", "aspect": "0:1"},
        {"width": 3},
        {"op": 3},
        {"op": "flip", "onError": "ignore", "from": 3},
    ) == {
        "/steps/0/op": "unknown_operation",
        "/steps/1/wdth": "unknown_field",
        "/steps/1/width": "out_of_range",
        "/steps/1/fit": "unknown_value",
        "/steps/2": "wrong_type",
        "/steps/3/intensity": "out_of_range",
        "/steps/4/form~1at": "unknown_field",
        "/steps/5/from": "unknown_result",
        "/steps/6/as": "duplicate_result",
        "/steps/7/aspect": "invalid_value",
        "/steps/8/op": "missing",
        "/steps/9/op": "wrong_type",
        "/steps/10/onError": "unknown_value",
        "/steps/10/from": "wrong_type",
        "/steps/10": "unused_step",
    }


@pytest.mark.parametrize(
    ("steps", "place", "words"),
    [
        ([{"op": "resiz"}], "/steps/0/op", "there is no operation 'resiz'; did you mean 'resize'?"),
        ([{"op": "resize", "widht": 3}], "/steps/0/widht", "unknown field 'widht'; did you mean 'width'?"),
        ([{"op": "flip", "onEror": "skip"}], "/steps/0/onEror", "did you mean 'onError'?"),
        ([{"op": "look", "name": "sephia"}], "/steps/0/name", "did you mean 'sepia'?"),
        ([{"op": "look", "name": "mono", "intensity": 101}], "/steps/0/intensity", "at most 100"),
        (
            [{"op": "save", "as": "large"}, {"op": "flip", "from": "larg"}, {"op": "save", "as": "b"}],
            "/steps/1/from",
            "no earlier step saves 'larg'; did you mean 'large'?",
        ),
        ([{"op": "resize"}], "/steps/0", "set width, height or both; or percent; or megapixels"),
        ([{"op": "watermark", "picture": "logo"}], "/steps/0/picture", "there is no input 'logo'"),
    ],
)
def test_faults_say_what_may_have_been_meant(steps: list[Any], place: str, words: str) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        read(steps)
    details = {error["pointer"]: error["detail"] for error in refused.value.errors}
    assert words in details[place]
    assert place in refused.value.detail


@pytest.mark.parametrize("steps", [None, {}, "steps", 3, [], [{"op": "flip"}] * (MOST_STEPS + 1)])
def test_parse_refuses_what_is_not_a_list_of_a_few_steps(steps: Any) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        read(steps)
    assert [error["pointer"] for error in refused.value.errors] == ["/steps"]


def test_most_steps_can_be_read_again_with_the_save_that_is_added() -> None:
    recipe = read([{"op": "flip"}] * (MOST_STEPS - 1))
    assert len(recipe.steps) == MOST_STEPS
    assert read(recipe.to_json()) == recipe
    with pytest.raises(InvalidPipeline) as refused:
        read([{"op": "flip"}] * MOST_STEPS)
    (error,) = refused.value.errors
    assert (error["pointer"], error["code"]) == ("/steps", "too_long")


def test_pointers_begin_at_the_root_of_the_request() -> None:
    with pytest.raises(InvalidPipeline) as refused:
        parse([{"op": "flop"}], OPERATIONS, root=("jobs", 3, "steps"))
    assert refused.value.errors[0]["pointer"] == "/jobs/3/steps/0/op"


NUMBERS: dict[str, Any] = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "-infinity": float("-inf"),
    "1e308": 1e308,
    "-1": -1,
    "-0.5": -0.5,
    "2**63": 2**63,
    "10**400": 10**400,
    "true": True,
    "text": "5",
    "null": None,
    "list": [5],
    "object": {"width": 5},
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=list(NUMBERS))
@pytest.mark.parametrize(
    ("op", "field", "others"),
    [
        ("resize", "width", {"height": 5}),
        ("resize", "percent", {}),
        ("resize", "megapixels", {}),
        ("rotate", "degrees", {}),
        ("straighten", "degrees", {}),
        ("blur", "radius", {}),
        ("pixelate", "size", {}),
        ("look", "intensity", {"name": "mono"}),
        ("grain", "seed", {}),
        ("trim", "tolerance", {}),
        ("pad", "top", {"left": 4}),
        ("crop", "x", {"y": 0, "width": 5, "height": 5}),
        ("save", "quality", {"as": "a"}),
        ("save", "target_bytes", {"as": "a"}),
        ("watermark", "size", {"text": "a"}),
    ],
)
def test_hostile_numbers_are_faults_of_their_field(op: str, field: str, others: dict[str, Any], number: Any) -> None:
    found = faults({"op": op, field: number, **others})
    if number is None and OPERATIONS[op].params.model_fields[field].default is None:
        return  # as if it were not written
    if isinstance(number, float | int) and -45 < number < 0 and field == "degrees" and number is not True:
        assert not found
        return
    assert found and all(place.startswith("/steps/0") for place in found)
    with pytest.raises(InvalidPipeline) as refused:
        read([{"op": op, field: number, **others}])
    json.dumps(refused.value.errors, allow_nan=False)


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "a b", "-a", "a" * 65, "ä", "a\n", "a\0", "CON."])
def test_names_of_outputs_are_safe_as_file_names(name: str) -> None:
    assert faults({"op": "save", "as": name}) == {"/steps/0/as": "invalid_value"}


def test_output_may_not_be_called_as_the_input() -> None:
    assert faults({"op": "save", "as": "original"}) == {"/steps/0/as": "duplicate_result"}


def test_names_of_fields_with_lone_surrogates_are_faults() -> None:
    with pytest.raises(InvalidPipeline) as refused:
        read([{"op": "resize", "width": 3, "\ud800": 1}, {"op": "\ud800"}, {"op": "watermark", "text": "\ud800"}])
    json.dumps(refused.value.errors).encode()


def test_deep_values_are_faults() -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    assert faults({"op": "resize", "width": deep})


def test_step_whose_picture_nothing_uses_is_a_fault() -> None:
    assert faults({"op": "save"}, {"op": "flip"}) == {"/steps/1": "unused_step"}
    assert faults({"op": "flip"}, {"op": "save", "from": "original"}) == {"/steps/0": "unused_step"}
    assert faults({"op": "flip"}, {"op": "read_metadata"}, {"op": "save"}) == {}


def test_operation_that_is_not_installed_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extra, "available", property(lambda _: False))
    with pytest.raises(InvalidPipeline) as refused:
        read([{"op": "deskew"}, {"op": "save", "format": "png", "recompress": True}])
    assert [(error["pointer"], error["code"], error["detail"]) for error in refused.value.errors] == [
        ("/steps/0", "operation_unavailable", 'pip install "mediagate[pipelines]"'),
        ("/steps/1/recompress", "operation_unavailable", 'pip install "mediagate[png]"'),
    ]


@pytest.mark.parametrize("op", ["restore_faces", "colourise", "neural_low_light"])
def test_operation_without_a_free_model_says_why(op: str) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        read([{"op": "flip"}, {"op": op, "strength": 3}])
    (error,) = refused.value.errors
    assert (error["pointer"], error["code"], error["got"]) == ("/steps/1/op", "operation_unavailable", op)
    assert "model" in error["detail"] and "pip install" not in error["detail"]


def test_operation_of_a_plugin_may_have_the_name_of_one_without_a_free_model() -> None:
    own = standard()
    own.add(replace(own["flip"], name="restore_faces"))
    assert parse([{"op": "restore_faces"}], own).steps[0].op == "restore_faces"


def test_invalid_pipeline_is_422_and_not_retried() -> None:
    assert (InvalidPipeline.status, InvalidPipeline.code, InvalidPipeline.retryable) == (422, "invalid_pipeline", False)


def test_steps_that_are_long_to_store_are_refused() -> None:
    def table(seed: int) -> str:
        colours = (f"0.{(number * 7919 + seed) % 9000 + 1000}" for number in range(3 * 33**3))
        return "LUT_3D_SIZE 33\n" + "\n".join(" ".join(row) for row in zip(colours, colours, colours, strict=True))

    assert faults({"op": "lut", "cube": table(1)}) == {}
    assert faults({"op": "lut", "cube": table(1)}, {"op": "lut", "cube": table(2)}) == {"/steps": "too_long"}
