"""The janitor: abandoned jobs, missed hooks and orphaned files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from mediagate import JobState, JobStatus, MediaGate
from mediagate.errors import StorageUnavailable
from mediagate.jobs import Janitor
from mediagate.jobs.janitor import FILES_EVERY_S
from mediagate.records import Settlement, get_job, get_state
from mediagate.testing.record_samples import a_job, a_media
from mediagate.values import utcnow

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def keys(gate: MediaGate) -> set[str]:
    storage = gate.parts.storage
    return {o.key for root in ("staging/", "media/", "originals/") async for o in storage.list(root)}


async def test_janitor_lists_orphans_in_a_dry_run_and_removes_them_otherwise(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(orphan_grace_s=0) as gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(status.job_id)
        await anyio.sleep(0.1)
        kept = await keys(gate)
        orphans = {
            "media/avatar/u1/med_unknown/xs.webp",
            "originals/avatar/u1/med_unknown/original.jpg",
            "staging/job_unknown",
        }
        for key in orphans:
            await gate.parts.storage.put(key, b"left over")
        await anyio.sleep(0.01)
        dry = await gate.runtime.janitor.sweep_files(dry_run=True)
        assert {*dry.staging, *dry.orphans} == orphans
        assert await keys(gate) == kept | orphans
        await gate.runtime.janitor.sweep_files(dry_run=False)
        assert await keys(gate) == kept
        assert (await gate.get_status(status.job_id)).status is JobStatus.COMPLETE


async def test_janitor_keeps_young_files_and_files_of_live_jobs(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(worker=False, orphan_grace_s=0) as gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        half_published = f"media/avatar/u1/{status.job.media_id}/xs.webp"
        await gate.parts.storage.put(half_published, b"by an attempt that goes on")
        await anyio.sleep(0.01)
        before = await keys(gate)
        await gate.runtime.janitor.sweep_files(dry_run=False)
        assert await keys(gate) == before
    async with make_gate(orphan_grace_s=3600) as gate:
        await gate.parts.storage.put("media/avatar/u1/med_new/xs.webp", b"just written")
        findings = await gate.runtime.janitor.sweep_files(dry_run=False)
        assert findings.orphans == []


@pytest.mark.slow
async def test_failed_job_keeps_its_file_until_staging_ttl(make_gate: MakeGate, photo: bytes) -> None:
    async def fails(job: object) -> None:
        raise RuntimeError("down")

    async def failed(gate: MediaGate) -> JobState | None:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(status.job_id, timeout_s=30)
        await anyio.sleep(0.1)
        await gate.runtime.janitor.sweep_files(dry_run=False)
        return await get_state(gate.parts.records, status.job_id)

    for ttl, kept in ((3600, True), (0.01, False)):
        gate = make_gate(orphan_grace_s=0, staging_ttl_s=ttl, retry_backoff_s=0.01)
        gate.add_hook("pre_process", fails)
        async with gate:
            state = await failed(gate)
            assert state is not None
            assert (await gate.parts.storage.stat(state.job.staging_key) is not None) is kept


async def test_staging_ttl_starts_at_the_failure(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(worker=False, staging_ttl_s=3600, orphan_grace_s=0) as gate:
        records, storage = gate.parts.records, gate.parts.storage
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        now = utcnow()
        assert await records.claim(job.id, owner="w", now=now, lease_until=now + timedelta(days=2))
        failed_at = now + timedelta(days=1)  # as after a long outage of the storage
        failed = Settlement(JobStatus.FAILED, error="away", retryable=True)
        assert await records.settle(job, owner="w", now=failed_at, settlement=failed)
        for minutes, kept in ((59, True), (61, False)):
            await gate.runtime.janitor.sweep_files(dry_run=False, now=failed_at + timedelta(minutes=minutes))
            assert (await storage.stat(job.staging_key) is not None) is kept


async def test_janitor_continues_with_an_unreadable_spool(
    make_gate: MakeGate, photo: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.jobs.janitor.FILES_ASK_S", 0.0)
    gate = make_gate(worker=False, janitor_interval_s=0.05)
    gate.settings.data_dir.mkdir(parents=True)
    async with gate:
        spool = gate.settings.data_dir / "spool"
        if spool.exists():
            spool.rmdir()
        spool.write_text("a file where the folder should be")
        janitor = Janitor(gate.parts, spool)
        janitor.start()
        await anyio.sleep(0.2)
        now = utcnow()
        job = a_job(now, attempts=3)
        await gate.parts.records.create_job(job)
        with anyio.fail_after(10):
            found = await get_job(gate.parts.records, job.id)
            while found is None or found.status is not JobStatus.FAILED:
                await anyio.sleep(0.05)
                found = await get_job(gate.parts.records, job.id)
        await janitor.stop()
    assert "round failed" in caplog.text


async def test_janitor_runs_hooks_missed_in_a_crash(make_gate: MakeGate, photo: bytes) -> None:
    told: list[JobStatus] = []

    async def on_cancelled(state: JobState) -> None:
        told.append(state.job.status)

    gate = make_gate(worker=False, lease_s=0.01)
    gate.add_hook("on_cancelled", on_cancelled)
    async with gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.parts.records.cancel(status.job_id, now=utcnow())
        await anyio.sleep(0.05)
        findings = await gate.runtime.janitor.sweep_jobs()
        assert findings.finished == [status.job_id]
        assert told == [JobStatus.CANCELLED]
        assert await gate.parts.storage.stat(status.job.staging_key) is None
        assert (await gate.runtime.janitor.sweep_jobs()).finished == []


async def test_janitor_finishes_other_jobs_when_one_cannot_be_finished(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_gate(worker=False, lease_s=0.01) as gate:
        ids = []
        for _ in range(2):
            status = await gate.upload(photo, source_type="avatar", source_id="u1")
            ids.append(status.job_id)
            await gate.parts.records.cancel(status.job_id, now=utcnow())
        storage = gate.parts.storage
        delete = storage.delete

        async def fails_for_the_first(keys: list[str]) -> None:
            if any(ids[0] in key for key in keys):
                raise StorageUnavailable("this key cannot be deleted")
            await delete(keys)

        monkeypatch.setattr(storage, "delete", fails_for_the_first)
        await anyio.sleep(0.05)
        await gate.runtime.janitor.sweep_jobs()
        jobs = [await get_job(gate.parts.records, job_id) for job_id in ids]
        assert [bool(job and job.notified_at) for job in jobs] == [False, True]


async def test_janitor_keeps_files_of_a_job_that_completes_during_the_sweep(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_gate(worker=False, orphan_grace_s=0) as gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u1")).job
        key = f"media/avatar/u1/{job.media_id}/xs.webp"
        await gate.parts.storage.put(key, b"published")
        now = utcnow()
        records = gate.parts.records
        await records.claim(job.id, owner="w", now=now, lease_until=now + timedelta(seconds=9))
        media = replace(a_media(job), id=job.media_id, job_id=job.id)
        settlement = Settlement(JobStatus.COMPLETE, media)

        jobs_of_media = records.jobs_of_media

        async def completing(media_ids: set[str]) -> Any:
            answer = await jobs_of_media(media_ids)
            await records.settle(job, owner="w", now=now, settlement=settlement)
            return answer

        monkeypatch.setattr(records, "jobs_of_media", completing)
        await anyio.sleep(0.01)
        findings = await gate.runtime.janitor.sweep_files(dry_run=True)
        assert findings.orphans == []
        assert (await gate.get_status(job.id)).status is JobStatus.COMPLETE


async def test_janitors_take_turns_in_sweeping_files(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    async with make_gate(worker=False, orphan_grace_s=0) as gate:
        parts, stray = gate.parts, "media/avatar/u1/med_unknown/xs.webp"
        janitors = [Janitor(parts, gate.settings.data_dir / "spool") for _ in range(5)]

        async def swept() -> list[str]:
            await parts.storage.put(stray, b"left over")
            await anyio.sleep(0.01)
            found: list[str] = []

            async def look(janitor: Janitor) -> None:
                found.extend((await janitor.sweep_files_in_turn()).orphans)

            async with anyio.create_task_group() as tasks:
                for janitor in janitors:
                    tasks.start_soon(look, janitor)
            return found

        with monkeypatch.context() as down:

            async def fail(keys: Iterable[str]) -> None:
                raise StorageUnavailable("the bucket does not answer")

            down.setattr(parts.storage, "delete", fail)
            await parts.storage.put(stray, b"left over")
            await anyio.sleep(0.01)
            with pytest.raises(StorageUnavailable):
                await janitors[0].sweep_files_in_turn()
        assert await swept() == [stray], "a failed sweep frees the turn for the next janitor"
        assert await swept() == [], "the turn was just taken"
        assert (await gate.runtime.janitor.sweep_files(dry_run=True)).orphans == [stray], (
            "an explicit sweep needs no turn"
        )
        an_hour_later = await parts.records.now() + timedelta(seconds=FILES_EVERY_S)

        async def now() -> datetime:
            return an_hour_later

        monkeypatch.setattr(parts.records, "now", now)
        assert await swept() == [stray]
