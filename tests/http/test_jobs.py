"""Jobs over HTTP: cancel, retry and delete."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from mediagate import AUTHORIZE, Job, JobStatus, MediaGate
from mediagate.records import Settlement
from mediagate.storage import Storage
from mediagate.values import Verdict
from tests.support.mounted import client_of
from tests.support.owners import as_user, by_header, claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FAILED = Settlement(JobStatus.FAILED, error="the storage is full", code="storage_unavailable", retryable=True)
REJECTED = Settlement(JobStatus.REJECTED, reason="no", code="moderation_rejected", verdict=Verdict("reject"))


async def uploaded(gate: MediaGate, photo: bytes, end: Settlement | None = None, owner: str | None = None) -> Job:
    job = (await gate.upload(photo, source_type="avatar", source_id="u1", owner=owner)).job
    if end is not None:
        await claim(gate, job)
        await settle(gate, job, end)
    return job


async def kept(storage: Storage) -> list[str]:
    return [info.key for root in ("staging/", "media/", "originals/") async for info in storage.list(root)]


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("Mediagate-Job-Status")


async def test_delete_of_pending_job_cancels_it_and_is_idempotent(make_gate: MakeGate, photo: bytes) -> None:
    cancelled: list[str] = []

    async def on_cancelled(state: object) -> None:
        cancelled.append("told")

    gate = make_gate(worker=False)
    gate.add_hook("on_cancelled", on_cancelled)
    async with client_of(gate) as client:
        job = await uploaded(gate, photo)
        for _ in range(3):
            answer = await client.delete(f"/jobs/{job.id}")
            assert told(answer) == (204, "CANCELLED")
            assert answer.content == b""
        assert cancelled == ["told"]
        assert await kept(gate.parts.storage) == []
        assert (await client.get(f"/status/{job.id}")).status_code == 410


async def test_delete_of_processing_job_cancels_it_and_leaves_no_files(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()

    async def deletes(job: Job, rendered: object) -> None:
        assert await gate.delete_job(job.id) is JobStatus.CANCELLED

    gate.add_hook("pre_store", deletes)
    async with client_of(gate) as client:
        job = await uploaded(gate, photo)
        assert told(await client.get(f"/status/{job.id}?wait=30")) == (410, "CANCELLED")
        assert told(await client.delete(f"/jobs/{job.id}")) == (204, "CANCELLED")
        storage = gate.parts.storage
    # The gate is closed here, so the attempt has ended.
    assert await kept(storage) == []


async def test_delete_of_complete_job_deletes_its_media(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        job = await uploaded(gate, photo)
        assert (await client.get(f"/status/{job.id}?wait=30")).status_code == 200
        assert await kept(gate.parts.storage) != []
        for _ in range(2):
            assert told(await client.delete(f"/jobs/{job.id}")) == (204, "COMPLETE")
        assert await kept(gate.parts.storage) == []
        gone = await client.get(f"/status/{job.id}")
        assert (gone.status_code, gone.json()["code"]) == (410, "media_deleted")


@pytest.mark.parametrize("end", [FAILED, REJECTED], ids=["failed", "rejected"])
async def test_delete_of_failed_or_rejected_job_removes_its_files(
    make_gate: MakeGate, photo: bytes, end: Settlement
) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = await uploaded(gate, photo, end)
        for _ in range(2):
            assert told(await client.delete(f"/jobs/{job.id}")) == (204, str(end.status))
        assert await kept(gate.parts.storage) == []
        assert told(await client.post(f"/jobs/{job.id}/retry")) == (409, str(end.status))


async def test_cancel_and_retry_change_the_status_or_answer_409(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = await uploaded(gate, photo)
        assert told(await client.post(f"/jobs/{job.id}/retry")) == (409, "PENDING")
        answer = await client.post(f"/jobs/{job.id}/cancel")
        assert told(answer) == (200, "CANCELLED")
        assert (answer.json()["jobId"], answer.json()["status"]) == (job.id, "CANCELLED")
        again = await client.post(f"/jobs/{job.id}/cancel")
        assert told(again) == (409, "CANCELLED")
        assert again.json()["code"] == "job_conflict"

        failed = await uploaded(gate, photo, FAILED)
        answer = await client.post(f"/jobs/{failed.id}/retry")
        assert told(answer) == (202, "PENDING")
        assert answer.json()["statusUrl"] == answer.headers["Location"] == f"/image-pipeline/status/{failed.id}"
        assert told(await client.get(f"/status/{failed.id}")) == (202, "PENDING")


async def test_delete_cancel_and_retry_of_other_owners_job_answer_404(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    gate.decorate(AUTHORIZE, by_header)
    async with client_of(gate) as client:
        job = await uploaded(gate, photo, owner="ann")
        ways = [("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry")]
        for method, path in ways:
            for job_id in (job.id, "job_unknown", "job_%00"):
                answer = await client.request(method, f"/jobs/{job_id}{path}", headers=as_user("bob"))
                assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found"), (path, job_id)
                assert "Mediagate-Job-Status" not in answer.headers
            for user, status in (("mallory", 401), ("reader", 403)):
                refused = await client.request(method, f"/jobs/{job.id}{path}", headers=as_user(user))
                assert refused.status_code == status
        assert (await gate.get_status(job.id)).status is JobStatus.PENDING
        assert told(await client.delete(f"/jobs/{job.id}", headers=as_user("ann"))) == (204, "CANCELLED")
