"""Direct uploads into a bucket: the bytes bypass the gate, and the stored file is the one that was declared."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.kernel import Hook
from mediagate.storage import MARK_KEY as KEY
from mediagate.values import utcnow
from mediagate_plugins.s3_storage import s3_storage
from tests.support import loopback
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.forked import SHARED

pytestmark = pytest.mark.anyio


async def test_direct_upload_into_a_bucket_is_published(
    tmp_path: Path, server: Any, s3: Any, bucket: str, photo: bytes
) -> None:
    settings = Settings(data_dir=tmp_path / "data", image_processes=1, orphan_grace_s=0)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.fork_server = SHARED
    gate.register(s3_storage, bucket=bucket, **server.options)
    about = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
    transport = httpx.ASGITransport(gate, root_path="")
    async with (
        gate,
        httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client,
        loopback.async_client(timeout=60) as browser,
    ):
        target = (await client.post("/uploads", json=about)).json()
        assert target["url"].startswith(server.url)
        assert (await client.post(target["completeUrl"])).json()["code"] == "upload_not_received"
        for body, headers in (
            (photo + b"x", target["headers"]),
            (photo, {**target["headers"], "Content-Type": "text/html"}),
        ):
            assert (await browser.put(target["url"], content=body, headers=headers)).status_code == 403
        put = await browser.put(target["url"], content=photo, headers=target["headers"])
        assert put.status_code == 200, put.text
        accepted = await client.post(target["completeUrl"])
        assert accepted.status_code == 202, accepted.text
        done = await client.get(f"{accepted.json()['statusUrl']}?wait=60")
        assert done.json()["status"] == "COMPLETE"

        # The signed URL is still valid: a later PUT changes nothing, and its object is removed.
        again = await browser.put(target["url"], content=bytes(len(photo)), headers=target["headers"])
        assert again.status_code == 200
        assert (await client.post(target["completeUrl"])).json()["jobId"] == accepted.json()["jobId"]
        await gate.runtime.janitor.sweep_files(dry_run=False, now=utcnow() + timedelta(minutes=1))
        found = names_in(s3, bucket)
        media = done.json()["media"]
        record = await gate.parts.records.get_media(media["id"])
        assert record is not None
        assert found == set(record.keys)


@asynccontextmanager
async def opened(
    tmp_path: Path, *, pre_upload: Hook | None = None, **options: Any
) -> AsyncIterator[tuple[MediaGate, httpx.AsyncClient]]:
    """Open a gate on a bucket, without workers, and a client of it."""
    settings = Settings(data_dir=tmp_path / "data", image_processes=1, worker=False)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.fork_server = SHARED
    gate.register(s3_storage, **options)
    if pre_upload is not None:
        gate.add_hook("pre_upload", pre_upload)
    transport = httpx.ASGITransport(gate, root_path="")
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        yield gate, client


async def arrived(client: httpx.AsyncClient, body: bytes) -> Any:
    """Declare a file and put it into the bucket."""
    about = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(body)}
    target = (await client.post("/uploads", json=about)).json()
    await put(target, body)
    return target


async def put(target: Any, body: bytes) -> None:
    async with loopback.async_client(timeout=60) as browser:
        answer = await browser.put(target["url"], content=body, headers=target["headers"])
        assert answer.status_code == 200, answer.text


def is_copy(exchange: Exchange) -> bool:
    return b"\r\nx-amz-copy-source:" in exchange.head.lower()


def names_in(s3: Any, bucket: str) -> set[str]:
    """Return all keys except the mark's."""
    return {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ())} - {KEY}


def of_parts(s3: Any, bucket: str, body: bytes) -> Callable[[str], None]:
    """Return a function that puts a body in two parts, so that its ETag is not a hash of its bytes."""

    def put(key: str) -> None:
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)
        where = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
        half = 5 * 1024 * 1024
        parts = [
            {"PartNumber": n, "ETag": s3.upload_part(**where, PartNumber=n, Body=piece)["ETag"]}
            for n, piece in ((1, body[:half]), (2, body[half:]))
        ]
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})

    return put


