"""Options of the demo page; its behaviour in a browser is tested elsewhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate import AUTHORIZE, JobStatus, MediaGate, Settings, Source
from mediagate.config import Language
from mediagate.errors import PluginError
from mediagate.records import Settlement
from mediagate.values import Verdict
from mediagate_plugins.demo_page import demo_page
from mediagate_plugins.pipelines import pipelines
from tests.support.mounted import client_of
from tests.support.owners import as_user, by_header, claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def sources_of(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the sources as the page receives them."""
    page = (await client.get("/")).text
    [found] = re.findall(r'data-sources="([^"]*)"', page)
    told: dict[str, Any] = json.loads(html.unescape(found))
    return told


@pytest.mark.parametrize(
    "options",
    [
        {"path": "try/"},
        {"path": "/try"},
        {"path": "/{name}/"},
        {"image_origins": ["cdn.example"]},
        {"image_origins": ["https://cdn.example/pictures"]},
        {"image_origins": ["https://cdn.example; script-src *"]},
        {"upload_origins": ["bucket.example"]},
    ],
    ids=str,
)
async def test_demo_page_refuses_an_invalid_path_or_origin(options: dict[str, Any], tmp_path: Path) -> None:
    gate = MediaGate(sources={"post": Source()}, settings=Settings(data_dir=tmp_path), moderation="off")
    gate.register(demo_page, **options)
    with pytest.raises(PluginError, match=r"demo_page: .*such as"):
        await gate.open()


async def test_demo_page_names_the_formats_and_limits_of_each_source(make_gate: MakeGate) -> None:
    own: dict[str, str | dict[Language, str]] = {
        "upload_too_large": {"en": 'At most {limit}, "please".', "de": "Höchstens {limit}."}
    }
    gate = make_gate(
        sources={
            "few": Source(formats=("png", "heic"), max_bytes=1_500_000, messages=own),
            "plain": Source(formats=("jpeg",), max_bytes=600_000),
        }
    )
    gate.register(demo_page)
    async with client_of(gate) as client:
        told = await sources_of(client)
        assert told["few"]["formats"] == ["PNG", "HEIC"]
        accept = set(told["few"]["accept"].split(","))
        assert {"image/png", "image/heic", "image/heif", ".heic", ".heif"} <= accept
        assert not accept & {"image/jpeg", "image/avif", ".avif", "image/*"}
        assert told["plain"]["formats"] == ["JPEG"]
        assert {"image/png", "image/heic", ".heic"}.isdisjoint(told["plain"]["accept"].split(","))
        for name, limit, size in (("few", "1.4 MB", 1_500_001), ("plain", "0.572 MB", 600_001)):
            assert told[name]["limit"] == limit
            declared = {"sourceType": name, "sourceId": "u", "size": size}
            refused = await client.post("/uploads", json=declared, headers={"Accept-Language": "en"})
            assert refused.json()["message"] == told[name]["tooLarge"]


async def test_demo_page_omits_heic_when_it_cannot_be_decoded(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.images.pixels.formats._heif", False)
    gate = make_gate(sources={"post": Source()})
    gate.register(demo_page)
    async with client_of(gate) as client:
        told = (await sources_of(client))["post"]
        assert told["formats"] == ["JPEG", "PNG", "WebP", "GIF", "AVIF"]
        assert "hei" not in told["accept"]


@pytest.mark.parametrize("runs", [False, True])
async def test_demo_page_has_operations_if_the_gate_runs_pipelines(make_gate: MakeGate, runs: bool) -> None:
    work = Source(visibility="private", ttl=timedelta(hours=1))
    gate = make_gate(sources={"post": Source(), "work": work}, worker=False)
    gate.register(demo_page)
    if runs:
        gate.register(pipelines)
    async with client_of(gate) as client:
        assert f'data-operations="{"yes" if runs else "no"}"' in (await client.get("/")).text


@pytest.mark.parametrize("scores", [False, True])
async def test_demo_page_scores_are_optional_and_for_readers_of_the_job(
    make_gate: MakeGate, photo: bytes, scores: bool
) -> None:
    gate = make_gate(worker=False)
    gate.decorate(AUTHORIZE, by_header)
    gate.register(demo_page, path="/try/", scores=scores)
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u", owner="ann")).job
        await claim(gate, job)
        verdict = Verdict("reject", ("knife",), {"knife": 0.75, "cat": 0.25}, 0.75)
        await settle(
            gate, job, Settlement(JobStatus.REJECTED, verdict=verdict, reason="no", code="moderation_rejected")
        )
        url = f"/try/demo/scores/{job.id}"
        answers = {name: await client.get(url, headers=as_user(name)) for name in ("ann", "bob", "stranger")}
        codes = {name: answer.status_code for name, answer in answers.items()}
        assert codes == ({"ann": 200, "bob": 404, "stranger": 401} if scores else dict.fromkeys(codes, 404))
        if scores:
            assert answers["ann"].json() == {"scores": {"knife": 0.75, "cat": 0.25}}
            assert answers["ann"].headers["cache-control"] == "no-store"
            assert answers["bob"].json()["code"] == "job_not_found"
