"""What the sweeps of a janitor find and remove, by the clock and on files whose dates a test sets."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mediagate import Job, JobStatus, Media, Settings, Source
from mediagate.errors import StorageUnavailable
from mediagate.jobs import Janitor
from mediagate.jobs import walk as walk_module
from mediagate.jobs.expiry import BATCH, GIVE_UP, expire_media, expire_uploads
from mediagate.jobs.file_mark import mark_files
from mediagate.jobs.janitor import FILES_EVERY_S, FILES_TURN, Findings, what_to_do
from mediagate.jobs.walk import AT_ONCE, Look, Useless, Walk
from mediagate.parts import Parts
from mediagate.records import Settlement, get_job, hold
from mediagate.storage import MARK_KEY as KEY
from mediagate.storage import ObjectInfo
from mediagate.testing.record_samples import a_job, a_media, claimed_job
from mediagate.values import DirectUpload, EventType, UploadFields, new_id, staging_key
from tests.support.bare_parts import NOW, DatedStorage, SetRecords, bare_parts, keys_of

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
INFO = ObjectInfo("media/c/u/m/xs.webp", 5, NOW)


def stored(parts: Parts) -> DatedStorage:
    assert isinstance(parts.storage, DatedStorage)
    return parts.storage


def janitor(parts: Parts) -> Janitor:
    return Janitor(parts, Path("/nonexistent"))


async def ended(parts: Parts, status: JobStatus, at: datetime = NOW, **changes: Any) -> Job:
    """Return a job that ended at a moment, and whose end was told."""
    job = await claimed_job(parts.records, at, **changes)
    media = a_media(job) if status is JobStatus.COMPLETE else None
    settlement = Settlement(status, media, retryable=status is JobStatus.FAILED)
    assert await parts.records.settle(job, owner="worker", now=at, settlement=settlement)
    await parts.records.mark_notified(job.id, ended_at=at, now=at)
    return settlement.state_of(job, at).job


def orphan(name: str = "med_x", root: str = "media") -> str:
    return f"{root}/check/u1/{name}/xs.webp"


async def swept(parts: Parts, **how: Any) -> Findings:
    return await janitor(parts).sweep_files(**{"dry_run": False, **how})


@pytest.mark.parametrize("root", ["media", "originals"])
@pytest.mark.parametrize(("age", "goes"), [(HOUR, False), (HOUR + SECOND, True)])
async def test_walk_removes_a_published_file_without_a_row_after_an_hour(root: str, age: timedelta, goes: bool) -> None:
    parts = bare_parts()
    await stored(parts).add(orphan(root=root), NOW - age)
    found = await swept(parts)
    assert found.orphans == ([orphan(root=root)] if goes else [])
    assert found.staging == []
    assert bool(await keys_of(parts)) is not goes


@pytest.mark.parametrize("status", list(JobStatus))
async def test_walk_removes_published_files_of_jobs_that_ended_without_a_media(status: JobStatus) -> None:
    parts = bare_parts()
    if status.terminal:
        job = await ended(parts, status)
    elif status is JobStatus.PROCESSING:
        job = await claimed_job(parts.records, NOW)
    else:
        job = a_job(NOW)
        await parts.records.create_job(job)
    await stored(parts).add(orphan(job.media_id), NOW - 2 * HOUR)
    goes = status in (JobStatus.FAILED, JobStatus.REJECTED, JobStatus.CANCELLED)
    assert (await swept(parts)).orphans == ([orphan(job.media_id)] if goes else [])


@pytest.mark.parametrize(
    ("status", "age", "goes"),
    [
        (None, HOUR, False),
        (None, HOUR + SECOND, True),
        (JobStatus.COMPLETE, HOUR + SECOND, True),
        (JobStatus.REJECTED, HOUR, False),
        (JobStatus.FAILED, 24 * HOUR, False),
        (JobStatus.FAILED, 24 * HOUR + SECOND, True),
        (JobStatus.PROCESSING, 999 * HOUR, False),
    ],
)
async def test_walk_keeps_a_quarantined_file_as_long_as_its_job_may_need_it(
    status: JobStatus | None, age: timedelta, goes: bool
) -> None:
    parts = bare_parts()
    if status is None:
        key = staging_key(new_id("job"))
    elif status is JobStatus.PROCESSING:
        key = (await claimed_job(parts.records, NOW)).staging_key
    else:
        key = (await ended(parts, status, NOW - age)).staging_key
    await stored(parts).add(key, NOW - age)
    assert (await swept(parts)).staging == ([key] if goes else [])


async def test_walk_counts_the_time_for_a_retry_from_the_failure_on() -> None:
    parts = bare_parts()
    job = await ended(parts, JobStatus.FAILED, NOW - HOUR)
    await stored(parts).add(job.staging_key, NOW - 25 * HOUR)
    assert (await swept(parts)).staging == []
    # A file that was written again after the failure counts from then on.
    older = await ended(parts, JobStatus.FAILED, NOW - 25 * HOUR)
    await stored(parts).add(older.staging_key, NOW - HOUR)
    assert (await swept(parts)).staging == []


async def test_walk_keeps_the_file_of_an_ended_job_no_longer_than_one_for_a_retry() -> None:
    parts = bare_parts(settings=Settings(staging_ttl_s=60))
    job = await ended(parts, JobStatus.REJECTED, NOW - 61 * SECOND)
    await stored(parts).add(job.staging_key, NOW - 61 * SECOND)
    assert (await swept(parts)).staging == [job.staging_key]


async def uploaded(parts: Parts, expires_at: datetime = NOW + HOUR, job: Job | None = None) -> DirectUpload:
    """Return a direct upload that is on record, completed if there is a job."""
    upload = DirectUpload(new_id("upl"), UploadFields("check", "u1"), "image/jpeg", 5, NOW, expires_at)
    await parts.records.create_upload(upload)
    if job is not None:
        assert await parts.records.complete_upload(upload.id, job, expires_at=expires_at)
    await stored(parts).add(upload.staging_key, NOW - 48 * HOUR)
    return upload


async def test_walk_keeps_what_arrived_for_a_direct_upload_until_it_is_completed() -> None:
    parts = bare_parts()
    await uploaded(parts)
    completed = await uploaded(parts, job=a_job(NOW))
    unknown = staging_key(new_id("upl"))
    await stored(parts).add(unknown, NOW - 48 * HOUR)
    assert set((await swept(parts)).staging) == {completed.staging_key, unknown}


async def test_walk_never_looks_at_published_files_when_there_is_no_grace() -> None:
    parts = bare_parts(settings=Settings(orphan_grace_s="never"))
    job = await ended(parts, JobStatus.REJECTED, NOW - 48 * HOUR)
    await stored(parts).add(job.staging_key, NOW - 48 * HOUR)
    await stored(parts).add(staging_key("job_unknown"), NOW - 480 * HOUR)
    await stored(parts).add(orphan(), NOW - 48 * HOUR)
    found = await swept(parts)
    assert (found.staging, found.orphans) == ([job.staging_key], [])


async def test_walk_removes_in_batches() -> None:
    parts = bare_parts()
    for number in range(BATCH + 1):
        await stored(parts).add(staging_key(f"upl_{number:04}"), NOW - 2 * HOUR)
    found = await swept(parts)
    assert (len(found.staging), found.useless, found.left) == (BATCH + 1, BATCH + 1, 0)
    assert [len(keys) for keys in stored(parts).deleted] == [BATCH, 1]
    assert await keys_of(parts) == set()


async def test_walk_removes_nothing_where_nothing_may_go() -> None:
    parts = bare_parts()
    await stored(parts).add(orphan(), NOW)
    assert await swept(parts) == Findings()
    assert stored(parts).deleted == []


async def test_walk_asks_the_records_once_for_each_batch() -> None:
    class Asked(SetRecords):
        asked: ClassVar[list[int]] = []

        async def get_jobs(self, job_ids: Collection[str]) -> Mapping[str, Job]:
            self.asked.append(len(job_ids))
            return await super().get_jobs(job_ids)

    parts = bare_parts(records=Asked())
    for number in range(2 * BATCH):
        await stored(parts).add(staging_key(f"upl_{number:04}"), NOW)
    await Walk(parts, NOW).look()
    assert Asked.asked == [BATCH, BATCH]


@pytest.mark.parametrize(
    ("status", "unknown"),
    [(None, 1), (JobStatus.FAILED, 1), (JobStatus.REJECTED, 0), (JobStatus.CANCELLED, 0)],
)
async def test_walk_counts_published_files_of_which_the_records_know_no_end(
    status: JobStatus | None, unknown: int
) -> None:
    parts = bare_parts()
    media_id = "med_x" if status is None else (await ended(parts, status)).media_id
    await stored(parts).add(orphan(media_id), NOW - 2 * HOUR)
    look = await Walk(parts, NOW).look()
    assert (look.count, look.published, look.unknown) == (1, 1, unknown)
    assert look.youngest == (NOW - 2 * HOUR if unknown else None)


async def test_walk_knows_the_youngest_quarantined_file_of_a_job_without_a_row() -> None:
    parts = bare_parts()
    ended_job = await ended(parts, JobStatus.REJECTED, NOW - 9 * HOUR)
    for key, age in (
        ("staging/job_unknown1", 5 * HOUR),
        ("staging/job_unknown2", 6 * HOUR),
        # Neither a direct upload that is gone nor a job that ended is unknown.
        ("staging/upl_unknown", 2 * HOUR),
        (ended_job.staging_key, 3 * HOUR),
    ):
        await stored(parts).add(key, NOW - age)
    look = await Walk(parts, NOW).look()
    assert (look.count, look.published, look.unknown, look.youngest) == (4, 0, 0, NOW - 5 * HOUR)


async def test_walk_asks_again_before_it_removes() -> None:
    parts = bare_parts()
    job = await ended(parts, JobStatus.FAILED, NOW - 25 * HOUR)
    await stored(parts).add(job.staging_key, NOW - 25 * HOUR)
    await stored(parts).add(orphan(), NOW - 25 * HOUR)
    walk = Walk(parts, NOW)
    look = await walk.look()
    assert look.count == 2
    await parts.records.requeue(job.id, now=NOW)
    assert await walk.remove(look.files) == [orphan()]
    assert await keys_of(parts) == {job.staging_key}


def test_look_keeps_the_first_20_000_files() -> None:
    look = Look()
    batch = [replace(INFO, key=f"media/c/u/m/{number}.webp") for number in range(15_000)]
    for _ in range(2):
        look.add(batch, Useless(files=batch, unknown=batch[:2]))
    assert (look.count, look.published, look.unknown, len(look.files)) == (30_000, 30_000, 4, AT_ONCE)
    assert look.files[-1] == batch[4_999]


def test_look_counts_published_files_and_knows_when_the_youngest_unknown_was_written() -> None:
    look = Look()
    assert Look().youngest is None
    staged = replace(INFO, key="staging/job_1", modified=NOW + HOUR)
    look.add([INFO, staged], Useless(files=[staged], unknown=[staged, INFO]))
    assert (look.count, look.published, look.unknown, look.youngest) == (1, 1, 1, NOW + HOUR)
    look.add([INFO], Useless(files=[INFO], unknown=[INFO]))
    assert (look.count, look.published, look.unknown, look.youngest) == (2, 2, 2, NOW + HOUR)


@pytest.mark.parametrize(
    ("grace_s", "written", "doubts"),
    [(3600, HOUR, False), (3600, HOUR + SECOND, True), (0, 60 * SECOND, False), (0, 61 * SECOND, True)],
)
async def test_walk_doubts_files_that_are_younger_than_the_last_job(
    grace_s: float, written: timedelta, doubts: bool
) -> None:
    parts = bare_parts(settings=Settings(orphan_grace_s=grace_s))
    await ended(parts, JobStatus.COMPLETE, NOW - 9 * HOUR)
    last = await ended(parts, JobStatus.COMPLETE, NOW - 6 * HOUR)
    await stored(parts).add(orphan(), last.created_at + written)
    found = await swept(parts)
    assert (found.doubt is not None) is doubts
    if found.doubt is not None:
        assert "newer than the last upload on record (2026-03-01 06:00 UTC)" in found.doubt
    assert bool(await keys_of(parts)) is doubts


@pytest.mark.parametrize(("known", "unknown", "doubts"), [(0, 5, False), (0, 6, True), (194, 6, False), (190, 6, True)])
async def test_walk_doubts_more_than_a_few_unknown_files_in_a_hundred(known: int, unknown: int, doubts: bool) -> None:
    parts = bare_parts()
    await mark_files(parts)
    job = await claimed_job(parts.records, NOW)
    for number in range(known):
        await stored(parts).add(f"media/check/u1/{job.media_id}/{number}.webp", NOW - 2 * HOUR)
    for number in range(unknown):
        await stored(parts).add(orphan(f"med_{number}"), NOW - 2 * HOUR)
    found = await swept(parts)
    total = known + unknown
    assert found.doubt == (f"{unknown} of {total} published files have no record" if doubts else None)
    assert (found.useless, len(found.orphans)) == (unknown, 0 if doubts else unknown)


async def set_back(parts: Parts) -> None:
    """Mark the files for a database that is further than this one."""
    here = await parts.records.identity()
    mark = f'{{"database": "{here.id}", "generation": {here.generation + 7}}}'
    await parts.storage.put(KEY, mark.encode())


async def test_sweep_files_doubts_a_database_that_is_older_than_its_files() -> None:
    parts = bare_parts()
    await set_back(parts)
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    found = await swept(parts)
    assert found.doubt == "the database is older than the storage, as after a restore"
    assert await keys_of(parts) == {orphan()}


async def test_sweep_files_lists_on_a_dry_run_what_it_would_doubt() -> None:
    parts = bare_parts()
    await set_back(parts)
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    found = await swept(parts, dry_run=True)
    assert (found.orphans, found.useless, found.doubt is not None) == ([orphan()], 1, True)
    assert await keys_of(parts) == {orphan()}


@pytest.mark.parametrize(("really", "goes"), [(1, False), (2, True), (3, True)])
async def test_sweep_files_removes_in_spite_of_a_doubt_no_more_than_was_said(really: int, goes: bool) -> None:
    parts = bare_parts()
    await set_back(parts)
    for name in ("med_1", "med_2"):
        await stored(parts).add(orphan(name), NOW - 2 * HOUR)
    found = await swept(parts, really=really)
    assert (len(found.orphans), found.doubt is None) == ((2, True) if goes else (0, False))
    # Then the files are this database's, as it is now.
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    assert ((await swept(parts)).orphans == [orphan()]) is goes


async def test_sweep_files_without_an_old_file_keeps_its_doubt_whatever_number_is_said() -> None:
    parts = bare_parts()
    await set_back(parts)
    await stored(parts).add(orphan(), NOW)
    assert (await swept(parts, really=6)).useless == 0
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    assert (await swept(parts)).doubt is not None, "nothing was decided"


async def test_sweep_files_leaves_to_the_next_walk_what_is_too_much_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_module, "AT_ONCE", 2)
    parts = bare_parts()
    await set_back(parts)
    for name in ("med_1", "med_2", "med_3"):
        await stored(parts).add(orphan(name), NOW - 2 * HOUR)
    found = await swept(parts, really=3)
    assert (len(found.orphans), found.useless, found.left) == (2, 3, 1)
    # While some are left, the files are not this database's yet.
    assert (await swept(parts)).doubt is not None
    found = await swept(parts, really=3)
    assert (len(found.orphans), found.useless, found.left) == (1, 1, 0)
    assert (await swept(parts)).doubt is None


async def test_sweep_files_by_a_given_clock() -> None:
    parts = bare_parts()
    await stored(parts).add(orphan(), NOW)
    assert (await swept(parts)).orphans == []
    assert (await swept(parts, now=NOW + 2 * HOUR)).orphans == [orphan()]


async def test_sweep_files_in_turn_looks_once_an_hour() -> None:
    parts = bare_parts()
    records = parts.records
    assert isinstance(records, SetRecords)
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    assert (await janitor(parts).sweep_files_in_turn()).orphans == [orphan()]
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    records.time = NOW + timedelta(seconds=FILES_EVERY_S) - SECOND
    assert await janitor(parts).sweep_files_in_turn() == Findings()
    records.time = NOW + timedelta(seconds=FILES_EVERY_S)
    assert (await janitor(parts).sweep_files_in_turn()).orphans == [orphan()]


async def test_sweep_files_in_turn_leaves_the_turn_to_the_process_that_has_it() -> None:
    parts = bare_parts()
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    async with hold(FILES_TURN, parts.records):
        assert await janitor(parts).sweep_files_in_turn() == Findings()
    assert await keys_of(parts) == {orphan()}


async def test_sweep_jobs_fails_a_job_whose_worker_died_on_its_last_attempt() -> None:
    parts = bare_parts(events=set(EventType))
    records = parts.records
    assert isinstance(records, SetRecords)
    job = await claimed_job(records, NOW, max_attempts=1)
    live = await claimed_job(records, NOW, max_attempts=2)
    records.time = NOW + timedelta(seconds=61)
    found = await janitor(parts).sweep_jobs()
    assert (found.failed, found.finished) == ([job.id], [job.id])
    failed, going_on = await get_job(records, job.id), await get_job(records, live.id)
    assert failed is not None
    assert going_on is not None
    assert (failed.status, failed.notified_at, going_on.status) == (
        JobStatus.FAILED,
        records.time,
        JobStatus.PROCESSING,
    )
    assert [event.type for event in await records.outbox(limit=9)] == [EventType.JOB_FAILED]


@pytest.mark.parametrize(("ago_s", "told"), [(30, False), (31, True)])
async def test_sweep_jobs_runs_the_hooks_of_ends_that_a_crash_left_untold(ago_s: float, told: bool) -> None:
    parts = bare_parts()
    job = await claimed_job(parts.records, NOW)
    at = NOW - timedelta(seconds=ago_s)
    await parts.records.settle(job, owner="worker", now=at, settlement=Settlement(JobStatus.REJECTED))
    heard: list[str] = []

    async def hook(state: Any) -> None:
        heard.append(state.job.id)

    parts.hooks.add("on_rejected", hook)
    found = await janitor(parts).sweep_jobs()
    assert (found.finished, heard) == (([job.id], [job.id]) if told else ([], []))
    assert (await janitor(parts).sweep_jobs()).finished == []


async def test_sweep_jobs_finishes_the_others_when_one_cannot_be_finished() -> None:
    class Broken(DatedStorage):
        async def delete(self, keys: Any) -> None:
            if bad.staging_key in keys:
                raise StorageUnavailable("away")
            await super().delete(keys)

    parts = bare_parts(storage=Broken())
    bad, good = [await claimed_job(parts.records, NOW) for _ in range(2)]
    for job in (bad, good):
        await parts.records.settle(job, owner="worker", now=NOW - HOUR, settlement=Settlement(JobStatus.COMPLETE))
    await janitor(parts).sweep_jobs()
    jobs = await parts.records.get_jobs([bad.id, good.id])
    assert (jobs[bad.id].notified_at, jobs[good.id].notified_at) == (None, NOW)


async def test_sweep_jobs_takes_a_batch_of_each_kind() -> None:
    parts = bare_parts()
    records = parts.records
    assert isinstance(records, SetRecords)
    for _ in range(BATCH + 1):
        await claimed_job(records, NOW, max_attempts=1)
        ended_job = await claimed_job(records, NOW)
        await records.settle(ended_job, owner="worker", now=NOW, settlement=Settlement(JobStatus.REJECTED))
    records.time = NOW + HOUR
    found = await janitor(parts).sweep_jobs()
    assert (len(found.failed), len(found.finished)) == (BATCH, 2 * BATCH)
    found = await janitor(parts).sweep_jobs()
    assert (len(found.failed), len(found.finished)) == (1, 2)


async def test_sweep_jobs_counts_the_keys_that_it_forgets() -> None:
    parts = bare_parts()
    await parts.records.reserve_key("old", now=NOW - HOUR, expires_at=NOW)
    await parts.records.reserve_key("new", now=NOW, expires_at=NOW + SECOND)
    assert (await janitor(parts).sweep_jobs()).expired_keys == 1


async def expiring(parts: Parts, number: int, expires_at: datetime | None = NOW) -> list[Media]:
    """Return media whose time is over at a moment, each with its files."""
    made = []
    for _ in range(number):
        job = await claimed_job(parts.records, NOW - 9 * HOUR)
        media = a_media(job, expires_at=expires_at)
        settlement = Settlement(JobStatus.COMPLETE, media)
        assert await parts.records.settle(job, owner="worker", now=NOW - 9 * HOUR, settlement=settlement)
        await parts.storage.put(str(media.original_key), b"picture")
        made.append(media)
    return made


async def test_expire_media_deletes_what_is_over_and_tells_it() -> None:
    parts = bare_parts()
    heard: list[Media] = []

    async def hook(media: Media) -> None:
        heard.append(media)

    parts.hooks.add("on_deleted", hook)
    (over,) = await expiring(parts, 1)
    (later,) = await expiring(parts, 1, NOW + SECOND)
    await expiring(parts, 1, None)
    assert await expire_media(parts, now=NOW, dry_run=True) == [over.id]
    assert heard == []
    assert await expire_media(parts, now=NOW, dry_run=False) == [over.id]
    assert heard == [over]
    assert await parts.records.get_media(over.id) is None
    assert str(over.original_key) not in await keys_of(parts)
    assert str(later.original_key) in await keys_of(parts)


async def test_expire_media_looks_at_about_as_many_as_it_is_told() -> None:
    parts = bare_parts()
    await expiring(parts, 2 * BATCH + 1)
    assert len(await expire_media(parts, now=NOW, dry_run=False, most=BATCH)) == BATCH
    assert len(await expire_media(parts, now=NOW, dry_run=True, most=BATCH + 1)) == BATCH + 1
    assert len(await expire_media(parts, now=NOW, dry_run=False)) == BATCH + 1


@pytest.mark.parametrize(("most", "batches"), [(1, 1), (BATCH, 1), (BATCH + 1, 2), (2 * BATCH, 2), (2 * BATCH + 1, 3)])
async def test_expire_media_ends_with_the_batch_that_reaches_what_it_is_told(most: int, batches: int) -> None:
    parts = bare_parts()
    await expiring(parts, 3 * BATCH + 1)
    assert len(await expire_media(parts, now=NOW, dry_run=True, most=most)) == batches * BATCH


@pytest.mark.parametrize(("error", "bug"), [(StorageUnavailable("away"), False), (RuntimeError("a bug"), True)])
async def test_expire_media_logs_the_cause_of_a_bug(
    error: Exception, bug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    parts = bare_parts(storage=(storage := Failing()))
    (media,) = await expiring(parts, 1)
    storage.stuck, storage.error = set(media.keys), error
    assert await expire_media(parts, now=NOW, dry_run=False) == []
    assert bool(caplog.records[-1].exc_info) is bug


class Failing(DatedStorage):
    """A storage that cannot delete the files of some media."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck: set[str] = set()
        self.error: Exception = StorageUnavailable("away")
        self.tried = 0

    async def delete(self, keys: Any) -> None:
        self.tried += 1
        if self.stuck & set(keys):
            raise self.error
        await super().delete(keys)


