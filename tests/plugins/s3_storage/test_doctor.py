"""``mediagate doctor`` on a bucket: one line for each check that passes, advice for each that fails."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mediagate.errors import MediagateError
from mediagate.storage import KeyPrefixes
from mediagate_plugins.s3_storage.checks import checks
from mediagate_plugins.s3_storage.lifecycle import ABORT_RULE, VERSIONS_RULE, remarks
from mediagate_plugins.s3_storage.options import Options
from mediagate_plugins.s3_storage.storage import S3Storage, open_storage
from tests.support.fault_proxy import FaultProxy, rewritten

pytestmark = pytest.mark.anyio

SOURCES = {"sources": frozenset({"avatar", "document"}), "private_sources": frozenset({"document"})}
PAGE = "https://app.example.com"


async def problem_with(part: str, storage: S3Storage) -> str:
    """Return the detail of the error that a check raises."""
    with pytest.raises(MediagateError) as caught:
        await checks(storage)[part]()
    return caught.value.detail


def policy(s3: Any, bucket: str, effect: str, action: str, *folders: str) -> None:
    resources = [f"arn:aws:s3:::{bucket}/{folder}*" for folder in folders]
    rule = {"Effect": effect, "Principal": {"AWS": ["*"]}, "Action": [action], "Resource": resources}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [rule]}))


@pytest.mark.parametrize("key_prefixes", [KeyPrefixes(), KeyPrefixes(staging="q", media="img/x")])
async def test_doctor_passes_a_bucket_in_order(
    storage_of: Any, server: Any, bucket: str, s3: Any, key_prefixes: KeyPrefixes
) -> None:
    policy(s3, bucket, "Allow", "s3:GetObject", f"{key_prefixes.media}/avatar/", "originals/avatar/")
    cors = {"AllowedOrigins": [PAGE], "AllowedMethods": ["PUT"], "AllowedHeaders": ["content-type"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [cors]})
    how = {"public_url": f"{server.url}/{bucket}", "upload_origins": (PAGE,), "key_prefixes": key_prefixes}
    async with storage_of(**how, **SOURCES) as storage:
        told = {part: await check() for part, check in checks(storage).items()}
        left = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    assert told == {
        "bucket": f"{bucket}: found",
        "clock": "agrees with the server's",
        "rights": "write, read, list and delete work",
        "exposure": "only public files can be read without a signature",
        "lifecycle": f"{bucket}: {ABORT_RULE}",
        "cors": f"pages of {PAGE} may upload",
    }
    assert left == []


async def test_doctor_reports_a_missing_bucket(storage_of: Any) -> None:
    async with storage_of(staging_bucket="mediagate-never-made") as storage:
        assert await problem_with("bucket", storage) == "mediagate-never-made: bucket not found; create it"


async def test_doctor_names_a_missing_right(storage_of: Any, bucket: str, s3: Any) -> None:
    policy(s3, bucket, "Deny", "s3:DeleteObject", "media/")
    try:
        async with storage_of(**SOURCES) as storage:
            rights = await problem_with("rights", storage)
        assert "cannot delete" in rights and "AccessDenied" in rights
    finally:
        s3.delete_bucket_policy(Bucket=bucket)
    policy(s3, bucket, "Deny", "s3:PutObject", "staging/")
    async with storage_of(**SOURCES) as storage:
        assert "cannot write: S3, staging/" in await problem_with("rights", storage)


async def test_doctor_reports_private_folders_that_the_public_can_read(storage_of: Any, bucket: str, s3: Any) -> None:
    policy(s3, bucket, "Allow", "s3:GetObject", "")
    async with storage_of(**SOURCES) as storage:
        told = (await problem_with("exposure", storage)).split("; ")
        left = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    folders = ("staging/", "media/document/", "originals/document/")
    for folder, line in zip(folders, told, strict=True):
        assert f"{storage.options.endpoint_url}/{bucket}/{folder} is publicly readable" in line
    assert left == []


async def test_doctor_reports_a_public_url_that_serves_nothing(storage_of: Any, server: Any, bucket: str) -> None:
    async with storage_of(public_url=f"{server.url}/{bucket}", **SOURCES) as storage:
        told = await problem_with("exposure", storage)
    assert "media/avatar/ answers 403" in told and "originals/avatar/ answers 403" in told


@pytest.mark.parametrize(("date", "told"), [("2020", "ahead of"), ("2099", "behind")])
async def test_doctor_reports_a_wrong_clock(storage_of: Any, server: Any, date: str, told: str) -> None:
    old = rewritten(lambda head: replaced_date(head, date))
    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url) as storage:
        proxy.faults.append(old)
        assert told in await problem_with("clock", storage)


def replaced_date(head: bytes, year: str) -> bytes:
    before, found, after = head.partition(b"\r\nDate: ")
    assert found
    return before + found + f"Wed, 01 Jan {year} 00:00:00 GMT\r\n".encode() + after.partition(b"\r\n")[2]


async def test_doctor_reports_origins_that_cors_rules_exclude(storage_of: Any, bucket: str, s3: Any) -> None:
    cors = {"AllowedOrigins": [PAGE], "AllowedMethods": ["GET"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [cors]})
    async with storage_of(upload_origins=(PAGE, "https://other.example")) as storage:
        told = await problem_with("cors", storage)
    assert f"AllowedOrigins ['{PAGE}', 'https://other.example'], AllowedMethods ['PUT']" in told


async def test_doctor_reports_a_lifecycle_rule_that_deletes_live_media(storage_of: Any, bucket: str, s3: Any) -> None:
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "app/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    async with storage_of(prefix="app") as storage:
        assert "'tidy' removes live media below app/media/" in await problem_with("lifecycle", storage)
    async with storage_of(prefix="elsewhere") as storage:
        assert await checks(storage)["lifecycle"]() == f"{bucket}: {ABORT_RULE}"


LIVE: dict[str, Any] = {"live": ["a/media/", "a/originals/"], "staged": "a/staging/", "versioned": False}
EXPIRE = {"Status": "Enabled", "Expiration": {"Days": 30}}
ABORT = {"Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}


@pytest.mark.parametrize(
    ("rule", "harm"),
    [
        ({**EXPIRE, "Filter": {"Prefix": ""}}, "removes live media"),
        ({**EXPIRE, "Prefix": "a/med"}, "removes live media"),
        ({**EXPIRE, "Filter": {"Prefix": "a/media/avatar/"}}, "removes live media"),
        ({**EXPIRE, "Filter": {"And": {"Prefix": "a/", "ObjectSizeGreaterThan": 1}}}, "removes live media"),
        ({**EXPIRE, "Filter": {"Prefix": "b/"}}, None),
        ({**EXPIRE, "Status": "Disabled"}, None),
        ({**EXPIRE, "Filter": {"Tag": {"Key": "old", "Value": "yes"}}}, None),
        ({**EXPIRE, "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "old", "Value": "yes"}]}}}, None),
        ({"Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}}, None),
        ({"Status": "Enabled", "Expiration": {"Date": "2030-01-01"}}, "removes live media"),
        ({"Status": "Enabled", "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, "moves live media"),
        ({**EXPIRE, "Filter": {"Prefix": "a/staging/"}}, None),
        ({"Status": "Enabled", "Prefix": "a/staging/", "Expiration": {"Days": 1}}, "removes uploads that may still"),
    ],
    ids=str,
)
def test_remarks_name_lifecycle_rules_that_harm(rule: dict[str, Any], harm: str | None) -> None:
    problems, notes = remarks([rule, ABORT], **LIVE)
    assert notes == []
    assert (harm in problems[0]) if harm else (problems == [])


def test_remarks_advise_lifecycle_rules_that_are_missing() -> None:
    assert remarks([], **LIVE) == ([], [ABORT_RULE])
    assert remarks([ABORT], **{**LIVE, "versioned": True}) == ([], [VERSIONS_RULE])
    old = {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    assert remarks([ABORT, old], **{**LIVE, "versioned": True}) == ([], [])


GATE = """
import os
from mediagate import MediaGate, Source
from mediagate_plugins.s3_storage import s3_storage

