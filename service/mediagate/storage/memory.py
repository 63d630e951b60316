"""Objects in this process's memory, for tests and experiments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import anyio

from mediagate.errors import ObjectChanged, ObjectNotFound
from mediagate.storage.key_syntax import check_key, check_prefix
from mediagate.storage.protocol import ObjectInfo, PresignedGet, PresignedPut

CHUNK = 32 * 1024


class MemoryStorage:
    """A storage in memory. It keeps every promise of the protocol but durability: its objects end with the process."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}
        self._versions = count(1)

    async def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes or a file's content under a key."""
        check_key(key)
        self._store(key, await anyio.Path(body).read_bytes() if isinstance(body, Path) else bytes(body))

    async def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ``ObjectNotFound``."""
        try:
            return self._objects[check_key(key)][0]
        except KeyError:
            raise ObjectNotFound(f"object {key} not found") from None

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over ``length`` bytes from ``start``; raises ``ObjectNotFound`` on the first step."""
        data = await self.get(key)
        end = len(data) if length is None else min(len(data), start + length)
        for position in range(start, end, CHUNK):
            yield data[position : min(position + CHUNK, end)]

    async def stat(self, key: str) -> ObjectInfo | None:
        """Return size and age of an object, ``None`` if there is none."""
        held = self._objects.get(check_key(key))
        return held[1] if held else None

    async def copy(self, source: ObjectInfo, key: str) -> None:
        """Copy an object to another key; raises ``ObjectChanged`` or ``ObjectNotFound``."""
        check_key(key)
        held = self._objects.get(check_key(source.key))
        if held is None:
            raise ObjectNotFound(f"object {source.key} not found")
        if held[1].version != source.version:
            raise ObjectChanged(f"{source.key}: the object has been replaced meanwhile")
        self._store(key, held[0])

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; missing ones are not an error."""
        for key in [check_key(key) for key in keys]:
            self._objects.pop(key, None)

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Iterate over all objects below a prefix, which ends with ``/``."""
        check_prefix(prefix)
        for key, (_, info) in tuple(self._objects.items()):
            if key.startswith(prefix):
                yield info

    def url(self, key: str) -> str | None:
        """Return ``None``: the gate itself serves these objects."""
        check_key(key)
        return None

    def presign_get(self, key: str, *, signed_at: datetime, expires_s: int) -> PresignedGet | None:
        """Return ``None``: the gate itself serves these objects."""
        check_key(key)
        return None

    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        """Return ``None``: the gate itself receives uploads."""
        check_key(key)
        return None

    async def check(self) -> str:
        """Return one line for ``mediagate doctor``."""
        size = sum(len(data) for data, _ in self._objects.values())
        return f"in memory: {len(self._objects)} objects, {size:,} bytes, all lost when the process ends"

    def _store(self, key: str, data: bytes) -> None:
        self._objects[key] = data, ObjectInfo(key, len(data), datetime.now(UTC), str(next(self._versions)))
