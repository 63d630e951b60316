"""Objects as files below one directory."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Container, Iterable
from datetime import datetime
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from anyio import CancelScope, to_thread

from mediagate.errors import ConfigError, ObjectNotFound, StorageUnavailable
from mediagate.storage.key_syntax import check_key, check_prefix, is_public
from mediagate.storage.prefixes import DEFAULT
from mediagate.storage.protocol import ObjectInfo, PresignedGet, PresignedPut
from mediagate.storage.tree import Tree
from mediagate.values import KeyPrefixes, source_type_of, staging_key

CHUNK = 32 * 1024
LIST_BATCH = 500

_T = TypeVar("_T")


class FilesystemStorage:
    """A storage in a local (or mounted) directory; safe to use from many processes at once.

    Published files are readable by other users of the machine if ``public_url`` is set, since a web server then serves
    them. All other files, including those of ``private_sources``, are readable by this user alone. Without ``create``
    an existing folder is only read. Raises ``ConfigError`` when ``root`` cannot be used.
    """

    def __init__(
        self,
        root: Path,
        *,
        public_url: str | None = None,
        private_sources: Container[str] = frozenset(),
        create: bool = True,
        key_prefixes: KeyPrefixes = DEFAULT,
    ) -> None:
        self.key_prefixes = key_prefixes
        """The names of its top folders."""
        self._tree = Tree(Path(root).absolute(), key_prefixes)
        self._public_url = public_url.rstrip("/") if public_url else None
        self._private_sources = private_sources
        if not create:
            if not root.is_dir():
                raise ConfigError(f"storage root {root}: folder not found; name an existing one")
            return
        try:
            self._tree.root.mkdir(mode=0o755 if public_url else 0o700, parents=True, exist_ok=True)
            self._tree.remove_leftovers()
        except OSError as exc:
            problem = f"storage root {root}: {exc.strerror}; name a writable directory"
            raise ConfigError(problem) from exc

    async def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes, or a copy of a local file, under a key, atomically.

        When it returns, the object survives a power cut. Raises ``StorageUnavailable`` when the disk is full.
        """
        check_key(key)
        # A copy and never a hard link: a later write to the local file must not change the object.
        source = await to_thread.run_sync(body.open, "rb") if isinstance(body, Path) else BytesIO(body)
        shared = self.url(key) is not None
        with source:
            await _ask(key, partial(self._tree.write, key, source, shared=shared))

    async def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ``ObjectNotFound``."""
        check_key(key)

        def read() -> bytes:
            with self._tree.open(key) as file:
                return file.read()

        return await _ask(key, read)

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over ``length`` bytes from ``start``; raises ``ObjectNotFound`` on the first step."""
        check_key(key)
        with await _ask(key, partial(self._tree.open, key, start)) as file:
            while length is None or length > 0:
                chunk = await _ask(key, partial(file.read, CHUNK if length is None else min(CHUNK, length)))
                if not chunk:
                    return
                yield chunk
                length = None if length is None else length - len(chunk)

    async def stat(self, key: str) -> ObjectInfo | None:
        """Return size and age of an object, ``None`` if there is none."""
        check_key(key)
        try:
            return await _ask(key, partial(self._tree.stat, key))
        except ObjectNotFound:
            return None

    async def copy(self, source: ObjectInfo, key: str) -> None:
        """Copy an object to another key; raises ``ObjectChanged`` or ``ObjectNotFound``."""
        check_key(source.key)
        shared = self.url(key) is not None
        await _ask(source.key, partial(self._tree.copy, source, key, shared=shared))

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects and the directories that this leaves empty. Idempotent."""
        checked = [check_key(key) for key in keys]

        def delete() -> None:
            for key in checked:
                self._tree.delete(key)

        await _ask("delete", delete)

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Iterate over all objects below a prefix, which ends with ``/``."""
        found = self._tree.walk(check_prefix(prefix))
        while batch := await _ask(prefix, lambda: [*islice(found, LIST_BATCH)]):
            for info in batch:
                yield info

    def url(self, key: str) -> str | None:
        """Return ``public_url`` and the name of a published key, ``None`` when the gate itself must serve it."""
        check_key(key)
        if self._public_url is None or not is_public(key) or source_type_of(key) in self._private_sources:
            return None
        return f"{self._public_url}/{quote(self.key_prefixes.name_of(key))}"

    def presign_get(self, key: str, *, signed_at: datetime, expires_s: int) -> PresignedGet | None:
        """Return ``None``: the gate itself serves its private files."""
        check_key(key)
        return None

    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        """Return ``None``: the gate itself receives uploads."""
        check_key(key)
        return None

    async def probe(self) -> None:
        """Write a small file and remove it; raises ``StorageUnavailable`` when that fails."""
        await _ask("probe", self._tree.probe)

    async def check(self) -> str:
        """Write, read and delete a small object; return one line for ``mediagate doctor``."""
        key, body = staging_key(f"check-{secrets.token_hex(8)}"), secrets.token_bytes(64)
        await self.put(key, body)
        try:
            if await self.get(key) != body:
                raise StorageUnavailable(f"directory {self._tree.root}: the bytes read back differ from those written")
        finally:
            await self.delete([key])
        free = (await to_thread.run_sync(shutil.disk_usage, self._tree.root)).free
        return f"directory {self._tree.root}: write, read and delete work, {free / 1e9:.1f} GB free"


async def _ask(what: str, blocking: Callable[[], _T]) -> _T:
    """Run blocking file work in a thread and translate its errors into those of the protocol."""
    given_up = False

    def unless_given_up() -> _T:
        if given_up:
            raise InterruptedError
        return blocking()

    running = asyncio.ensure_future(to_thread.run_sync(unless_given_up))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        # Otherwise a write could continue after its caller was cancelled, and publish the file all the same.
        given_up = True
        with CancelScope(shield=True):
            await asyncio.gather(running, return_exceptions=True)
        raise
    except FileNotFoundError as exc:
        raise ObjectNotFound(f"object {what} not found") from exc
    except OSError as exc:
        raise StorageUnavailable(f"storage, {what}: {exc.strerror}") from exc
