"""A name that a request reserves in the records while its body is received, under a lease by the database's clock."""

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
"""How long a name stays reserved after the process of its request died."""


@dataclass(slots=True)
class Lock:
    """A named lock: ours until ``until``, which a background task extends, or held by another request: ``found``."""

    key: str
    until: datetime
    found: Reservation | None
    records: Records

    async def lapsed(self) -> bool:
        """Return whether the lease expired, as in a suspended process: another request may hold the name by now."""
        return await self.records.now() >= self.until

    async def release(self) -> None:
        """Release the name; if the records do not answer, leave it to expire."""
        try:
            if not await self.lapsed():
                await self.records.release_key(self.key)
        except RecordsUnavailable as exc:
            log.warning("could not release a name; it stays reserved for up to %d s: %s", RECEIVING_S, exc)


@asynccontextmanager
async def hold(key: str, records: Records) -> AsyncIterator[Lock]:
    """Reserve a name during the block, unless it is taken; release it if the block fails."""
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
    """Extend the reservation while the body is received, however slowly."""
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
            log.warning("could not extend the reservation of a name: %s", exc)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
