"""The S3 storage keeps the protocol's promises on a real server, and names each wrong option."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediagate import STORAGE, MediaGate, Settings, Source, Storage
from mediagate.errors import ConfigError, ObjectNotFound, StorageUnavailable
from mediagate.testing import check_storage
from mediagate_plugins.s3_storage import s3_storage
from mediagate_plugins.s3_storage.options import Options
from mediagate_plugins.s3_storage.storage import S3Storage
from tests.support.fault_proxy import Exchange, FaultProxy

pytestmark = pytest.mark.anyio

KEY = "media/avatar/user-1/med_1/sm.webp"


async def test_s3_storage_keeps_every_promise_of_the_protocol(
    storage_of: Any, make_bucket: Callable[[], str], s3: Any
) -> None:
    staging = make_bucket()
    async with storage_of(prefix="one/two", staging_bucket=staging, public_url="https://cdn.example.com/m/") as storage:
        await check_storage(storage)
        await storage.put("staging/job_1", b"waits")
        await storage.put(KEY, b"x")
        assert storage.url(KEY) == f"https://cdn.example.com/m/{KEY}"
    [staged] = s3.list_objects_v2(Bucket=staging)["Contents"]
    [published] = s3.list_objects_v2(Bucket=storage.options.bucket)["Contents"]
    assert (staged["Key"], published["Key"]) == ("one/two/staging/job_1", f"one/two/{KEY}")


def test_s3_storage_implements_the_protocol() -> None:
    assert issubclass(S3Storage, Storage)


async def test_staging_prefix_separates_staged_objects(storage_of: Any, bucket: str, s3: Any) -> None:
    async with storage_of(prefix="live/", staging_prefix="private") as storage:
        await storage.put("staging/job_1", b"waits")
        await storage.put(KEY, b"x")
        assert [info.key async for info in storage.list("staging/")] == ["staging/job_1"]
        assert [info.key async for info in storage.list("media/")] == [KEY]
    names = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(names) == [f"live/{KEY}", "private/staging/job_1"]


async def test_put_sets_content_type_and_cache_control_by_key(storage_of: Any, bucket: str, s3: Any) -> None:
    wanted = {
        KEY: ("image/webp", "public, max-age=31536000, immutable"),
        "originals/avatar/u/m/original.jpg": ("image/jpeg", "public, max-age=31536000, immutable"),
        "media/document/u/m/sm.avif": ("image/avif", "private, max-age=3600"),
        "media/story/u/m/sm.webp": ("image/webp", "public, max-age=3600"),
        "staging/job_1": ("application/octet-stream", "no-store"),
        "media/avatar/u/m/page.html": ("application/octet-stream", "public, max-age=31536000, immutable"),
    }
    async with storage_of(private_sources=frozenset({"document"}), expiring_sources=frozenset({"story"})) as storage:
        for key in wanted:
            await storage.put(key, b"x")
    for key, told in wanted.items():
        head = s3.head_object(Bucket=bucket, Key=key)
        assert (head["ContentType"], head["CacheControl"]) == told


async def test_put_sends_a_large_body_in_parts(storage: S3Storage, bucket: str, s3: Any, tmp_path: Path) -> None:
    body = secrets.token_bytes(20 * 1024 * 1024)
    (tmp_path / "local").write_bytes(body)
    for source in (tmp_path / "local", body):
        await storage.put(KEY, source)
        # The ETag of an object sent in parts ends with the number of parts.
        assert s3.head_object(Bucket=bucket, Key=KEY)["ETag"].endswith('-3"')
        assert await storage.get(KEY) == body
        await storage.delete([KEY])
    await storage.put(KEY, body[: 8 * 1024 * 1024 - 1])
    assert "-" not in s3.head_object(Bucket=bucket, Key=KEY)["ETag"]


async def test_list_and_delete_take_two_requests_for_a_thousand_objects(
    server: Any, storage_of: Any, bucket: str
) -> None:
    keys = {f"media/avatar/user-1/med_1/{n:04}.webp" for n in range(1010)}
    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url, threads=16) as storage:

        async def put(own: list[str]) -> None:
            for key in own:
                await storage.put(key, b"x")

        async with anyio.create_task_group() as tasks:
            for n in range(16):
                tasks.start_soon(put, sorted(keys)[n::16])
        proxy.requests.clear()
        assert {info.key async for info in storage.list("media/")} == keys
        assert [line.split()[0] for line in proxy.requests] == [b"GET", b"GET"]
        proxy.requests.clear()
        await storage.delete([*keys, "media/never/there"])
        assert [line.split()[0] for line in proxy.requests] == [b"POST", b"POST"]
        assert [info async for info in storage.list("media/")] == []


async def test_requests_carry_no_checksum_that_other_servers_refuse(server: Any, storage_of: Any) -> None:
    heads: list[bytes] = []

    async def noted(exchange: Exchange) -> None:
        heads.append(exchange.head.lower())
        await exchange.passed_on()

    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url) as storage:
        proxy.always = noted
        await storage.put(KEY, b"x")
        await storage.put(KEY, bytes(9_000_000))
        await storage.get(KEY)
        await storage.delete([KEY, "media/avatar/other"])
        assert await storage.stat(KEY) is None
    for head in heads:
        for refused in (b"x-amz-checksum", b"x-amz-sdk-checksum", b"aws-chunked", b"trailer"):
            assert refused not in head
    [delete] = [head for head in heads if b"?delete" in head.partition(b"\r\n")[0]]
    assert b"content-md5: " in delete


async def test_list_skips_foreign_keys(storage: S3Storage, bucket: str, s3: Any) -> None:
    for name in ("media/", "media/.hidden", "media/a b.webp", "media//x", KEY):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    assert [info.key async for info in storage.list("media/")] == [KEY]


async def test_put_of_a_missing_local_file_raises_file_not_found(storage: S3Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await storage.put(KEY, tmp_path / "missing")


async def test_missing_bucket_is_unavailable_and_not_empty(storage_of: Any) -> None:
    async with storage_of(bucket="mediagate-never-made") as storage:
        for attempt in (storage.get(KEY), storage.stat(KEY), storage.put(KEY, b"x"), storage.check()):
            with pytest.raises(StorageUnavailable, match=r"bucket (\S+ )?not found"):
                await attempt
        with pytest.raises(StorageUnavailable, match="bucket not found"):
            await anext(storage.list("media/"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"secret_access_key": "n" * 40}, "the secret key is wrong"),
        ({"access_key_id": "NOBODY"}, "the access key is unknown"),
    ],
    ids=str,
)
async def test_wrong_credentials_are_named_in_the_error(storage_of: Any, wrong: dict[str, str], told: str) -> None:
    async with storage_of(**wrong) as storage:
        for attempt in (storage.get(KEY), storage.put(KEY, b"x"), storage.put(KEY, bytes(9_000_000))):
            with pytest.raises(StorageUnavailable, match=told) as caught:
                await attempt
            assert caught.value.status == 503
        # The answer to a HEAD has no body with the reason.
        with pytest.raises(StorageUnavailable, match="not allowed"):
            await storage.stat(KEY)


async def test_stream_of_a_range_handles_empty_and_missing_objects(storage: S3Storage) -> None:
    await storage.put(KEY, b"")
    assert [chunk async for chunk in storage.stream(KEY, start=0, length=5)] == []
    with pytest.raises(ObjectNotFound):
        await anext(storage.stream("media/nothing", start=3, length=0))


def test_options_report_all_problems_at_once() -> None:
    unknown: dict[str, Any] = {"addressing": "sideways", "retry_mode": "never"}
    with pytest.raises(ConfigError) as caught:
        Options(
            **unknown,
            bucket="no bucket",
            staging_bucket="",
            prefix="../up",
            staging_prefix="a//b",
            public_url="https://cdn.example.com/?x=1",
            endpoint_url="https://user:hunter2@s3.example.com",
            public_endpoint_url="ftp://s3.example.com",
            access_key_id="AK",
            session_token="hunter3",
            connect_timeout_s=0,
            read_timeout_s=float("nan"),
            attempts=0,
            threads=1000,
            upload_origins=("https://app.example.com/page",),
        )
    named = [problem.split(":")[0].removeprefix("s3_storage.") for problem in caught.value.problems]
    assert named == [
        "bucket",
        "staging_bucket",
        "prefix",
        "staging_prefix",
        "addressing",
        "retry_mode",
        "public_url",
        "endpoint_url",
        "public_endpoint_url",
        "upload_origins",
        "access_key_id and secret_access_key",
        "session_token",
        "connect_timeout_s",
        "read_timeout_s",
        "attempts",
        "threads",
    ]
    assert "hunter" not in str(caught.value)


async def test_missing_credentials_stop_the_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    gate = MediaGate(sources={"avatar": Source()}, settings=Settings(data_dir=tmp_path), moderation="off")
    gate.register(s3_storage, bucket="media", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="credentials not found"):
        await gate.open()
    # The plugin also looks where boto3 does.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s" * 40)
    async with gate.assembled():
        storage = gate[STORAGE]
        assert isinstance(storage, S3Storage)
        assert storage.connection.signer.access_key == "from-the-environment"


PROCESS = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

calls = Path(sys.argv[1])
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
# boto3 renews what ends within ten minutes before it signs again.
ends = datetime.now(UTC) + timedelta(minutes=5 if len(calls.read_text()) == 1 else 60)
keys = {"AccessKeyId": sys.argv[2], "SecretAccessKey": sys.argv[3], "Expiration": ends.isoformat()}
print(json.dumps({"Version": 1, **keys}))
"""


async def test_expiring_credentials_are_renewed(
    storage_of: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "process.py").write_text(PROCESS)
    call = [sys.executable, str(tmp_path / "process.py"), str(tmp_path / "calls")]
    config = f"[default]\ncredential_process = {' '.join([*call, server.access_key, server.secret_key])}\n"
    (tmp_path / "config").write_text(config)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    async with storage_of(access_key_id=None, secret_access_key=None) as storage:
        assert storage.connection.temporary
        await storage.put(KEY, b"x")
        await storage.connection.renew()
        ends = storage.connection.signer.expires_at
        assert ends is not None
        assert ends - datetime.now(UTC) > timedelta(minutes=50)
        signed = storage.presign_get(KEY, signed_at=datetime.now(UTC), expires_s=7 * 24 * 3600)
        assert signed is not None
        assert signed.expires_at == ends
    assert (tmp_path / "calls").read_text() == "xx"
