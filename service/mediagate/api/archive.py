"""A ZIP archive that is written as a stream and appears under its name when it is complete."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ParamSpec, Self, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from mediagate.errors import ExportFailed, InvalidParameter
from mediagate.storage import streaming

P = ParamSpec("P")
T = TypeVar("T")

COPY_CHUNK = 1024 * 1024


class Archive:
    """Writes a ZIP archive to a temporary file beside ``path``, and gives it that name when the block succeeds.

    ``write_line`` collects the tables in unnamed files, because an archive takes one entry at a time. After an error,
    nothing is left. Raises ``InvalidParameter`` for a path that is taken or whose folder does not exist, and
    ``ExportFailed`` when writing fails.
    """

    def __init__(self, path: Path, *, now: datetime) -> None:
        self.path = path.absolute()
        self._now = now
        self._part = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        # One thread, so that the steps run in order, also after the task that waits for one has been cancelled.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mediagate-export")
        self._stack = ExitStack()
        self._file: IO[bytes]
        self._zip: ZipFile
        self._tables: dict[str, IO[bytes]] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._do(self._open)
        except BaseException:
            self._thread.submit(self._discard)
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._do(self._publish)
        finally:
            try:
                await self._do(self._discard)
            finally:
                self._thread.shutdown(wait=False)

    async def write_line(self, table: str, record: Mapping[str, Any]) -> None:
        """Append a JSON object to ``{table}.jsonl``."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        await self._do(self._write_line, table, line.encode())

    async def write_json(self, name: str, record: Mapping[str, Any]) -> None:
        """Add a file with one indented JSON object."""
        text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        await self._do(self._zip.writestr, self._entry(name, self._now, ZIP_DEFLATED), text.encode())

    async def write_file(self, name: str, chunks: AsyncIterator[bytes], *, modified: datetime) -> tuple[int, str]:
        """Add a file and return its size and its SHA-256 in hex; adds nothing if the first chunk cannot be read."""
        size, digest = 0, hashlib.sha256()
        async with streaming(chunks):
            chunk = await anext(chunks, b"")
            entry = await self._do(self._zip.open, self._entry(name, modified, ZIP_STORED), "w")
            try:
                while chunk:
                    size += len(chunk)
                    digest.update(chunk)
                    await self._do(entry.write, chunk)
                    chunk = await anext(chunks, b"")
            finally:
                await self._do(entry.close)
        return size, digest.hexdigest()

    async def write_tables(self) -> None:
        """Add the tables that ``write_line`` has collected."""
        for table in self._tables:
            await self._do(self._write_table, table)

    # -- in the thread

    def _open(self) -> None:
        folder = self.path.parent
        if self.path.is_dir():
            raise InvalidParameter(f"to: {self.path} is a folder; name a file in it")
        if os.path.lexists(self.path):
            raise self._taken()
        if not folder.is_dir():
            raise InvalidParameter(f"to: the folder {folder} does not exist; create it")
        # Personal data: readable by this user only.
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = self._stack.enter_context(os.fdopen(descriptor, "w+b"))
        self._zip = self._stack.enter_context(ZipFile(self._file, "w"))

    def _write_line(self, table: str, line: bytes) -> None:
        if table not in self._tables:
            self._tables[table] = self._stack.enter_context(self._unnamed())
        self._tables[table].write(line)

    def _unnamed(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self.path.parent)

    def _write_table(self, table: str) -> None:
        lines = self._tables[table]
        info = self._entry(f"{table}.jsonl", self._now, ZIP_DEFLATED)
        info.file_size = lines.tell()  # above 2 GiB the entry needs another format
        lines.seek(0)
        with self._zip.open(info, "w") as entry:
            shutil.copyfileobj(lines, entry, COPY_CHUNK)

    def _publish(self) -> None:
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        # Opened first: once the archive has its name, only syncing it may still fail.
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._name()
            try:
                os.fsync(folder)
            except OSError:
                self.path.unlink()
                raise
        finally:
            os.close(folder)

    def _name(self) -> None:
        """Give the archive its name."""
        try:
            # A rename would replace a file that has appeared meanwhile.
            os.link(self._part, self.path)
        except FileExistsError:
            raise self._taken() from None
        except OSError:
            if os.path.lexists(self.path):
                raise self._taken() from None
            self._part.rename(self.path)  # a file system without links

    def _discard(self) -> None:
        """Close everything, and remove the temporary name."""
        with suppress(OSError, ValueError):
            self._stack.close()
        self._part.unlink(missing_ok=True)

    def _entry(self, name: str, modified: datetime, compression: int) -> ZipInfo:
        info = ZipInfo(name, modified.astimezone(UTC).timetuple()[:6])
        info.compress_type = compression
        return info

    def _taken(self) -> InvalidParameter:
        return InvalidParameter(f"to: {self.path} exists; name another file, or remove it")

    async def _do(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: step(*args, **kwargs))
        except OSError as exc:
            raise ExportFailed(f"could not write {self.path}: {exc.strerror or exc}; no partial file is left") from exc
