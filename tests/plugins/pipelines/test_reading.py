"""ocr over HTTP: what a caller gets, what is refused before any work, and what an operator is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mediagate import MediaGate
from mediagate.cli.doctor import examine
from mediagate.images.operations.ocr import languages
from mediagate_plugins.pipelines import OneOf, Preset
from tests.support.charts import saved
from tests.support.mounted import client_of
from tests.support.pipeline_site import pipeline_gate, posted
from tests.support.printed import LINES, page

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]
PRESETS = {
    "text": Preset(
        steps=[{"op": "ocr", "engine": "rapidocr", "language": {"$param": "language"}, "layout": True}],
        params={"language": OneOf("eng", "deu", default="eng")},
    )
}


def scan() -> bytes:
    return saved(page(LINES[:2], size=(760, 200)), "PNG")


async def test_preset_reads_the_text_of_each_picture(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate, presets=PRESETS)
    async with client_of(gate) as client:
        files = [("files[]", (f"{name}.png", scan())) for name in "ab"]
        answer = await posted(client, {"preset": "text"}, *files)
        status = await gate.wait(answer.json()["jobId"], timeout_s=60)
        body = status.to_json(poll_after_ms=0)
    assert body["status"] == "COMPLETE" and body["outputs"] == []
    given = body["data"]["ocr"]
    assert [one["value"]["text"] for one in given] == ["\n".join(LINES[:2])] * 2
    assert len({one["input"] for one in given}) == 2
    (told,) = given[0]["value"]["pages"]
    assert (told["width"], told["height"], told["turn"]) == (760, 200, 0)
    assert told["blocks"][0]["lines"][0]["words"][0]["text"] == "Sphinx"


async def test_language_without_an_engine_is_refused_with_what_to_install(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "TESSDATA", ())
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False})
    async with client_of(gate) as client:
        asked = {"steps": [{"op": "ocr", "language": "rus"}]}
        answer = await posted(client, asked, ("file", ("a.png", scan())), query="?dryRun=1", Authorization="ann")
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault == {
        "pointer": "/steps/0/language",
        "code": "operation_unavailable",
        "detail": "apt-get install tesseract-ocr-rus",
    }


async def test_operations_tell_the_engines_and_languages_of_ocr(make_gate: MakeGate) -> None:
    gate = pipeline_gate(make_gate, settings={"worker": False})
    async with client_of(gate) as client:
        body = (await client.get("/pipelines/operations")).json()
    (told,) = (one for one in body["operations"] if one["op"] == "ocr")
    assert told["available"] and [engine["name"] for engine in told["engines"]] == ["rapidocr", "tesseract"]
    assert {"eng", "deu", "jpn"} <= set(told["engines"][0]["languages"])
    assert told["costPerMegapixel"]["cpuMs"] > 1000


async def test_doctor_names_the_engines_of_ocr(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "TESSDATA", ())
    gate = pipeline_gate(make_gate)
    (found,) = [one async for one in examine(gate) if one.part == "operations"]
    assert found.ok
    assert f"ocr by rapidocr: {len(languages.BY_RAPIDOCR)} languages" in found.text
    assert "ocr by tesseract: no language file" in found.text
