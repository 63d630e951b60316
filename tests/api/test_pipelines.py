"""Pipelines from Python, through whole gates: on memory, on SQLite with a folder, on PostgreSQL with a bucket."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from zipfile import ZipFile

import httpx
import pytest
from PIL import Image
from pydantic import model_validator

from mediagate import (
    EVENTS,
    OPERATIONS,
    EventType,
    JobStatus,
    MediaGate,
    OrderInput,
    PipelineOrder,
    Settings,
    Source,
    Status,
)
from mediagate.errors import (
    ConfigError,
    IdempotencyKeyReused,
    InvalidParameter,
    InvalidPipeline,
    InvalidSourceId,
    JobConflict,
    JobNotFound,
    MediaDeleted,
    MediaNotFound,
    UndecodableImage,
    UnknownSource,
    UnsupportedType,
    UploadRefused,
)
from mediagate.images import Params, parse, standard
from mediagate.values import SERVED, STAGING, utcnow
from tests.support.owner_data import Site, table
from tests.support.pipelines import BRANCHES, DAY, SMALL, WORK, a_png, runs_pipelines

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
SOURCES = {"work": WORK, "avatar": Source(), "private": Source(visibility="private")}
THREADS: list[threading.Thread] = []
LOOK = ({"op": "look", "name": "noir"}, {"op": "save", "as": "noir", "format": "jpeg"})


class Noted(Params):
    """Notes where it is checked."""

    @model_validator(mode="after")
    def _note(self) -> Self:
        THREADS.append(threading.current_thread())
        return self


NOTED = replace(standard()["flip"], name="noted", params=Noted)


@pytest.fixture
def gate(make_gate: MakeGate) -> MediaGate:
    """A gate in memory that runs pipelines."""
    return runs_pipelines(make_gate(sources=SOURCES))


@asynccontextmanager
async def client_of(gate: MediaGate) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(gate, root_path="")
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        yield client


async def done(gate: MediaGate, inputs: Any, steps: Any = SMALL, **options: Any) -> Status:
    """Run a pipeline to its end."""
    status = await gate.pipeline(inputs, steps=steps, source="work", **options)
    return await gate.wait(status.job_id, timeout_s=60, owner=options.get("owner"))


async def files(gate: MediaGate, roots: Sequence[str] = (STAGING, *SERVED)) -> set[str]:
    return {info.key for root in roots async for info in gate.parts.storage.list(root)}


async def test_pipeline_tells_all_about_itself(gate: MediaGate, photo: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hopper.jpg"
    path.write_bytes(photo)
    async with gate:
        first = await gate.pipeline(
            path, steps=BRANCHES, source="work", preset="two", ttl=timedelta(hours=2), client_reference_id="mine"
        )
        assert (first.status, first.progress, first.queue_wait_ms) == (JobStatus.PENDING, 0, None)
        status = await gate.wait(first.job_id, timeout_s=60)
        body = status.to_json(poll_after_ms=0)
        assert await files(gate) == {output.key for output in status.outputs}
    assert (body["kind"], body["status"], body["progress"], body["media"]) == ("pipeline", "COMPLETE", 100, None)
    assert (body["sourceType"], body["clientReferenceId"], body["preset"]) == ("work", "mine", "two")
    assert body["retention"] == {"ttlHours": 2.0, "clamped": False}
    assert body["inputs"] == [
        {
            "name": "input0",
            "filename": "hopper.jpg",
            "format": "jpeg",
            "mimeType": "image/jpeg",
            "bytes": len(photo),
            "width": 128,
            "height": 128,
        }
    ]
    assert [(one["name"], one["filename"], one["mimeType"]) for one in body["outputs"]] == [
        ("large", "hopper-large.webp", "image/webp"),
        ("thumb", "hopper-thumb.png", "image/png"),
    ]
    assert len({one["id"] for one in body["outputs"]}) == 2
    assert [stage["name"] for stage in body["stages"]] == ["judge", *(f"step{n}" for n in range(4)), "publish"]
    assert {stage["status"] for stage in body["stages"]} == {"done"}
    assert (body["data"], body["warnings"]) == ({}, [])
    assert body["queueWaitMs"] >= 0
    assert body["downloadUrl"].endswith(f"/jobs/{status.job_id}/download")
    assert body["expiresAt"] is not None
    assert body["usage"]["bytesIn"] == len(photo)
    assert body["usage"]["bytesOut"] == sum(one["bytes"] for one in body["outputs"])


async def test_outputs_are_served_by_signed_urls_only(gate: MediaGate, photo: bytes) -> None:
    async with client_of(gate) as client:
        status = await done(gate, photo, BRANCHES)
        listed = (await client.get("/jobs")).json()["items"][0]
        assert [one["url"] for one in listed["outputs"]] == list(status.output_urls.values())
        for output in status.outputs:
            signed = await client.get(status.output_urls[output.position])
            assert signed.status_code == 200
            assert Image.open(io.BytesIO(signed.content)).size == (output.width, output.height)
            assert signed.headers["cache-control"].startswith("private")
            assert (await client.get(f"/{output.key}")).status_code == 404


async def test_steps_are_checked_outside_of_the_event_loop(gate: MediaGate, photo: bytes) -> None:
    THREADS.clear()
    gate[OPERATIONS].add(NOTED)
    async with gate:
        assert (await done(gate, photo, [{"op": "noted"}])).status is JobStatus.COMPLETE
        assert len(THREADS) == 2 and threading.main_thread() not in THREADS, "on arrival, and by the worker"


async def test_pipeline_takes_several_inputs_and_names_of_them(gate: MediaGate, photo: bytes) -> None:
    steps = [{"op": "watermark", "picture": "logo"}, {"op": "save", "as": "marked"}]
    async with gate:
        several = await done(gate, [photo, io.BytesIO(photo), a_png()])
        named = await done(gate, {"photo": photo, "logo": a_png(10, 10)}, steps)
        assert [output.input for output in several.outputs] == ["input0", "input1", "input2"]
        assert [output.input for output in named.outputs] == ["photo"]
        assert named.job.bytes == len(photo) + len(a_png(10, 10))
        assert len(await files(gate)) == 4


async def test_pipeline_takes_a_media_of_the_same_owner(gate: MediaGate, photo: bytes) -> None:
    async with gate:
        upload = await gate.upload(photo, source_type="avatar", source_id="1", owner="ann")
        media = (await gate.wait(upload.job_id, timeout_s=60)).media
        assert media is not None
        made = await done(gate, media.id, LOOK, owner="ann")
        assert [output.name for output in made.outputs] == ["noir"]
        for owner, media_id in (("bob", media.id), ("ann", "med_none")):
            with pytest.raises(MediaNotFound):
                await gate.pipeline(media_id, steps=SMALL, source="work", owner=owner)
        assert (await gate.get_media(media.id)).id == media.id, "the media stays"


@pytest.mark.parametrize(
    ("inputs", "changes", "error"),
    [
        ("photo", {"source": "none"}, UnknownSource),
        ("photo", {"source": "avatar"}, InvalidParameter),
        ("photo", {"source": "private"}, InvalidParameter),
        ("photo", {"source_id": "a\tb"}, InvalidSourceId),
        ("photo", {"ttl": timedelta(0)}, InvalidParameter),
        ("photo", {"callback_url": "http://example.com"}, InvalidParameter),
        ("photo", {"steps": [{"op": "resise"}]}, InvalidPipeline),
        ("photo", {"steps": "flip"}, InvalidPipeline),
        ("photo", {"steps": [{"op": "look", "name": {1}}]}, InvalidPipeline),
        ("none", {}, InvalidParameter),
        ("many", {}, InvalidParameter),
        ("a name", {}, InvalidParameter),
        ("only a logo", {"steps": [{"op": "watermark", "picture": "logo"}]}, InvalidParameter),
        ("text", {}, UnsupportedType),
        ("damaged", {}, UndecodableImage),
    ],
)
async def test_pipeline_refuses_what_it_cannot_run_and_stores_nothing(
    gate: MediaGate, photo: bytes, inputs: str, changes: dict[str, Any], error: type[Exception]
) -> None:
    given: Mapping[str, Any] = {
        "photo": photo,
        "none": [],
        "many": [photo] * 11,
        "a name": {"a/../b": photo},
        "only a logo": {"logo": photo},
        "text": b"no picture" * 20,
        "damaged": [photo, photo[:20] + bytes(200)],
    }
    async with gate:
        with pytest.raises(error):
            await gate.pipeline(given[inputs], **{"steps": SMALL, "source": "work", **changes})
        assert await files(gate) == set()
        assert (await gate.list_jobs()).items == ()


async def test_hook_of_uploads_may_refuse_an_input(gate: MediaGate, photo: bytes) -> None:
    seen: list[str] = []

    async def refuse(upload: Any) -> None:
        seen.append(upload.filename)
        if upload.info.format == "png":
            raise UploadRefused("no PNG")

    gate.add_hook("pre_upload", refuse)
    async with gate:
        with pytest.raises(UploadRefused):
            await gate.pipeline([photo, a_png()], steps=SMALL, source="work")
        assert len(seen) == 2
        assert await files(gate) == set()


async def test_gate_without_operations_runs_no_pipelines(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(sources=SOURCES) as gate:
        with pytest.raises(ConfigError, match="OPERATIONS"):
            await gate.pipeline(photo, steps=SMALL, source="work")
        order = PipelineOrder((OrderInput("input0", photo),), parse(list(SMALL), standard()), "work")
        with pytest.raises(ConfigError, match="OPERATIONS"):
            await gate.order_pipeline(order)


async def test_retention_is_that_of_the_source_at_most(gate: MediaGate, photo: bytes) -> None:
    async with gate:
        for asked, kept, clamped in ((None, 24, False), (timedelta(hours=1), 1, False), (timedelta(days=9), 24, True)):
            status = await done(gate, photo, ttl=asked)
            body = status.to_json(poll_after_ms=0)
            assert body["retention"] == {"ttlHours": kept, "clamped": clamped}
            assert status.job.finished_at is not None and status.job.expires_at is not None
            assert status.job.expires_at - status.job.finished_at == timedelta(hours=kept)


async def test_idempotency_key_returns_the_job_of_the_same_order(gate: MediaGate, photo: bytes) -> None:
    async with gate:
        first, again = [await done(gate, photo, idempotency_key="k") for _ in range(2)]
        assert first.job_id == again.job_id
        for inputs, options in (
            (a_png(), {}),
            ([photo, photo], {}),
            ({"other": photo}, {}),
            (photo, {"steps": LOOK}),
            (photo, {"ttl": timedelta(hours=1)}),
            (photo, {"preset": "other"}),
        ):
            with pytest.raises(IdempotencyKeyReused):
                await done(gate, inputs, idempotency_key="k", **options)
        with pytest.raises(IdempotencyKeyReused):
            await gate.upload(photo, source_type="avatar", source_id="1", idempotency_key="k")
        assert len((await gate.list_jobs()).items) == 1
        assert await files(gate) == {output.key for output in first.outputs}


async def test_deleting_a_pipeline_deletes_its_outputs_and_keeps_its_job(gate: MediaGate, photo: bytes) -> None:
    async with client_of(gate) as client:
        status = await done(gate, photo, [{"op": "read_metadata"}, *SMALL])
        assert status.job.result is not None and status.job.result.data
        for _ in range(2):
            assert await gate.delete_job(status.job_id) is JobStatus.COMPLETE
            assert await files(gate) == set()
            with pytest.raises(MediaDeleted):
                await gate.get_status(status.job_id)
        assert (await client.get(f"/status/{status.job_id}")).status_code == 410
        (listed,) = (await gate.list_jobs()).items
        assert (listed.outputs, listed.job.result, listed.download_url) == ((), None, None)
        assert listed.job.cleared_at is not None


async def test_waiting_pipeline_can_be_cancelled(make_gate: MakeGate, photo: bytes) -> None:
    async with runs_pipelines(make_gate(sources=SOURCES, worker=False)) as gate:
        status = await gate.pipeline([photo, photo], steps=SMALL, source="work")
        assert len(await files(gate)) == 2
        cancelled = await gate.cancel(status.job_id)
        assert cancelled.status is JobStatus.CANCELLED
        assert await files(gate) == set()


async def test_failed_pipeline_can_be_retried_while_all_its_inputs_are_kept(make_gate: MakeGate, photo: bytes) -> None:
    gate = runs_pipelines(make_gate(sources=SOURCES, max_attempts=1))
    broken = True

    async def fail(job: Any) -> None:
        if broken:
            raise RuntimeError("the model is broken")

    gate.add_hook("pre_process", fail)
    async with gate:
        status = await done(gate, [photo, photo])
        assert (status.status, status.job.retryable) == (JobStatus.FAILED, True)
        assert await files(gate) == set(status.job.staged_keys)
        broken = False
        await gate.retry(status.job_id)
        assert (await gate.wait(status.job_id, timeout_s=60)).status is JobStatus.COMPLETE
        broken = True
        other = await done(gate, [photo, photo])
        await gate.parts.storage.delete(other.job.staged_keys[1:])
        with pytest.raises(JobConflict):
            await gate.retry(other.job_id)


async def test_owners_see_only_their_own_pipelines(gate: MediaGate, photo: bytes) -> None:
    async with gate:
        status = await done(gate, photo, owner="ann")
        with pytest.raises(JobNotFound):
            await gate.get_status(status.job_id, owner="bob")
        with pytest.raises(JobNotFound):
            await gate.delete_job(status.job_id, owner="bob")
        assert (await gate.list_jobs(owner="bob")).items == ()
        today = utcnow().date()
        used = (await gate.usage(first=today, last=today, owner="ann")).total
        assert (used.uploads, used.bytes_in, used.bytes_out) == (1, len(photo), status.outputs[0].bytes)


def pipelines_on(site: Site, *, worker: bool = True) -> MediaGate:
    """Make a gate on a database and a storage."""
    settings = Settings(
        data_dir=site.data_dir,
        database_url=site.database,
        migrate=True,
        worker=worker,
        image_processes=1,
        janitor_interval_s=3600,
        orphan_grace_s=0,
    )
    gate = MediaGate(sources=SOURCES, settings=settings, moderation="off")
    gate.fork_server = site.server
    gate.decorate(EVENTS, tuple(EventType))
    site.storage(gate)
    return runs_pipelines(gate)


async def test_expired_outputs_are_gone_before_and_after_the_janitor(site: Site, photo: bytes) -> None:
    async with pipelines_on(site) as gate:
        status, other = await done(gate, photo, BRANCHES, ttl=timedelta(hours=1)), await done(gate, photo, BRANCHES)
        # Quarantined files are deleted after the end of their job.
        stored = await files(gate, SERVED)
        assert len(stored) == 4
        assert status.job.expires_at is not None
        moment = timedelta(milliseconds=1)
        early = await gate.runtime.janitor.sweep_expired(dry_run=False, now=status.job.expires_at - moment)
        dry = await gate.runtime.janitor.sweep_expired(dry_run=True, now=status.job.expires_at)
        assert (early.expired_outputs, dry.expired_outputs) == ([], [status.job_id])
        assert await files(gate, SERVED) == stored
        swept = await gate.runtime.janitor.sweep_expired(dry_run=False, now=status.job.expires_at)
        assert swept.expired_outputs == [status.job_id]
        assert await files(gate, SERVED) == {output.key for output in other.outputs}
        again = await gate.runtime.janitor.sweep_expired(dry_run=False, now=status.job.expires_at)
        assert again.expired_outputs == []
        gate.runtime.watch.forget(status.job_id)
        with pytest.raises(MediaDeleted):
            await gate.get_status(status.job_id)
        assert (await gate.get_status(other.job_id)).outputs == other.outputs


async def test_outputs_past_their_time_are_not_shown(gate: MediaGate, photo: bytes) -> None:
    async with client_of(gate) as client:
        status = await gate.pipeline(photo, steps=SMALL, source="work", ttl=timedelta(milliseconds=1))
        with suppress(MediaDeleted):
            await gate.wait(status.job_id, timeout_s=60)
        await asyncio.sleep(0.01)
        assert (await client.get(f"/status/{status.job_id}")).json()["code"] == "media_deleted"
        (listed,) = (await client.get("/jobs")).json()["items"]
        assert (listed["outputs"], listed["data"], listed["downloadUrl"]) == ([], {}, None)


async def test_janitor_keeps_named_outputs_and_waiting_inputs_and_removes_orphans(site: Site, photo: bytes) -> None:
    async with pipelines_on(site) as gate:
        status = await done(gate, photo, BRANCHES)
    async with pipelines_on(site, worker=False) as gate:
        waiting = await gate.pipeline([photo, photo], steps=SMALL, source="work")
        kept = await files(gate)
        assert kept == {*(output.key for output in status.outputs), *waiting.job.staged_keys}
        folder = status.outputs[0].key.rpartition("/")[0]
        cleared = folder.replace(status.job.media_id, "med_none")
        await gate.parts.storage.put(f"{cleared}/0-output.png", photo)
        await gate.parts.storage.put("staging/job_none/0", photo)
        later = utcnow() + DAY
        findings = await gate.runtime.janitor.sweep_files(dry_run=False, now=later)
        assert (findings.orphans, findings.staging) == ([f"{cleared}/0-output.png"], ["staging/job_none/0"])
        assert await files(gate) == kept


async def test_erasing_an_owner_erases_pipelines_in_every_state(site: Site, photo: bytes, folder: Path) -> None:
    async with pipelines_on(site) as gate:
        steps = [{"op": "read_metadata"}, *BRANCHES]
        mine = await done(gate, photo, steps, owner="ann", preset="two")
        cleared = await done(gate, photo, owner="ann")
        await gate.delete_job(cleared.job_id)
        theirs = await done(gate, photo, owner="bob")
    async with pipelines_on(site, worker=False) as gate:
        waiting = await gate.pipeline([photo, photo], steps=SMALL, source="work", owner="ann")
        exported = await gate.export(owner="ann", to=folder / "ann.zip")
        assert (exported.jobs, exported.files) == (3, 2)
        with ZipFile(folder / "ann.zip") as archive:
            jobs = {row["jobId"]: row for row in table(archive, "jobs")}
            assert {output.key for output in mine.outputs} < set(archive.namelist())
        row = jobs[mine.job_id]
        assert (row["kind"], row["preset"], row["media"]) == ("pipeline", "two", None)
        assert [one["path"] for one in row["outputs"]] == [output.key for output in mine.outputs]
        assert row["steps"][0] == {"op": "read_metadata"}
        assert row["data"]["read_metadata"]
        assert jobs[waiting.job_id]["upload"]["quarantined"]
        assert jobs[cleared.job_id]["outputs"] == []
        erased = await gate.erase(owner="ann")
        assert (erased.jobs, erased.media, erased.files, erased.complete) == (3, 0, 4, True)
        assert await files(gate) == {output.key for output in theirs.outputs}
        assert (await gate.list_jobs(owner="ann")).items == ()
    rows = await site.tables()
    assert len(rows["mediagate_output"]) == 1
    left = "\n".join(row for found in rows.values() for row in found)
    assert "ann" not in left
    assert mine.job_id not in left


async def test_estimate_is_made_of_jobs_that_are_alike(make_gate: MakeGate, photo: bytes) -> None:
    async with runs_pipelines(make_gate(sources=SOURCES)) as gate:
        await done(gate, photo)
        alike = await gate.pipeline(photo, steps=SMALL, source="work")
        other = await gate.pipeline(photo, steps=LOOK, source="work")
        seconds = await gate.runtime.forecast.seconds_left(alike.job)
        assert seconds is not None and seconds >= 1
        assert await gate.runtime.forecast.seconds_left(other.job) is None
        ended = await gate.wait(alike.job_id, timeout_s=60)
        assert await gate.runtime.forecast.seconds_left(ended.job) is None
