"""Pages of media and jobs in the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.paging import Paging, cut, read_cursor, statuses_of
from mediagate.records.prisma.media import media_where
from mediagate.records.prisma.outputs import read_outputs
from mediagate.records.prisma.rows import job_of, media_of
from mediagate.records.queries import query
from mediagate.values import JobPage, JobState, JobStatus, MediaPage

NEWEST_FIRST: Any = [{"createdAt": "desc"}, {"id": "desc"}]


async def media_page(
    client: Prisma,
    source_type: str,
    source_id: str | None,
    page: Paging,
    owner_id: str | None,
    now: datetime | None,
) -> MediaPage:
    """Return a page of media, newest first, without media that have expired by ``now``."""
    where = _behind(page.cursor, sourceType=source_type, sourceId=source_id, ownerId=owner_id)
    if now is not None:
        where["AND"] = [{"OR": [{"expiresAt": None}, {"expiresAt": {"gt": now}}]}]
    found = await media_where(client, where, order=NEWEST_FIRST, take=page.limit + 1, skip=page.offset or 0)
    items, next_cursor = cut(list(found.values()), page.limit)
    total = None if page.offset is None else await _counted(client.mediagatemedia.count, where)
    return MediaPage(tuple(items), next_cursor, total)


async def job_page(
    client: Prisma,
    page: Paging,
    owner_id: str | None,
    status: JobStatus | Collection[JobStatus] | None,
    source_type: str | None,
    source_id: str | None,
) -> JobPage:
    """Return a page of jobs with their media, newest first, in one request."""
    where = _behind(page.cursor, ownerId=owner_id, sourceType=source_type, sourceId=source_id)
    if (statuses := statuses_of(status)) is not None:
        values = [one.value for one in statuses]
        where["status"] = values[0] if len(values) == 1 else {"in": values}
    rows = await query(
        lambda: client.mediagatejob.find_many(
            where=where,
            order=NEWEST_FIRST,
            take=page.limit + 1,
            skip=page.offset or 0,
            include={"media": {"include": {"variants": True}}},
        )
    )
    jobs, next_cursor = cut([job_of(row) for row in rows], page.limit)
    media = {row.id: media_of(row.media) for row in rows if row.media}
    outputs = await read_outputs(client, jobs)
    items = (JobState(job, media.get(job.id), outputs.get(job.id, ())) for job in jobs)
    total = None if page.offset is None else await _counted(client.mediagatejob.count, where)
    return JobPage(tuple(items), next_cursor, total)


async def _counted(count: Callable[..., Awaitable[int]], where: Any) -> int:
    return await query(lambda: count(where=where))


def _behind(cursor: str | None, **columns: str | None) -> Any:
    """Return the condition of a row after the cursor, filtered by each given value."""
    where = given(**columns)
    if cursor is not None:
        created_at, row_id = read_cursor(cursor)
        where["OR"] = [{"createdAt": {"lt": created_at}}, {"createdAt": created_at, "id": {"lt": row_id}}]
        # Implied by the other conditions, but only this one lets an index scan begin here instead of at the newest row.
        where["createdAt"] = {"lte": created_at}
    return where


def given(**columns: str | None) -> Any:
    """Return the condition of a row that has each given value."""
    return {name: value for name, value in columns.items() if value is not None}
