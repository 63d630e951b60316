"""A ZIP archive of stored objects, made while it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from mediagate.storage import Storage, streaming


async def zipped(storage: Storage, files: Sequence[tuple[str, str]], modified: datetime) -> AsyncGenerator[bytes]:
    """Yield a ZIP archive, uncompressed, of objects by key and name; all have one time.

    Holds one chunk of one object in memory. Raises ``ObjectNotFound`` and ``StorageUnavailable``.
    """
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for key, name in files:
            entry = ZipInfo(name, modified.astimezone(UTC).timetuple()[:6])
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w") as opened:
                async with streaming(storage.stream(key)) as chunks:
                    async for chunk in chunks:
                        opened.write(chunk)
                        yield sink.taken()
    yield sink.taken()


class _Sink:
    """Bytes that were written and not taken yet; without ``seek``, so that sizes follow the data of each entry."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        """Add bytes."""
        self._bytes += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: the bytes are taken by the reader."""

    def close(self) -> None:
        """Do nothing."""

    def taken(self) -> bytes:
        """Return the bytes and forget them."""
        taken, self._bytes = bytes(self._bytes), bytearray()
        return taken
