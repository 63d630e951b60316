"""Presigned URLs: which requests a real server accepts, and that boto3 signs the same."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mediagate_plugins.s3_storage.options import Options
from mediagate_plugins.s3_storage.signatures import Signer, presign
from mediagate_plugins.s3_storage.storage import S3Storage, open_storage
from tests.support import loopback
from tests.support.rgw import Gateway
from tests.support.until import until

pytestmark = pytest.mark.anyio

KEY = "media/document/user-1/med_1/sm.webp"
SENT = "staging/job_1"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


async def asked(method: str, url: str, **how: Any) -> httpx.Response:
    async with loopback.async_client(timeout=60) as client:
        return await client.request(method, url, **how)


def flipped(text: str, name: str) -> str:
    """Change one character of a query parameter."""
    return re.sub(rf"({name}=)(.)", lambda m: m[1] + ("1" if m[2] != "1" else "2"), text)


async def test_presigned_get_permits_only_the_signed_read(storage: S3Storage) -> None:
    await storage.put(KEY, b"private")
    signed = storage.presign_get(KEY, signed_at=now(), expires_s=600)
    assert signed is not None
    answer = await asked("GET", signed.url)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"private", "image/webp")
    await storage.put("media/document/user-2/med_2/sm.webp", b"another's")
    for url in (
        signed.url.partition("?")[0],
        flipped(signed.url, "X-Amz-Signature"),
        flipped(signed.url, "X-Amz-Expires"),
        signed.url.replace("user-1/med_1", "user-2/med_2"),
    ):
        assert (await asked("GET", url)).status_code == 403, url
    assert (await asked("PUT", signed.url, content=b"x")).status_code == 403
    assert (await asked("DELETE", signed.url)).status_code == 403
    assert await storage.get(KEY) == b"private"


async def test_presigned_get_expires_on_time(storage: S3Storage) -> None:
    await storage.put(KEY, b"private")
    live = storage.presign_get(KEY, signed_at=now() - timedelta(seconds=300), expires_s=600)
    dead = storage.presign_get(KEY, signed_at=now() - timedelta(seconds=300), expires_s=299)
    assert live is not None and dead is not None
    assert live.expires_at - now() > timedelta(seconds=200)
    assert dead.expires_at < now()
    assert (await asked("GET", live.url)).status_code == 200
    assert (await asked("GET", dead.url)).status_code == 403


async def test_presigned_get_is_the_same_url_in_every_process(storage_of: Any) -> None:
    moment = now()
    urls = set()
    for _ in range(2):
        async with storage_of() as storage:
            urls |= {storage.presign_get(KEY, signed_at=moment, expires_s=600).url for _ in range(2)}
    assert len(urls) == 1


async def test_presigned_put_accepts_exactly_the_signed_type_and_size(storage: S3Storage) -> None:
    body = b"x" * 1000
    signed = await storage.presign_put(SENT, content_type="image/jpeg", size=1000, expires_s=600)
    assert signed is not None
    assert abs(signed.expires_at - now() - timedelta(seconds=600)) < timedelta(seconds=60)
    assert signed.headers == {"Content-Type": "image/jpeg"}
    for wrong in (
        {"content": body + b"x", "headers": signed.headers},
        {"content": body[:-1], "headers": signed.headers},
        {"content": body, "headers": {"Content-Type": "text/html"}},
        {"content": body},
    ):
        assert (await asked("PUT", signed.url, **wrong)).status_code == 403, wrong
    assert (await asked("PUT", signed.url.replace("job_1", "job_2"), content=body, headers=signed.headers)).is_error
    assert (await asked("GET", signed.url)).status_code == 403
    assert [info async for info in storage.list("staging/")] == []
    assert (await asked("PUT", signed.url, content=body, headers=signed.headers)).status_code == 200
    assert await storage.get(SENT) == body


async def test_presigned_put_expires_on_time(storage: S3Storage) -> None:
    address = storage.address(SENT)
    for age_s, code in ((601, 403), (10, 200)):
        url = presign(
            "PUT",
            address,
            signer=storage.connection.signer,
            region=storage.connection.region,
            signed_at=now() - timedelta(seconds=age_s),
            expires_s=600,
        )
        assert (await asked("PUT", url, content=b"x")).status_code == code


async def test_presign_refuses_invalid_keys_types_sizes_and_durations(storage: S3Storage) -> None:
    fine: dict[str, Any] = {"content_type": "image/png", "size": 1, "expires_s": 60}
    for wrong in ({"content_type": "a\r\nb: c"}, {"size": -1}, {"expires_s": 0}, {"expires_s": 8 * 24 * 3600}):
        with pytest.raises(ValueError, match="give"):
            await storage.presign_put(SENT, **(fine | wrong))
    with pytest.raises(ValueError, match="key"):
        await storage.presign_put("staging/../x", content_type="image/png", size=1, expires_s=60)
    with pytest.raises(ValueError, match="key"):
        storage.presign_get("media/ä", signed_at=now(), expires_s=60)


async def test_presigned_get_supports_virtual_addressing(storage_of: Any, server: Any, bucket: str) -> None:
    port = server.port
    async with storage_of() as storage:
        await storage.put(KEY, b"private")
    outside = f"http://localhost:{port}"
    async with storage_of(addressing="virtual", public_endpoint_url=outside, endpoint_url=outside) as storage:
        signed = storage.presign_get(KEY, signed_at=now(), expires_s=60)
    assert signed is not None
    assert signed.url.startswith(f"http://{bucket}.localhost:{port}/{KEY}?")
    # No DNS resolves this host here, so only the header names it.
    reached = signed.url.replace(f"{bucket}.localhost", "127.0.0.1")
    answer = await asked("GET", reached, headers={"Host": f"{bucket}.localhost:{port}"})
    assert (answer.status_code, answer.content) == (200, b"private")


async def test_presigned_get_names_the_public_endpoint(storage_of: Any, server: Any, bucket: str) -> None:
    async with storage_of(public_endpoint_url=f"http://localhost:{server.port}", addressing="path") as storage:
        await storage.put(KEY, b"private")
        signed = storage.presign_get(KEY, signed_at=now(), expires_s=60)
        assert signed is not None
        assert signed.url.startswith(f"http://localhost:{server.port}/{bucket}/{KEY}?")
        assert (await asked("GET", signed.url.replace("localhost", "127.0.0.1"))).status_code == 403
        assert (await asked("GET", signed.url)).content == b"private"


def test_presign_reproduces_the_example_of_the_s3_api_reference() -> None:
    """Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters", the example at its end."""
    url = presign(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        signer=Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region="us-east-1",
        signed_at=datetime(2013, 5, 24, tzinfo=UTC),
        expires_s=86400,
    )
    assert url.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


