"""Filesystem storage beyond the protocol: confined to its root, atomic writes, no leftover files."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediagate.errors import ConfigError, ObjectNotFound, StorageUnavailable
from mediagate.storage import FilesystemStorage
from tests.support.full_disk import largest_file

pytestmark = pytest.mark.anyio

KEY = "media/avatar/user-1/med_1/sm.webp"


def files_in(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir())


def directories_in(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_dir())


async def test_object_is_a_file_under_its_key(tmp_path: Path, photo: bytes) -> None:
    storage = FilesystemStorage(tmp_path / "not" / "there" / "yet")
    await storage.put(KEY, photo)
    assert (tmp_path / "not" / "there" / "yet" / KEY).read_bytes() == photo
    assert files_in(tmp_path / "not" / "there" / "yet") == [KEY]
    assert storage.url(KEY) is None


async def test_url_is_public_url_and_key_of_published_files(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path, public_url="https://cdn.example.com/m/")
    assert storage.url(KEY) == f"https://cdn.example.com/m/{KEY}"
    assert storage.url("originals/avatar/u/m/original.jpg") is not None
    assert storage.url("staging/job_1") is None
    assert storage.url("mediagate/x") is None


@pytest.mark.parametrize(
    ("public_url", "published"),
    [(None, 0o600), ("https://cdn.example.com", 0o644)],
    ids=["without public_url", "with public_url"],
)
async def test_published_files_are_world_readable_only_with_public_url(
    tmp_path: Path, public_url: str | None, published: int
) -> None:
    old = os.umask(0o022)
    try:
        storage = FilesystemStorage(tmp_path / "files", public_url=public_url)
        await storage.put(KEY, b"x")
        await storage.put("staging/job_1", b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "files" / KEY).stat().st_mode & 0o777 == published
    assert (tmp_path / "files" / "staging" / "job_1").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "files" / "staging").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "files" / "media").stat().st_mode & 0o777 == (0o755 if public_url else 0o700)


async def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    storage = FilesystemStorage(root)
    await storage.put("media/real", b"x")
    (root / "media" / "folder").symlink_to(outside)
    (root / "media" / "file").symlink_to(outside / "secret")
    for key in ("media/folder/secret", "media/file"):
        assert await storage.stat(key) is None
        with pytest.raises(ObjectNotFound):
            await storage.get(key)
        with pytest.raises(ObjectNotFound):
            await anext(storage.stream(key))
    assert [info.key async for info in storage.list("media/")] == ["media/real"]
    assert [info async for info in storage.list("media/folder/")] == []
    with pytest.raises(StorageUnavailable):
        await storage.put("media/folder/new", b"x")
    await storage.delete(["media/folder/secret"])
    assert files_in(outside) == ["secret"]
    await storage.put("media/file", b"replaced, not written through")
    assert (outside / "secret").read_bytes() == b"secret"
    assert await storage.get("media/file") == b"replaced, not written through"


async def test_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    storage = FilesystemStorage(tmp_path / "root")
    await storage.put(KEY, b"x")
    assert files_in(tmp_path / "disk") == [KEY]


async def test_pipes_and_files_with_invalid_names_are_not_objects(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    await storage.put("media/real", b"x")
    os.mkfifo(tmp_path / "media" / "pipe")
    assert await storage.stat("media/pipe") is None
    with pytest.raises(ObjectNotFound):
        await storage.get("media/pipe")
    (tmp_path / "media" / "not a key").write_bytes(b"x")
    (tmp_path / "media" / ".hidden").write_bytes(b"x")
    assert [info.key async for info in storage.list("media/")] == ["media/real"]


async def test_failed_put_leaves_the_previous_object(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path / "root")
    await storage.put(KEY, b"before")
    local = tmp_path / "local"
    local.write_bytes(b"x" * 3_000_000)
    for body in (b"x" * 3_000_000, local):
        with largest_file(1_000_000), pytest.raises(StorageUnavailable, match=KEY) as caught:
            await storage.put(KEY, body)
        assert caught.value.status == 503 and caught.value.retryable
        with largest_file(1_000_000), pytest.raises(StorageUnavailable):
            await storage.put("media/new/object", body)
    assert await storage.get(KEY) == b"before"
    assert files_in(tmp_path / "root") == [KEY]
    assert not (tmp_path / "root" / "media" / "new").exists()


async def test_put_of_missing_local_file_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await FilesystemStorage(tmp_path).put(KEY, tmp_path / "missing")


async def test_copy_is_a_separate_file_with_a_new_mtime(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path, public_url="https://cdn.example.com")
    await storage.put("staging/upl_1", b"arrived")
    os.utime(tmp_path / "staging" / "upl_1", (0, 0))
    seen = await storage.stat("staging/upl_1")
    assert seen is not None
    for key, mode in (("staging/job_1", 0o600), (KEY, 0o644)):
        await storage.copy(seen, key)
        copied = (tmp_path / key).stat()
        assert (copied.st_mode & 0o777, copied.st_nlink) == (mode, 1)
        assert time.time() - copied.st_mtime < 3600, "an old file without a record counts as an orphan"
    assert sorted(files_in(tmp_path)) == sorted([KEY, "staging/job_1", "staging/upl_1"])


async def test_failed_copy_leaves_the_previous_object(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    await storage.put("staging/upl_1", b"x" * 3_000_000)
    await storage.put("staging/job_1", b"before")
    seen = await storage.stat("staging/upl_1")
    assert seen is not None
    with largest_file(1_000_000), pytest.raises(StorageUnavailable):
        await storage.copy(seen, "staging/job_1")
    assert await storage.get("staging/job_1") == b"before"
    assert files_in(tmp_path) == ["staging/job_1", "staging/upl_1"]


async def test_put_under_or_above_an_existing_object_is_refused(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    await storage.put("media/a", b"x")
    with pytest.raises(StorageUnavailable, match="media/a/b"):
        await storage.put("media/a/b", b"x")
    await storage.put("media/c/d", b"x")
    with pytest.raises(StorageUnavailable, match="media/c"):
        await storage.put("media/c", b"x")
    assert {info.key async for info in storage.list("media/")} == {"media/a", "media/c/d"}
    assert files_in(tmp_path) == ["media/a", "media/c/d"]


async def test_delete_removes_empty_directories(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path)
    await storage.put(KEY, b"x")
    await storage.put("media/avatar/user-2/med_2/sm.webp", b"x")
    await storage.delete([KEY])
    assert not (tmp_path / "media/avatar/user-1").exists()
    assert (tmp_path / "media/avatar/user-2/med_2").is_dir()
    await storage.delete(["media/avatar/user-2/med_2/sm.webp"])
    assert directories_in(tmp_path) == [".tmp"]


KILLED = """
import asyncio, os, sys
from pathlib import Path
from mediagate.storage import FilesystemStorage

