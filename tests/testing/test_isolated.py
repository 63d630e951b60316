"""``mediagate.testing.isolated``: a host tests its own application with fresh parts of the gate for each test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mediagate import STORAGE, JobState, MediaGate, Settings, Source, plugin
from mediagate.errors import PluginError
from mediagate.storage import MemoryStorage
from mediagate.testing import isolated
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.celery_queue import celery_queue
from mediagate_plugins.http_moderation import http_moderation, openai
from mediagate_plugins.nudenet import nudenet
from mediagate_plugins.s3_storage import s3_storage

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "test-your-host.md"
NOWHERE = "http://127.0.0.1:1"
FORM = {"sourceType": "avatar", "sourceId": "user-1"}


def production_gate() -> MediaGate:
    """Return a gate whose own parts are unreachable."""
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        data_dir=Path("/nonexistent/mediagate"),
        worker=False,
        media_prefix="img",
    )
    gate = MediaGate(sources={"avatar": Source(reject={"explicit": 0.5})}, settings=settings)
    gate.register(nudenet, model="/nonexistent.onnx")
    gate.register(http_moderation, service=openai("sk-test"))
    gate.register(s3_storage, bucket="none", endpoint_url=NOWHERE, access_key_id="a", secret_access_key="b")
    gate.register(celery_queue, broker="amqp://127.0.0.1:1//")
    return gate


def host_of(gate: MediaGate) -> FastAPI:
    app = FastAPI(lifespan=gate.lifespan)
    app.mount("/image-pipeline", gate)
    return app


def status_of(client: TestClient, photo: bytes) -> dict[str, object]:
    sent = client.post("/image-pipeline/upload", data=FORM, files={"file": ("me.jpg", photo)})
    assert sent.status_code == 202, sent.text
    answer: dict[str, object] = client.get(sent.json()["statusUrl"], params={"wait": 30}).json()
    return answer


def test_documented_tests_of_a_host_pass(tmp_path: Path) -> None:
    names = []
    for code in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S):
        name = code.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(code)
        names.append(name)
    assert names == ["shop.py", "test_shop.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_isolated_gate_publishes_while_its_own_parts_are_unreachable(tmp_path: Path, photo: bytes) -> None:
    gate = production_gate()
    settings = gate.settings
    with isolated(gate, tmp_path), TestClient(host_of(gate)) as client:
        assert status_of(client, photo)["status"] == "COMPLETE"
    assert gate.settings is settings


def test_isolated_gate_serves_sources_that_choose_moderators(tmp_path: Path, photo: bytes) -> None:
    source = Source(reject={"explicit": 0.5}, moderators=("nudenet",))
    gate = MediaGate(sources={"avatar": source}, settings=Settings(data_dir=Path("/nonexistent/mediagate")))
    gate.register(nudenet, model="/nonexistent.onnx")
    with isolated(gate, tmp_path) as judge, TestClient(host_of(gate)) as client:
        assert status_of(client, photo)["status"] == "COMPLETE"
        judge.decide("reject")
        assert status_of(client, photo)["status"] == "REJECTED"
    assert gate.sources == {"avatar": source}


def test_judge_decides_the_verdict_as_the_test_asks(tmp_path: Path, photo: bytes) -> None:
    gate = production_gate()
    with isolated(gate, tmp_path) as judge, TestClient(host_of(gate)) as client:
        judge.score(explicit=0.49)
        assert status_of(client, photo)["status"] == "COMPLETE"
        judge.score(explicit=0.5)
        rejected = status_of(client, photo)
        assert rejected["status"] == "REJECTED"
        assert rejected["moderationDetails"] == {"flags": ["explicit"], "confidence": 0.5}
        judge.decide("reject", "violence")
        assert status_of(client, photo)["moderationDetails"] == {"flags": ["violence"], "confidence": 1.0}
        judge.allow()
        assert status_of(client, photo)["status"] == "COMPLETE"


def test_judge_refuses_a_label_that_no_threshold_names(tmp_path: Path) -> None:
    with isolated(production_gate(), tmp_path) as judge:
        with pytest.raises(ValueError, match="has a threshold for explicti; available labels: explicit"):
            judge.score(explicti=0.9)
        with pytest.raises(ValueError, match="from 0 to 1: explicit"):
            judge.score(explicit=90)


def test_judge_refuses_decisions_for_an_unmoderated_gate(tmp_path: Path, photo: bytes) -> None:
    gate = MediaGate(sources={"avatar": Source()}, moderation="off")
    with isolated(gate, tmp_path) as judge, TestClient(host_of(gate)) as client:
        with pytest.raises(ValueError, match="remove that to judge pictures"):
            judge.decide("reject")
        assert status_of(client, photo)["status"] == "COMPLETE"
        assert status_of(client, photo[: len(photo) // 2])["status"] == "FAILED"


@pytest.mark.anyio
async def test_isolated_block_begins_empty_and_keeps_hooks(tmp_path: Path, photo: bytes) -> None:
    gate, ended = production_gate(), []

    async def note(state: JobState) -> None:
        ended.append(state.job.source_id)

    gate.add_hook("on_complete", note)
    app = host_of(gate)
    for number in (1, 2):
        with isolated(gate, tmp_path / str(number)):
            async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                sent = await client.post("/image-pipeline/upload", data=FORM, files={"file": ("me.jpg", photo)})
                assert (await gate.wait(sent.json()["jobId"], timeout_s=30)).status == "COMPLETE"
                assert len((await gate.list_media("avatar")).items) == 1
    assert ended == ["user-1", "user-1"]


def test_isolated_sqlite_records_serve_plugins_with_tables(tmp_path: Path) -> None:
    gate = production_gate()
    gate.register(api_keys)
    with isolated(gate, tmp_path, records="sqlite"), TestClient(host_of(gate)) as client:
        refused = client.get("/image-pipeline/jobs", headers={"X-API-Key": "mg_unknown"})
        assert refused.status_code == 401, refused.text


@pytest.mark.anyio
@pytest.mark.parametrize(("without", "booted"), [((), ["talker"]), (("talker",), [])], ids=str)
async def test_isolated_does_not_boot_plugins_named_in_without(
    tmp_path: Path, without: Collection[str], booted: list[str]
) -> None:
    started = []

    @plugin("talker")
    async def talker(gate: MediaGate) -> None:
        started.append("talker")

    gate = production_gate()
    gate.register(talker)
    with isolated(gate, tmp_path, without=without):
        async with gate:
            assert started == booted


def test_isolated_without_an_unknown_plugin_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(PluginError, match="plugins that the gate does not have: webhook"),
        isolated(production_gate(), tmp_path, without=["webhook"]),
    ):
        pass


@pytest.mark.anyio
async def test_plugin_that_replaces_a_part_without_provides_is_refused(tmp_path: Path) -> None:
    @plugin("quiet")
    async def quiet(gate: MediaGate) -> None:
        gate.decorate(STORAGE, MemoryStorage())

    gate = production_gate()
    gate.register(quiet)
    with isolated(gate, tmp_path), pytest.raises(PluginError, match=r"STORAGE is replaced .* provides="):
        await gate.open()


@pytest.mark.anyio
@pytest.mark.parametrize("when", ["before", "after"])
async def test_isolated_refuses_a_gate_that_is_open(tmp_path: Path, when: Literal["before", "after"]) -> None:
    gate = MediaGate(sources={"avatar": Source()}, settings=Settings(data_dir=tmp_path / "own"), moderation="off")
    if when == "before":
        async with gate:
            with pytest.raises(PluginError, match="already open"), isolated(gate, tmp_path):
                pass
        return
    with pytest.raises(PluginError, match="still open"), isolated(gate, tmp_path):
        await gate.open()
    await gate.close()


@pytest.mark.anyio
async def test_plugin_that_provides_less_than_it_declares_is_refused(tmp_path: Path) -> None:
    @plugin("liar", provides=("MODERATOR",))
    async def liar(gate: MediaGate) -> None:
        """Provide nothing."""

    gate = MediaGate(sources={"avatar": Source()}, settings=Settings(data_dir=tmp_path))
    gate.register(liar)
    with pytest.raises(PluginError, match="'liar' does not provide MODERATOR"):
        await gate.open()
