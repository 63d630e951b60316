"""Records in memory and through Prisma on both databases keep every promise, and the check sees one that is broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mediagate.media import Job, JobState, JobStatus, MediaPage, Stage
from mediagate.records import MemoryRecords, PrismaRecords, Records, Reservation, Settlement
from mediagate.testing import check_records

pytestmark = pytest.mark.anyio


async def test_memory() -> None:
    await check_records(MemoryRecords())


async def test_prisma_on_sqlite(tmp_path: Path) -> None:
    records = PrismaRecords(f"file:{tmp_path / 'records.db'}", migrate=True)
    await records.open()
    try:
        await check_records(records)
    finally:
        await records.close()


async def test_prisma_on_postgresql(postgres_url: str) -> None:
    records = PrismaRecords(postgres_url, migrate=True)
    await records.open()
    try:
        await check_records(records)
    finally:
        await records.close()


def test_both_are_records() -> None:
    assert issubclass(MemoryRecords, Records)
    assert issubclass(PrismaRecords, Records)


class ClaimsTwice(MemoryRecords):
    async def claim(self, job_id: str, *, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        return await super().claim(job_id, owner=owner, now=lease_until, lease_until=lease_until)


class TakesTheBusy(MemoryRecords):
    async def claim_oldest(self, *, busy: object = (), **options: Any) -> Sequence[Job]:
        return await super().claim_oldest(**options)


class ClaimsTooEarly(MemoryRecords):
    async def claim_oldest(self, *, now: datetime, lease_until: datetime, **options: Any) -> Sequence[Job]:
        return await super().claim_oldest(now=lease_until, lease_until=lease_until, **options)


class OffersTheNewest(MemoryRecords):
    async def claimable(self, *, now: datetime, limit: int) -> Sequence[str]:
        return [*reversed(await super().claimable(now=now, limit=10_000))][:limit]


class TakesLateOwners(MemoryRecords):
    async def advance(self, job_id: str, *, owner: str, lease_until: datetime, stage: Stage | None = None) -> bool:
        job = await self.get_job(job_id)
        return await super().advance(
            job_id, owner=(job and job.lease_owner) or owner, lease_until=lease_until, stage=stage
        )


class SettlesTwice(MemoryRecords):
    async def settle(self, job_id: str, *, owner: str, now: datetime, settlement: Settlement) -> bool:
        await super().settle(job_id, owner=owner, now=now, settlement=settlement)
        return True


class SkipsOnDelete(MemoryRecords):
    async def list_media(
        self, source_type: str, source_id: str | None, *, limit: int, cursor: str | None = None
    ) -> MediaPage:
        page = await super().list_media(source_type, source_id, limit=10_000)
        after = [m.id for m in page.items].index(cursor) + 1 if cursor in {m.id for m in page.items} else 0
        items = page.items[after : after + limit]
        return MediaPage(items, items[-1].id if len(page.items) > after + limit else None)


class ForgetsBoundKeys(MemoryRecords):
    async def release_key(self, key: str) -> None:
        self._keys.pop(key, None)


class NeverInFlight(MemoryRecords):
    async def reserve_key(self, key: str, *, now: datetime, expires_at: datetime) -> Reservation | None:
        found = await super().reserve_key(key, now=now, expires_at=expires_at)
        return found if found and found.job_id else None


class LooksAtStatusesOnly(MemoryRecords):
    async def changed(self, known: Mapping[str, tuple[JobStatus, Stage] | None]) -> Mapping[str, JobState]:
        states = await super().changed(known)
        return {i: s for i, s in states.items() if (place := known[i]) is None or place[0] is not s.job.status}


class CountsSecondAttempts(MemoryRecords):
    async def oldest_waiting(self) -> datetime | None:
        waiting = [job for job in self._jobs.values() if job.status is JobStatus.PENDING]
        return min((job.available_at or job.created_at for job in waiting), default=None)


class FailsTheLiving(MemoryRecords):
    async def fail_exhausted(self, *, now: datetime, limit: int) -> Sequence[str]:
        return await super().fail_exhausted(now=datetime.max.replace(tzinfo=now.tzinfo), limit=limit)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (ClaimsTwice, "get_job|claim"),
        (TakesTheBusy, "leave the busy alone"),
        (ClaimsTooEarly, "before available_at must claim nothing"),
        (OffersTheNewest, "could be claimed for longest"),
        (TakesLateOwners, r"advance\(\) by a late owner must be False"),
        (SettlesTwice, r"settle\(\) by a late owner must be False"),
        (SkipsOnDelete, "neither repeat nor skip"),
        (ForgetsBoundKeys, "must leave a bound key"),
        (NeverInFlight, "one in flight"),
        (LooksAtStatusesOnly, "another stage of the same status"),
        (CountsSecondAttempts, "must not count second attempts"),
        (FailsTheLiving, "under a lease alone"),
    ],
)
async def test_a_broken_promise_is_named(broken: type[Any], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        await check_records(broken())
