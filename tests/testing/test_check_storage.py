"""``check_storage`` passes on both storages of the core, and names the promise that a broken one breaks."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from mediagate.storage import (
    FilesystemStorage,
    MemoryStorage,
    ObjectInfo,
    PresignedGet,
    PresignedPut,
    Storage,
    check_key,
)
from mediagate.testing import check_storage

pytestmark = pytest.mark.anyio


async def test_filesystem_storage_keeps_every_promise(tmp_path: Path) -> None:
    await check_storage(FilesystemStorage(tmp_path / "files"))
    assert [p.name for p in (tmp_path / "files").rglob("*")] == [".tmp"]


async def test_filesystem_storage_with_public_url_keeps_every_promise(tmp_path: Path) -> None:
    await check_storage(FilesystemStorage(tmp_path, public_url="https://cdn.example.com/files/"))


async def test_memory_storage_keeps_every_promise() -> None:
    await check_storage(MemoryStorage())


def test_memory_and_filesystem_storage_implement_the_protocol() -> None:
    assert issubclass(FilesystemStorage, Storage)
    assert issubclass(MemoryStorage, Storage)


class ListsSiblings(MemoryStorage):
    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        check_key(prefix.removesuffix("/"))
        if not prefix.endswith("/"):
            raise ValueError(prefix)
        for key, (_, info) in tuple(self._objects.items()):
            if key.startswith(prefix.removesuffix("/")):
                yield info


class WritesInTwoSteps(MemoryStorage):
    async def put(self, key: str, body: bytes | Path) -> None:
        if isinstance(body, bytes) and len(body) > 1:
            await super().put(key, body[: len(body) // 2])
            await checkpoint()
        await super().put(key, body)


class TakesAnyKey(MemoryStorage):
    async def put(self, key: str, body: bytes | Path) -> None:
        if key != "media/.hidden":
            await super().put(key, body)


class MovesTheFile(MemoryStorage):
    async def put(self, key: str, body: bytes | Path) -> None:
        await super().put(key, body)
        if isinstance(body, Path):
            await anyio.Path(body).unlink()


class ForgetsTheLength(MemoryStorage):
    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for chunk in super().stream(key, start=start):
            yield chunk


class CopiesWhatIsThere(MemoryStorage):
    async def copy(self, source: ObjectInfo, key: str) -> None:
        check_key(source.key)
        await self.put(key, await self.get(source.key))


class Moves(MemoryStorage):
    async def copy(self, source: ObjectInfo, key: str) -> None:
        await super().copy(source, key)
        await self.delete([source.key])


class DeletesOnce(MemoryStorage):
    async def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            del self._objects[check_key(key)]


class PublishesAll(MemoryStorage):
    def url(self, key: str) -> str | None:
        return f"https://cdn.example.com/{check_key(key)}"


class SignsAnew(MemoryStorage):
    def presign_get(self, key: str, *, signed_at: datetime, expires_s: int) -> PresignedGet | None:
        expires_at = signed_at + timedelta(seconds=expires_s)
        return PresignedGet(f"https://cdn.example.com/{check_key(key)}?{secrets.token_hex(4)}", expires_at)


class SignsForLong(MemoryStorage):
    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        expires_at = datetime.now(UTC) + timedelta(days=1)
        return PresignedPut(f"https://cdn.example.com/{check_key(key)}", {}, expires_at)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (ListsSiblings, "below the prefix"),
        (WritesInTwoSteps, "half-written"),
        (TakesAnyKey, r"put\(\) of the key 'media/.hidden' must raise ValueError"),
        (MovesTheFile, "leave the local file"),
        (ForgetsTheLength, "just these bytes"),
        (CopiesWhatIsThere, "must raise ObjectChanged"),
        (Moves, "leave its source"),
        (DeletesOnce, "pass over what is not there"),
        (PublishesAll, "unpublished"),
        (SignsAnew, "the same URL"),
        (SignsForLong, "expires when it was told to"),
    ],
)
async def test_check_storage_names_the_broken_promise(broken: type[MemoryStorage], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        await check_storage(broken())
