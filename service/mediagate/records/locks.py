"""A name that one request holds in the records while its body comes in, under a lease by the database's clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from mediagate.errors import RecordsUnavailable
from mediagate.records.protocol import Records
from mediagate.records.reservation import Reservation

log = logging.getLogger("mediagate.intake")

RECEIVING_S = 30.0
"""How long a name stays held for a request whose process died while it received the body."""


@dataclass(slots=True)
class Lock:
    """A name that is ours ``until`` a moment that moves on, or that of which ``found`` says whose it is."""

    key: str
    until: datetime
    found: Reservation | None
    records: Records

    async def lapsed(self) -> bool:
        """Return whether the time ran out, as in a process that stood still: another may hold the name by now."""
        return await self.records.now() >= self.until

    async def release(self) -> None:
        """Give the name back, or leave that to its time."""
        try:
            if not await self.lapsed():
                await self.records.release_key(self.key)
        except RecordsUnavailable as exc:
            log.warning("a name stays reserved for up to %d s: %s", RECEIVING_S, exc)


@asynccontextmanager
async def hold(key: str, records: Records) -> AsyncIterator[Lock]:
    """Hold a name for the length of the block, unless somebody has it; a block that fails gives it back."""
    now = await records.now()
    until = now + timedelta(seconds=RECEIVING_S)
    lock = Lock(key, until, await records.reserve_key(key, now=now, expires_at=until), records)
    if lock.found is not None:
        yield lock
        return
    keeping = asyncio.create_task(_keep(lock))
    try:
        yield lock
    except BaseException:
        await _ended(keeping)
        await lock.release()
        raise
    finally:
        await _ended(keeping)


async def _keep(lock: Lock) -> None:
    """Keep a name for as long as the body comes in, however slowly."""
    records = lock.records
    while True:
        await asyncio.sleep(RECEIVING_S / 3)
        try:
            if await lock.lapsed():
                return
            until = await records.now() + timedelta(seconds=RECEIVING_S)
            await records.keep_key(lock.key, expires_at=until)
            lock.until = until
        except RecordsUnavailable as exc:
            log.warning("a name could not be kept reserved: %s", exc)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
