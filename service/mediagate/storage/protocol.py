"""The protocol of a storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Metadata of one object; ``size`` in bytes, ``modified`` in UTC."""

    key: str
    size: int
    modified: datetime
    version: str = ""
    """Changes whenever the bytes under the key do, like the ETag of S3."""


@dataclass(frozen=True, slots=True)
class PresignedGet:
    """A bearer URL that reads one object until ``expires_at`` (UTC)."""

    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """A bearer URL that writes one object until ``expires_at`` (UTC); the request must send exactly ``headers``."""

    url: str = field(repr=False)
    headers: Mapping[str, str]
    expires_at: datetime


class Probed(Protocol):
    """Implemented in addition by storages that can check cheaply whether they are writable."""

    async def probe(self) -> None:
        """Write a small object and remove it; raises ``StorageUnavailable`` when that fails."""


@runtime_checkable
class Storage(Protocol):
    """Bytes by key.

    Keys are relative POSIX paths of segments ``[A-Za-z0-9._-]+``, no segment starting with a dot; any other key raises
    ``ValueError`` before any byte moves. Content types follow from the key's extension. Raises ``StorageUnavailable``
    when the storage does not answer; its messages name keys, never secrets. The bytes of a published key never change,
    except by a retry of the same job.
    """

    async def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes, or a local file's content, under a key atomically, replacing an earlier object.

        When it returns, the object survives a power cut. The local file stays where it is.
        """

    async def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ``ObjectNotFound``."""

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over ``length`` bytes of an object from ``start``; raises ``ObjectNotFound`` on the first step.

        Yields chunks of about 32 KiB, since each reader holds one in memory. A reader that stops early calls
        ``aclose``, if the iterator has it.
        """

    async def stat(self, key: str) -> ObjectInfo | None:
        """Return an object's metadata, ``None`` if there is no such object."""

    async def copy(self, source: ObjectInfo, key: str) -> None:
        """Copy the object that ``stat`` described to another key atomically, as ``put`` would store it there.

        The bytes are copied within the storage where it supports that. Raises ``ObjectChanged`` when the object has
        been replaced meanwhile, ``ObjectNotFound`` when it has been deleted; the target key is then unchanged.
        """

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects. Idempotent: missing ones are not an error."""

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Iterate over all objects whose key starts with ``prefix`` (which ends with ``/``), in no set order."""

    def url(self, key: str) -> str | None:
        """Return the absolute public URL of a published key, ``None`` when the gate itself must serve it."""

    def presign_get(self, key: str, *, signed_at: datetime, expires_s: int) -> PresignedGet | None:
        """Return a URL that reads an object until ``expires_s`` after ``signed_at``; ``None``: the gate signs its own.

        The same arguments give the same URL in every process, so that answers and browser caches stay valid. The URL
        expires sooner if the credentials that sign it do. Makes no request.
        """

    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        """Return a URL that writes ``size`` bytes of ``content_type`` within ``expires_s`` and allows nothing else.

        The URL may be used repeatedly until it expires. ``None``: the storage has no such URLs, and the gate receives
        the bytes itself.
        """

    async def check(self) -> str:
        """Prove that objects can be written, read and deleted; return one line for ``mediagate doctor``."""
