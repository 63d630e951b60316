"""The Python calls of a gate, without HTTP."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from starlette.datastructures import UploadFile

from mediagate import Job, JobState, JobStatus, MediaGate, Source, VariantSpec, Verdict
from mediagate.errors import (
    IdempotencyKeyReused,
    InvalidParameter,
    InvalidSourceId,
    JobConflict,
    JobNotFound,
    MediaNotFound,
    ProcessingRefused,
    UnknownSource,
    UnsupportedType,
    UploadTooLarge,
    WaitTimeout,
)

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def test_upload_accepts_bytes_path_stream_and_file(make_gate: MakeGate, data: Path) -> None:
    path = data / "formats" / "hopper.png"

    async def stream() -> AsyncIterator[bytes]:
        content = path.read_bytes()
        for at in range(0, len(content), 1000):
            yield content[at : at + 1000]

    async with make_gate() as gate:
        with path.open("rb") as file:
            hashes = set()
            for source in (path, path.read_bytes(), stream(), file):
                status = await gate.upload(source, source_type="avatar", source_id="u1", client_reference_id="mine")
                assert status.status is JobStatus.PENDING
                done = await gate.wait(status.job_id, timeout_s=30)
                assert done.status is JobStatus.COMPLETE
                assert done.media is not None
                assert done.media.record.client_reference_id == "mine"
                hashes.add((done.media.blurhash, done.job.sha256))
            assert len(hashes) == 1
        assert path.exists()
        assert list(gate.runtime.spool_dir.iterdir()) == []


async def test_upload_refuses_large_file_and_unknown_source(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(sources={"avatar": Source(max_bytes=100)}) as gate:
        with pytest.raises(UploadTooLarge):
            await gate.upload(photo, source_type="avatar", source_id="u1")
        with pytest.raises(UnknownSource, match="avatar"):
            await gate.upload(b"x", source_type="posts", source_id="u1")


@pytest.mark.parametrize("begins", [b"<svg xmlns='http://www.w3.org/2000/svg'>", b"%PDF-1.7 ", b"\x89PNG\r\n\x1a\n"])
async def test_upload_stops_reading_an_unsupported_file_early(make_gate: MakeGate, begins: bytes) -> None:
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        for at in range(0, 1024, 16):
            taken += 1
            yield begins.ljust(1024)[at : at + 16]

    async with make_gate(worker=False, sources={"avatar": Source(formats=("jpeg",))}) as gate:
        with pytest.raises(UnsupportedType, match="send JPEG"):
            await gate.upload(pieces(), source_type="avatar", source_id="u1")
        assert taken == 4
        assert list(gate.runtime.spool_dir.iterdir()) == []


async def test_calls_with_unknown_id_raise_not_found(make_gate: MakeGate) -> None:
    async with make_gate() as gate:
        for call in (gate.get_status, gate.wait, gate.cancel, gate.retry):
            with pytest.raises(JobNotFound):
                await call("job_unknown")
        for media_call in (gate.get_media, gate.delete_media):
            with pytest.raises(MediaNotFound):
                await media_call("med_unknown")


async def test_wait_raises_wait_timeout_naming_the_status(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(worker=False) as gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        with pytest.raises(WaitTimeout, match="PENDING"):
            await gate.wait(status.job_id, timeout_s=0.1)
        assert issubclass(WaitTimeout, TimeoutError)


async def test_cancel_of_pending_job_removes_its_file_and_calls_the_hook(make_gate: MakeGate, photo: bytes) -> None:
    told: list[JobState] = []

    async def on_cancelled(state: JobState) -> None:
        told.append(state)

    gate = make_gate(worker=False)
    gate.add_hook("on_cancelled", on_cancelled)
    async with gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        assert (await gate.cancel(status.job_id)).status is JobStatus.CANCELLED
        assert [s.job.id for s in told] == [status.job_id]
        assert await gate.parts.storage.stat(status.job.staging_key) is None
        with pytest.raises(JobConflict, match="already CANCELLED"):
            await gate.cancel(status.job_id)
        with pytest.raises(JobConflict, match="only a FAILED job"):
            await gate.retry(status.job_id)


async def test_cancel_of_processing_job_publishes_nothing(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()

    async def cancels(job: Job, rendered: object) -> None:
        await gate.cancel(job.id)

    gate.add_hook("pre_store", cancels)
    async with gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        assert (await gate.wait(status.job_id)).status is JobStatus.CANCELLED
    storage = gate._host.values  # the parts are in memory and outlive the gate
    for part in storage.values():
        if hasattr(part, "list"):
            assert [o async for o in part.list("media/")] == []


async def test_retry_of_failed_job_completes_with_new_attempts(make_gate: MakeGate, photo: bytes) -> None:
    broken = True

    async def fails(job: Job) -> None:
        if broken:
            raise RuntimeError("model server is down")

    gate = make_gate(retry_backoff_s=0.01)
    gate.add_hook("pre_process", fails)
    async with gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        failed = await gate.wait(status.job_id, timeout_s=30)
        assert (failed.status, failed.job.attempts, failed.job.code) == (
            JobStatus.FAILED,
            3,
            "internal_error",
        )
        assert failed.job.retryable
        assert "model server" not in (failed.error or ""), "the message of an unexpected error stays in the log"
        broken = False
        assert (await gate.retry(status.job_id)).status is JobStatus.PENDING
        done = await gate.wait(status.job_id, timeout_s=30)
        assert (done.status, done.job.attempts) == (JobStatus.COMPLETE, 1)


async def test_undecodable_file_fails_at_first_attempt_and_is_not_kept(make_gate: MakeGate, data: Path) -> None:
    whole = (data / "formats" / "hopper.jpg").read_bytes()
    async with make_gate() as gate:
        status = await gate.upload(whole[: len(whole) // 2], source_type="avatar", source_id="u1")
        failed = await gate.wait(status.job_id, timeout_s=30)
        assert (failed.status, failed.job.code, failed.job.attempts) == (
            JobStatus.FAILED,
            "image_undecodable",
            1,
        )
        assert "checking and resizing" in (failed.error or "")
        with pytest.raises(JobConflict, match="upload it again"):
            await gate.retry(status.job_id)


@pytest.mark.parametrize("name", ["pre_process", "pre_verdict", "pre_store"])
async def test_hook_before_publication_can_reject_the_job(make_gate: MakeGate, photo: bytes, name: str) -> None:
    async def no(*_: object) -> None:
        raise ProcessingRefused("not on a Sunday")

    told: list[JobState] = []

    async def on_rejected(state: JobState) -> None:
        told.append(state)

    gate = make_gate()
    add_hook: Callable[..., None] = gate.add_hook
    add_hook(name, no)
    gate.add_hook("on_rejected", on_rejected)
    async with gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        done = await gate.wait(status.job_id)
        assert (done.status, done.reason) == (JobStatus.REJECTED, "not on a Sunday")
        assert [o async for o in gate.parts.storage.list("media/")] == []
    assert len(told) == 1


async def test_hooks_run_in_order_and_a_failing_one_does_not_stop_the_next(
    make_gate: MakeGate, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []

    def named(name: str) -> Callable[..., object]:
        async def hook(*args: object) -> None:
            events.append(name)
            if name == "on_complete" and events.count(name) == 1:
                raise RuntimeError("broken hook")
            if name == "pre_verdict":
                assert isinstance(args[1], Verdict)

        return hook

    gate = make_gate()
    path = [
        "pre_upload",
        "on_uploaded",
        "pre_process",
        "pre_verdict",
        "pre_store",
        "on_complete",
        "on_complete",
        "on_end",
    ]
    add_hook: Callable[..., None] = gate.add_hook
    for name in ["on_ready", *path, "on_close"]:
        add_hook(name, named(name))
    async with gate:
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(status.job_id)
    assert events == ["on_ready", *path, "on_close"]
    assert "broken hook" in caplog.text


async def test_cover_variant_depends_on_the_focal_point(make_gate: MakeGate, data: Path) -> None:
    square = {"sq": VariantSpec(width=100, height=100, fit="cover", format="png")}
    async with make_gate(sources={"avatar": Source(variants=square)}) as gate:
        made = []
        for focal in ((0.0, 0.5), (1.0, 0.5)):
            status = await gate.upload(
                data / "photos" / "photo_2725x2225.jpg", source_type="avatar", source_id="u1", focal=focal
            )
            media = (await gate.wait(status.job_id, timeout_s=30)).media
            assert media is not None
            (variant,) = media.record.variants
            assert (variant.width, variant.height, variant.format) == (100, 100, "png")
            made.append(await gate.parts.storage.get(variant.key))
        assert made[0] != made[1]


async def test_upload_accepts_starlette_upload_file_and_its_name(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate() as gate:
        with tempfile.SpooledTemporaryFile() as kept:
            kept.write(photo)
            kept.seek(0)
            file = UploadFile(cast(BinaryIO, kept), filename="../me\x00.jpg")
            status = await gate.upload(file, source_type="avatar", source_id=17)
        assert (status.job.filename, status.job.source_id, status.job.bytes) == ("me.jpg", "17", len(photo))
        listed = await gate.list_jobs(source_id=17)
        assert [found.job_id for found in listed.items] == [status.job_id]


async def test_upload_accepts_path_with_non_unicode_name(make_gate: MakeGate, photo: bytes, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    await asyncio.to_thread(path.write_bytes, photo)
    async with make_gate(memory=False) as gate:
        status = await gate.upload(path, source_type="avatar", source_id="u1")
        assert (await gate.get_status(status.job_id)).job.filename == "caf.jpg"


@pytest.mark.parametrize("source_id", [True, 1.5, None, b"u1"])
async def test_source_id_other_than_string_or_integer_is_refused(
    make_gate: MakeGate, photo: bytes, source_id: Any
) -> None:
    async with make_gate() as gate:
        with pytest.raises(InvalidSourceId, match=type(source_id).__name__):
            await gate.upload(photo, source_type="avatar", source_id=source_id)


async def test_idempotency_key_creates_one_job(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate() as gate:
        first = await gate.upload(photo, source_type="avatar", source_id="u1", idempotency_key="k1")
        done = await gate.wait(first.job_id)
        again = await gate.upload(photo, source_type="avatar", source_id="u1", idempotency_key="k1")
        assert (again.job_id, again.status) == (done.job_id, JobStatus.COMPLETE)
        with pytest.raises(IdempotencyKeyReused):
            await gate.upload(photo, source_type="avatar", source_id="u2", idempotency_key="k1")
        assert len((await gate.list_jobs()).items) == 1


async def test_list_jobs_filters_by_status_name(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(memory=False) as gate:
        done = await gate.wait((await gate.upload(photo, source_type="avatar", source_id="u1")).job_id)
        assert [found.job_id for found in (await gate.list_jobs(status="COMPLETE")).items] == [done.job_id]
        assert (await gate.list_jobs(status="FAILED")).items == ()
        with pytest.raises(InvalidParameter, match="COMPLETE, REJECTED"):
            await gate.list_jobs(status="DONE")
