"""The spool: private local files that hold what is being received, for just as long as somebody looks at them."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
import os
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol

from anyio import CancelScope, to_thread

from mediagate.errors import BadUpload, StorageUnavailable, UploadTooLarge
from mediagate.intake.file_head import FileHead

log = logging.getLogger("mediagate.uploads")

BATCH = 1024 * 1024
"""Bytes that are hashed and written at once, in a thread: fewer, longer steps cost less than the way there."""
PIECE_COST = 64
"""Bytes that a piece takes in memory besides its content, so that many tiny ones do not add up unseen."""
MANY_PIECES = 64
"""So many are joined before they are hashed and written, since each costs a call of its own."""
HEAP_KEPT = 4 * 1024 * 1024
PROBE_BYTES = 64 * 1024
"""Enough to need blocks of its own on any file system."""
PREFIX = "upload-"
EMPTY = "the file is empty; send one that holds a picture"


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A file in the spool, complete; ``bytes`` is its size, ``sha256`` the hash of its content in hex."""

    path: Path
    bytes: int
    sha256: str


class SpoolFile:
    """A file being written: ``add`` bytes, ``flush`` now and then, ``finish``.

    One batch is hashed and written while the next one comes in, so that it holds two of them, of ``BATCH`` bytes, and
    the piece that was added last.
    """

    def __init__(self, spool_dir: Path) -> None:
        self.bytes = 0
        """How many were added."""
        self._path = spool_dir / f"{PREFIX}{secrets.token_hex(16)}"
        self._pending: list[bytes | bytearray] = []
        self._pending_cost = 0
        self._writing: asyncio.Future[None] | None = None
        self._failure: OSError | None = None
        self._hash = hashlib.sha256()
        self._descriptor: int | None = None
        self._discarded = False
        # A cancelled task goes on while its thread still writes: nothing may be closed or removed under it.
        self._lock = threading.Lock()

    def add(self, data: bytes | bytearray) -> None:
        """Take bytes, which nobody changes any more, into the batch; they are written by the next ``flush``."""
        self._pending.append(data)
        self._pending_cost += len(data) + PIECE_COST
        self.bytes += len(data)

    async def flush(self) -> None:
        """Begin to write the batch if it is full, after the one before; raises ``StorageUnavailable`` when the disk is.

        What cannot be written may come to be known by a later call.
        """
        if self._pending_cost >= BATCH:
            await self._write_batch()

    async def finish(self) -> SpooledFile:
        """Write what is left and say what the file is; raises ``StorageUnavailable``."""
        await self._write_batch()
        await self._written()
        return SpooledFile(self._path, self.bytes, self._hash.hexdigest())

    async def discard(self) -> None:
        """Remove the file, whatever has become of it."""
        # Shielded twice: from the scopes of anyio and from a plain cancel, which would take the call back unstarted.
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
            log.error("cannot write to the spool %s: %s", self._path.parent, self._failure)
            reason = f"the upload cannot be kept at the moment: {self._failure.strerror}"
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
                self._failure = exc  # and not raised: nobody may be waiting for this batch

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
    """Have the C library keep the memory of one batch for the next: up to 8 MiB of the process, and only with glibc.

    It gives memory back as soon as twice the size of the largest block that was freed so far is idle (``mallopt(3)``),
    by default 128 KiB. To be given it again, page by page, would be a tenth of what an upload costs.
    """
    bytes(HEAP_KEPT)


@asynccontextmanager
async def spool_file(spool_dir: Path) -> AsyncIterator[SpoolFile]:
    """Open a spool file (mode 0600) that is gone when the block ends."""
    _keep_heap()
    file = SpoolFile(spool_dir)
    try:
        yield file
    finally:
        await file.discard()


class AsyncFile(Protocol):
    """A file that is read asynchronously, such as Starlette's ``UploadFile``, whose ``filename`` is taken too."""

    async def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""


Readable = bytes | Path | BinaryIO | AsyncFile | AsyncIterator[bytes]
"""What a picture can be read from."""


async def probe_spool(spool_dir: Path) -> None:
    """Write a small file to the spool and remove it; raises ``StorageUnavailable`` when the disk takes none."""
    async with spool_file(spool_dir) as file:
        file.add(bytes(PROBE_BYTES))
        await file.finish()


@asynccontextmanager
async def receive_source(
    source: Readable, spool_dir: Path, *, max_bytes: int, check_head: Callable[[bytes], None]
) -> AsyncIterator[SpooledFile]:
    """Copy bytes, a file or a stream into the spool for the length of a block.

    The source stays as it is; whoever opened it closes it. ``check_head`` is given the first bytes as soon as they are
    read, and may refuse the file by raising; no more of it is read then.

    Raises ``UploadTooLarge`` as soon as there are more than ``max_bytes``, ``BadUpload`` when there are none,
    ``StorageUnavailable`` when the disk is full, and what reading the source raises.
    """
    head = FileHead(check_head)
    async with spool_file(spool_dir) as file, aclosing(_pieces(source)) as pieces:
        async for piece in pieces:
            head.add(piece)
            file.add(piece)
            if file.bytes > max_bytes:
                raise UploadTooLarge(
                    f"the file is larger than {max_bytes:,} bytes, the limit of its source; send a smaller one",
                    limit=max_bytes,
                )
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
            f"cannot read an upload from {type(source).__name__}: give bytes, a pathlib.Path, a file opened in binary "
            "mode, an UploadFile or an asynchronous iterator of bytes"
        )


async def _read(file: BinaryIO | AsyncFile) -> object:
    piece = await to_thread.run_sync(file.read, BATCH)
    return await piece if inspect.isawaitable(piece) else piece


def _checked(piece: object) -> bytes:
    if not isinstance(piece, bytes):
        raise TypeError(f"an upload is made of bytes, not {type(piece).__name__}: open the file in binary mode")
    return piece


def sweep_spool(spool_dir: Path, *, older_than_s: float) -> int:
    """Remove what killed processes left in the spool and nobody wrote to for so long; returns how many files."""
    removed = 0
    with suppress(FileNotFoundError), os.scandir(spool_dir) as entries:
        # By the clock that stamps the files, which need not be this process's: a touch tells what it says now.
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
