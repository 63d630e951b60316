"""Usage of each job, and its sums by day, owner and key."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from mediagate import AUTHORIZE, MODERATOR, RECORDS, STORAGE, Job, JobStatus, MediaGate, Principal, Settings, Source
from mediagate.errors import InvalidParameter, ProcessingRefused, StorageUnavailable
from mediagate.records import MemoryRecords
from mediagate.storage import MemoryStorage
from mediagate.values import utcnow
from tests.support.forked import SHARED
from tests.support.mounted import client_of
from tests.support.owners import FORM, as_user, by_header
from tests.support.poison import Reds

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def finish(client: httpx.AsyncClient, photo: bytes, user: str) -> dict[str, Any]:
    sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=as_user(user))
    done = await client.get(f"http://test{sent.headers['Location']}?wait=60&http=200", headers=as_user(user))
    body: dict[str, object] = done.json()
    return body


async def test_job_status_reports_its_usage(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        waiting = (await client.get(f"http://test{sent.headers['Location']}?http=200")).json()["usage"]
        assert waiting["bytesIn"] == len(photo)
        done = (await client.get(f"http://test{sent.headers['Location']}?wait=60")).json()
        usage, media = done["usage"], done["media"]
        original = (await client.get(f"http://test{media['originalUrl']}")).content
        assert usage["bytesIn"] == len(photo)
        assert usage["bytesOut"] == sum(variant["bytes"] for variant in media["variants"]) + len(original)
        assert usage["modelRuns"] == 0, "moderation is off"
        assert usage["cpuMs"] > 0
        assert usage["wallMs"] >= done["timings"]["publish"]


async def test_usage_is_summed_by_owner_and_day(make_gate: MakeGate, photo: bytes, data: Path) -> None:
    gate = make_gate()
    gate.decorate(AUTHORIZE, by_header)
    broken = (data / "bad" / "corrupt-header.jpg").read_bytes()
    async with client_of(gate) as client:
        done = [
            await finish(client, photo, "ann"),
            await finish(client, photo, "ann"),
            await finish(client, photo, "bob"),
        ]
        bytes_out = sum(job["usage"]["bytesOut"] for job in done[:2])
        refused = await client.post("/upload", data=FORM, files={"file": ("a.jpg", broken)}, headers=as_user("ann"))
        assert refused.status_code >= 400

        today = utcnow().date()
        mine = (await client.get("/usage", headers=as_user("ann"))).json()
        ends = {"PENDING": 0, "PROCESSING": 0, "COMPLETE": 2, "REJECTED": 0, "FAILED": 0, "CANCELLED": 0}
        bytes_told = {"bytesIn": 2 * len(photo), "bytesOut": bytes_out}
        counts = {"uploads": 2, **bytes_told, "modelRuns": 0, "credits": 0, "jobs": ends}
        assert mine["owner"] == "ann"
        assert mine["total"] == counts
        assert sum(day["uploads"] for day in mine["days"]) == 2  # on one day, or on two around midnight
        assert {day["day"] for day in mine["days"]} <= {today.isoformat(), (today - timedelta(days=1)).isoformat()}
        assert (mine["from"], mine["to"]) == ((today - timedelta(days=29)).isoformat(), today.isoformat())

        theirs = await client.get("/usage?owner=bob", headers=as_user("ann"))
        assert (theirs.status_code, theirs.json()["code"]) == (403, "forbidden")
        assert (await client.get("/usage?owner=ann", headers=as_user("ann"))).json()["total"] == counts
        assert (await client.get("/usage?owner=ann", headers=as_user("root"))).json()["total"] == counts
        everybody = (await client.get("/usage", headers=as_user("root"))).json()
        assert (everybody["owner"], everybody["total"]["uploads"]) == (None, 3)
        nobody = (await client.get("/usage?owner=carol", headers=as_user("root"))).json()
        assert (nobody["days"], nobody["total"]["uploads"]) == ([], 0)

        for bad in (
            "?from=yesterday", "?to=2026-02-30", "?from=20260101", "?from=2026-01-02&to=2026-01-01",
            "?from=2024-01-01&to=2026-01-01", "?to=0001-01-01", "?to=9999-12-31", "?to=2026-01-01x", "?from=",
        ):  # fmt: skip
            answer = await client.get(f"/usage{bad}", headers=as_user("ann"))
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), bad
        first = today - timedelta(days=366)
        with pytest.raises(InvalidParameter, match="366"):
            await gate.usage(first=first, last=today)
        assert (await gate.usage(first=first + timedelta(days=1), last=today)).total.uploads == 3


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_usage_is_summed_by_key(make_gate: MakeGate, photo: bytes, memory: bool) -> None:
    gate = make_gate(worker=False, memory=memory)
    gate.decorate(AUTHORIZE, by_header)
    async with client_of(gate) as client:

        async def send(user: str, **headers: str) -> None:
            sent = await client.post(
                "/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=as_user(user, **headers)
            )
            assert sent.status_code == 202, sent.text

        async def usage(user: str) -> dict[str, Any]:
            body: dict[str, Any] = (await client.get("/usage", headers=as_user(user))).json()
            return body

        await send("ann")
        assert (await usage("ann"))["keys"] == [], "no upload was made with a key"
        for key in ("k2", "k1", "k2"):
            await send("ann", **{"X-Key": key})
        await send("bob", **{"X-Key": "k3"})
        mine = await usage("ann")
        assert mine["total"]["uploads"] == 4
        one, two = mine["keys"]
        ends = dict.fromkeys(map(str, JobStatus), 0)
        counts = {"bytesOut": 0, "modelRuns": 0, "credits": 0}
        assert one == {"key": "k1", "uploads": 1, "bytesIn": len(photo), **counts, "jobs": ends | {"PENDING": 1}}
        assert two == {"key": "k2", "uploads": 2, "bytesIn": 2 * len(photo), **counts, "jobs": ends | {"PENDING": 2}}
        assert [key["key"] for key in (await usage("bob"))["keys"]] == ["k3"]
        assert [key["key"] for key in (await usage("root"))["keys"]] == ["k1", "k2", "k3"]
        today = utcnow().date()
        report = await gate.usage(owner="ann", first=today - timedelta(days=1), last=today)
        assert {key: used.uploads for key, used in report.keys.items()} == {"k1": 1, "k2": 2}
        for key in ("", "a\nb", "x" * 256):
            with pytest.raises(ValueError, match=r"Principal\.key"):
                Principal("ann", key=key)


class Flaky(MemoryStorage):
    """Fails the first ``put`` of a published file."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 1

    async def put(self, key: str, body: bytes | Path) -> None:
        if key.startswith("media/") and self.failures:
            self.failures -= 1
            raise StorageUnavailable("the storage does not answer")
        await super().put(key, body)


