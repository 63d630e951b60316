"""Gates that run pipelines, and requests to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import httpx
from starlette.requests import Request

from mediagate import AUTHORIZE, Action, MediaGate, Principal, Source
from mediagate_plugins.pipelines import Int, Preset, pipelines

WORK = Source(visibility="private", ttl=timedelta(hours=48), max_bytes=2_000_000)
"""The source of pipelines."""
THUMB = Preset(
    steps=[
        {"op": "resize", "width": {"$param": "width"}, "height": 50, "fit": "cover"},
        {"op": "save", "as": "thumb", "format": "webp"},
    ],
    params={"width": Int(1, 2000, default=50)},
)
TWO = Preset(
    steps=[
        {"op": "save", "as": "large", "format": "jpeg"},
        {"op": "resize", "from": "original", "width": 40},
        {"op": "save", "as": "small", "format": "png"},
        {"op": "read_metadata"},
    ]
)
PRESETS = {"thumb": THUMB, "two": TWO}


async def by_header(request: Request, action: Action) -> Principal | None:
    """Let each caller name itself; ``root`` is an admin."""
    name = request.headers.get("Authorization")
    return Principal(name, admin=name == "root") if name else None


def pipeline_gate(make_gate: Callable[..., MediaGate], *, known: bool = False, **options: Any) -> MediaGate:
    """Return a gate with the plugin; ``known`` callers name themselves and may send steps of their own."""
    settings = options.pop("settings", {})
    sources = options.pop("sources", {"avatar": Source(), "work": WORK})
    gate = make_gate(sources=sources, **settings)
    if known:
        gate.decorate(AUTHORIZE, by_header)
        options = {"ad_hoc": "all", **options}
    gate.register(pipelines, **{"presets": PRESETS, "source": "work", **options})
    return gate


def file_of(photo: bytes, name: str = "a.jpg", field: str = "file") -> tuple[str, tuple[str, bytes]]:
    """Return a file of a request."""
    return field, (name, photo)


async def posted(
    client: httpx.AsyncClient,
    request: Any,
    *files: tuple[str, tuple[str | None, bytes]],
    query: str = "",
    **headers: str,
) -> httpx.Response:
    """Send a request as a form; each of ``files`` is a field with its file name, ``None`` for a text, and content."""
    text = request if isinstance(request, str) else json.dumps(request)
    sent: list[Any] = [*files, ("request", (None, text))]
    return await client.post(f"/pipelines{query}", files=sent, headers=headers)


def told(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json().get("code", "")


def faults(answer: httpx.Response) -> Mapping[str, str]:
    """Return the code of each fault of a refused request by its pointer."""
    assert told(answer) == (422, "invalid_pipeline"), answer.text
    return {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]}
