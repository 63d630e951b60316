"""A storage that reports its calls to an observer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar, cast

from mediagate.errors import ObjectChanged, ObjectNotFound
from mediagate.observe import Observer, StorageCall
from mediagate.storage.protocol import ObjectInfo, Storage
from mediagate.storage.streams import streaming

T = TypeVar("T")


def observed(storage: Storage, observer: Observer) -> Storage:
    """Return the storage with its calls that move bytes observed; all others go to the storage directly."""
    return cast("Storage", _Observed(storage, observer))


def unobserved(storage: Storage) -> Storage:
    """Return the storage without its observer, for calls that belong to no upload."""
    return storage._storage if isinstance(storage, _Observed) else storage


class _Observed:
    def __init__(self, storage: Storage, observer: Observer) -> None:
        self._storage = storage
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def put(self, key: str, body: bytes | Path) -> None:
        await self._timed("put", self._storage.put(key, body))

    async def get(self, key: str) -> bytes:
        return await self._timed("get", self._storage.get(key))

    async def stat(self, key: str) -> ObjectInfo | None:
        return await self._timed("stat", self._storage.stat(key))

    async def copy(self, source: ObjectInfo, key: str) -> None:
        await self._timed("copy", self._storage.copy(source, key))

    async def delete(self, keys: Iterable[str]) -> None:
        await self._timed("delete", self._storage.delete(keys))

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._stepped("stream", self._storage.stream(key, start=start, length=length))

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        return self._stepped("list", self._storage.list(prefix))

    async def _timed(self, call: StorageCall, answer: Awaitable[T]) -> T:
        began = perf_counter()
        failed = False
        try:
            return await answer
        except (ObjectNotFound, ObjectChanged):
            raise
        except Exception:
            failed = True
            raise
        finally:
            self._observer.storage_called(call, perf_counter() - began, failed=failed)

    async def _stepped(self, call: StorageCall, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield the items; the observed time is the storage's, without that of the reader."""
        spent, failed = 0.0, False
        try:
            async with streaming(items):
                while True:
                    began = perf_counter()
                    try:
                        item = await anext(items)
                    finally:
                        spent += perf_counter() - began
                    yield item
        except StopAsyncIteration:
            pass
        except ObjectNotFound:
            raise
        except Exception:
            failed = True
            raise
        finally:
            self._observer.storage_called(call, spent, failed=failed)
