"""Files of private sources: signed URLs, their expiry and stability, and the URL secret."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from mediagate import STORAGE, MediaGate, Settings, Source, VariantSpec
from mediagate.errors import ConfigError, FileNotServed, UrlExpired
from mediagate.storage import FilesystemStorage, FileUrls, MemoryStorage, url_secrets
from tests.support.forked import SHARED

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
SIZES = {"sm": VariantSpec(width=64), "md": VariantSpec(width=128)}
SOURCES = {"avatar": Source(variants=SIZES), "document": Source(variants=SIZES, visibility="private")}
KEY = "media/document/user-1/med_1/sm.webp"
SECRET, NEW = "s" * 32, "n" * 32
NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@asynccontextmanager
async def client_of(gate: MediaGate) -> AsyncIterator[httpx.AsyncClient]:
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://test") as client:
        yield client


async def uploaded(client: httpx.AsyncClient, photo: bytes, source: str) -> httpx.Response:
    form = {"sourceType": source, "sourceId": "user-1"}
    sent = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
    done = await client.get(f"{sent.json()['statusUrl']}?wait=60")
    assert done.status_code == 200, done.text
    return done


def urls_of(*secrets: str, ttl_s: int = 3600) -> FileUrls:
    return FileUrls(SOURCES, MemoryStorage(), secrets=[s.encode() for s in secrets or [SECRET]], ttl_s=ttl_s)


def query_of(url: str) -> dict[str, str]:
    return dict(httpx.URL(url).params)


async def test_private_file_is_served_to_its_signed_url_only(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(sources=SOURCES)) as client:
        media = (await uploaded(client, photo, "document")).json()["media"]
        left = datetime.fromisoformat(media["urlsExpireAt"]) - datetime.now(UTC)
        assert timedelta(minutes=29) < left <= timedelta(minutes=60)
        for url in (*media["urls"].values(), media["originalUrl"]):
            for method in ("GET", "HEAD"):
                answer = await client.request(method, url)
                assert answer.status_code == 200
                kept = re.fullmatch(r"private, max-age=(\d+)", answer.headers["Cache-Control"])
                assert kept and int(kept[1]) <= left.total_seconds() + 1
            path = url.partition("?")[0]
            other = media["urls"]["md" if "/sm." in path else "sm"].partition("?")[2]
            for wrong in ("", "?expires=9999999999", f"?{other}", "?expires=9999999999&signature=é", "?expires=x"):
                refused = await client.get(path + wrong)
                assert (refused.status_code, refused.json()["code"]) == (404, "file_not_found"), wrong
                missing = await client.get(f"/media/document/user-1/med_none/sm.webp{wrong}")
                assert {**refused.json(), "instance": ""} == {**missing.json(), "instance": ""}
            later = re.sub(r"expires=(\d+)", lambda m: f"expires={int(m[1]) + 1}", url)
            assert (await client.get(later)).status_code == 404


async def test_public_source_has_unsigned_immutable_urls(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(sources=SOURCES)) as client:
        media = (await uploaded(client, photo, "avatar")).json()["media"]
        assert "urlsExpireAt" not in media
        assert "?" not in "".join(media["urls"].values())
        answer = await client.get(media["urls"]["sm"])
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_signed_urls_stay_the_same_across_answers(make_gate: MakeGate, photo: bytes) -> None:
    async with client_of(make_gate(sources=SOURCES, url_ttl_s=604_800)) as client:
        first = await uploaded(client, photo, "document")
        url = f"/status/{first.json()['jobId']}"
        again = await client.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        body = (await client.get(url)).json()
        assert body == first.json()
        listed = (await client.get("/media?sourceType=document")).json()["items"]
        single = (await client.get(f"/media/{body['media']['id']}")).json()
        assert listed == [single] == [body["media"]]


async def test_signed_url_expires_no_later_than_its_media(make_gate: MakeGate, photo: bytes) -> None:
    source = Source(variants=SIZES, visibility="private", ttl=timedelta(seconds=100))
    async with client_of(make_gate(sources={"story": source})) as client:
        media = (await uploaded(client, photo, "story")).json()["media"]
        assert media["urlsExpireAt"] == media["expiresAt"]
        answer = await client.get(media["urls"]["sm"])
        kept = re.fullmatch(r"private, max-age=(\d+)", answer.headers["Cache-Control"])
        assert kept and 0 <= int(kept[1]) <= 100


async def test_wait_returns_the_expiry_of_signed_urls(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(sources=SOURCES) as gate:
        job = await gate.upload(photo, source_type="document", source_id="user-1")
        status = await gate.wait(job.job_id)
        assert status.media is not None and status.media.urls_expire_at is not None
        assert status.media.urls_expire_at > datetime.now(UTC) + timedelta(minutes=29)


def test_signed_url_is_stable_for_half_its_lifetime() -> None:
    urls = urls_of(ttl_s=3600)
    made: dict[str, list[int]] = {}
    for minute in range(0, 181, 5):
        now = NOON + timedelta(minutes=minute)
        file = urls.of(KEY, base_url="", now=now)
        assert file.expires_at is not None
        assert timedelta(minutes=30) <= file.expires_at - now <= timedelta(minutes=60)
        assert urls.admit(KEY, query_of(file.url), now=now) == (file.expires_at - now).total_seconds()
        made.setdefault(file.url, []).append(minute)
    assert [len(minutes) for minutes in made.values()] == [6] * 6 + [1]
    assert urls_of().of(KEY, base_url="", now=NOON) == urls.of(KEY, base_url="", now=NOON)


def test_signed_url_is_refused_from_its_expiry_on() -> None:
    urls = urls_of(ttl_s=60)
    file = urls.of(KEY, base_url="https://example.com/gate", now=NOON)
    assert file.expires_at is not None
    query = query_of(file.url)
    assert urls.admit(KEY, query, now=file.expires_at - timedelta(seconds=1)) == 1
    with pytest.raises(UrlExpired, match="read the media") as caught:
        urls.admit(KEY, query, now=file.expires_at)
    assert (caught.value.status, caught.value.code) == (403, "url_expired")
    # Only a valid signature reveals that the file existed.
    with pytest.raises(FileNotServed):
        urls.admit(KEY, {**query, "signature": "A" * 43}, now=file.expires_at)
    with pytest.raises(FileNotServed):
        urls_of("another").admit(KEY, query, now=NOON)


async def test_expired_url_answers_403(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources=SOURCES)
    async with client_of(gate) as client:
        media = (await uploaded(client, photo, "document")).json()["media"]
        key = media["urls"]["sm"].partition("?")[0].lstrip("/")
        old = gate.runtime.urls.of(key, base_url="", now=datetime.now(UTC) - timedelta(hours=3))
        answer = await client.get(old.url)
        assert (answer.status_code, answer.json()["code"]) == (403, "url_expired")


async def test_media_of_unconfigured_source_are_private(tmp_path: Path, photo: bytes) -> None:
    settings = Settings(data_dir=tmp_path, image_processes=1)
    both = MediaGate(sources=SOURCES, settings=settings, moderation="off")
    both.fork_server = SHARED
    async with client_of(both) as client:
        private = (await uploaded(client, photo, "document")).json()["media"]
        public = (await uploaded(client, photo, "avatar")).json()["media"]
    rest = MediaGate(sources={"post": Source()}, settings=settings, moderation="off")
    rest.fork_server = SHARED
    async with client_of(rest) as client:
        for media in (private, public):
            assert (await client.get(media["urls"]["sm"].partition("?")[0])).status_code == 404
            told = (await client.get(f"/media/{media['id']}")).json()
            assert "urlsExpireAt" in told
            assert (await client.get(told["urls"]["sm"])).status_code == 200


def test_filesystem_storage_has_no_public_url_for_private_sources(tmp_path: Path) -> None:
    private = frozenset({"document"})
    storage = FilesystemStorage(tmp_path, public_url="https://cdn.example.com", private_sources=private)
    assert storage.url(KEY) is None
    assert storage.url("originals/document/u/m/original.jpg") is None
    assert storage.url("media/avatar/u/m/sm.webp") == "https://cdn.example.com/media/avatar/u/m/sm.webp"


async def test_filesystem_storage_writes_private_files_with_mode_600(tmp_path: Path) -> None:
    private = frozenset({"document"})
    storage = FilesystemStorage(tmp_path, public_url="https://cdn.example.com", private_sources=private)
    old = os.umask(0o022)
    try:
        await storage.put(KEY, b"x")
        await storage.put("media/avatar/u/m/sm.webp", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "media/avatar/u/m/sm.webp").stat().st_mode) == 0o644


async def test_core_storages_presign_no_urls(tmp_path: Path) -> None:
    for storage in (MemoryStorage(), FilesystemStorage(tmp_path)):
        assert storage.presign_get(KEY, signed_at=NOON, expires_s=60) is None
        assert await storage.presign_put(KEY, content_type="image/png", size=1, expires_s=60) is None
        with pytest.raises(ValueError, match="key"):
            storage.presign_get("../x", signed_at=NOON, expires_s=60)
        with pytest.raises(ValueError, match="key"):
            await storage.presign_put("../x", content_type="image/png", size=1, expires_s=60)


# -- the secret


def test_url_secret_is_created_once_with_mode_600(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with ThreadPoolExecutor(16) as threads:
        made = set(threads.map(lambda _: url_secrets(settings), range(64)))
    assert len(made) == 1
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [len(secret) for secret in next(iter(made))] == [64]
    assert url_secrets(Settings(data_dir=tmp_path, url_secret=SECRET)) == (SECRET.encode(),)


def test_unusable_file_of_the_url_secret_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "url_secret").write_bytes(b"")
    with pytest.raises(ConfigError, match="remove the file, or set url_secret"):
        url_secrets(Settings(data_dir=tmp_path))
    with pytest.raises(ConfigError, match="make it readable, or set url_secret"):
        url_secrets(Settings(data_dir=tmp_path / "not" / "there"))


def test_settings_repr_hides_the_url_secret(tmp_path: Path) -> None:
    assert SECRET not in repr(Settings(data_dir=tmp_path, url_secret=SECRET))


@pytest.mark.parametrize("given", ["too short", f"{SECRET},too short", ""])
def test_each_url_secret_has_32_characters(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("MEDIAGATE_URL_SECRET", given)
    with pytest.raises(ConfigError, match="MEDIAGATE_URL_SECRET: ") as caught:
        Settings()
    assert "too short" not in str(caught.value)


def test_url_secrets_come_from_a_list_in_the_environment_or_in_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert url_secrets(Settings(data_dir=tmp_path, url_secret=[NEW, SECRET])) == (NEW.encode(), SECRET.encode())
    monkeypatch.setenv("MEDIAGATE_URL_SECRET", f"{NEW}, {SECRET}")
    assert url_secrets(Settings(data_dir=tmp_path)) == (NEW.encode(), SECRET.encode())
    assert not list(tmp_path.iterdir())


STEPS = [(SECRET,), (SECRET, NEW), (NEW, SECRET), (NEW,)]
"""The settings of a rotation, in order; processes change from one to the next at different times."""


@pytest.mark.parametrize(
    ("signing", "serving"), [pair for one, other in pairwise(STEPS[:3]) for pair in ((one, other), (other, one))]
)
def test_processes_in_neighbouring_steps_of_a_rotation_accept_each_others_urls(
    signing: tuple[str, ...], serving: tuple[str, ...]
) -> None:
    signed = query_of(urls_of(*signing).of(KEY, base_url="", now=NOON).url)
    assert urls_of(*serving).admit(KEY, signed, now=NOON)


def test_removed_url_secret_is_refused_and_its_successor_is_not() -> None:
    old, new = (query_of(urls_of(*step).of(KEY, base_url="", now=NOON).url) for step in STEPS[1:3])
    last = urls_of(*STEPS[3])
    assert last.admit(KEY, new, now=NOON)
    with pytest.raises(FileNotServed):
        last.admit(KEY, old, now=NOON)


@pytest.mark.parametrize("given", [SECRET, f"{SECRET},{NEW}"])
async def test_gates_with_a_shared_secret_accept_each_others_urls(
    make_gate: MakeGate, photo: bytes, tmp_path: Path, given: str
) -> None:
    shared = {
        "url_ttl_s": 604_800,
        "database_url": f"file:{tmp_path / 'shared.db'}",
        "migrate": True,
    }
    files = FilesystemStorage(tmp_path / "files")
    gates = []
    for secret in (SECRET, given):
        gate = make_gate(sources=SOURCES, memory=False, url_secret=secret, **shared)
        gate.decorate(STORAGE, files)
        gates.append(gate)
    async with client_of(gates[0]) as first:
        media = (await uploaded(first, photo, "document")).json()["media"]
    async with client_of(gates[1]) as second:
        assert (await second.get(media["urls"]["sm"])).status_code == 200
        told = (await second.get(f"/media/{media['id']}")).json()
        assert told["urls"] == media["urls"]