os.mkfifo(sys.argv[2])
storage = FilesystemStorage(Path(sys.argv[1]))
asyncio.run(storage.put("media/killed", Path(sys.argv[2])))
"""


def killed_while_writing(root: Path, pipe: Path) -> None:
    """Kill a process in the middle of a write from a pipe that stays open."""
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(root), str(pipe)])
    try:
        while not pipe.exists():
            time.sleep(0.01)
        with pipe.open("wb", buffering=0) as feed:
            feed.write(b"x" * 10_000)
            while not files_in(root):
                time.sleep(0.01)
            writer.kill()
            writer.wait(10)
    finally:
        writer.kill()
        writer.wait(10)


async def test_killed_put_leaves_no_object_and_its_temporary_file_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    killed_while_writing(root, tmp_path / "pipe")
    [leftover] = files_in(root)
    assert leftover.startswith(".tmp/")
    storage = FilesystemStorage(root)
    assert await storage.stat("media/killed") is None
    assert files_in(root) == [leftover], "it might be another process's write in progress"
    os.utime(root / leftover, (0, time.time() - 7200))
    FilesystemStorage(root)
    assert files_in(root) == []


async def test_unusable_root_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="name a writable directory"):
        FilesystemStorage(tmp_path / "file")
    with pytest.raises(ConfigError):
        FilesystemStorage(tmp_path / "file" / "below")


async def test_missing_root_is_an_outage_rather_than_an_empty_storage(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path / "root")
    (tmp_path / "root" / ".tmp").rmdir()
    (tmp_path / "root").rmdir()
    for attempt in (storage.get(KEY), storage.stat(KEY), storage.put(KEY, b"x"), storage.delete([KEY])):
        with pytest.raises(StorageUnavailable, match="storage root"):
            await attempt
    with pytest.raises(StorageUnavailable):
        await storage.check()


async def test_check_reports_path_and_free_space(tmp_path: Path) -> None:
    told = await FilesystemStorage(tmp_path).check()
    assert str(tmp_path) in told and "GB free" in told
    assert files_in(tmp_path) == []


def until_begun(folder: Path) -> None:
    """Wait until there is a half-written file."""
    while not (folder.is_dir() and list(folder.iterdir())):
        time.sleep(0.01)


async def test_cancelled_put_returns_after_its_write_has_ended(tmp_path: Path) -> None:
    storage, body, key = FilesystemStorage(tmp_path / "files"), tmp_path / "pipe", "media/a/b/c/xs.webp"
    os.mkfifo(body)
    put = asyncio.create_task(storage.put(key, body))
    pipe = await asyncio.to_thread(os.open, body, os.O_WRONLY)
    try:
        os.write(pipe, b"begun")
        await asyncio.to_thread(until_begun, tmp_path / "files" / ".tmp")
        put.cancel()
        ended, _ = await asyncio.wait([put], timeout=0.3)
        assert not ended, "the write is still in progress"
    finally:
        os.close(pipe)
    with pytest.raises(asyncio.CancelledError):
        await put
    assert await storage.stat(key) is not None, "a delete after the cancelled put finds the object"
