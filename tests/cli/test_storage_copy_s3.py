"""``mediagate storage copy`` to, from and between buckets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.copies import KEYS, MARK, content, copied, in_bucket, refused, write
from tests.support.s3_server import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_own_folder")]


def test_copy_says_that_a_bucket_does_not_exist(old: Path, s3_server: S3Server) -> None:
    said = refused(old, "s3://no-such-bucket-here", **in_bucket(s3_server))
    assert "bucket not found; create it" in said


def test_copy_to_a_bucket_and_back_keeps_bytes_and_sets_headers(
    old: Path, new: Path, s3_server: S3Server, s3: Any, bucket: str
) -> None:
    env, address = in_bucket(s3_server), f"s3://{bucket}/some/prefix"
    copied(old, address, "--gate", "private_gate:gate", **env)
    heads = {key: s3.head_object(Bucket=bucket, Key=f"some/prefix/{key}") for key in KEYS}
    assert [(heads[key]["ContentType"], heads[key]["CacheControl"]) for key in KEYS] == [
        ("application/octet-stream", "no-store"),
        ("image/webp", "public, max-age=31536000, immutable"),
        ("image/webp", "private, max-age=3600"),
        ("image/jpeg", "public, max-age=31536000, immutable"),
    ]
    assert copied(old, address, "--verify", **env) == [
        "copied 0 files (0 bytes); 4 were there already",
        "verified: the destination has all 4 files (4.0 kB) of the source, byte for byte",
    ]
    copied(address, new, **env)
    assert content(new) == content(old)


def test_copy_treats_files_of_unknown_sources_as_private(
    old: Path, s3_server: S3Server, s3: Any, bucket: str, tmp_path: Path
) -> None:
    copied(old, f"s3://{bucket}", "--gate", "plain_gate:gate", **in_bucket(s3_server))
    assert s3.head_object(Bucket=bucket, Key=KEYS[2])["CacheControl"] == "private, max-age=3600"
    public = {"MEDIAGATE_PUBLIC_URL": "https://cdn.example.com"}
    copied(old, tmp_path / "served", "--gate", "plain_gate:gate", **public)
    modes = {key: (tmp_path / "served" / key).stat().st_mode & 0o777 for key in KEYS}
    assert modes == {KEYS[0]: 0o600, KEYS[1]: 0o644, KEYS[2]: 0o600, KEYS[3]: 0o644}


def test_verify_reads_objects_whose_etag_is_not_their_md5(old: Path, s3_server: S3Server, s3: Any, bucket: str) -> None:
    key = "originals/avatar/u1/med_1/large.png"
    body = os.urandom(9_000_000)
    write(old, key, body)
    env = in_bucket(s3_server)
    assert copied(old, f"s3://{bucket}", "--verify", **env)[1].startswith("verified: ")
    assert "-" in s3.head_object(Bucket=bucket, Key=key)["ETag"]
    assert copied(old, f"s3://{bucket}", "--verify", **env)[0].startswith("copied 0 files ")
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(9_000_000))
    assert copied(old, f"s3://{bucket}", "--verify", **env)[0].startswith("copied 1 file ")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body


def test_copy_between_gates_uses_all_options_of_their_storages(
    old: Path, s3_server: S3Server, s3: Any, make_bucket: Any, tmp_path: Path
) -> None:
    first, second, staging = make_bucket(), make_bucket(), make_bucket()
    (tmp_path / "gates.py").write_text(
        "from mediagate import MediaGate, Source\n"
        "from mediagate_plugins.s3_storage import s3_storage\n"
        "def made(**options):\n"
        "    gate = MediaGate(sources={'avatar': Source(), 'document': Source()}, moderation='off')\n"
        "    gate.register(s3_storage, **options)\n"
        "    return gate\n"
        f"one = made(bucket={first!r})\n"
        f"two = made(bucket={second!r}, prefix='p', staging_bucket={staging!r}, staging_prefix='')\n"
    )
    env = in_bucket(s3_server)
    (old / MARK).unlink()
    copied(old, f"s3://{first}", **env)
    lines = copied("gates:one", "gates:two", **env)
    assert lines[0] == "copied 4 files (4.0 kB); 0 were there already"
    found = {
        name: {item["Key"] for item in s3.list_objects_v2(Bucket=name).get("Contents", ())}
        for name in (second, staging)
    }
    assert found == {second: {f"p/{key}" for key in KEYS[1:]}, staging: {KEYS[0]}}
