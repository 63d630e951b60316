"""What owners ask of records in memory: their media and jobs page by page, and what they used."""

from __future__ import annotations

from datetime import date, datetime

from mediagate.records.paging import cursor_after, read_cursor
from mediagate.values import Job, JobPage, JobState, JobStatus, Media, MediaPage, Usage, UsageReport, added


class MemoryLists:
    """The part of ``MemoryRecords`` that reads many rows for their owners."""

    _jobs: dict[str, Job]
    _media: dict[str, Media]

    async def list_media(
        self,
        source_type: str,
        source_id: str | None,
        *,
        limit: int,
        cursor: str | None = None,
        owner_id: str | None = None,
        now: datetime | None = None,
    ) -> MediaPage:
        """Return media newest first."""
        found = [m for m in self._media.values() if m.source_type == source_type and source_id in (None, m.source_id)]
        found = [m for m in found if owner_id in (None, m.owner_id) and not (now and m.expired(now))]
        found.sort(key=lambda m: (m.created_at, m.id), reverse=True)
        if cursor is not None:
            after = read_cursor(cursor)
            found = [m for m in found if (m.created_at, m.id) < after]
        items = tuple(found[:limit])
        return MediaPage(items, cursor_after(items[-1]) if len(found) > limit else None)

    async def list_jobs(
        self,
        *,
        owner_id: str | None = None,
        status: JobStatus | None = None,
        source_type: str | None = None,
        source_id: str | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> JobPage:
        """Return jobs newest first."""
        found = [
            job
            for job in self._jobs.values()
            if owner_id in (None, job.owner_id)
            and status in (None, job.status)
            and source_type in (None, job.source_type)
            and source_id in (None, job.source_id)
        ]
        found.sort(key=lambda job: (job.created_at, job.id), reverse=True)
        if cursor is not None:
            after = read_cursor(cursor)
            found = [job for job in found if (job.created_at, job.id) < after]
        items = tuple(JobState(job, self._media.get(job.media_id)) for job in found[:limit])
        return JobPage(items, cursor_after(found[limit - 1]) if len(found) > limit else None)

    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        """Return what was used, by the day and by the key of the upload."""
        days: dict[date, list[Usage]] = {}
        keys: dict[str, list[Usage]] = {}
        for job in self._jobs.values():
            if owner_id in (None, job.owner_id) and first <= job.created_at.date() <= last:
                days.setdefault(job.created_at.date(), []).append(_usage_of(job))
                if job.key_id is not None:
                    keys.setdefault(job.key_id, []).append(_usage_of(job))
        by_day = {day: added(days[day]) for day in sorted(days)}
        return UsageReport(owner_id, first, last, by_day, {key: added(keys[key]) for key in sorted(keys)})


def _usage_of(job: Job) -> Usage:
    return Usage(1, job.bytes, job.bytes_out, job.model_runs, {job.status: 1})
