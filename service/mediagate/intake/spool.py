"""The spool: private local files of uploads that are being received, removed as soon as they are processed."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import os
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol

from anyio import CancelScope, to_thread

from mediagate.errors import BadUpload, StorageUnavailable
from mediagate.intake.file_head import FileHead
from mediagate.intake.size_limit import check_size

log = logging.getLogger("mediagate.uploads")

BATCH = 1024 * 1024
"""Bytes hashed and written at once, in a thread: larger batches amortize the cost of switching threads."""
PIECE_COST = 64
"""Memory overhead of a piece in bytes, counted so that many tiny pieces do not add up unnoticed."""
MANY_PIECES = 64
"""From this number on, pieces are joined before they are hashed and written, because each costs a call."""
HEAP_KEPT = 4 * 1024 * 1024
PROBE_BYTES = 64 * 1024
"""Large enough to occupy blocks on any file system."""
PREFIX = "upload-"
EMPTY = "the file is empty; send a picture"


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A complete file in the spool; ``bytes`` is its size, ``sha256`` the hash of its content in hex."""

    path: Path
    bytes: int
    sha256: str


class SpoolFile:
    """A file being written: ``add`` bytes, ``flush`` after each chunk, ``finish``.

    One batch is hashed and written while the next is received, so memory holds two batches of ``BATCH`` bytes and the
    last piece.
    """

    def __init__(self, spool_dir: Path) -> None:
        self.bytes = 0
        """Number of bytes added."""
        self._path = spool_dir / f"{PREFIX}{secrets.token_hex(16)}"
        self._pending: list[bytes | bytearray] = []
        self._pending_cost = 0
        self._writing: asyncio.Future[None] | None = None
        self._failure: OSError | None = None
        self._hash = hashlib.sha256()
        self._descriptor: int | None = None
        self._discarded = False
        # A cancelled task continues while its thread still writes: the file must not be closed or removed meanwhile.
        self._lock = threading.Lock()

    def add(self, data: bytes | bytearray) -> None:
        """Add bytes, which the caller must not change any more, to the batch that the next ``flush`` writes."""
        self._pending.append(data)
        self._pending_cost += len(data) + PIECE_COST
        self.bytes += len(data)

    async def flush(self) -> None:
        """Start writing the batch if it is full, after the previous one; raises ``StorageUnavailable``.

        A failed write may be reported by a later call.
        """
        if self._pending_cost >= BATCH:
            await self._write_batch()

    async def finish(self) -> SpooledFile:
        """Write the rest and return the complete file; raises ``StorageUnavailable``."""
        await self._write_batch()
        await self._written()
        return SpooledFile(self._path, self.bytes, self._hash.hexdigest())

    async def discard(self) -> None:
        """Remove the file in whatever state it is."""
        # Shielded twice: from anyio's scopes and from a plain cancel, which would revoke the call before it started.
        removing = asyncio.get_running_loop().run_in_executor(None, self._remove)
        with CancelScope(shield=True):
            await asyncio.shield(removing)

    async def _write_batch(self) -> None:
        await self._written()
        batch, self._pending, self._pending_cost = self._pending, [], 0
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, batch)

    async def _written(self) -> None:
        if self._writing is not None:
            await self._writing
            self._writing = None
        if self._failure is not None:
            log.error("could not write to the spool %s: %s", self._path.parent, self._failure)
            reason = f"could not write the upload to disk ({self._failure.strerror}); try again later"
            raise StorageUnavailable(reason) from self._failure

    def _write(self, batch: list[bytes | bytearray]) -> None:
        with self._lock:
            if self._discarded:
                return
            try:
                if self._descriptor is None:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                    self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._descriptor = os.open(self._path, flags, 0o600)
                for piece in batch if len(batch) < MANY_PIECES else [b"".join(batch)]:
                    self._hash.update(piece)
                    left = memoryview(piece)
                    while left:
                        left = left[os.write(self._descriptor, left) :]
            except OSError as exc:
                self._failure = exc  # stored, not raised: this batch may have no waiter

    def _remove(self) -> None:
        with self._lock:
            self._discarded = True
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
                with suppress(FileNotFoundError):
                    self._path.unlink()