@pytest.mark.parametrize(("in_a_row", "gives_up"), [(GIVE_UP - 1, False), (GIVE_UP, True)])
async def test_expire_media_gives_up_after_20_failures_in_a_row(in_a_row: int, gives_up: bool) -> None:
    storage = Failing()
    parts = bare_parts(storage=storage)
    media = sorted(await expiring(parts, 2 * in_a_row + 1), key=lambda one: one.id)
    good = media[in_a_row - 1 + (not gives_up)]
    if gives_up:
        good = media[in_a_row]
    storage.stuck = {str(one.original_key) for one in media if one is not good}
    if gives_up:
        with pytest.raises(StorageUnavailable):
            await expire_media(parts, now=NOW, dry_run=False)
        assert storage.tried == GIVE_UP
        return
    assert await expire_media(parts, now=NOW, dry_run=False) == [good.id]


async def test_expire_uploads_removes_files_and_rows_of_what_is_over() -> None:
    parts = bare_parts()
    over = [await uploaded(parts, expires_at=NOW) for _ in range(2 * BATCH + 1)]
    later = await uploaded(parts, expires_at=NOW + SECOND)
    ids = {upload.id for upload in over}
    assert set(await expire_uploads(parts, now=NOW, dry_run=True)) == ids
    assert len(await keys_of(parts)) == 2 * BATCH + 2
    assert set(await expire_uploads(parts, now=NOW, dry_run=False)) == ids
    assert await keys_of(parts) == {later.staging_key}
    assert [len(keys) for keys in stored(parts).deleted] == [BATCH, BATCH, 1]
    assert set(await parts.records.get_uploads([*ids, later.id])) == {later.id}


