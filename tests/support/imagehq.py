"""Gates with the dialect of ImageHQ, requests to them, and the sample body of its documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from mediagate import MediaGate, Source
from mediagate_plugins.dialects.imagehq import imagehq
from tests.support.pipeline_site import pipeline_gate

ANN, BOB = {"Authorization": "ann"}, {"Authorization": "bob"}
CLIENT = Path(__file__).parents[1] / "e2e" / "clients" / "imagehq"
SAMPLE: dict[str, dict[str, Any]] = json.loads((CLIENT / "response.json").read_text())
"""The bodies ``queued`` and ``completed``, as printed."""
CHAIN = [
    {"operation": "transform", "request": {"operations": [{"type": "resize", "width": 60}]}},
    {"operation": "filter", "request": {"filters": [{"intensity": 72, "type": "cinematic"}]}},
    {"operation": "optimize", "request": {"input_format": "jpg", "operation": "convert_to_webp"}},
]
"""The steps of the sample, for a small picture."""


def imagehq_gate(make_gate: Callable[..., MediaGate], **options: Any) -> MediaGate:
    """Return a gate whose callers name themselves and may send steps; if moderated, ``NUDE`` is rejected."""
    moderated = options.get("settings", {}).get("moderation") == "on"
    reject = {"NUDE": 0.5} if moderated else {}
    work = Source(
        formats=("jpeg", "png", "webp", "pdf"),
        visibility="private",
        ttl=timedelta(hours=24),
        max_bytes=2_000_000,
        reject=reject,
    )
    gate = pipeline_gate(make_gate, known=True, sources={"avatar": Source(reject=reject), "work": work}, **options)
    gate.register(imagehq)
    return gate


async def asked(
    client: httpx.AsyncClient, endpoint: str, request: Any, *files: Any, photo: bytes | None = None, **headers: str
) -> httpx.Response:
    """Send a request with files, or with a photo, as ann; the photo of a batch is named ``a``."""
    field = "a" if endpoint.startswith("batch") else "files[]"
    text = request if isinstance(request, str) else json.dumps(request)
    sent = [*files, *([(field, ("input.jpg", photo))] if photo else []), ("request", (None, text))]
    return await client.post(f"/imagehq/v1/{endpoint}", files=sent, headers={**ANN, **headers})


async def ended(gate: MediaGate, client: httpx.AsyncClient, answer: httpx.Response) -> Any:
    """Return the body of an accepted job at its end."""
    assert answer.status_code == 202, answer.text
    await gate.wait(answer.json()["id"], timeout_s=60)
    polled = await client.get(f"/imagehq{answer.json()['poll_url']}", headers=ANN)
    assert polled.status_code == 200, polled.text
    return polled.json()


def faults(answer: httpx.Response) -> dict[str, str]:
    """Return the code of each fault of a refused request by its pointer."""
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["code"] == "invalid_pipeline"
    assert all(fault["detail"] for fault in error["errors"])
    return {fault["pointer"]: fault["code"] for fault in error["errors"]}


def shape(value: Any) -> Any:
    """Return a JSON value with the name of its type in place of each text, number, truth value and null."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
