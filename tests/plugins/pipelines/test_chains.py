"""Chains of operations of several families in one request, each step on what the one before left."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from mediagate import MediaGate, Source
from tests.support.documents import colours
from tests.support.mounted import client_of
from tests.support.pipeline_site import pipeline_gate, posted
from tests.support.printed import LINES, page

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
Steps = list[dict[str, Any]]
WORK = Source(formats=("jpeg", "png", "pdf"), visibility="private", ttl=timedelta(hours=2))


async def result_of(make_gate: MakeGate, steps: Steps, name: str, data: bytes) -> tuple[Any, list[bytes]]:
    """Run steps and return the status of the job, and its files."""
    gate = pipeline_gate(make_gate, known=True, sources={"work": WORK})
    async with client_of(gate) as client:
        answer = await posted(client, {"steps": steps}, ("file", (name, data)), Authorization="ann")
        assert answer.status_code == 202, answer.text
        status = await gate.wait(answer.json()["jobId"], timeout_s=60)
        files = [await gate.parts.storage.get(output.key) for output in status.outputs]
    body = status.to_json(poll_after_ms=0)
    assert body["status"] == "COMPLETE", body
    return body, files


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


async def test_photo_is_resized_then_coloured_then_compressed(make_gate: MakeGate, photo: bytes) -> None:
    steps: Steps = [
        {"op": "resize", "width": 60},
        {"op": "look", "name": "mono"},
        {"op": "save", "format": "webp", "quality": 70},
    ]
    body, (file,) = await result_of(make_gate, steps, "photo.jpg", photo)
    picture = opened(file)
    assert (picture.format, picture.width) == ("WEBP", 60)
    hsv = picture.convert("HSV").getchannel("S").getextrema()
    assert hsv == (0, 0), "a look without colours leaves none"
    steps_told = [stage["op"] for stage in body["stages"] if stage.get("op")]
    assert steps_told == ["resize", "look", "save"]


@pytest.mark.slow
async def test_scan_is_cleaned_of_metadata_and_read(make_gate: MakeGate) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    file = io.BytesIO()
    page(LINES[:2], size=(760, 200)).save(file, "PNG", exif=exif)
    steps: Steps = [
        {"op": "read_metadata"},
        {"op": "strip_metadata"},
        {"op": "save", "as": "clean", "format": "png"},
        {"op": "ocr", "from": "clean"},
    ]
    body, (clean,) = await result_of(make_gate, steps, "scan.png", file.getvalue())
    assert body["data"]["ocr"][0]["value"]["text"] == "\n".join(LINES[:2])
    assert "a description" in str(body["data"]["read_metadata"][0]["value"]["exif"])
    assert not opened(clean).getexif()


async def test_document_is_rendered_then_transformed(make_gate: MakeGate) -> None:
    steps: Steps = [
        {"op": "render", "dpi": 72, "pages": "1-2"},
        {"op": "rotate", "degrees": 90},
        {"op": "resize", "width": 50},
        {"op": "save", "format": "png"},
    ]
    body, files = await result_of(make_gate, steps, "scan.pdf", colours())
    assert [output["page"] for output in body["outputs"]] == [1, 2]
    assert [opened(file).width for file in files] == [50, 50]
    shapes = [(output["width"], output["height"]) for output in body["outputs"]]
    first = body["inputs"][0]
    assert all((width > height) == (first["height"] > first["width"]) for width, height in shapes)
