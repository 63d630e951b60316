"""Requests of pipelines: every fault at once with its place, the rights, retention, the same steps as a preset."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from mediagate import Principal, Source
from mediagate.errors import Forbidden, InvalidPipeline
from mediagate.operations import standard
from mediagate_plugins.pipelines import Int, Preset, Rules
from mediagate_plugins.pipelines.request import PipelineRequest, read_request

FLIP = [{"op": "flip"}, {"op": "save", "format": "webp"}]
PRESETS = {
    "flip": Preset(steps=FLIP),
    "loose": Preset(steps=FLIP, ad_hoc=True),
    "small": Preset(steps=[{"op": "resize", "width": {"$param": "width"}}], params={"width": Int(1, 100)}),
    "marked": Preset(steps=[{"op": "watermark", "picture": "logo"}], pictures=["logo"]),
}


def rules(**changes: Any) -> Rules:
    source = Source(visibility="private", ttl=timedelta(hours=168))
    return Rules(standard(), PRESETS, "work", source, **{"ad_hoc": "all", "strict": False, **changes})


def read(ad_hoc: bool = True, inputs: tuple[str, ...] = (), strict: bool = False, **body: Any) -> PipelineRequest:
    return read_request(body, rules(strict=strict), ad_hoc=ad_hoc, inputs=inputs)


def faults(ad_hoc: bool = True, inputs: tuple[str, ...] = (), strict: bool = False, **body: Any) -> dict[str, str]:
    """Return the code of each fault by its pointer."""
    with pytest.raises(InvalidPipeline) as refused:
        read(ad_hoc, inputs, strict, **body)
    return {error["pointer"]: error["code"] for error in refused.value.errors}


def test_request_names_every_fault_at_once() -> None:
    found = faults(
        steps=[
            {"op": "look", "name": "noir", "intensity": 172},
            {"op": "save"},
            {"op": "save", "as": "b", "from": "larg"},
            {"op": "sav"},
        ],
        retention={"ttlHours": "a day", "ttl": 1},
        clientReferenceId=5,
        callbackUrl="http://example.com",
        mediaId=["x"],
        presett="x",
    )
    assert found == {
        "/steps/0/intensity": "out_of_range",
        "/steps/2/from": "unknown_result",
        "/steps/3/op": "unknown_operation",
        "/retention/ttl": "unknown_field",
        "/retention/ttlHours": "wrong_type",
        "/clientReferenceId": "wrong_type",
        "/callbackUrl": "invalid_value",
        "/mediaId": "wrong_type",
        "/presett": "unknown_field",
    }


@pytest.mark.parametrize("body", [None, [], "x", 5, True])
def test_request_that_is_no_object_is_a_fault(body: object) -> None:
    with pytest.raises(InvalidPipeline) as refused:
        read_request(body, rules(), ad_hoc=True)
    assert refused.value.errors[0]["pointer"] == ""


def test_request_without_steps_and_preset_is_a_fault() -> None:
    assert faults() == {"/steps": "missing"}
    assert faults(steps=None, preset=None, params=None) == {"/steps": "missing"}
    assert faults(preset="") == {"/steps": "missing"}


def test_preset_alone_gives_its_steps_and_version() -> None:
    asked = read(ad_hoc=False, preset="small", params={"width": 7})
    assert asked.recipe.to_json()[0] == {"op": "resize", "width": 7}
    assert (asked.preset, asked.version) == ("small", PRESETS["small"].version)


def test_unknown_preset_without_steps_is_a_fault_with_a_suggestion() -> None:
    with pytest.raises(InvalidPipeline, match="did you mean 'small'"):
        read(preset="smal")


def test_preset_with_its_own_steps_is_accepted_without_the_right_to_send_steps() -> None:
    spelt = [{"op": "flip"}, {"format": "webp", "quality": 80, "op": "save", "as": "output"}]
    asked = read(ad_hoc=False, preset="flip", steps=spelt)
    assert asked.version == PRESETS["flip"].version


@pytest.mark.parametrize(
    "steps", [[{"op": "mirror"}], [*FLIP[:1], {"op": "save", "format": "png"}], [{"op": "nothing"}], FLIP * 2, 5, []]
)
def test_preset_with_other_steps_needs_the_right_to_send_steps(steps: Any) -> None:
    for preset in ("flip", "loose"):
        with pytest.raises(Forbidden, match="steps of your own are not allowed"):
            read(ad_hoc=False, preset=preset, steps=steps)


def test_preset_with_other_steps_is_a_fault_unless_the_preset_allows_it() -> None:
    assert faults(preset="flip", steps=[{"op": "mirror"}]) == {"/steps": "preset_changed"}
    asked = read(preset="loose", steps=[{"op": "mirror"}])
    assert (asked.preset, asked.version, asked.recipe.steps[0].op) == ("loose", None, "mirror")


def test_unknown_preset_with_steps_is_echoed_to_callers_who_may_send_steps() -> None:
    assert read(preset="pipeline-resize", steps=FLIP).preset == "pipeline-resize"
    with pytest.raises(Forbidden):
        read(ad_hoc=False, preset="pipeline-resize", steps=FLIP)
    assert faults(preset="x" * 65, steps=FLIP) == {"/preset": "too_long"}


def test_steps_of_ones_own_need_the_right() -> None:
    assert read(steps=FLIP).version is None
    with pytest.raises(Forbidden, match="flip, loose, small, marked"):
        read(ad_hoc=False, steps=FLIP)


def test_params_with_steps_of_ones_own_are_a_fault() -> None:
    assert faults(steps=FLIP, params={"width": 3}) == {"/params": "unknown_field"}


@pytest.mark.parametrize(
    ("hours", "read_as"),
    [(None, None), (1.5, 1.5), (1e300, 1e6), (10**400, 1e6)],
    ids=["default", "asked", "long", "huge"],
)
def test_retention_is_read_in_hours(hours: Any, read_as: float | None) -> None:
    ttl = read(preset="flip", retention={"ttlHours": hours}).ttl
    assert (None if ttl is None else ttl / timedelta(hours=1)) == read_as


@pytest.mark.parametrize(
    ("retention", "fault"),
    [
        ({"ttlHours": 0}, {"/retention/ttlHours": "out_of_range"}),
        ({"ttlHours": -1}, {"/retention/ttlHours": "out_of_range"}),
        ({"ttlHours": 1e-300}, {"/retention/ttlHours": "out_of_range"}),
        ({"ttlHours": float("-inf")}, {"/retention/ttlHours": "out_of_range"}),
        ({"ttlHours": float("nan")}, {"/retention/ttlHours": "wrong_type"}),
        ({"ttlHours": True}, {"/retention/ttlHours": "wrong_type"}),
        ([], {"/retention": "wrong_type"}),
    ],
)
def test_retention_that_is_no_time_is_a_fault(retention: Any, fault: dict[str, str]) -> None:
    assert faults(preset="flip", retention=retention) == fault


def test_fields_that_resemble_none_are_ignored_unless_the_gate_is_strict() -> None:
    assert read(preset="flip", zzz=1).ignored == ("zzz",)
    assert faults(preset="flip", zzz=1, strict=True) == {"/zzz": "unknown_field"}


def test_inputs_of_two_kinds_are_a_fault() -> None:
    assert faults(preset="flip", mediaId="med_x", uploadIds=["upl_x"]) == {"/uploadIds": "invalid_value"}
    assert faults(preset="flip", uploadIds=["upl_x"] * 2) == {"/uploadIds": "invalid_value"}
    assert faults(preset="flip", uploadIds=[str(n) for n in range(11)]) == {"/uploadIds": "too_long"}
    assert faults(preset="flip", uploadIds="upl_x") == {"/uploadIds": "wrong_type"}
    assert faults(preset="flip", uploadIds=["\udfff"]) == {"/uploadIds": "wrong_type"}


def test_picture_of_a_step_must_come_with_the_request() -> None:
    steps = [{"op": "watermark", "picture": "logo"}]
    assert read(steps=steps, inputs=("logo",)).preset is None
    assert faults(steps=steps) == {"/steps/0/picture": "unknown_input"}
    assert faults(preset="marked") == {"/preset": "missing_picture"}
    assert faults(preset="flip", inputs=("logo",)) == {"": "unused_picture"}


@pytest.mark.parametrize(
    ("pictures", "fault"),
    [
        ([], {"/pictures": "wrong_type"}),
        ({"logo": 1}, {"/pictures/logo": "wrong_type"}),
        ({"logo": "\ud800"}, {"/pictures/logo": "wrong_type"}),
        ({"sent": "med_x"}, {"/pictures/sent": "invalid_value"}),
        ({"../x": "med_x"}, {"/pictures/..~1x": "invalid_value"}),
        ({"logo": "med_x"}, {"": "unused_picture"}),
        ({f"n{number}": "med_x" for number in range(70)}, {"/pictures": "too_long"}),
    ],
)
def test_pictures_are_media_to_which_steps_refer(pictures: Any, fault: dict[str, str]) -> None:
    assert faults(preset="flip", inputs=("sent",), pictures=pictures).items() >= fault.items()


def test_request_with_very_many_fields_is_refused_as_a_whole() -> None:
    many: dict[str, Any] = {f"f{number}": 1 for number in range(5000)}
    assert faults(preset="flip", **many) == {"": "too_long"}
    assert faults(preset="flip", params=many) == {"/params": "too_long"}
    assert faults(preset="flip", retention=many) == {"/retention": "too_long"}
    found = faults(steps=[{"op": "flip", **many}])
    assert found == {"/steps/0": "too_long"}


def test_faults_are_valid_json() -> None:
    for body in (
        {"steps": [{"op": "\ud800"}, {"op": "flip", "\udfff": 1}], "preset": "\ud800", "retention": {"\ud800": 1}},
        {"preset": "flip", "params": {"\ud800": 1}},
        {"preset": "flip", "mediaIds\ud800": 1},
    ):
        with pytest.raises(InvalidPipeline) as refused:
            read(**body)
        assert json.dumps(refused.value.errors, ensure_ascii=False).encode(), "as Starlette writes it"


@pytest.mark.parametrize(
    ("ad_hoc", "user", "admin"), [("none", False, False), ("admin", False, True), ("all", True, True)]
)
def test_right_to_send_steps(ad_hoc: str, user: bool, admin: bool) -> None:
    asked = rules(ad_hoc=ad_hoc)
    assert asked.may_ad_hoc(Principal("ann")) is user
    assert asked.may_ad_hoc(Principal("root", admin=True)) is admin
    assert asked.may_ad_hoc(None) is False