@pytest.mark.parametrize("in_parts", [False, True], ids=["whole", "in parts"])
async def test_completion_refuses_a_file_replaced_between_stat_and_copy(
    tmp_path: Path, server: Any, s3: Any, bucket: str, photo: bytes, in_parts: bool
) -> None:
    body = photo + bytes(6 * 1024 * 1024)
    replaced = []

    async with (
        FaultProxy(server.port) as proxy,
        opened(tmp_path, bucket=bucket, **server.options | {"endpoint_url": proxy.url}) as (gate, client),
    ):
        target = await arrived(client, body)
        key = f"staging/{target['uploadId']}"
        other = secrets.token_bytes(len(body))
        if in_parts:
            await asyncio.to_thread(of_parts(s3, bucket, body), key)

        async def replaces(exchange: Exchange) -> None:
            if is_copy(exchange):
                replaced.append(exchange)
                again = (
                    of_parts(s3, bucket, other)
                    if in_parts
                    else lambda k: s3.put_object(Bucket=bucket, Key=k, Body=other)
                )
                await asyncio.to_thread(again, key)
            await exchange.passed_on()

        proxy.always = replaces
        refused = await client.post(target["completeUrl"])
        assert len(replaced) == 1
        assert (refused.status_code, refused.json()["code"]) == (422, "upload_mismatch")
        assert names_in(s3, bucket) == set()
        assert await gate.parts.records.queue_depth() == 0
        # After the refusal the file can be sent again.
        proxy.always = None
        await put(target, body)
        assert (await client.post(target["completeUrl"])).status_code == 202


async def test_completion_keeps_the_copy_when_the_file_is_replaced_later(
    tmp_path: Path, server: Any, s3: Any, bucket: str, photo: bytes
) -> None:
    async def replaces(upload: Any) -> None:
        await put(target, bytes(len(photo)))

    async with opened(tmp_path, pre_upload=replaces, bucket=bucket, **server.options) as (_, client):
        target = await arrived(client, photo)
        accepted = await client.post(target["completeUrl"])
        assert accepted.status_code == 202
        key = f"staging/{accepted.json()['jobId']}"
        assert names_in(s3, bucket) == {key}
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == photo


async def test_completion_copies_in_the_bucket_and_sends_no_body(
    tmp_path: Path, server: Any, s3: Any, make_bucket: Callable[[], str], photo: bytes
) -> None:
    body = photo + bytes(15 * 1024 * 1024)
    sent: list[tuple[str, int]] = []

    async def counted(exchange: Exchange) -> None:
        declared = re.search(rb"(?i)\r\ncontent-length: *(\d+)", exchange.head)
        assert b"transfer-encoding" not in exchange.head.lower()
        method = exchange.head.partition(b" ")[0].decode()
        sent.append(("COPY" if is_copy(exchange) else method, int(declared[1]) if declared else 0))
        await exchange.passed_on()

    bucket, staging = make_bucket(), make_bucket()
    options = {**server.options, "bucket": bucket, "staging_bucket": staging}
    async with (
        FaultProxy(server.port) as proxy,
        opened(tmp_path, **options | {"endpoint_url": proxy.url}) as (_, client),
    ):
        target = await arrived(client, body)
        proxy.always = counted
        accepted = await client.post(target["completeUrl"])
        assert accepted.status_code == 202, accepted.text
    assert [method for method, _ in sent] == ["HEAD", "COPY", "GET", "DELETE"]
    assert sum(size for _, size in sent) == 0
    key = f"staging/{accepted.json()['jobId']}"
    assert (names_in(s3, bucket), names_in(s3, staging)) == (set(), {key}), "the copy stays in the bucket of its source"
    stored = s3.get_object(Bucket=staging, Key=key)
    assert stored["Body"].read() == body
    assert (stored["ContentType"], stored["CacheControl"]) == ("application/octet-stream", "no-store")