@pytest.mark.parametrize("token", [None, "session/token+with=signs"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    "place",
    [
        {"endpoint_url": "http://127.0.0.1:7480"},
        {"endpoint_url": "https://s3.example.com/storage/v1/s3", "addressing": "path"},
        {"region": "eu-central-1"},
        {"region": "eu-central-1", "bucket": "with.dots"},
        {},
    ],
    ids=["host", "host and path", "amazon", "dotted bucket", "default region"],
)
async def test_presign_matches_boto3(place: dict[str, Any], method: str, token: str | None) -> None:
    keys = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cr3t/+" * 5, "session_token": token}
    async with open_storage(Options(**{"bucket": "media", **keys, **place})) as storage:
        params: dict[str, Any] = {"Bucket": storage.options.bucket, "Key": KEY}
        headers = {}
        if method == "PUT":
            params |= {"ContentType": "image/webp", "ContentLength": 123}
            headers = {"Content-Type": "image/webp", "Content-Length": "123"}
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        theirs = storage.connection.client.generate_presigned_url(operation, Params=params, ExpiresIn=900)
        query = parse_qs(urlsplit(theirs).query)
        ours = presign(
            method,
            storage.address(KEY),
            signer=storage.connection.signer,
            region=storage.connection.region,
            signed_at=datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
            expires_s=900,
            headers=headers,
        )
        assert parse_qs(urlsplit(ours).query) == query
        assert ours.partition("?")[0] == theirs.partition("?")[0]


async def test_presigned_urls_expire_with_the_credentials_of_their_signer(storage: S3Storage) -> None:
    soon = now() + timedelta(seconds=100)
    storage.connection.signer = Signer("key", "secret", "token", soon)
    read = storage.presign_get(KEY, signed_at=now(), expires_s=3600)
    write = await storage.presign_put(SENT, content_type="image/png", size=1, expires_s=3600)
    assert read is not None and write is not None
    assert (read.expires_at, write.expires_at) == (soon, soon)
    assert "X-Amz-Security-Token=token" in read.url


async def test_urls_of_an_access_key_are_valid_until_it_is_removed(storage_of: Any, gateway: Gateway) -> None:
    """A user may have two keys: processes change to the new one while URLs of the old one are still in use."""
    old, new = await asyncio.to_thread(gateway.add_key), await asyncio.to_thread(gateway.add_key)
    async with storage_of(**old) as before, storage_of(**new) as after:
        await before.put(KEY, b"picture")
        assert await after.get(KEY) == b"picture"
        signed = [storage.presign_get(KEY, signed_at=now(), expires_s=3600) for storage in (before, after)]
        assert [(await asked("GET", each.url)).status_code for each in signed] == [200, 200]
        await asyncio.to_thread(gateway.remove_key, old)

        async def refused() -> bool:
            return (await asked("GET", signed[0].url)).status_code == 403

        await until(refused, 30)
        assert (await asked("GET", signed[1].url)).status_code == 200
    await asyncio.to_thread(gateway.remove_key, new)


def test_signer_repr_hides_secrets() -> None:
    signer = Signer("AKIA", "hunter2", "hunter3")
    assert "hunter" not in repr(signer)
