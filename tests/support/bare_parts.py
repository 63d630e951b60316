"""Parts in memory without a gate: what works on records and files alone needs no processes to be tested."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from mediagate import Job, Settings, Source
from mediagate.images import ImagePool
from mediagate.kernel import Hooks
from mediagate.observe import Observer, Step
from mediagate.parts import Parts
from mediagate.queue import Dispatcher, InProcessQueue
from mediagate.records import MemoryRecords
from mediagate.storage import MemoryStorage, ObjectInfo
from mediagate.values import PUBLISHED, STAGING

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class SetRecords(MemoryRecords):
    """Records whose clock a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.time = NOW

    async def now(self) -> datetime:
        return self.time


class DatedStorage(MemoryStorage):
    """A storage in which every file was written when the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, datetime] = {}
        self.deleted: list[list[str]] = []

    async def add(self, key: str, at: datetime) -> None:
        self.written[key] = at
        await self.put(key, b"file")

    async def delete(self, keys: Any) -> None:
        self.deleted.append(list(keys))
        await super().delete(keys)

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        async for info in super().list(prefix):
            yield replace(info, modified=self.written.get(info.key, NOW))


class Steps(Observer):
    """Notes the steps that begin, and the job that each is about."""

    def __init__(self) -> None:
        self.begun: list[tuple[Step, str]] = []

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[object]:
        assert job is not None
        self.begun.append((step, job.id))
        return nullcontext()


async def keys_of(parts: Parts) -> set[str]:
    """Return the keys of all quarantined and published files."""
    return {info.key for root in (STAGING, *PUBLISHED) async for info in parts.storage.list(root)}


def bare_parts(*, sources: dict[str, Source] | None = None, settings: Settings | None = None, **parts: Any) -> Parts:
    """Return parts that nobody has started; ``parts`` replaces some of them."""
    some: dict[str, Any] = {
        "sources": sources or {"check": Source()},
        "settings": settings or Settings(),
        "hooks": Hooks(),
        "storage": DatedStorage(),
        "records": SetRecords(),
        "queue": Dispatcher(InProcessQueue()),
        "images": ImagePool(processes=0, memory_bytes=2**28, timeout_s=10, moderator=None),
    }
    return Parts(**some | parts)
