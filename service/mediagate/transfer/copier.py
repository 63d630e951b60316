"""Copying the files of one storage to another, so that it can be repeated until both are equal."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from mediagate.errors import ObjectChanged, ObjectNotFound
from mediagate.storage import ObjectInfo, Storage
from mediagate.transfer.content import Content, checksums_of, content_of
from mediagate.transfer.inventory import Inventory, Pair

SKEW_S = 900.0
"""By how much the clocks of two storages may differ: S3 refuses requests from 15 minutes on."""
OUTAGE = 20
"""After this many consecutive failures a storage is assumed to be unavailable."""
DELETE_BATCH = 500


class Result(StrEnum):
    """What happened to one file."""

    SAME = "same"
    COPIED = "copied"
    GONE = "gone"
    """It was deleted from the source after the source was listed."""
    DELETED = "deleted"
    """It was deleted from the target, since the source lacks it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one file; ``error`` if it failed."""

    key: str
    size: int
    result: Result
    error: Exception | None = None


class Copier:
    """One run of a copy from ``source`` to ``target``; with ``dry_run`` it reads both and changes nothing.

    Files of the same size are compared by their bytes if the source may have been written since it was copied, or with
    ``verify``. ``note`` is called with each outcome. After ``OUTAGE`` consecutive failures the run ends early.
    """

    def __init__(
        self,
        source: Storage,
        target: Storage,
        note: Callable[[Outcome], None],
        *,
        verify: bool = False,
        dry_run: bool = False,
    ) -> None:
        self._source = source
        self._target = target
        self._note = note
        self._verify = verify
        self._dry_run = dry_run
        self._in_a_row = 0
        self.gave_up = False
        """Whether the run ended early."""
        self.counts: Counter[Result] = Counter()
        self.bytes: Counter[Result] = Counter()

    async def copy(self, inventory: Inventory, *, concurrency: int) -> None:
        """Copy the files that the target lacks, or has in another version."""
        pairs = inventory.pairs()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(self._copy_each(pairs))

    async def delete(self, inventory: Inventory) -> None:
        """Delete the target's files that the source lacks."""
        keys = inventory.extra()
        while not self.gave_up and (batch := [*islice(keys, DELETE_BATCH)]):
            await self._delete([key for key in batch if await self._lacks(key)])

    async def _copy_each(self, pairs: Iterator[Pair]) -> None:
        # One iterator for all tasks: a pair that is taken is copied.
        while not self.gave_up and (pair := next(pairs, None)) is not None:
            key, size = pair.source.key, pair.source.size
            try:
                self._settle(Outcome(key, size, await self._copy_one(pair)))
            except Exception as exc:
                self._settle(Outcome(key, size, Result.FAILED, exc))

    async def _copy_one(self, pair: Pair) -> Result:
        source, target = pair.source, pair.target
        alike = target is not None and target.size == source.size
        if alike and not self._is_doubtful(pair):
            return Result.SAME
        if self._dry_run and not alike:
            return Result.COPIED
        async with AsyncExitStack() as stack:
            try:
                content = await stack.enter_async_context(content_of(self._source, source))
            except ObjectNotFound:
                return Result.GONE
            if await self._has(target, content):
                return Result.SAME
            if not self._dry_run:
                await self._put(source.key, content)
            return Result.COPIED

    def _is_doubtful(self, pair: Pair) -> bool:
        """Whether an object of the same size may have other bytes: it may be the copy of an earlier version."""
        if self._verify or pair.target is None:
            return True
        return (pair.target.modified - pair.source.modified).total_seconds() < SKEW_S

    async def _put(self, key: str, content: Content) -> None:
        await self._target.put(key, content.body)
        if self._verify and not await self._has(await self._target.stat(key), content):
            # A run without ``verify`` would take it for a copy, since its size agrees.
            await self._target.delete([key])
            raise ObjectChanged(f"{key}: the destination had other bytes than were written; run the command again")

    async def _has(self, target: ObjectInfo | None, content: Content) -> bool:
        """Whether an object of the target has these bytes; it is read unless its ETag tells."""
        if target is None or target.size != content.checksums.size:
            return False
        if target.version.strip('"') == content.checksums.md5:
            return True
        try:
            return (await checksums_of(self._target, target.key)).sha256 == content.checksums.sha256
        except ObjectNotFound:
            return False

    async def _lacks(self, key: str) -> bool:
        """Whether the source still lacks a file: a job may have been retried under the same keys since the listing."""
        if self.gave_up:
            return False
        try:
            lacks = await self._source.stat(key) is None
        except Exception as exc:
            self._settle(Outcome(key, 0, Result.FAILED, exc))
            return False
        self._in_a_row = 0
        return lacks

    async def _delete(self, keys: list[str]) -> None:
        result: Result = Result.DELETED
        error: Exception | None = None
        if not self._dry_run and keys:
            try:
                await self._target.delete(keys)
            except Exception as exc:
                result, error = Result.FAILED, exc
        for key in keys:
            self._settle(Outcome(key, 0, result, error))

    def _settle(self, outcome: Outcome) -> None:
        self._in_a_row = self._in_a_row + 1 if outcome.result is Result.FAILED else 0
        self.gave_up = self.gave_up or self._in_a_row >= OUTAGE
        self.counts[outcome.result] += 1
        self.bytes[outcome.result] += outcome.size
        self._note(outcome)
