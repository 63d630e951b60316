"""Gates that keep data of owners in every state, and all that their records and storage hold."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import asyncpg
import httpx

from mediagate import EVENTS, Action, EventType, Job, JobStatus, MediaGate, Settings, Source, VariantSpec, Verdict
from mediagate.errors import ProcessingRefused
from mediagate.images import ForkServer
from mediagate.values import PUBLISHED, STAGING
from mediagate_plugins.api_keys import API_KEYS, api_keys
from mediagate_plugins.rate_limit import rate_limit
from tests.support import loopback

SIZES = {"sm": VariantSpec(width=64), "md": VariantSpec(width=96)}
SOURCES = {"avatar": Source(variants=SIZES), "document": Source(variants=SIZES, visibility="private")}
BROKEN, REFUSED = "broken.jpg", "refused.jpg"
"""Names of files whose jobs end FAILED (and keep their file) and REJECTED."""
SCOPES = (Action.UPLOAD, Action.READ, Action.DELETE)
JOBS, MEDIA, UPLOADS = 9, 2, 3
"""What ``fill`` leaves of an owner."""


@dataclass(frozen=True)
class Site:
    """A database and a storage, on which a test opens gates."""

    data_dir: Path
    database: str
    server: ForkServer
    storage: Callable[[MediaGate], None]
    """Registers the storage."""

    def gate(self, *, worker: bool) -> MediaGate:
        """Make a gate with API keys, limits and an outbox."""
        settings = Settings(
            data_dir=self.data_dir,
            database_url=self.database,
            migrate=True,
            worker=worker,
            image_processes=1,
            max_attempts=1,
            janitor_interval_s=3600,
        )
        gate = MediaGate(sources=SOURCES, settings=settings, moderation="off")
        gate.fork_server = self.server
        gate.decorate(EVENTS, tuple(EventType))
        gate.register(api_keys, cache_s=0)
        gate.register(rate_limit, per_key=["1000/hour", "90 jobs"], per_source={"avatar": "500/hour"})
        gate.add_hook("pre_process", _break)
        gate.add_hook("pre_verdict", _refuse)
        self.storage(gate)
        return gate

    async def tables(self) -> dict[str, set[str]]:
        """Return every row of every table as text."""
        if self.database.startswith("file:"):
            return self._tables_of_sqlite()
        connection = await asyncpg.connect(self.database)
        try:
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'mediagate%'")
            return {
                name: {str(tuple(row)) for row in await connection.fetch(f'SELECT * FROM "{name}"')}
                for (name,) in names
            }
        finally:
            await connection.close()

    def _tables_of_sqlite(self) -> dict[str, set[str]]:
        with closing(sqlite3.connect(self.database.removeprefix("file:"))) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'mediagate%'")
            return {
                name: {str(row) for row in database.execute(f'SELECT * FROM "{name}"')} for (name,) in names.fetchall()
            }


async def _break(job: Job) -> None:
    if job.filename == BROKEN:
        raise RuntimeError("the model is broken")


async def _refuse(job: Job, verdict: Verdict) -> None:
    if job.filename == REFUSED:
        raise ProcessingRefused("not allowed here")


async def stored(gate: MediaGate) -> dict[str, str]:
    """Return the keys of all quarantined and published files, with their versions."""
    roots = (STAGING, *PUBLISHED)
    return {info.key: info.version for root in roots async for info in gate.parts.storage.list(root)}


def table(archive: ZipFile, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table in an export."""
    return [json.loads(line) for line in archive.read(f"{name}.jsonl").splitlines()]


def names(folder: Path) -> list[str]:
    """Return what a folder has, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


@asynccontextmanager
async def client_of(gate: MediaGate) -> AsyncIterator[httpx.AsyncClient]:
    """Open a gate that is mounted at the root, with a client of it."""
    transport = httpx.ASGITransport(gate, root_path="")
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        yield client


async def fill(site: Site, owner: str, photo: bytes, *, held: bool = False) -> None:
    """Give an owner two keys, and jobs, media and direct uploads in every state; the source ids are those of others.

    With ``held``, waiting jobs are claimed, so that no later gate processes them.
    """
    gate = site.gate(worker=True)
    async with client_of(gate) as client:
        keys = [await gate[API_KEYS].create(owner=owner, scopes=SCOPES) for _ in range(2)]
        client.headers["X-API-Key"] = keys[0].text
        await _finished(client, photo, source="avatar", key="of every owner")
        await _finished(client, photo, source="document")
        client.headers["X-API-Key"] = keys[1].text
        assert (await _finished(client, photo, name=BROKEN))["status"] == "FAILED"
        assert (await _finished(client, photo, name=REFUSED))["status"] == "REJECTED"
        deleted = await _finished(client, photo)
        assert (await client.delete(f"/media/{deleted['media']['id']}")).status_code == 204
    gate = site.gate(worker=False)
    async with client_of(gate) as client:
        client.headers["X-API-Key"] = keys[0].text
        waiting, claimed, cancelled = [await _uploaded(client, photo) for _ in range(3)]
        await gate.cancel(cancelled)
        targets = [await _declared(client, len(photo)) for _ in range(UPLOADS)]
        for target in targets[1:]:
            await _sent(client, target, photo)
        done = await client.post(targets[2]["completeUrl"])
        assert done.status_code == 202, done.text
        now = await gate.parts.records.now()
        for job_id in (claimed, waiting, done.json()["jobId"]) if held else (claimed,):
            assert await gate.parts.records.claim(job_id, owner="far", now=now, lease_until=now + timedelta(hours=1))
        page = await gate.list_jobs(owner=owner, limit=100)
        statuses = {status.status for status in page.items}
        assert (len(page.items), statuses) == (JOBS, {*JobStatus} - ({JobStatus.PENDING} if held else set()))


async def _uploaded(
    client: httpx.AsyncClient, photo: bytes, *, source: str = "avatar", name: str = "a.jpg", key: str | None = None
) -> str:
    form = {"sourceType": source, "sourceId": "u1", "clientReferenceId": "ours"}
    headers = {"Idempotency-Key": key} if key else {}
    answer = await client.post("/upload", data=form, files={"file": (name, photo)}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


async def _finished(client: httpx.AsyncClient, photo: bytes, **options: Any) -> dict[str, Any]:
    job_id = await _uploaded(client, photo, **options)
    body: dict[str, Any] = (await client.get(f"/status/{job_id}?wait=60&http=200")).json()
    return body


async def _declared(client: httpx.AsyncClient, size: int) -> dict[str, Any]:
    told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": size, "filename": "d.jpg"}
    answer = await client.post("/uploads", json=told)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def _sent(client: httpx.AsyncClient, target: dict[str, Any], photo: bytes) -> None:
    if target["url"].startswith("/"):
        answer = await client.put(target["url"], content=photo, headers=target["headers"])
    else:
        async with loopback.async_client(timeout=60) as bucket:
            answer = await bucket.put(target["url"], content=photo, headers=target["headers"])
    assert answer.status_code in (200, 204), answer.text