async def test_sweep_expired_is_by_the_clock_of_the_records_unless_told() -> None:
    parts = bare_parts()
    (media,) = await expiring(parts, 1)
    upload = await uploaded(parts, expires_at=NOW)
    sweep = janitor(parts).sweep_expired
    assert await sweep(dry_run=False, now=NOW - SECOND) == Findings()
    found = await sweep(dry_run=True)
    assert (found.expired_media, found.expired_uploads) == ([media.id], [upload.id])
    assert await sweep(dry_run=False, most=0) == Findings(expired_uploads=[upload.id])
    assert (await sweep(dry_run=False)).expired_media == [media.id]


def test_findings_summary_counts_what_was_found() -> None:
    found = Findings(failed=["a", "b"], expired_keys=3, doubt="why", orphans=[])
    assert found.summary == "failed: 2, expired_keys: 3, doubt: why"


def test_what_to_do_names_the_command_and_the_number() -> None:
    assert "`mediagate janitor --really 12`" in what_to_do(12)
    assert '"Back up and restore"' in what_to_do(12)


async def test_sweep_files_logs_the_way_out_of_a_doubt(caplog: pytest.LogCaptureFixture) -> None:
    parts = bare_parts(sources={"check": Source()})
    await set_back(parts)
    await stored(parts).add(orphan(), NOW - 2 * HOUR)
    with caplog.at_level(logging.ERROR):
        await swept(parts)
    assert "no files were removed: the database is older than the storage" in caplog.text
    assert what_to_do(1) in caplog.text
