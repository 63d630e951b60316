"""Uploads through a gate whose files are in a bucket: public, private, and during outages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate import MediaGate, Settings, Source, VariantSpec
from mediagate.storage import MARK_KEY as KEY
from mediagate_plugins.s3_storage import s3_storage
from tests.support import loopback
from tests.support.fault_proxy import Exchange, FaultProxy, status
from tests.support.forked import SHARED
from tests.support.rgw import Gateway

pytestmark = pytest.mark.anyio

SIZES = {"sm": VariantSpec(width=64), "md": VariantSpec(width=128)}
TTL_S = 7 * 24 * 3600
"""Long enough that URLs are not renewed during a test."""
SOURCES = {"avatar": Source(variants=SIZES), "document": Source(variants=SIZES, visibility="private")}


@pytest.fixture
def open_gate(tmp_path: Path, server: Any, bucket: str) -> Callable[..., Any]:
    @asynccontextmanager
    async def make(
        *, prefixes: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncIterator[tuple[MediaGate, httpx.AsyncClient]]:
        settings = Settings(
            data_dir=tmp_path / "data", image_processes=1, retry_backoff_s=0.1, url_ttl_s=TTL_S, **(prefixes or {})
        )
        gate = MediaGate(sources=SOURCES, settings=settings, moderation="off")
        gate.fork_server = SHARED
        gate.register(s3_storage, **{"bucket": bucket, **server.options, **options})
        transport = httpx.ASGITransport(gate, root_path="")
        async with gate, httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
            yield gate, client

    return make


def let_the_public_read(s3: Any, bucket: str, *folders: str) -> None:
    resources = [f"arn:aws:s3:::{bucket}/{folder}/*" for folder in folders]
    allow = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": resources}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))


async def uploaded(client: httpx.AsyncClient, photo: bytes, source: str, source_id: str = "user-1") -> dict[str, Any]:
    form = {"sourceType": source, "sourceId": source_id}
    sent = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
    assert sent.status_code == 202, sent.text
    done = await client.get(f"{sent.json()['statusUrl']}?wait=60")
    assert done.status_code == 200, done.text
    media: dict[str, Any] = done.json()["media"]
    return media


async def fetched(url: str) -> httpx.Response:
    async with loopback.async_client(timeout=60) as client:
        return await client.get(url)


async def test_public_media_is_served_by_the_bucket_until_deleted(
    open_gate: Any, server: Any, bucket: str, s3: Any, photo: bytes
) -> None:
    let_the_public_read(s3, bucket, "media/avatar", "originals/avatar")
    base = f"{server.url}/{bucket}"
    async with open_gate(public_url=base) as (_, client):
        media = await uploaded(client, photo, "avatar")
        place = f"avatar/user-1/{media['id']}"
        assert media["urls"] == {name: f"{base}/media/{place}/{name}.webp" for name in SIZES}
        assert "urlsExpireAt" not in media
        for variant in media["variants"]:
            answer = await fetched(variant["url"])
            assert (answer.status_code, len(answer.content)) == (200, variant["bytes"])
            assert answer.headers["Content-Type"] == "image/webp"
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert (await fetched(media["originalUrl"])).status_code == 200
        # No staged file remains.
        assert {item["Key"].split("/")[0] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {
            "media",
            "mediagate",
            "originals",
        }
        assert (await client.delete(f"/media/{media['id']}")).status_code == 204
        assert (await fetched(media["urls"]["sm"])).status_code in (403, 404)
        assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [KEY]


async def test_longest_names_fit_into_a_bucket(open_gate: Any, server: Any, bucket: str, s3: Any, photo: bytes) -> None:
    """With any source id, below the prefix of the bucket and those of the keys."""
    above, media_prefix = f"{'p' * 127}/{'p' * 128}", f"{'m' * 63}/{'m' * 64}"
    prefixes = {"media_prefix": media_prefix, "originals_prefix": "o" * 128, "staging_prefix": "s" * 128}
    let_the_public_read(s3, bucket, f"{above}/{media_prefix}", f"{above}/{prefixes['originals_prefix']}")
    base = f"{server.url}/{bucket}/{above}"
    async with open_gate(prefix=above, public_url=base, prefixes=prefixes) as (_, client):
        for source_id in ("x" * 128, "🐈" * 255, "ann@example.com/100%"):
            media = await uploaded(client, photo, "avatar", source_id)
            assert media["sourceId"] == source_id
            for url in (*media["urls"].values(), media["originalUrl"]):
                assert url.startswith(f"{base}/{media_prefix if 'original' not in url else 'o'}")
                assert (await fetched(url)).status_code == 200
            private = await uploaded(client, photo, "document", source_id)
            for url in (*private["urls"].values(), private["originalUrl"]):
                assert (await fetched(url)).status_code == 200, "the name is signed"
            for made in (media, private):
                assert (await client.delete(f"/media/{made['id']}")).status_code == 204
        found = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        assert found == [f"{above}/{KEY}"]


async def test_gate_without_a_public_url_serves_files_of_the_bucket(open_gate: Any, photo: bytes) -> None:
    async with open_gate() as (_, client):
        media = await uploaded(client, photo, "avatar")
        answer = await client.get(media["urls"]["sm"])
        assert (answer.status_code, len(answer.content)) == (200, media["variants"][0]["bytes"])
        part = await client.get(media["urls"]["sm"], headers={"Range": "bytes=2-5"})
        assert (part.status_code, part.content) == (206, answer.content[2:6])


async def test_private_media_is_readable_only_with_a_signature(
    open_gate: Any, bucket: str, s3: Any, photo: bytes
) -> None:
    let_the_public_read(s3, bucket, "media/avatar", "originals/avatar")
    async with open_gate(public_url="https://cdn.example.com") as (gate, client):
        media = await uploaded(client, photo, "document")
        expires = datetime.fromisoformat(media["urlsExpireAt"])
        left = expires - datetime.now(UTC)
        assert timedelta(days=3) < left <= timedelta(days=7)
        for url in (*media["urls"].values(), media["originalUrl"]):
            assert (await fetched(url)).status_code == 200
            assert (await fetched(url.partition("?")[0])).status_code == 403
            assert (await fetched(url.replace("X-Amz-Signature=", "X-Amz-Signature=0"))).status_code == 403
            # The gate does not serve the file either.
            path = "/" + url.partition("?")[0].partition(f"/{bucket}/")[2]
            assert (await client.get(path)).status_code == 404
        answer = await client.get(f"/media/{media['id']}")
        assert answer.json()["urls"] == media["urls"]
        assert answer.json()["urlsExpireAt"] == media["urlsExpireAt"]
        told = await gate.get_media(media["id"])
        assert told.urls_expire_at == expires


async def test_outage_answers_503_and_passes(open_gate: Any, gateway: Gateway, photo: bytes) -> None:
    async with open_gate(connect_timeout_s=1.0, read_timeout_s=1.0, attempts=1) as (_, client):
        assert (await client.get("/readyz")).status_code == 200
        with gateway.paused():
            form = {"sourceType": "avatar", "sourceId": "user-1"}
            sent = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
            assert (sent.status_code, sent.json()["code"]) == (503, "storage_unavailable")
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert server_words_only(sent.text + ready.text)
    async with open_gate() as (_, client):
        assert (await client.get("/readyz")).status_code == 200
        await uploaded(client, photo, "avatar")


def server_words_only(text: str) -> bool:
    return not any(word in text for word in ("boto", "Traceback", "http://127.0.0.1", "Signature"))


def no_publishing(exchange: Exchange) -> Awaitable[None]:
    """Refuse writes of published files, and pass on all else."""
    line = exchange.head.partition(b"\r\n")[0]
    refused = line.startswith(b"PUT ") and b"/staging/" not in line
    return status(503)(exchange) if refused else exchange.passed_on()


async def test_outage_during_publishing_costs_no_attempt_and_no_file(
    open_gate: Any, server: Any, bucket: str, s3: Any, photo: bytes
) -> None:
    async with FaultProxy(server.port) as proxy, open_gate(endpoint_url=proxy.url, attempts=1) as (gate, _):
        proxy.always = no_publishing
        job = (await gate.upload(photo, source_type="document", source_id="user-1")).job
        async with asyncio.timeout(120):
            while (job.status, job.attempts, job.code) != ("PENDING", 0, "storage_unavailable"):
                await asyncio.sleep(0.1)
                job = (await gate.get_status(job.id)).job
        [kept] = s3.list_objects_v2(Bucket=bucket, Prefix=job.staging_key)["Contents"]
        assert kept["Key"] == job.staging_key
        proxy.always = None
        done = await gate.wait(job.id, timeout_s=120)
        assert done.status == "COMPLETE" and done.media is not None
        for url in done.media.urls.values():
            assert (await fetched(url.replace(proxy.url, server.url))).status_code == 403
            assert (await fetched(url)).status_code == 200
