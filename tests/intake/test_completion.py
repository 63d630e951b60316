"""Completion of direct uploads: one request at a time completes one, and the bytes that it reads are counted."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mediagate import RECORDS, STORAGE, MediaGate
from mediagate.errors import StorageUnavailable, TooManyUploads, UploadInFlight, UploadRefused
from mediagate.records import MemoryRecords
from mediagate.storage import MemoryStorage, ObjectInfo
from tests.support.direct import completed, declared, sent
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


class Copying(MemoryStorage):
    """Counts copies, and delays them until ``go_on`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0
        self.copying = asyncio.Semaphore(0)
        self.under_way, self.go_on = asyncio.Event(), asyncio.Event()

    async def copy(self, source: ObjectInfo, key: str) -> None:
        self.copies += 1
        self.under_way.set()
        self.copying.release()
        await self.go_on.wait()
        await super().copy(source, key)


def slow_gates(make_gate: MakeGate, count: int, **settings: Any) -> tuple[Copying, list[MediaGate]]:
    """Return gates that share records and storage, as processes of one service do."""
    records, storage = MemoryRecords(), Copying()
    gates = [make_gate(memory=False, worker=False, **settings) for _ in range(count)]
    for gate in gates:
        gate.decorate(RECORDS, records)
        gate.decorate(STORAGE, storage)
    return storage, gates


def said(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def test_completion_copies_the_file_once_under_concurrent_requests(make_gate: MakeGate, photo: bytes) -> None:
    storage, gates = slow_gates(make_gate, 2)
    async with client_of(gates[0]) as client, client_of(gates[1]) as other:
        target = (await declared(client, photo)).json()
        await sent(client, target, photo)
        first = asyncio.create_task(completed(client, target))
        await storage.under_way.wait()
        async with asyncio.timeout(60):  # without a lease, all of them would wait for the storage
            answers = await asyncio.gather(*(completed(one, target) for one in (client, other) * 15))
        for answer in answers:
            assert said(answer) == (409, "upload_in_flight")
            assert answer.json()["retryable"]
            assert int(answer.headers["Retry-After"]) >= 1
        with pytest.raises(UploadInFlight):
            await gates[1].complete_upload(target["uploadId"])
        storage.go_on.set()
        job_id = (await first).json()["jobId"]
        assert storage.copies == 1
        for again in (await completed(client, target), await completed(other, target)):
            assert (again.status_code, again.json()["jobId"]) == (202, job_id)
        assert (await gates[1].complete_upload(target["uploadId"])).job_id == job_id
        assert storage.copies == 1


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_completion_can_be_retried_immediately_after_a_failure(
    make_gate: MakeGate, photo: bytes, memory: bool
) -> None:
    refuse = [True]

    async def refuses(upload: Any) -> None:
        if refuse:
            raise UploadRefused("not now")

    gate = make_gate(memory=memory, worker=False)
    gate.add_hook("pre_upload", refuses)
    async with client_of(gate) as client:
        target = (await declared(client, photo)).json()
        assert said(await completed(client, target)) == (409, "upload_not_received")
        for _ in range(2):
            await sent(client, target, photo)
            assert said(await completed(client, target)) == (403, "upload_refused")
        refuse.clear()
        await sent(client, target, photo)
        assert (await completed(client, target)).status_code == 202


async def test_completion_reserves_disk_space_for_its_bytes(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=int(2.5 * len(photo)))

    def usage(path: Path) -> SimpleNamespace:
        return free

    storage, (gate,) = slow_gates(make_gate, 1)
    async with client_of(gate) as client:
        targets = [(await declared(client, photo)).json() for _ in range(3)]
        for target in targets:
            await sent(client, target, photo)
        monkeypatch.setattr(shutil, "disk_usage", usage)
        running = [asyncio.create_task(completed(client, target)) for target in targets[:2]]
        for _ in running:
            await storage.copying.acquire()
        assert said(await completed(client, targets[2])) == (503, "storage_unavailable")
        with pytest.raises(StorageUnavailable):
            await gate.complete_upload(targets[2]["uploadId"])
        form = {"sourceType": "avatar", "sourceId": "u"}
        body = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
        assert said(body) == (503, "storage_unavailable"), "the reserved space is not free for a body either"
        storage.go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(*running)] == [202, 202]
        assert (await completed(client, targets[2])).status_code == 202


async def test_complete_upload_from_python_takes_an_upload_place(make_gate: MakeGate, photo: bytes) -> None:
    storage, (gate,) = slow_gates(make_gate, 1, max_uploads=1)
    async with gate:
        targets = [
            await gate.create_upload(source_type="avatar", source_id="u", content_type="image/jpeg", size=len(photo))
            for _ in range(2)
        ]
        for target in targets:
            await gate.parts.storage.put(f"staging/{target.upload_id}", photo)
        first = asyncio.create_task(gate.complete_upload(targets[0].upload_id))
        await storage.under_way.wait()
        with pytest.raises(TooManyUploads):
            await gate.complete_upload(targets[1].upload_id)
        storage.go_on.set()
        await first
        assert (await gate.complete_upload(targets[1].upload_id)).job_id != (await first).job_id
