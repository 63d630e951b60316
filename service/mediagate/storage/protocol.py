"""The protocol of a storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a storage knows of one object without reading it; ``size`` in bytes, ``modified`` in UTC."""

    key: str
    size: int
    modified: datetime
    version: str = ""
    """Differs where the bytes of one key do: what S3 calls an ETag."""


@dataclass(frozen=True, slots=True)
class PresignedGet:
    """A URL that lets whoever has it read one object until ``expires_at`` (UTC)."""

    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """A URL that lets whoever has it write one object until ``expires_at`` (UTC), sending just these ``headers``."""

    url: str = field(repr=False)
    headers: Mapping[str, str]
    expires_at: datetime


class Probed(Protocol):
    """What a storage has besides, if whether it can be written to is cheap to find out."""

    async def probe(self) -> None:
        """Write a little and remove it; raises ``StorageUnavailable`` when that fails."""


@runtime_checkable
class Storage(Protocol):
    """Bytes by key.

    Keys are relative POSIX paths of segments ``[A-Za-z0-9._-]+``, no segment starting with a dot; anything else is a
    ``ValueError`` before any byte moves. Content types follow from the key's extension. A storage that cannot answer
    raises ``StorageUnavailable``; its messages name keys, never secrets. Published keys never change their
    bytes but by a retry of the same job.
    """

    async def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes, or a local file's content, under a key: all of it or nothing, replacing what was there.

        When it returns, the object survives a power cut. The local file stays where it is.
        """

    async def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ``ObjectNotFound``."""

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over ``length`` bytes of an object from ``start``; raises ``ObjectNotFound`` on first step.

        In chunks of about 32 KiB, since one is in memory for each reader. Who stops reading calls ``aclose``, if there
        is one.
        """

    async def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, ``None`` if there is none."""

    async def copy(self, source: ObjectInfo, key: str) -> None:
        """Copy the object that ``stat`` told of to another key, all of it or nothing, as ``put`` would store it there.

        The storage does it by itself where it can. Raises ``ObjectChanged`` when another object is in its place by
        now, ``ObjectNotFound`` when none is; then the other key has what it had before, or nothing.
        """

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error, so it can be repeated."""

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Iterate over all objects whose key starts with ``prefix`` (which ends with ``/``), in no set order."""

    def url(self, key: str) -> str | None:
        """Return the absolute public URL of a published key, ``None`` when the gate itself must serve it."""

    def presign_get(self, key: str, *, signed_at: datetime, expires_s: int) -> PresignedGet | None:
        """Return a URL that reads an object until ``expires_s`` after ``signed_at``; ``None``: the gate signs its own.

        The same arguments give the same URL in every process, so that answers and browser caches stay as they are; it
        may expire sooner where what it is signed with does. It asks nobody.
        """

    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        """Return a URL that writes ``size`` bytes of ``content_type`` within ``expires_s``, and nothing else.

        It may be used again until it expires. ``None``: this storage cannot, and the gate takes the bytes itself.
        """

    async def check(self) -> str:
        """Prove that objects can be written, read and deleted; return one line for ``mediagate doctor``."""
