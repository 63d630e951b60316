"""The gate's URL of a direct upload: one file, from one request at a time, under the limits of any upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate import AUTHORIZE, RECORDS, STORAGE, MediaGate, Source
from mediagate.errors import UploadRefused
from mediagate.intake import body
from mediagate.records import MemoryRecords
from mediagate.records import locks as reservation
from mediagate.storage import FilesystemStorage, MemoryStorage
from mediagate.values import utcnow
from tests.support.hooks import RecordedHooks
from tests.support.mounted import client_of
from tests.support.owners import as_user, by_header

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
BOTH = pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])


async def declared(client: httpx.AsyncClient, photo: bytes, **headers: str) -> Any:
    told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
    answer = await client.post("/uploads", json=told, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def sent(client: httpx.AsyncClient, target: Any, body: Any) -> httpx.Response:
    return await client.put(f"http://test{target['url']}", content=body, headers=target["headers"])


async def completed(client: httpx.AsyncClient, target: Any, **headers: str) -> httpx.Response:
    return await client.post(f"http://test{target['completeUrl']}", headers=headers)


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"] if answer.content else ""


async def staged(gate: MediaGate) -> set[str]:
    return {info.key async for info in gate.parts.storage.list("staging/")}


def other_than(photo: bytes) -> bytes:
    """Return different bytes of the same length and with the same head."""
    return photo[:64].ljust(len(photo), b"\0")


class Slowly:
    """A body that stops half-way until ``go_on`` is set."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.under_way, self.go_on = asyncio.Event(), asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2]
        self.under_way.set()
        await self.go_on.wait()
        yield self._body[len(self._body) // 2 :]


@BOTH
async def test_content_is_accepted_from_one_of_two_concurrent_requests(
    make_gate: MakeGate, photo: bytes, memory: bool
) -> None:
    gate = make_gate(memory=memory, worker=False)
    async with client_of(gate) as client:
        target, other = await declared(client, photo), bytes(len(photo))
        slow = Slowly(photo)
        first = asyncio.create_task(sent(client, target, slow))
        await slow.under_way.wait()
        slower = Slowly(other)
        for body in (other, slower):
            refused = await sent(client, target, body)
            assert said(refused) == (409, "upload_in_flight")
            assert refused.json()["retryable"]
            assert int(refused.headers["Retry-After"]) >= 1
            slower.go_on.set()
        assert await staged(gate) == set()
        assert said(await completed(client, target)) == (409, "upload_not_received")
        slow.go_on.set()
        assert said(await first) == (204, "")
        assert said(await sent(client, target, other)) == (409, "upload_received")
        job_id = (await completed(client, target)).json()["jobId"]
        assert await gate.parts.storage.get(f"staging/{job_id}") == photo
        assert await staged(gate) == {f"staging/{job_id}"}


async def test_content_can_be_sent_again_immediately_after_a_partial_body(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False, upload_timeout_s=1)
    async with client_of(gate) as client:
        target = await declared(client, photo)
        assert said(await sent(client, target, Slowly(photo))) == (408, "upload_timeout")
        assert said(await sent(client, target, photo[:-1])) == (422, "upload_mismatch")
        assert said(await sent(client, target, photo)) == (204, "")
        assert (await completed(client, target)).status_code == 202


async def test_lease_is_extended_while_the_body_arrives(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservation, "RECEIVING_S", 0.3)
    async with client_of(make_gate(worker=False)) as client:
        target, slow = await declared(client, photo), Slowly(photo)
        first = asyncio.create_task(sent(client, target, slow))
        await slow.under_way.wait()
        await asyncio.sleep(1)
        assert said(await sent(client, target, photo)) == (409, "upload_in_flight")
        slow.go_on.set()
        assert said(await first) == (204, "")


async def taken_over(gate: MediaGate, client: httpx.AsyncClient, target: Any, photo: bytes) -> None:
    """Send and complete the upload, as is possible once the lease of an earlier sender has expired."""
    await gate.parts.records.release_key(f"\n{target['uploadId']}")
    assert said(await sent(client, target, photo)) == (204, "")
    assert (await completed(client, target)).status_code == 202


@BOTH
async def test_content_arriving_after_completion_is_discarded(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = make_gate(memory=memory, worker=False)
    async with client_of(gate) as client:
        target, slow = await declared(client, photo), Slowly(other_than(photo))
        late = asyncio.create_task(sent(client, target, slow))
        await slow.under_way.wait()
        await taken_over(gate, client, target, photo)
        job_id = (await completed(client, target)).json()["jobId"]
        slow.go_on.set()
        assert said(await late) == (409, "upload_received")
        assert await staged(gate) == {f"staging/{job_id}"}
        assert await gate.parts.storage.get(f"staging/{job_id}") == photo


async def test_lease_expired_during_put_stores_nothing(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate(worker=False)

    async def half_a_minute_later() -> datetime:
        return utcnow() + timedelta(seconds=31)

    async with client_of(gate) as client:
        target, slow = await declared(client, photo), Slowly(other_than(photo))
        late = asyncio.create_task(sent(client, target, slow))
        await slow.under_way.wait()
        monkeypatch.setattr(gate.parts.records, "now", half_a_minute_later)
        next_one = Slowly(photo)
        takes_over = asyncio.create_task(sent(client, target, next_one))
        await next_one.under_way.wait()
        slow.go_on.set()
        assert said(await late) == (409, "upload_in_flight")
        assert await staged(gate) == set()
        assert said(await sent(client, target, photo)) == (409, "upload_in_flight"), "the second holds the lease"
        next_one.go_on.set()
        assert said(await takes_over) == (204, "")
        assert await gate.parts.storage.get(f"staging/{target['uploadId']}") == photo


@pytest.mark.parametrize("begins", [b"<svg xmlns='http://www.w3.org/2000/svg'>", b"%PDF-1.7 ", b"\x89PNG\r\n\x1a\n"])
async def test_content_of_an_unaccepted_format_is_refused_by_its_first_bytes(
    make_gate: MakeGate, photo: bytes, monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    monkeypatch.setattr(body, "DRAIN_S", 0.05)
    never = asyncio.Event()

    async def trickling() -> AsyncIterator[bytes]:
        for at in range(0, 64, 16):
            yield begins.ljust(64)[at : at + 16]
        await never.wait()

    gate = make_gate(worker=False, sources={"avatar": Source(formats=("jpeg",))}, upload_timeout_s=3)
    async with client_of(gate) as client:
        target = await declared(client, photo)
        assert said(await sent(client, target, trickling())) == (415, "unsupported_type")
        assert await staged(gate) == set()
        assert list(gate.runtime.spool_dir.iterdir()) == []
        assert said(await sent(client, target, photo)) == (204, ""), "the declared file can be sent immediately"


@pytest.fixture(scope="module")
async def guarded(make_shared_gate: MakeGate) -> AsyncIterator[tuple[MediaGate, httpx.AsyncClient, RecordedHooks]]:
    """An open gate that knows its callers, its client, and its hooks."""
    gate = make_shared_gate(worker=False)
    gate.decorate(AUTHORIZE, by_header)
    hooks = RecordedHooks(gate)
    async with client_of(gate) as client:
        yield gate, client, hooks


Guarded = tuple[MediaGate, httpx.AsyncClient, RecordedHooks]


async def test_content_hooks_run_once_for_the_owner_who_declared_it(guarded: Guarded, photo: bytes) -> None:
    _, client, hooks = guarded
    target = await declared(client, photo, **as_user("ann"))
    hooks.calls.clear()
    answer = await sent(client, target, photo)
    assert said(answer) == (204, "")
    assert answer.headers["X-Left"] == "7"
    # A browser sends no credentials with the PUT: the owner who declared the upload is charged.
    path = f"/image-pipeline/uploads/{target['uploadId']}/content"
    assert hooks.calls == [("pre_receive", path, "ann"), ("pre_file", "avatar"), ("on_received", len(photo), None)]


@pytest.mark.parametrize("hook", ["pre_receive", "pre_file"])
async def test_content_refused_by_a_hook_stores_nothing(guarded: Guarded, photo: bytes, hook: str) -> None:
    gate, client, hooks = guarded
    target = await declared(client, photo, **as_user("ann"))
    before = await staged(gate)
    with hooks.refusing(hook, UploadRefused("not now")):
        assert said(await sent(client, target, photo)) == (403, "upload_refused")
    assert await staged(gate) == before
    assert said(await sent(client, target, photo)) == (204, "")


async def test_content_sent_twice_is_refused_after_the_hooks(guarded: Guarded, photo: bytes) -> None:
    _, client, hooks = guarded
    target = await declared(client, photo, **as_user("ann"))
    assert said(await sent(client, target, photo)) == (204, "")
    hooks.calls.clear()
    assert said(await sent(client, target, photo)) == (409, "upload_received")
    assert hooks.names == ["pre_receive", "pre_file", "on_received"]


async def test_content_with_a_wrong_token_answers_404(guarded: Guarded, photo: bytes) -> None:
    _, client, _ = guarded
    target = await declared(client, photo, **as_user("ann"))
    assert said(await client.put(f"http://test{target['url']}x", content=photo)) == (404, "upload_not_found")


async def test_completion_after_content_counts_no_bytes(guarded: Guarded, photo: bytes) -> None:
    _, client, hooks = guarded
    target = await declared(client, photo, **as_user("ann"))
    assert said(await sent(client, target, photo)) == (204, "")
    hooks.calls.clear()
    job_id = (await completed(client, target, **as_user("ann"))).json()["jobId"]
    path = f"/image-pipeline/uploads/{target['uploadId']}/complete"
    assert hooks.calls == [("pre_receive", path, "ann"), ("pre_file", "avatar"), ("on_received", 0, job_id)]


async def test_content_answers_503_while_all_upload_places_are_taken(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False, max_uploads=1, min_upload_rate=0)
    async with client_of(gate) as client:
        target, slow = await declared(client, photo), Slowly(photo)
        async with gate.runtime.intake.admission.slot(0):
            refused = await sent(client, target, photo)
            assert said(refused) == (503, "too_many_uploads")
            assert refused.headers["Connection"] == "close"
        first = asyncio.create_task(sent(client, target, slow))
        await slow.under_way.wait()
        assert said(await sent(client, target, photo)) == (503, "too_many_uploads")
        slow.go_on.set()
        assert said(await first) == (204, "")


class Replacing:
    """A storage that replaces a direct upload's file, with one of the same size, right before the copy."""

    def __init__(self, storage: MemoryStorage | FilesystemStorage, other: bytes) -> None:
        self._storage = storage
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def copy(self, source: Any, key: str) -> None:
        await self._storage.put(source.key, self._other)
        await self._storage.copy(source, key)


@BOTH
async def test_completion_refuses_a_file_replaced_before_the_copy(
    make_gate: MakeGate, photo: bytes, memory: bool, tmp_path: Path
) -> None:
    other = bytes(len(photo))
    storage = MemoryStorage() if memory else FilesystemStorage(tmp_path / "files")
    gate = make_gate(memory=False, worker=False)
    gate.decorate(STORAGE, Replacing(storage, other))
    async with client_of(gate) as client:
        target = await declared(client, photo)
        await storage.put(f"staging/{target['uploadId']}", photo)
        assert said(await completed(client, target)) == (422, "upload_mismatch")
        assert await staged(gate) == set()
        assert await gate.parts.records.queue_depth() == 0


@BOTH
async def test_completion_keeps_the_checked_file_when_the_upload_is_replaced(
    make_gate: MakeGate, photo: bytes, memory: bool
) -> None:
    gate = make_gate(memory=memory, worker=False)

    async def replaces(upload: Any) -> None:
        await gate.parts.storage.put(f"staging/{target['uploadId']}", bytes(len(photo)))

    gate.add_hook("pre_upload", replaces)
    async with client_of(gate) as client:
        target = await declared(client, photo)
        await sent(client, target, photo)
        answer = await completed(client, target)
        assert answer.status_code == 202
        job_id = answer.json()["jobId"]
        assert await gate.parts.storage.get(f"staging/{job_id}") == photo
        assert await staged(gate) == {f"staging/{job_id}"}


async def test_direct_upload_for_a_removed_source_is_refused(make_gate: MakeGate, photo: bytes) -> None:
    records = MemoryRecords()
    before, after = (
        make_gate(memory=False, worker=False),
        make_gate(memory=False, worker=False, sources={"post": Source()}),
    )
    for gate in (before, after):
        gate.decorate(RECORDS, records)
    async with client_of(before) as client:
        target = await declared(client, photo)
    async with client_of(after) as client:
        for answer in (await sent(client, target, photo), await completed(client, target)):
            assert said(answer) == (400, "unknown_source")
