"""Selecting jobs and media in memory, and the usage of owners."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import date, datetime

from mediagate.records.paging import Listed, Paging, cut, read_cursor, statuses_of
from mediagate.values import Job, JobStatus, Media, Usage, UsageReport, added


def page(found: Collection[Listed], wanted: Paging) -> tuple[Sequence[Listed], str | None, int | None]:
    """Return the rows of a page, newest first, the cursor of the next page, if any, and the total of one by offset.

    Raises ``InvalidParameter`` for a malformed cursor.
    """
    rows = sorted(found, key=_place, reverse=True)
    if wanted.cursor is not None:
        after = read_cursor(wanted.cursor)
        rows = [row for row in rows if _place(row) < after]
    total = None if wanted.offset is None else len(rows)
    items, next_cursor = cut(rows[wanted.offset or 0 :], wanted.limit)
    return items, next_cursor, total


def media_where(
    media: Iterable[Media], source_type: str, source_id: str | None, owner_id: str | None, now: datetime | None
) -> list[Media]:
    """Return the media of a source that match each given value, without those that have expired by ``now``."""
    found = [m for m in media if m.source_type == source_type and source_id in (None, m.source_id)]
    return [m for m in found if owner_id in (None, m.owner_id) and not (now and m.expired(now))]


def jobs_where(
    jobs: Iterable[Job],
    owner_id: str | None,
    status: JobStatus | Collection[JobStatus] | None,
    source_type: str | None,
    source_id: str | None,
) -> list[Job]:
    """Return the jobs that match each given value."""
    statuses = statuses_of(status)
    found = [j for j in jobs if owner_id in (None, j.owner_id) and (statuses is None or j.status in statuses)]
    return [j for j in found if source_type in (None, j.source_type) and source_id in (None, j.source_id)]


def waiting_since(jobs: Iterable[Job]) -> datetime | None:
    """Return when the job that has waited longest for its first attempt became claimable."""
    waiting = [job for job in jobs if job.status is JobStatus.PENDING and not job.attempts]
    return min((job.available_at or job.created_at for job in waiting), default=None)


def unnotified(jobs: Iterable[Job], before: datetime) -> list[str]:
    """Return ids of terminal jobs that finished before ``before`` and whose hooks have not all run."""
    found = [job for job in jobs if job.notified_at is None and job.finished_at and job.finished_at < before]
    return [job.id for job in sorted(found, key=lambda job: job.finished_at or before)]


def erasable(
    jobs: Mapping[str, Job], media: Container[str], outputs: Container[str], owner_id: str, job_ids: Iterable[str]
) -> list[str]:
    """Return the ids of the terminal jobs of an owner, among these, that have neither media nor outputs."""
    found = [jobs[job_id] for job_id in job_ids if job_id in jobs]
    ended = [job for job in found if job.owner_id == owner_id and job.status.terminal]
    return [job.id for job in ended if job.media_id not in media and job.id not in outputs]


def _place(row: Job | Media) -> tuple[datetime, str]:
    return row.created_at, row.id


def usage_report(jobs: Iterable[Job], owner_id: str | None, first: date, last: date) -> UsageReport:
    """Return the usage by day and by key of the upload."""
    days: dict[date, list[Usage]] = {}
    keys: dict[str, list[Usage]] = {}
    for job in jobs:
        if owner_id in (None, job.owner_id) and first <= job.created_at.date() <= last:
            days.setdefault(job.created_at.date(), []).append(_usage_of(job))
            if job.key_id is not None:
                keys.setdefault(job.key_id, []).append(_usage_of(job))
    by_day = {day: added(days[day]) for day in sorted(days)}
    return UsageReport(owner_id, first, last, by_day, {key: added(keys[key]) for key in sorted(keys)})


def _usage_of(job: Job) -> Usage:
    charged = job.credits if job.status is JobStatus.COMPLETE else 0
    return Usage(1, job.bytes, job.bytes_out, job.model_runs, {job.status: 1}, charged)
