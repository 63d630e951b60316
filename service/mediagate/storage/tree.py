"""Files below one directory, written whole or not at all and reached without following a symbolic link."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mediagate.errors import ObjectChanged, StorageUnavailable
from mediagate.storage.key_syntax import is_key
from mediagate.storage.prefixes import DEFAULT
from mediagate.storage.protocol import ObjectInfo
from mediagate.values import KeyPrefixes

COPY_CHUNK = 1024 * 1024
PROBE_BYTES = 64 * 1024
"""Enough to need blocks of its own on any file system."""
LEFTOVER_S = 3600.0
"""Age at which a half-written file belongs to a process that died: no write takes that long."""
WRITE_ATTEMPTS = 100
"""How often a write starts over because a delete pruned its directory in the same instant."""

_TEMPORARY = ".tmp"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK, a stray FIFO in the tree would block a thread for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR})


class Tree:
    """A directory tree addressed by key; every method blocks, and many threads and processes may call it.

    Each step goes from an open directory to a name in it (``openat`` with ``O_NOFOLLOW``), so that no key, no
    link and no rename in between leads out of ``root``. Raises ``FileNotFoundError`` for a missing entry and for
    anything but a regular file, ``StorageUnavailable`` when ``root`` itself has disappeared.
    """

    def __init__(self, root: Path, prefixes: KeyPrefixes = DEFAULT) -> None:
        self.root = root
        self._prefixes = prefixes

    def write(self, key: str, source: BinaryIO, *, shared: bool) -> None:
        """Copy a source's bytes under a key, readable by other users when ``shared``, and sync them."""
        *parents, name = self._prefixes.name_of(key).split("/")
        file_mode, directory_mode = (0o644, 0o755) if shared else (0o600, 0o700)
        with self._temporary(source, file_mode) as (folder, temporary):
            for _ in range(WRITE_ATTEMPTS):
                with suppress(FileNotFoundError), self._path(parents, create=directory_mode) as path:
                    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=path[-1])
                    # Sync all directories: another process may have created one and not synced it yet.
                    for directory in reversed(path):
                        os.fsync(directory)
                    return
        raise StorageUnavailable(f"{key}: its directory is removed as fast as it is created; try again")

    def copy(self, source: ObjectInfo, key: str, *, shared: bool) -> None:
        """Copy an object's bytes under another key; raises ``ObjectChanged`` when ``source`` has been replaced.

        Not a hard link, which would have the age of its source: the janitor removes old files without a record.
        """
        with self.open(source.key) as file:
            # The open file cannot change: every write of the key creates a new file.
            if _info(source.key, os.fstat(file.fileno())).version != source.version:
                raise ObjectChanged(f"{source.key}: the object has been replaced meanwhile")
            self.write(key, file, shared=shared)

    def open(self, key: str, start: int = 0) -> BinaryIO:
        """Open an object for reading at a byte offset."""
        *parents, name = self._prefixes.name_of(key).split("/")
        with self._path(parents) as path:
            file = os.fdopen(os.open(name, _READ, dir_fd=path[-1]), "rb")
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                file.close()
                raise FileNotFoundError(errno.ENOENT, "no regular file")
            file.seek(start)
            return file

    def stat(self, key: str) -> ObjectInfo:
        """Return size and age of an object."""
        *parents, name = self._prefixes.name_of(key).split("/")
        with self._path(parents) as path:
            return _info(key, os.stat(name, dir_fd=path[-1], follow_symlinks=False))

    def delete(self, key: str) -> None:
        """Delete an object, if it exists, and the directories that this leaves empty."""
        *parents, name = self._prefixes.name_of(key).split("/")
        with suppress(FileNotFoundError), self._path(parents) as path:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=path[-1])
            # A write that has a removed directory open fails to rename into it, and starts over.
            with suppress(OSError):
                for above, directory in zip(reversed(path[:-1]), reversed(parents), strict=True):
                    os.rmdir(directory, dir_fd=above)

    def walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """Iterate over the objects below a prefix, which ends with ``/``; objects deleted meanwhile are omitted."""
        yield from self._walk(self._prefixes.name_of(prefix)[:-1].split("/"), prefix)

    def _walk(self, names: Sequence[str], prefix: str) -> Iterator[ObjectInfo]:
        with suppress(FileNotFoundError), self._path(names) as path, os.scandir(path[-1]) as entries:
            for entry in entries:
                key = prefix + entry.name
                if is_key(key) and entry.is_dir(follow_symlinks=False):
                    yield from self._walk([*names, entry.name], f"{key}/")
                elif is_key(key):
                    with suppress(FileNotFoundError):
                        yield _info(key, entry.stat(follow_symlinks=False))

    def probe(self) -> None:
        """Write a small file and remove it."""
        with self._temporary(BytesIO(bytes(PROBE_BYTES)), 0o600):
            pass

    def remove_leftovers(self) -> None:
        """Remove the half-written files of processes that died."""
        with self._path([_TEMPORARY], create=0o700) as path, os.scandir(path[-1]) as entries:
            # The age is measured by the clock that stamps the files, perhaps a file server's: a touch reads it.
            os.utime(path[-1])
            now = os.fstat(path[-1]).st_mtime
            for entry in entries:
                with suppress(FileNotFoundError, IsADirectoryError):
                    if entry.stat(follow_symlinks=False).st_mtime < now - LEFTOVER_S:
                        os.unlink(entry.name, dir_fd=path[-1])

    @contextmanager
    def _temporary(self, source: BinaryIO, mode: int) -> Iterator[tuple[int, str]]:
        """Provide a synced file with the source's content; afterwards remove it unless it was renamed."""
        with self._path([_TEMPORARY], create=0o700) as path:
            name = secrets.token_hex(16)
            descriptor = os.open(name, _CREATE, mode, dir_fd=path[-1])
            try:
                with os.fdopen(descriptor, "wb") as file:
                    shutil.copyfileobj(source, file, COPY_CHUNK)
                    file.flush()
                    os.fsync(descriptor)
                yield path[-1], name
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=path[-1])

    @contextmanager
    def _path(self, names: Sequence[str], create: int | None = None) -> Iterator[list[int]]:
        """Provide descriptors of ``root`` and each directory below it, created with mode ``create`` where missing."""
        try:
            path = [os.open(self.root, _DIRECTORY)]
        except OSError as exc:
            raise StorageUnavailable(f"storage root {self.root}: {exc.strerror}") from exc
        try:
            for name in names:
                path.append(_open_directory(name, path[-1], create))
            yield path
        except OSError as exc:
            if create is None and exc.errno in _ABSENT:
                raise FileNotFoundError(errno.ENOENT, "no such object") from exc
            raise
        finally:
            for descriptor in path:
                os.close(descriptor)


def _open_directory(name: str, parent: int, create: int | None) -> int:
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        if create is None:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, create, dir_fd=parent)
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "no regular file")
    # Each write creates a new file; if it reuses the inode of a deleted one, its time differs.
    version = f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), version)
