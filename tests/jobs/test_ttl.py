"""Media of a source with a TTL: from their upload to their removal by the janitor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from mediagate import RECORDS, STORAGE, Media, MediaGate, PublishedMedia, Settings, Source
from mediagate.errors import ConfigError, MediaDeleted, MediaNotFound
from mediagate.records import MemoryRecords
from mediagate.storage import MemoryStorage
from mediagate.values import utcnow
from tests.support.forked import SHARED
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)
SOURCES = {"story": Source(ttl=DAY), "avatar": Source()}


@dataclass(frozen=True)
class Sweep:
    """Result of a sweep of the janitor."""

    expired: list[str]
    """Ids of expired media."""
    left: set[str]
    """Files after the sweep."""
    told: list[str]
    """Ids that the hook ``on_deleted`` has received by then."""


@dataclass(frozen=True)
class Life:
    """Answers about a story, which expires, and an avatar, which does not, at four times."""

    story: PublishedMedia
    avatar: PublishedMedia
    published: dict[str, httpx.Response]
    """Answers by name of the request, here and in the next three."""
    about_to_expire: dict[str, httpx.Response]
    expired: dict[str, httpx.Response]
    removed: dict[str, httpx.Response]
    """The janitor has removed the story."""
    errors: list[type[Exception]]
    """Errors of ``wait`` and ``get_media`` about the expired story."""
    sweeps: dict[str, Sweep]
    """Sweeps of the janitor in this order: early, dry, real, next day."""
    row: object
    """Record of the removed story."""

    @property
    def all_files(self) -> set[str]:
        return {*self.story.record.keys, *self.avatar.record.keys}


@pytest.fixture(scope="module", params=[True, False], ids=["memory", "sqlite"])
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Life:
    settings = Settings(data_dir=tmp_path_factory.mktemp("life"), image_processes=1)
    gate = MediaGate(sources=SOURCES, settings=settings, moderation="off")
    gate.fork_server = SHARED
    if request.param:
        gate.decorate(RECORDS, MemoryRecords())
        gate.decorate(STORAGE, MemoryStorage())
    return asyncio.run(live(gate, photo))


async def live(gate: MediaGate, photo: bytes) -> Life:
    """Upload a picture to both sources, and let time pass."""
    told: list[str] = []

    async def on_deleted(media: Media) -> None:
        told.append(media.id)

    gate.add_hook("on_deleted", on_deleted)
    async with client_of(gate) as client:
        jobs = [(await gate.upload(photo, source_type=name, source_id="u1")).job_id for name in SOURCES]
        story, avatar = [(await gate.wait(job_id, timeout_s=60)).media for job_id in jobs]
        assert story is not None and avatar is not None
        paths = {
            "status": f"/status/{jobs[0]}",
            "media": f"/media/{story.id}",
            "stories": "/media?sourceType=story",
            "jobs": "/jobs",
            "avatar status": f"/status/{jobs[1]}",
            "avatar media": f"/media/{avatar.id}",
            "avatars": "/media?sourceType=avatar",
        }

        async def answers() -> dict[str, httpx.Response]:
            return {name: await client.get(path) for name, path in paths.items()}

        async def sweep(*, dry_run: bool, now: datetime) -> Sweep:
            found = await gate.runtime.janitor.sweep_expired(dry_run=dry_run, now=now)
            return Sweep(list(found.expired_media), await files(gate), told.copy())

        await until_stored(gate, {*story.record.keys, *avatar.record.keys})
        published = await answers()
        expires = datetime.fromisoformat(published["status"].json()["media"]["expiresAt"])
        with pytest.MonkeyPatch.context() as patch:
            turn_clock(patch, gate, expires - MOMENT)
            about_to_expire = await answers()
            turn_clock(patch, gate, expires)
            expired = await answers()
            errors = [await error_of(gate.wait(jobs[0])), await error_of(gate.get_media(story.id))]
            sweeps = {
                "early": await sweep(dry_run=False, now=expires - MOMENT),
                "dry": await sweep(dry_run=True, now=expires),
                "real": await sweep(dry_run=False, now=expires),
            }
            row = await gate.parts.records.get_media(story.id)
            sweeps["next day"] = await sweep(dry_run=False, now=expires + DAY)
            removed = await answers()
    return Life(story, avatar, published, about_to_expire, expired, removed, errors, sweeps, row)


async def files(gate: MediaGate) -> set[str]:
    storage = gate.parts.storage
    return {info.key for root in ("staging/", "media/", "originals/") async for info in storage.list(root)}


async def until_stored(gate: MediaGate, keys: set[str]) -> None:
    """Wait until these files are stored and no quarantined file is left."""
    async with asyncio.timeout(30):
        while True:
            if await files(gate) == keys:
                return
            await asyncio.sleep(0.02)


def turn_clock(patch: pytest.MonkeyPatch, gate: MediaGate, moment: datetime) -> None:
    async def now() -> datetime:
        return moment

    patch.setattr(gate.parts.records, "now", now)


async def error_of(call: Awaitable[object]) -> type[Exception]:
    with pytest.raises(Exception) as caught:
        await call
    return caught.type


def test_ttl_sets_expires_at_for_its_source_only(life: Life) -> None:
    media = life.published["status"].json()["media"]
    created, expires = (datetime.fromisoformat(media[name]) for name in ("createdAt", "expiresAt"))
    assert expires - created == DAY
    assert life.published["avatar media"].json()["expiresAt"] is None


def test_media_is_served_until_expires_at(life: Life) -> None:
    assert life.about_to_expire["status"].status_code == 200
    assert life.about_to_expire["media"].status_code == 200


def test_expired_media_answers_as_deleted(life: Life) -> None:
    gone = life.expired["status"]
    assert (gone.status_code, gone.json()["code"]) == (410, "media_deleted")
    assert life.published["status"].json()["media"]["expiresAt"] in gone.json()["detail"]
    assert life.expired["media"].json()["code"] == "media_not_found"
    assert life.errors == [MediaDeleted, MediaNotFound]


def test_expired_media_is_absent_from_lists(life: Life) -> None:
    assert life.expired["stories"].json() == {"items": [], "nextCursor": None}
    assert len(life.expired["avatars"].json()["items"]) == 1
    listed = life.expired["jobs"].json()["items"]
    assert [item["media"] and item["media"]["id"] for item in listed] == [life.avatar.id, None]


def test_janitor_keeps_media_before_their_expiry(life: Life) -> None:
    assert life.sweeps["early"] == Sweep([], life.all_files, [])


def test_janitor_dry_run_lists_expired_media_and_removes_nothing(life: Life) -> None:
    assert life.sweeps["dry"] == Sweep([life.story.id], life.all_files, [])


def test_janitor_removes_expired_media_once(life: Life) -> None:
    kept = set(life.avatar.record.keys)
    assert life.sweeps["real"] == Sweep([life.story.id], kept, [life.story.id])
    assert life.row is None
    assert life.sweeps["next day"] == Sweep([], kept, [life.story.id])


def test_removed_media_still_answers_as_deleted(life: Life) -> None:
    assert life.removed["status"].status_code == 410
    assert life.removed["avatar status"].status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_cache_control_of_a_file_ends_with_its_ttl(
    make_gate: MakeGate, photo: bytes, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_of(make_gate(sources=SOURCES, worker=False)) as client:
        app: Any = client._transport
        gate: MediaGate = app.app.routes[0].app
        for name, after, wanted in (
            ("story", timedelta(), (DAY.total_seconds() - 60, DAY.total_seconds())),
            ("story", DAY - timedelta(seconds=100), (40, 100)),
            ("story", 2 * DAY, (0, 0)),
        ):
            await gate.parts.storage.put(f"media/{name}/u1/med_1/xs.webp", photo)
            monkeypatch.setattr("mediagate.http.files.utcnow", lambda after=after: utcnow() + after)
            answer = await client.request(method, f"/media/{name}/u1/med_1/xs.webp")
            said, _, seconds = answer.headers["Cache-Control"].rpartition("=")
            assert said == "public, max-age"
            assert wanted[0] <= int(seconds) <= wanted[1]
        await gate.parts.storage.put("media/avatar/u1/med_1/xs.webp", photo)
        answer = await client.request(method, "/media/avatar/u1/med_1/xs.webp")
        assert answer.headers["Cache-Control"].endswith("immutable")


@pytest.mark.parametrize("ttl", [timedelta(), -DAY, timedelta(days=10**6), "soon"])
def test_source_rejects_an_invalid_ttl(ttl: Any) -> None:
    with pytest.raises(ConfigError, match=r"Source\.ttl"):
        Source(ttl=ttl)
