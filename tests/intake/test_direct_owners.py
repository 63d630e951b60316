"""Direct uploads belong to the owner who declared them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mediagate import AUTHORIZE, Job, JobStatus, MediaGate
from mediagate.errors import InvalidParameter, UploadNotFound
from tests.support.mounted import client_of
from tests.support.owners import as_user, by_header

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def declared(client: httpx.AsyncClient, photo: bytes, user: str) -> Any:
    told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
    answer = await client.post("/uploads", json=told, headers=as_user(user))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def completed(client: httpx.AsyncClient, target: Any, user: str) -> httpx.Response:
    return await client.post(f"http://test{target['completeUrl']}", headers=as_user(user))


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_direct_upload_is_completed_only_by_its_owner_or_an_admin(
    make_gate: MakeGate, photo: bytes, memory: bool
) -> None:
    shown: list[str | None] = []

    async def pre_upload(upload: Any) -> None:
        shown.append(upload.owner_id)

    gate = make_gate(memory=memory)
    gate.decorate(AUTHORIZE, by_header)
    gate.add_hook("pre_upload", pre_upload)
    async with client_of(gate) as client:
        target = await declared(client, photo, "ann")
        # The URL alone permits the PUT: a browser sends no credentials of the gate to a storage either.
        sent = await client.put(f"http://test{target['url']}", content=photo, headers=target["headers"])
        assert sent.status_code == 204
        for _ in range(2):  # before the upload has a job, and after
            foreign = await completed(client, target, "bob")
            unknown = await client.post(f"/uploads/upl_{'a' * 26}/complete", headers=as_user("bob"))
            assert foreign.status_code == unknown.status_code == 404
            assert foreign.text.replace(target["uploadId"], "…") == unknown.text.replace(f"upl_{'a' * 26}", "…")
            assert (await completed(client, target, "reader")).json()["code"] == "forbidden"
            answer = await completed(client, target, "ann")
            assert answer.status_code == 202
        status = await gate.wait(answer.json()["jobId"], timeout_s=60)
        assert (status.status, status.job.owner_id, shown) == (JobStatus.COMPLETE, "ann", ["ann"])
        assert status.media is not None
        assert status.media.record.owner_id == "ann"
        assert (await client.get(f"/status/{status.job_id}", headers=as_user("bob"))).status_code == 404
        assert (await completed(client, target, "root")).status_code == 202


async def test_complete_upload_from_python_checks_the_owner(make_gate: MakeGate, photo: bytes) -> None:
    jobs: list[Job] = []

    async def on_uploaded(job: Job) -> None:
        jobs.append(job)

    gate = make_gate(worker=False)
    gate.add_hook("on_uploaded", on_uploaded)
    async with gate:
        about: dict[str, Any] = {
            "source_type": "avatar",
            "source_id": "u1",
            "content_type": "image/jpeg",
            "size": len(photo),
        }
        target = await gate.create_upload(**about, owner="ann")
        await gate.parts.storage.put(f"staging/{target.upload_id}", photo)
        with pytest.raises(UploadNotFound):
            await gate.complete_upload(target.upload_id, owner="bob")
        await gate.complete_upload(target.upload_id, owner="ann")
        await gate.complete_upload(target.upload_id)
        assert [job.owner_id for job in jobs] == ["ann"]
        with pytest.raises(InvalidParameter, match="owner"):
            await gate.create_upload(**about, owner="")
