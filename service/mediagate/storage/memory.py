"""Objects in this process's memory: for tests, and for trying things out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path

import anyio

from mediagate.errors import ObjectNotFound
from mediagate.storage.keys import check_key, check_prefix
from mediagate.storage.protocol import ObjectInfo, PresignedGet, PresignedPut

CHUNK = 256 * 1024


class MemoryStorage:
    """A storage that keeps every promise but one: it forgets everything when the process ends."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, datetime]] = {}

    async def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes or a file's content under a key."""
        check_key(key)
        data = await anyio.Path(body).read_bytes() if isinstance(body, Path) else bytes(body)
        self._objects[key] = data, datetime.now(UTC)

    async def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ``ObjectNotFound``."""
        try:
            return self._objects[check_key(key)][0]
        except KeyError:
            raise ObjectNotFound(f"there is no object {key}") from None

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over ``length`` bytes from ``start``; raises ``ObjectNotFound`` on the first step."""
        data = await self.get(key)
        end = len(data) if length is None else min(len(data), start + length)
        for position in range(start, end, CHUNK):
            yield data[position : min(position + CHUNK, end)]

    async def stat(self, key: str) -> ObjectInfo | None:
        """Return size and age of an object, ``None`` if there is none."""
        held = self._objects.get(check_key(key))
        return ObjectInfo(key, len(held[0]), held[1]) if held else None

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for key in [check_key(key) for key in keys]:
            self._objects.pop(key, None)

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Iterate over all objects below a prefix, which ends with ``/``."""
        check_prefix(prefix)
        for key, (data, modified) in tuple(self._objects.items()):
            if key.startswith(prefix):
                yield ObjectInfo(key, len(data), modified)

    def url(self, key: str) -> str | None:
        """Return ``None``: the gate itself serves what is in memory."""
        check_key(key)
        return None

    def presign_get(self, key: str, *, signed_at: datetime, expires_s: int) -> PresignedGet | None:
        """Return ``None``: the gate itself serves what is in memory."""
        check_key(key)
        return None

    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        """Return ``None``: the gate itself takes what is to be stored."""
        check_key(key)
        return None

    async def check(self) -> str:
        """Return one line for ``mediagate doctor``."""
        size = sum(len(data) for data, _ in self._objects.values())
        return f"in memory: {len(self._objects)} objects, {size:,} bytes, all lost when the process ends"
