"""The bytes of one object, held while they are copied, and their checksums."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from mediagate.errors import ObjectChanged
from mediagate.storage import ObjectInfo, Storage, streaming

IN_MEMORY = 1024 * 1024
"""Up to this many bytes an object is held in memory, a larger one in a temporary file."""
OPEN_FILES = Path("/dev/fd")


class Checksums:
    """The checksums of bytes that are added piece by piece."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)  # the ETag of most objects in S3
        self._sha256 = hashlib.sha256()
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Add a piece."""
        self._md5.update(piece)
        self._sha256.update(piece)
        self.size += len(piece)

    @property
    def md5(self) -> str:
        """The MD5 in hex."""
        return self._md5.hexdigest()

    @property
    def sha256(self) -> str:
        """The SHA-256 in hex."""
        return self._sha256.hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an object, or a temporary file with them."""

    body: bytes | Path
    checksums: Checksums


@asynccontextmanager
async def content_of(storage: Storage, info: ObjectInfo) -> AsyncIterator[Content]:
    """Provide the bytes of an object to the block.

    Raises ``ObjectNotFound``, and ``ObjectChanged`` when its size is not that of ``info``.
    """
    checksums = Checksums()
    if info.size <= IN_MEMORY:
        body = await storage.get(info.key)
        checksums.add(body)
        yield _checked(Content(body, checksums), info)
        return
    # It has no name, so that a killed process leaves none, and is opened by its descriptor.
    with TemporaryFile() as file:
        async with streaming(storage.stream(info.key)) as pieces:
            async for piece in pieces:
                checksums.add(piece)
                file.write(piece)
        file.flush()
        file.seek(0)
        yield _checked(Content(OPEN_FILES / str(file.fileno()), checksums), info)


async def checksums_of(storage: Storage, key: str) -> Checksums:
    """Read an object and return its checksums; raises ``ObjectNotFound``."""
    checksums = Checksums()
    async with streaming(storage.stream(key)) as pieces:
        async for piece in pieces:
            checksums.add(piece)
    return checksums


def _checked(content: Content, info: ObjectInfo) -> Content:
    if content.checksums.size != info.size:
        raise ObjectChanged(
            f"{info.key}: {content.checksums.size:,} bytes were read of an object of {info.size:,}; if it was "
            "replaced meanwhile, run the command again"
        )
    return content