gate = MediaGate(sources={"avatar": Source()}, moderation="off")
gate.register(s3_storage, bucket=os.environ["BUCKET"], endpoint_url=os.environ["ENDPOINT"])
"""


def test_doctor_command_prints_every_finding(tmp_path: Path, server: Any, bucket: str) -> None:
    (tmp_path / "doctored.py").write_text(GATE)
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    done = subprocess.run(
        [sys.executable, "-m", "mediagate.cli", "doctor", "doctored:gate"],
        env={"PATH": "/usr/bin:/bin", "BUCKET": bucket, "ENDPOINT": server.url, **keys},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("storage", "bucket", "clock", "rights", "exposure", "lifecycle"):
        assert f"ok    {part}" in done.stdout
    assert server.secret_key not in done.stdout + done.stderr


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"])
async def test_doctor_does_not_blame_cors_while_the_server_is_unavailable(answer: bytes | None) -> None:
    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer or b"")
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as away:
        url = f"http://127.0.0.1:{away.sockets[0].getsockname()[1]}"
        options = Options(
            bucket="media", endpoint_url=url, access_key_id="a", secret_access_key="s", upload_origins=(PAGE,)
        )
        async with open_storage(options) as storage:
            told = await problem_with("cors", storage)
    assert told == f"unknown: {url}/media/staging/preflight answers {503 if answer else 'nothing'}"
