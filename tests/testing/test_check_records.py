"""``check_records`` passes on memory and Prisma records, and names the promise that a broken implementation breaks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest

from mediagate.records import MemoryRecords, PrismaRecords, Records, Reservation, get_job
from mediagate.testing import check_records
from mediagate.values import (
    DirectUpload,
    Event,
    EventsOf,
    Job,
    JobPage,
    JobState,
    JobStatus,
    MediaPage,
    Stage,
    UsageReport,
    no_events,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_memory_records_keep_every_promise() -> None:
    await check_records(MemoryRecords())


async def test_prisma_records_on_sqlite_keep_every_promise(tmp_path: Path) -> None:
    records = PrismaRecords(f"file:{tmp_path / 'records.db'}", migrate=True)
    await records.open()
    try:
        await check_records(records)
    finally:
        await records.close()


async def test_prisma_records_on_postgresql_keep_every_promise(own_postgres_url: str) -> None:
    records = PrismaRecords(own_postgres_url, migrate=True)
    await records.open()
    try:
        await check_records(records)
    finally:
        await records.close()


@pytest.mark.parametrize("records", [MemoryRecords, PrismaRecords])
def test_records_implement_every_method(records: type[Records]) -> None:
    promised = {name for name, method in vars(Records).items() if iscoroutinefunction(method)}
    assert len(promised) > 30
    assert promised <= vars(records).keys()


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
    async def advance(self, job_id: str, *, owner: str, **how: Any) -> bool:
        job = await get_job(self, job_id)
        return await super().advance(job_id, owner=(job and job.lease_owner) or owner, **how)


class SettlesTwice(MemoryRecords):
    async def settle(self, job: Job, **how: Any) -> bool:
        await super().settle(job, **how)
        return True


class SkipsOnDelete(MemoryRecords):
    async def list_media(self, *source: Any, limit: int, cursor: str | None = None, **how: Any) -> MediaPage:
        page = await super().list_media(*source, limit=10_000)
        after = [m.id for m in page.items].index(cursor) + 1 if cursor in {m.id for m in page.items} else 0
        items = page.items[after : after + limit]
        return MediaPage(items, items[-1].id if len(page.items) > after + limit else None)


class ForgetsBoundKeys(MemoryRecords):
    async def release_key(self, key: str) -> None:
        self._keys.held.pop(key, None)


class LetsGoOfKeys(MemoryRecords):
    async def keep_key(self, key: str, *, expires_at: datetime) -> None:
        pass


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


class ListsJobsOfOthers(MemoryRecords):
    async def list_jobs(self, *, owner_id: str | None = None, **options: Any) -> JobPage:
        return await super().list_jobs(**options)


class ListsTheLastRecordedFirst(MemoryRecords):
    async def list_jobs(self, *, limit: int, **options: Any) -> JobPage:
        page = await super().list_jobs(limit=limit, **options)
        last = JobState([*self._jobs.values()][-1], None)
        return page if options else replace(page, items=(last,))


class ListsMediaOfOthers(MemoryRecords):
    async def list_media(self, source_type: str, source_id: str | None, **options: Any) -> MediaPage:
        return await super().list_media(source_type, source_id, **{**options, "owner_id": None})


class IgnoresOffsets(MemoryRecords):
    async def list_jobs(self, *, offset: int | None = None, **options: Any) -> JobPage:
        return replace(await super().list_jobs(**options), total=11)


class ListsTheFirstStatusOnly(MemoryRecords):
    async def list_jobs(self, *, status: Any = None, **options: Any) -> JobPage:
        several = status is not None and not isinstance(status, JobStatus)
        return await super().list_jobs(status=[*status][:1] if several else status, **options)


class CountsAnyStatus(MemoryRecords):
    async def list_jobs(self, *, status: Any = None, **options: Any) -> JobPage:
        page, every = await super().list_jobs(status=status, **options), await super().list_jobs(**options)
        return replace(page, total=every.total)


class CountsOnePage(MemoryRecords):
    async def list_media(self, source_type: str, source_id: str | None, **options: Any) -> MediaPage:
        page = await super().list_media(source_type, source_id, **options)
        return page if page.total is None else replace(page, total=len(page.items))


class ChargesForAllJobs(MemoryRecords):
    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        report = await super().usage(owner_id=owner_id, first=first, last=last)
        price = sum(job.credits for job in self._jobs.values())
        return replace(report, days={day: replace(used, credits=price) for day, used in report.days.items()})


class ForgetsPrices(MemoryRecords):
    async def create_job(self, job: Job, **key: Any) -> bool:
        return await super().create_job(replace(job, credits=0), **key)


class TellsOfOthersDeletedMedia(MemoryRecords):
    async def jobs_of_media(
        self, media_ids: Collection[str], *, owner_id: str | None = None
    ) -> Mapping[str, tuple[JobStatus, bool]]:
        return await super().jobs_of_media(media_ids)


class ForgetsThatMediaAreDeleted(MemoryRecords):
    async def jobs_of_media(self, media_ids: Collection[str], **options: Any) -> Mapping[str, tuple[JobStatus, bool]]:
        found = await super().jobs_of_media(media_ids, **options)
        return {media_id: (status, status is JobStatus.COMPLETE) for media_id, (status, _) in found.items()}


class ForgetsModelRuns(MemoryRecords):
    async def advance(self, job_id: str, *, owner: str, **how: Any) -> bool:
        return await super().advance(job_id, owner=owner, **{**how, "model_runs": None})


class LeavesOutTheLastDay(MemoryRecords):
    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        report = await super().usage(owner_id=owner_id, first=first, last=last)
        return replace(report, days={day: used for day, used in report.days.items() if day != last})


class FailsTheLiving(MemoryRecords):
    async def fail_exhausted(self, *, now: datetime, limit: int, events_of: EventsOf = no_events) -> Sequence[str]:
        end = datetime.max.replace(tzinfo=now.tzinfo)
        return await super().fail_exhausted(now=end, limit=limit, events_of=events_of)


class WritesEventsFirst(MemoryRecords):
    async def settle(self, job: Job, *, events_of: EventsOf = no_events, **how: Any) -> bool:
        self._outbox.write(events_of(how["settlement"].state_of(job, how["now"]).job))
        return await super().settle(job, **how)


class TellsWhatWasInWork(MemoryRecords):
    async def settle(self, job: Job, *, events_of: EventsOf = no_events, **how: Any) -> bool:
        return await super().settle(job, events_of=lambda _: events_of(job), **how)


class TellsWhatWas(MemoryRecords):
    async def cancel(self, job_id: str, *, now: datetime, events_of: EventsOf = no_events) -> Job | None:
        job = await get_job(self, job_id)
        if (cancelled := await super().cancel(job_id, now=now)) is not None and job is not None:
            self._outbox.write(events_of(job))
        return cancelled


class TellsOfNothing(MemoryRecords):
    async def delete_media(self, media_id: str, *, events: tuple[Event, ...] = ()) -> bool:
        self._outbox.write(events)
        return await super().delete_media(media_id)


class NeverPassesOn(MemoryRecords):
    async def passed_on(self, event_ids: Collection[str], *, now: datetime) -> None: ...


class CompletesTwice(MemoryRecords):
    async def complete_upload(self, upload_id: str, job: Job, *, expires_at: datetime) -> bool:
        done = await super().complete_upload(upload_id, job, expires_at=expires_at)
        await self.create_job(job)
        return done


class ForgetsTooSoon(MemoryRecords):
    async def forget_uploads(self, upload_ids: Collection[str], *, now: datetime) -> int:
        return await super().forget_uploads(upload_ids, now=datetime.max.replace(tzinfo=now.tzinfo))


class ListsWhatHasExpired(MemoryRecords):
    async def list_media(self, *source: Any, **how: Any) -> MediaPage:
        return await super().list_media(*source, **{**how, "now": None})


class ErasesTheLive(MemoryRecords):
    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        self._jobs = {i: j for i, j in self._jobs.items() if i not in job_ids or j.owner_id != owner_id}
        return len(job_ids)


class ErasesOthers(MemoryRecords):
    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        owners = {self._jobs[i].owner_id for i in job_ids if i in self._jobs} | {owner_id}
        return [await super(ErasesOthers, self).erase_jobs(str(owner), job_ids) for owner in owners][-1]


class KeepsErasedEvents(MemoryRecords):
    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        events = tuple(self._outbox.oldest(10_000))
        gone = await super().erase_jobs(owner_id, job_ids)
        self._outbox.write(events)
        return gone


class ErasesAllEvents(MemoryRecords):
    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        self._outbox.remove([event.id for event in self._outbox.oldest(10_000) if event.job_id in job_ids])
        return await super().erase_jobs(owner_id, job_ids)


class SetsBackTheTime(MemoryRecords):
    async def erase_jobs(self, owner_id: str, job_ids: Collection[str]) -> int:
        gone = await super().erase_jobs(owner_id, job_ids)
        begun = [job for job in self._jobs.values() if job.attempts]
        self._turns.begun = {job.priority: max(j.turn for j in begun if j.priority == job.priority) for job in begun}
        return gone


class ListsUploadsOfOthers(MemoryRecords):
    async def uploads_of(self, owner_id: str, *, limit: int, after: str = "") -> Sequence[DirectUpload]:
        return (await self.expired_uploads(now=datetime.max.replace(tzinfo=UTC), limit=limit)) if not after else []


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (ClaimsTwice, "get_job|claim"),
        (TakesTheBusy, "ignore busy jobs"),
        (ClaimsTooEarly, "before available_at must claim nothing"),
        (OffersTheNewest, "claim the longest claimable job first"),
        (TakesLateOwners, r"advance\(\) by a late owner must be False"),
        (SettlesTwice, r"settle\(\) by a late owner must be False"),
        (SkipsOnDelete, "neither repeat nor skip"),
        (ForgetsBoundKeys, "must leave a bound key"),
        (NeverInFlight, "a key in flight"),
        (LetsGoOfKeys, r"keep_key\(\) must extend a key in flight"),
        (LooksAtStatusesOnly, "another stage of the same status"),
        (CountsSecondAttempts, "must not count second attempts"),
        (ListsJobsOfOthers, r"list_jobs\(\) must filter by owner"),
        (ListsTheLastRecordedFirst, "not the one recorded last"),
        (ListsMediaOfOthers, r"list_media\(\) must filter by owner"),
        (IgnoresOffsets, r"list_jobs\(\) with an offset must skip that many and count all"),
        (ListsTheFirstStatusOnly, r"list_jobs\(\) must filter by"),
        (CountsAnyStatus, r"list_jobs\(\) must count those in any status"),
        (CountsOnePage, r"list_media\(\) with an offset must count the media of all pages"),
        (ChargesForAllJobs, "the credits of COMPLETE jobs"),
        (ForgetsPrices, "must return the price of a job"),
        (TellsOfOthersDeletedMedia, r"jobs_of_media\(\) must filter by owner"),
        (ForgetsThatMediaAreDeleted, r"jobs_of_media\(\) among"),
        (ForgetsModelRuns, "model runs"),
        (LeavesOutTheLastDay, r"usage\(\) must include both days"),
        (FailsTheLiving, "with a valid lease"),
        (CompletesTwice, "False must insert no job"),
        (ForgetsTooSoon, "must keep live uploads"),
        (ListsWhatHasExpired, "must exclude expired media"),
        (WritesEventsFirst, "late owner must write no event"),
        (TellsWhatWasInWork, r"settle\(\) must derive its events from the job's new state"),
        (TellsWhatWas, r"cancel\(\) must derive its events from the job's new state"),
        (TellsOfNothing, r"delete_media\(\) of a deleted media must write no event"),
        (NeverPassesOn, r"outbox\(\) must not return delivered events"),
        (ErasesTheLive, "must delete an owner's terminal jobs without media"),
        (ErasesOthers, "must delete an owner's terminal jobs without media"),
        (KeepsErasedEvents, "must delete the events of its jobs, except media.deleted"),
        (ErasesAllEvents, "must delete the events of its jobs, except media.deleted"),
        (SetsBackTheTime, "must not let new jobs come before waiting ones"),
        (ListsUploadsOfOthers, r"uploads_of\(\) must return an owner's uploads"),
    ],
)
async def test_check_records_names_the_broken_promise(broken: type[Any], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        await check_records(broken())