def square(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return file.getvalue()


def half_clear(*colour: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (*colour, 128)).save(file, "PNG")
    return file.getvalue()


async def test_usage_counts_all_model_runs(tmp_path: Path) -> None:
    async def refuse(job: Job, *_: object) -> None:
        if job.source_id in ("before", "after"):
            raise ProcessingRefused("no")

    async def before(job: Job) -> None:
        if job.source_id == "before":
            await refuse(job)

    gate = MediaGate(
        sources={"avatar": Source(reject={"red": 0.5})},
        settings=Settings(data_dir=tmp_path, image_processes=1, retry_backoff_s=0),
    )
    gate.fork_server = SHARED
    gate.decorate(RECORDS, MemoryRecords())
    gate.decorate(STORAGE, Flaky())
    gate.decorate(MODERATOR, Reds())
    gate.add_hook("pre_process", before)
    gate.add_hook("pre_verdict", refuse)
    blue, red = square((10, 20, 200)), square((220, 10, 10))
    async with gate:

        async def runs(picture: bytes, source_id: str) -> tuple[JobStatus, int, int]:
            sent = await gate.upload(picture, source_type="avatar", source_id=source_id, owner="ann")
            job = (await gate.wait(sent.job_id, timeout_s=60)).job
            return job.status, job.attempts, job.model_runs

        assert await runs(blue, "published-when-the-storage-is-back") == (JobStatus.COMPLETE, 1, 2)
        assert await runs(blue, "published") == (JobStatus.COMPLETE, 1, 1)
        assert await runs(red, "rejected") == (JobStatus.REJECTED, 1, 1)
        assert await runs(blue, "before") == (JobStatus.REJECTED, 1, 0)
        assert await runs(blue, "after") == (JobStatus.REJECTED, 1, 1)
        assert await runs(half_clear(10, 20, 200), "published") == (JobStatus.COMPLETE, 1, 5)
        assert await runs(half_clear(220, 10, 10), "rejected") == (JobStatus.REJECTED, 1, 4)
        today = utcnow().date()
        total = (await gate.usage(owner="ann", first=today - timedelta(days=1), last=today)).total
        assert (total.uploads, total.model_runs) == (7, 14)
        assert total.jobs == {JobStatus.COMPLETE: 3, JobStatus.REJECTED: 4}
