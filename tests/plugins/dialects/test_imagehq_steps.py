"""The requests of ImageHQ in native words: what each family takes, and the place of every fault."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from mediagate import MediaGate
from mediagate_plugins.dialects.imagehq_steps import INPUT_FORMATS
from tests.support.documents import a_page_of_text
from tests.support.imagehq import ANN, CHAIN, asked, ended, faults, imagehq_gate
from tests.support.load import stretched
from tests.support.mounted import client_of
from tests.support.pipelines import a_png

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
SAVE = {"op": "save"}
RESIZE: dict[str, Any] = {"type": "resize", "width": 40}
SAID: list[tuple[str, Any, list[dict[str, Any]]]] = [
    ("transform", {"operations": [RESIZE]}, [{"op": "resize", "width": 40}, SAVE]),
    ("transform", {"operation": "resize", "width": 40}, [{"op": "resize", "width": 40}, SAVE]),
    ("transform", {"operation": "watermark", "text": "x"}, [{"op": "watermark", "text": "x"}, SAVE]),
    (
        "transform",
        {"operations": [{"type": "flip", "on_error": "skip"}, {"type": "mirror"}]},
        [{"op": "flip", "onError": "skip"}, {"op": "mirror"}, SAVE],
    ),
    ("filter", {"filters": [{"type": "cinematic"}]}, [{"op": "look", "name": "cinematic"}, SAVE]),
    ("filter", {"operations": [{"type": "blur", "radius": 3}]}, [{"op": "blur", "radius": 3.0}, SAVE]),
    ("filter", {"operation": "look", "name": "noir"}, [{"op": "look", "name": "noir"}, SAVE]),
    ("optimize", {"operation": "compress", "quality": 40}, [{"op": "save", "quality": 40}]),
    ("optimize", {"operation": "save", "format": "png"}, [{"op": "save", "format": "png"}]),
    ("optimize", {"operation": "convert_to_jpeg", "effort": 6}, [{"op": "save", "format": "jpeg", "effort": 6}]),
    ("convert", {"output_format": "jpg", "quality": 70}, [{"op": "save", "format": "jpeg", "quality": 70}]),
    ("convert", {"operation": "convert_to_jpg"}, [{"op": "save", "format": "jpeg"}]),
    (
        "convert",
        {"input_format": "png", "operations": [{"type": "convert_to_gif", "as": "a"}, {"output_format": "pdf"}]},
        [{"op": "save", "as": "a", "format": "gif"}, {"op": "save", "format": "pdf"}],
    ),
    ("metadata", {"operation": "read"}, [{"op": "read_metadata"}]),
    ("metadata", {"operations": [{"type": "strip"}, {"type": "set_metadata", "artist": "me"}]}, []),
    ("enhance", {"operations": [{"type": "auto_contrast"}]}, [{"op": "auto_contrast"}, SAVE]),
    ("pipeline", {"steps": CHAIN}, []),
]
"""Requests with their native steps; an empty list: any."""
REFUSED: list[tuple[str, Any, dict[str, str]]] = [
    ("transform", {"operations": [{"type": "resize", "width": -1}]}, {"/operations/0/width": "out_of_range"}),
    ("transform", {"operation": "resize", "width": "1"}, {"/width": "wrong_type"}),
    ("transform", {"operation": "resize", "colour": "red", "width": 2}, {"/colour": "unknown_field"}),
    ("transform", {"operation": "resize", "op": "blur", "width": 2}, {"/op": "unknown_field"}),
    ("transform", {"operation": "flip", "onError": "skip"}, {"/onError": "unknown_field"}),
    ("transform", {"operation": "flip", "on_error": "stop"}, {"/on_error": "unknown_value"}),
    ("transform", {"operation": "flip", "input_format": "png"}, {"/input_format": "unknown_field"}),
    ("transform", {"operation": "blur"}, {"/operation": "unknown_operation"}),
    ("transform", {"operation": "resise", "width": 2}, {"/operation": "unknown_operation"}),
    ("transform", {"operation": "convert_to_webp"}, {"/operation": "unknown_operation"}),
    ("transform", {"filters": [{"type": "noir"}]}, {"/operation": "missing"}),
    ("transform", {}, {"/operation": "missing"}),
    ("transform", {"operations": []}, {"/operations": "missing"}),
    ("transform", {"operations": [{}]}, {"/operations/0/type": "missing"}),
    ("transform", {"operations": [RESIZE], "operation": "flip"}, {"/operation": "unknown_field"}),
    ("transform", {"operations": [RESIZE] * 21}, {"/operations": "too_long"}),
    (
        "transform",
        {"operations": [RESIZE, {**RESIZE, "from": "large"}]},
        {"/operations/1/from": "unknown_result"},
    ),
    ("filter", {"filters": [{"type": "cinematc"}]}, {"/filters/0/type": "unknown_operation"}),
    ("filter", {"filters": [{"type": "noir", "intensity": 101}]}, {"/filters/0/intensity": "out_of_range"}),
    ("filter", {"filters": [{"type": "noir", "name": "sepia"}]}, {"/filters/0/name": "unknown_field"}),
    ("filter", {"filters": [{"type": "noir"}], "operations": [RESIZE]}, {"/operations": "unknown_field"}),
    ("enhance", {"operation": "restore_faces"}, {"/operation": "operation_unavailable"}),
    ("enhance", {"operation": "paint"}, {"/operation": "unknown_operation"}),
    ("optimize", {"operation": "convert_to_bmp"}, {"/operation": "unknown_value"}),
    ("optimize", {"operation": "convert_to_webp", "format": "png"}, {"/format": "unknown_field"}),
    ("optimize", {"operation": "compress", "format": "png"}, {"/format": "unknown_field"}),
    ("optimize", {"operation": "compress", "input_format": "bmp"}, {"/input_format": "unknown_value"}),
    ("optimize", {"operation": "compress", "input_format": 3}, {"/input_format": "wrong_type"}),
    ("convert", {"output_format": "bmp"}, {"/output_format": "unknown_value"}),
    ("convert", {"output_format": 7}, {"/output_format": "wrong_type"}),
    ("convert", {"output_format": "png", "operation": "convert_to_jpg"}, {"/output_format": "unknown_field"}),
    ("convert", {"operation": "compress"}, {"/operation": "unknown_operation"}),
    (
        "convert",
        {"operations": [{"type": "convert_to_png"}, {"type": "convert_to_gif"}]},
        {"/operations/1/as": "duplicate_result"},
    ),
    ("document", {"operation": "render", "dpi": 1}, {"/dpi": "out_of_range"}),
    ("document", {"operation": "read_text"}, {"": "misplaced_step"}),
    ("pipeline", {}, {"/steps": "missing"}),
    ("pipeline", {"tool_slug": ""}, {"/steps": "missing"}),
    ("pipeline", {"tool_slug": "thumbs"}, {"/tool_slug": "unknown_preset"}),
    ("pipeline", {"tool_slug": "t" * 65, "steps": CHAIN}, {"/tool_slug": "too_long"}),
    ("pipeline", {"tool_slug": "thumb", "steps": CHAIN}, {"/steps": "preset_changed"}),
    ("pipeline", {"steps": [{"operation": "convert"}]}, {"/steps/0/request": "missing"}),
    ("pipeline", {"steps": [{"operation": "covert", "request": {}}]}, {"/steps/0/operation": "unknown_value"}),
    ("pipeline", {"steps": [{"request": {}}]}, {"/steps/0/operation": "missing"}),
    ("pipeline", {"steps": [{**CHAIN[0], "name": "x"}]}, {"/steps/0/name": "unknown_field"}),
    ("pipeline", {"steps": [*CHAIN, CHAIN[0]]}, {"/steps/3/request/operations/0": "unused_step"}),
    ("pipeline", {"steps": CHAIN, "preset": "thumb"}, {"/preset": "unknown_field"}),
    ("pipeline", {"steps": CHAIN, "callback_url": "https://x.example"}, {"/callback_url": "unknown_field"}),
    ("pipeline", {"steps": CHAIN, "mediaId": "med_x"}, {"/mediaId": "unknown_field"}),
    ("pipeline", {"steps": CHAIN, "files": ["a"]}, {"/files": "unknown_field"}),
    ("pipeline", {"steps": CHAIN, "client_reference_id": "x" * 300}, {"/client_reference_id": "invalid_value"}),
    ("pipeline", {"steps": CHAIN, "retention_policy": 24}, {"/retention_policy": "wrong_type"}),
    ("pipeline", {"steps": CHAIN, "retention_policy": {"hours": 1}}, {"/retention_policy/hours": "unknown_field"}),
    (
        "pipeline",
        {"steps": CHAIN, "retention_policy": {"ttl_hours": "1"}},
        {"/retention_policy/ttl_hours": "wrong_type"},
    ),
    (
        "pipeline",
        {"steps": CHAIN, "retention_policy": {"ttl_hours": 0}},
        {"/retention_policy/ttl_hours": "out_of_range"},
    ),
    ("pipeline", {"steps": CHAIN, "retention_policy": {"clamp": 1}}, {"/retention_policy/clamp": "wrong_type"}),
]
"""Requests with the faults that are told."""
WRONG: list[Any] = [None, True, 0, -1.5, 10**400, "", "x", "\ud800", [], [[]], [None], [[[{}]]], {}, {"": None}]
"""Values where others are expected."""


@pytest.fixture
async def site(make_gate: MakeGate) -> AsyncIterator[tuple[MediaGate, httpx.AsyncClient]]:
    gate = imagehq_gate(make_gate)
    gate.use(worker=False)
    async with client_of(gate) as client:
        yield gate, client


async def test_requests_of_each_family_are_native_steps(
    site: tuple[MediaGate, httpx.AsyncClient], photo: bytes
) -> None:
    gate, client = site
    for endpoint, request, steps in SAID:
        answer = await asked(client, endpoint, request, photo=photo)
        assert answer.status_code == 202, (request, answer.text)
        spec = (await gate.get_status(answer.json()["id"])).job.spec
        assert spec is not None
        assert not steps or [dict(step) for step in spec.steps] == steps, request
        if endpoint != "pipeline":
            chained = await asked(
                client, "pipeline", {"steps": [{"operation": endpoint, "request": request}]}, photo=photo
            )
            assert chained.status_code == 202, (request, chained.text)
            again = (await gate.get_status(chained.json()["id"])).job.spec
            assert again is not None and again.steps == spec.steps


async def test_faults_point_to_their_places(site: tuple[MediaGate, httpx.AsyncClient], photo: bytes) -> None:
    _, client = site
    for endpoint, request, told in REFUSED:
        found = faults(await asked(client, endpoint, request, photo=photo))
        assert found == told, (endpoint, request)
        if endpoint != "pipeline":
            steps = [CHAIN[0], {"operation": endpoint, "request": request}]
            found = faults(await asked(client, "pipeline", {"steps": steps}, photo=photo))
            assert (
                told.items()
                <= {pointer.removeprefix("/steps/1/request"): code for pointer, code in found.items()}.items()
            ), (endpoint, request)


async def test_faults_of_a_batch_point_to_their_jobs(site: tuple[MediaGate, httpx.AsyncClient], photo: bytes) -> None:
    _, client = site
    good = {"files": ["a"], "steps": CHAIN}
    for request, told in (
        ({}, {"/jobs": "missing"}),
        ({"jobs": "x"}, {"/jobs": "wrong_type"}),
        ({"jobs": []}, {"/jobs": "too_short"}),
        ({"jobs": [good] * 101}, {"/jobs": "too_long"}),
        ({"jobs": [good], "steps": CHAIN}, {"/steps": "unknown_field"}),
        ({"jobs": [good, 7]}, {"/jobs/1": "wrong_type"}),
        ({"jobs": [{**good, "files": ["b"]}]}, {"/jobs/0/files/0": "unknown_file"}),
        ({"jobs": [{"steps": CHAIN}]}, {"/jobs/0/files": "missing"}),
        ({"jobs": [good, {**good, "callbackUrl": "x"}]}, {"/jobs/1/callbackUrl": "unknown_field"}),
        (
            {
                "jobs": [
                    good,
                    {**good, "steps": [{"operation": "filter", "request": {"operation": "blur", "radius": -1}}]},
                ]
            },
            {"/jobs/1/steps/0/request/radius": "out_of_range"},
        ),
        ({"jobs": [{**good, "client_reference_id": 3}]}, {"/jobs/0/client_reference_id": "wrong_type"}),
        (
            {"jobs": [{**good, "retention_policy": {"ttl_hours": 25, "clamp": False}}]},
            {"/jobs/0/retention_policy/ttl_hours": "out_of_range"},
        ),
        ({"jobs": [{"files": ["a"], "tool_slug": "none"}]}, {"/jobs/0/tool_slug": "unknown_preset"}),
    ):
        assert faults(await asked(client, "batch", request, photo=photo)) == told, request


async def test_unknown_field_of_the_form_is_refused(site: tuple[MediaGate, httpx.AsyncClient], photo: bytes) -> None:
    _, client = site
    extra = ("steps", (None, "[]"))
    assert faults(await asked(client, "convert", {"output_format": "png"}, extra, photo=photo)) == {
        "/steps": "unknown_field"
    }


async def test_input_format_is_a_known_name_and_nothing_more(
    site: tuple[MediaGate, httpx.AsyncClient], photo: bytes
) -> None:
    _, client = site
    for named in INPUT_FORMATS:
        request = {"input_format": named, "output_format": "png"}
        assert (await asked(client, "convert", request, photo=photo)).status_code == 202


@pytest.mark.parametrize("value", WRONG, ids=repr)
async def test_wrong_types_are_refused_at_every_place(
    site: tuple[MediaGate, httpx.AsyncClient], photo: bytes, value: Any
) -> None:
    _, client = site
    item = {"type": "resize", "width": 4}
    whole: list[tuple[str, Any]] = [
        ("pipeline", value),
        ("pipeline", {"steps": value}),
        ("pipeline", {"steps": [value]}),
        ("pipeline", {"steps": [{"operation": value, "request": {}}]}),
        ("pipeline", {"steps": [{"operation": "transform", "request": value}]}),
        ("pipeline", {"steps": CHAIN, "x": value}),
        ("transform", {"operations": value}),
        ("transform", {"operations": [value]}),
        ("transform", {"operations": [{"type": value}]}),
        ("transform", {"operations": [item], "x": value}),
        ("transform", {"operation": value}),
        ("filter", {"filters": value}),
        ("filter", {"operation": "noir", "x": value}),
        ("convert", {"output_format": value}),
        ("convert", {"output_format": "png", "input_format": value}),
        ("batch", value),
        ("batch", {"jobs": value}),
        ("batch", {"jobs": [value]}),
        ("batch", {"jobs": [{"files": value, "steps": CHAIN}]}),
    ]
    for endpoint, request in whole:
        answer = await asked(client, endpoint, json.dumps(request), photo=photo)
        assert answer.status_code in (400, 422), (endpoint, request, answer.text)
        error = answer.json()["error"]
        assert error["code"] and error["message"]
        assert error["errors"] or answer.status_code == 400, (endpoint, request)
    for name in ("tool_slug", "client_reference_id", "retention_policy"):
        request = {"output_format": "png", name: value}
        answer = await asked(client, "convert", json.dumps(request), photo=photo)
        lenient = value is None or (value in ("", "x", {}) and not isinstance(value, bool))
        assert answer.status_code in (202, 422) if lenient else answer.status_code == 422, (name, answer.text)


async def test_very_many_fields_are_refused_at_once(site: tuple[MediaGate, httpx.AsyncClient], photo: bytes) -> None:
    _, client = site
    many = {f"tool_slugs{number}": 1 for number in range(100_000)}
    unknown = [{"type": f"resize{number}"} for number in range(20)]
    step = {"operation": "transform", "request": {"operations": unknown}}
    flips = {"operation": "transform", "request": {"operations": [{"type": "flip"}] * 20}}
    for endpoint, request in (
        ("pipeline", many),
        ("pipeline", {"steps": [{"operation": "transform", "request": {"operations": [], **many}}]}),
        ("transform", {"operation": "flip", **many}),
        ("transform", {"operations": [{"type": "flip", **many}]}),
        ("convert", {"output_format": "png", "retention_policy": many}),
        ("batch", {"jobs": [many]}),
        ("batch", {"jobs": [{"files": ["a"], "steps": [step] * 20}] * 50}),
        ("batch", {"jobs": [{"files": ["a"], "steps": [flips] * 20}] * 100}),
    ):
        text = json.dumps(request)
        began = time.monotonic()
        answer = await asked(client, endpoint, text, photo=photo)
        assert time.monotonic() - began < stretched(3), (endpoint, len(text))
        assert answer.status_code == 422, answer.text[:300]
        assert 1 <= len(answer.json()["error"]["errors"]) <= 400


async def test_document_is_rendered_then_transformed(make_gate: MakeGate) -> None:
    gate = imagehq_gate(make_gate)
    steps = [
        {"operation": "document", "request": {"operations": [{"type": "render", "dpi": 72}, {"type": "read_text"}]}},
        {"operation": "transform", "request": {"operation": "resize", "width": 50}},
        {"operation": "convert", "request": {"output_format": "jpg"}},
    ]
    file = ("files[]", ("scan.pdf", a_page_of_text()))
    async with client_of(gate) as client:
        done = await ended(gate, client, await asked(client, "pipeline", {"steps": steps}, file))
        assert (done["status"], done["inputs"][0]["mime_type"]) == ("succeeded", "application/pdf")
        assert [output["format"] for output in done["outputs"]] == ["jpg"]
        assert done["data"]["read_text"][0]["page"] == 1


async def test_metadata_is_stripped_before_ocr(make_gate: MakeGate, data: Any) -> None:
    gate = imagehq_gate(make_gate)
    steps = [
        {"operation": "metadata", "request": {"operation": "strip"}},
        {"operation": "ocr", "request": {"engine": "rapidocr"}},
    ]
    scan = (data / "ocr" / "german.png").read_bytes()
    async with client_of(gate) as client:
        done = await ended(gate, client, await asked(client, "pipeline", {"steps": steps}, photo=scan))
        assert done["status"] == "succeeded", done
        assert done["data"]["ocr"][0]["value"]["text"]


async def test_picture_of_a_watermark_is_sent_in_a_part_of_its_own(make_gate: MakeGate, photo: bytes) -> None:
    gate = imagehq_gate(make_gate)
    request = {"operation": "watermark", "picture": "logo"}
    logo = ("logo", ("logo.png", a_png(20, 20)))
    async with client_of(gate) as client:
        done = await ended(gate, client, await asked(client, "transform", request, logo, photo=photo))
        assert {one["filename"] for one in done["inputs"]} == {"input.jpg", "logo.png"}
        assert len(done["outputs"]) == 1
        missing = await asked(client, "transform", request, photo=photo)
        assert faults(missing)["/picture"] == "unknown_input"
        polled = await client.get(f"/imagehq/v1/jobs/{done['id']}", headers=ANN)
        assert polled.json() == done