@cache
def _keep_heap() -> None:
    """Make glibc keep the memory of one batch for the next, up to 8 MiB per process.

    glibc returns memory to the system when twice the size of the largest block freed so far is idle (``mallopt(3)``),
    by default 128 KiB. Getting it back, page by page, would be a tenth of the cost of an upload.
    """
    bytes(HEAP_KEPT)


@asynccontextmanager
async def spool_file(spool_dir: Path) -> AsyncIterator[SpoolFile]:
    """Open a spool file (mode 0600) that is removed at the end of the block."""
    _keep_heap()
    file = SpoolFile(spool_dir)
    try:
        yield file
    finally:
        await file.discard()


@asynccontextmanager
async def spool_files(spool_dir: Path) -> AsyncIterator[Callable[[], SpoolFile]]:
    """Yield a function that opens a spool file; all of them are removed at the end of the block."""
    _keep_heap()
    async with AsyncExitStack() as stack:

        def begin() -> SpoolFile:
            file = SpoolFile(spool_dir)
            stack.push_async_callback(file.discard)
            return file

        yield begin


class AsyncFile(Protocol):
    """A file that is read asynchronously, such as Starlette's ``UploadFile``, whose ``filename`` is used too."""

    async def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""


Readable = bytes | Path | BinaryIO | AsyncFile | AsyncIterator[bytes]
"""The types of sources that a picture can be read from."""


async def probe_spool(spool_dir: Path) -> None:
    """Write a small file to the spool and remove it; raises ``StorageUnavailable`` if that fails."""
    async with spool_file(spool_dir) as file:
        file.add(bytes(PROBE_BYTES))
        await file.finish()


@asynccontextmanager
async def receive_source(
    source: Readable, spool_dir: Path, *, max_bytes: int, check_head: Callable[[bytes], None]
) -> AsyncIterator[SpooledFile]:
    """Copy bytes, a file or a stream into the spool for the length of a block.

    The caller closes the source. ``check_head`` is called with the first bytes as soon as they are read and may refuse
    the file by raising; the rest is then not read.

    Raises ``UploadTooLarge`` after more than ``max_bytes``, ``BadUpload`` for an empty source, ``StorageUnavailable``
    when the disk is full, and the errors of reading the source.
    """
    head = FileHead(check_head)
    async with spool_file(spool_dir) as file, aclosing(_pieces(source)) as pieces:
        async for piece in pieces:
            head.add(piece)
            file.add(piece)
            check_size(file.bytes, max_bytes, "the limit of its source")
            await file.flush()
        if not file.bytes:
            raise BadUpload(EMPTY)
        yield await file.finish()


async def _pieces(source: Readable) -> AsyncGenerator[bytes]:
    if isinstance(source, bytes | bytearray | memoryview):
        yield bytes(source)
    elif isinstance(source, Path):
        with await to_thread.run_sync(source.open, "rb") as opened:
            async for piece in _pieces(opened):
                yield piece
    elif isinstance(source, AsyncIterator):
        async for piece in source:
            yield _checked(piece)
    elif callable(getattr(source, "read", None)):
        while piece := _checked(await _read(source)):
            yield piece
    else:
        raise TypeError(
            f"cannot read an upload from {type(source).__name__}: pass bytes, a pathlib.Path, a file opened in binary "
            "mode, an UploadFile or an asynchronous iterator of bytes"
        )


async def _read(file: BinaryIO | AsyncFile) -> object:
    piece = await to_thread.run_sync(file.read, BATCH)
    return await piece if inspect.isawaitable(piece) else piece


def _checked(piece: object) -> bytes:
    if not isinstance(piece, bytes):
        raise TypeError(f"an upload must yield bytes, not {type(piece).__name__}: open the file in binary mode")
    return piece


def sweep_spool(spool_dir: Path, *, older_than_s: float) -> int:
    """Remove files of killed processes, unwritten for ``older_than_s``, from the spool; return their number."""
    removed = 0
    with suppress(FileNotFoundError), os.scandir(spool_dir) as entries:
        # By the clock of the file system, which may differ from this process's: touching the folder reads it.
        os.utime(spool_dir)
        now = spool_dir.stat().st_mtime
        for entry in entries:
            with suppress(FileNotFoundError):
                if not entry.name.startswith(PREFIX) or not entry.is_file(follow_symlinks=False):
                    continue
                if entry.stat(follow_symlinks=False).st_mtime < now - older_than_s:
                    Path(entry.path).unlink()
                    removed += 1
    return removed
