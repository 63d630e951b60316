"""``mediagate storage copy`` between folders, buckets and gates: what it copies, prints, and refuses."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import mediagate, output_of
from tests.support.s3_server import S3Server
from tests.support.server import PYTHONPATH

KEYS = [
    "staging/job_1",
    "media/avatar/u1/med_1/sm.webp",
    "media/document/u1/med_2/sm.webp",
    "originals/avatar/u1/med_1/original.jpg",
]
MARK = "mediagate/database.json"
WITHIN_SKEW_S, BEYOND_SKEW_S = 60, 3600


def write(root: Path, key: str, body: bytes, *, age_s: float = BEYOND_SKEW_S) -> Path:
    """Write a file that is so many seconds old."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    now = path.stat().st_mtime
    os.utime(path, (now - age_s, now - age_s))
    return path


def mark(root: Path, database: str = "db_1", generation: int = 3) -> None:
    write(root, MARK, json.dumps({"database": database, "generation": generation}).encode())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run in a folder of their own, from which they load gates."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with some files of a gate and their mark."""
    for number, key in enumerate(KEYS):
        write(tmp_path / "old", key, bytes([number]) * 1000)
    mark(tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new"


def copy(old: object, new: object, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    return mediagate("storage", "copy", "--from", str(old), "--to", str(new), *options, data_dir=Path("data"), **env)


def copied(old: object, new: object, *options: str, **env: str) -> list[str]:
    """Copy, which succeeds, and return the lines of the output."""
    done = copy(old, new, *options, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def refused(old: object, new: object, *options: str, **env: str) -> str:
    """Copy, which is refused without a traceback, and return the message."""
    done = copy(old, new, *options, **env)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("mediagate: "), done.stderr
    return done.stderr


def content(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".tmp" not in path.parts
    }


def in_bucket(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }


def test_copy_between_folders_is_complete_and_repeatable(old: Path, new: Path) -> None:
    assert copied(old, new) == [
        "copied 4 files (4.0 kB); 0 were there already",
        "complete: the destination has all 4 files (4.0 kB) of the source; --verify compares their bytes",
    ]
    assert content(new) == content(old)
    assert copied(f"file://{old}", f"file://{new}")[0] == "copied 0 files (0 bytes); 4 were there already"
    assert sorted(path.name for path in old.iterdir()) == ["media", "mediagate", "originals", "staging"]


def test_copy_copies_what_is_missing_differs_or_may_have_been_replaced(old: Path, new: Path) -> None:
    copied(old, new)
    write(old, "media/avatar/u1/med_3/sm.webp", b"new")
    write(old, KEYS[1], b"of another size")
    write(old, KEYS[0], b"\xff" * 1000, age_s=WITHIN_SKEW_S)
    write(old, KEYS[2], b"\xff" * 1000)  # an old file, whose copy is newer
    assert copied(old, new)[0].startswith("copied 3 files ")
    assert content(new) | {KEYS[2]: b"\xff" * 1000} == content(old)


def test_verify_finds_and_mends_a_file_with_other_bytes(old: Path, new: Path) -> None:
    copied(old, new)
    (new / KEYS[2]).write_bytes(b"\xff" * 1000)
    listed = copied(old, new, "--verify", "--dry-run")
    assert listed == [f"would copy {KEYS[2]}", "would copy 1 file (1.0 kB); 3 were there already"]
    assert copied(old, new, "--verify") == [
        "copied 1 file (1.0 kB); 3 were there already",
        "verified: the destination has all 4 files (4.0 kB) of the source, byte for byte",
    ]
    assert content(new) == content(old)


def test_dry_run_lists_and_changes_nothing(old: Path, new: Path) -> None:
    copied(old, new)
    shutil.rmtree(new / "media")
    write(new, "media/avatar/u1/med_9/sm.webp", b"gone at the source")
    before = content(new)
    lines = copied(old, new, "--dry-run", "--delete")
    assert set(lines[:3]) == {
        f"would copy {KEYS[1]}",
        f"would copy {KEYS[2]}",
        "would delete media/avatar/u1/med_9/sm.webp",
    }
    assert lines[3:] == ["would copy 2 files (2.0 kB); 2 were there already; would delete 1"]
    assert content(new) == before
    fresh = new.parent / "fresh"
    copied(old, fresh, "--dry-run")
    assert content(fresh) == {}


def test_failed_file_is_named_with_its_reason_and_the_rest_is_copied(old: Path, new: Path) -> None:
    (new / KEYS[1]).mkdir(parents=True)
    done = copy(old, new)
    assert done.returncode == 1
    assert f"failed {KEYS[1]}: storage_unavailable: storage, {KEYS[1]}: Is a directory" in done.stderr
    assert "incomplete: 1 failed; run the command again" in done.stderr
    assert done.stdout == "copied 3 files (3.0 kB); 0 were there already\n"
    (new / KEYS[1]).rmdir()
    assert copied(old, new)[0] == "copied 1 file (1.0 kB); 3 were there already"


def test_delete_removes_only_what_the_source_no_longer_has(old: Path, new: Path) -> None:
    copied(old, new, "--delete")
    (old / KEYS[0]).unlink()
    (old / KEYS[1]).unlink()
    assert copied(old, new)[1] == "the destination has 2 files that the source lacks; --delete removes them"
    assert copied(old, new, "--delete")[0] == "copied 0 files (0 bytes); 2 were there already; deleted 2"
    assert content(new) == content(old)


def test_delete_refuses_a_destination_without_a_mark(old: Path, new: Path) -> None:
    write(new, "media/avatar/u1/med_9/sm.webp", b"whose?")
    assert f"the destination has no {MARK}: run the command once without --delete" in refused(old, new, "--delete")
    assert (new / "media/avatar/u1/med_9/sm.webp").exists()


def test_delete_refuses_a_destination_that_a_gate_has_used_since(old: Path, new: Path) -> None:
    copied(old, new)
    mark(new, generation=4)
    write(new, "media/avatar/u1/med_9/sm.webp", b"uploaded since")
    assert "a gate has used the destination since" in refused(old, new, "--delete")
    done = copy(old, new)
    assert (done.returncode, "warning: a gate has used the destination since" in done.stderr) == (0, True)
    assert json.loads((new / MARK).read_text())["generation"] == 4


def test_delete_refuses_a_source_that_lost_most_of_its_files(old: Path, new: Path) -> None:
    for number in range(8):
        write(old, f"media/avatar/u1/med_9/{number}.webp", b"x")
    copied(old, new)
    shutil.rmtree(old / "media")
    assert "--delete would remove 10 of the 11 published files" in refused(old, new, "--delete")
    assert len(content(new)) == 13


def test_copy_refuses_a_destination_of_another_database(old: Path, new: Path) -> None:
    mark(new, database="db_2")
    assert "the files of another database (db_2; the source's is db_1)" in refused(old, new)
    (old / MARK).unlink()
    assert "mediagate adopt" in refused(old, new)
    assert list(content(new)) == [MARK]


def test_copy_refuses_an_unmarked_destination_with_unknown_files(old: Path, new: Path) -> None:
    for number in range(6):
        write(new, f"media/post/u1/med_9/{number}.webp", b"x")
    assert "6 published files, none of which the source has" in refused(old, new)
    assert len(content(new)) == 6
    write(new, KEYS[1], bytes([1]) * 1000)
    assert copied(old, new)[0].startswith("copied 3 files ")


def test_copy_marks_the_destination_before_the_first_file(old: Path, new: Path) -> None:
    for key in KEYS:
        (new / key).mkdir(parents=True)
    assert copy(old, new).returncode == 1
    assert json.loads((new / MARK).read_text()) == {"database": "db_1", "generation": 3}


def test_copy_refuses_the_same_place_by_any_name(old: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(old)
    assert "source and destination are the same place" in refused(old, tmp_path / "link")
    assert "source and destination are the same gate" in refused("plain_gate:gate", "plain_gate:gate")
    assert sorted(content(old)) == sorted([*KEYS, MARK])


def test_copy_names_a_missing_or_wrong_source(old: Path, new: Path, tmp_path: Path) -> None:
    assert f"storage root {tmp_path / 'nowhere'}: folder not found" in refused(tmp_path / "nowhere", new)
    assert "the source holds no files of a gate" in refused(tmp_path, new)
    assert "cannot load 'nowhere:gate'" in refused("nowhere:gate", new)
    assert "file:///srv/media/files" in refused("file://old", new)
    assert not (tmp_path / "nowhere").exists()


def test_copy_lists_the_schemes_when_one_is_unknown(old: Path) -> None:
    assert "unknown scheme 'gs': use one of file://, s3://, a folder, or a gate" in refused(old, "gs://media")


def test_copy_opens_the_scheme_of_a_package(old: Path, new: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "shelf-1.dist-info").mkdir(parents=True)
    (package / "shelf-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1\n")
    (package / "shelf-1.dist-info" / "entry_points.txt").write_text("[mediagate.storages]\nshelf = shelf:opened\n")
    (package / "shelf.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from pathlib import Path\n"
        "from mediagate.storage import FilesystemStorage\n"
        "@asynccontextmanager\n"
        "async def opened(address, sources):\n"
        "    assert sources['document'].visibility == 'private'\n"
        "    yield FilesystemStorage(Path(address.removeprefix('shelf:/')))\n"
    )
    path = f"{package}{os.pathsep}{PYTHONPATH}"
    copied(old, f"shelf:/{new}", "--gate", "private_gate:gate", PYTHONPATH=path)
    assert content(new) == content(old)


def test_copy_names_the_extra_of_a_bucket(old: Path, tmp_path: Path) -> None:
    (tmp_path / "without" / "boto3").mkdir(parents=True)
    (tmp_path / "without" / "boto3" / "__init__.py").write_text("raise ImportError('no boto3')\n")
    without = f"{tmp_path / 'without'}{os.pathsep}{PYTHONPATH}"
    assert 'pip install "mediagate[s3]"' in refused(old, "s3://media", PYTHONPATH=without)


def test_copy_prints_no_secret_of_an_address(old: Path) -> None:
    said = refused(old, "s3://AKIA:geheim@media/prefix")
    assert "AWS_SECRET_ACCESS_KEY" in said and "geheim" not in said
    assert "s3_storage.bucket: give the name of a bucket" in refused(old, "s3:///prefix")


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


def test_copy_shows_its_progress_on_a_terminal(old: Path, new: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mediagate.cli", "storage", "copy", "--from", old, "--to", new],
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(old.parent / "data")},
            stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=True,
        )  # fmt: skip
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "listing: " in shown and shown.endswith("\r\x1b[K")
    assert done.stdout.decode().startswith("copied 4 files ")
    assert "listing" not in copy(old, new).stderr


def test_storage_command_loads_no_plugin_and_describes_itself(tmp_path: Path) -> None:
    said = output_of("storage", "--help", data_dir=tmp_path)
    assert "copy" in said and "another storage" in said
    assert "--from" in output_of("storage", "copy", "--help", data_dir=tmp_path)
    done = mediagate("storage", "copy", "--help", data_dir=tmp_path, PYTHONVERBOSE="1")
    assert "mediagate_plugins.webhooks" not in done.stderr
