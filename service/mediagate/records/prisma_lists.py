"""What owners ask of the database: their media and jobs page by page, and what they used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Literal

from mediagate.records.client import Prisma
from mediagate.records.paging import cursor_after, read_cursor
from mediagate.records.queries import EXPIRY, expired, query
from mediagate.records.rows import job_of, media_of
from mediagate.values import JobPage, JobState, JobStatus, Media, MediaPage, Usage, UsageReport

NEWEST_FIRST: Any = [{"createdAt": "desc"}, {"id": "desc"}]
LAST = time(23, 59, 59, 999_000)
"""The last moment of a day, at the precision of the databases."""


class PrismaLists:
    """The part of ``PrismaRecords`` that reads many rows for their owners."""

    client: Prisma

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
        where = page(cursor, sourceType=source_type, sourceId=source_id, ownerId=owner_id)
        if now is not None:
            where["AND"] = [{"OR": [{"expiresAt": None}, {"expiresAt": {"gt": now}}]}]
        found = await self._media_where(where, order=NEWEST_FIRST, take=limit + 1)
        items = tuple(found.values())[:limit]
        return MediaPage(items, cursor_after(items[-1]) if len(found) > limit else None)

    async def expired_media(self, *, now: datetime, limit: int, after: Media | None = None) -> Sequence[Media]:
        """Return media whose time is over."""
        return list((await self._media_where(expired(now, after), order=EXPIRY, take=limit)).values())

    async def _media_where(self, where: Any, *, take: int | None = None, order: Any = None) -> dict[str, Media]:
        media = self.client.mediagatemedia
        rows = await query(lambda: media.find_many(where=where, take=take, order=order, include={"variants": True}))
        return {row.id: media_of(row) for row in rows}

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
        """Return jobs newest first, with their media, in one request."""
        where = page(
            cursor, ownerId=owner_id, status=status and status.value, sourceType=source_type, sourceId=source_id
        )
        rows = await query(
            lambda: self.client.mediagatejob.find_many(
                where=where, order=NEWEST_FIRST, take=limit + 1, include={"media": {"include": {"variants": True}}}
            )
        )
        items = tuple(JobState(job_of(row), media_of(row.media) if row.media else None) for row in rows[:limit])
        return JobPage(items, cursor_after(items[-1].job) if len(rows) > limit else None)

    async def usage(self, *, owner_id: str | None, first: date, last: date) -> UsageReport:
        """Return what was used, by the day and by the key of the upload."""
        where = _between(owner_id, first, last)
        # Found by the moment, for which there are indexes, and grouped by the day that is written beside it.
        days = await self._used_by("day", where)
        # A question of its own: grouped by day as well, it would have as many rows as there are days and keys together.
        keys = await self._used_by("keyId", where | {"keyId": {"not": None}})
        return UsageReport(owner_id, first, last, {date.fromisoformat(day): used for day, used in days.items()}, keys)

    async def _used_by(self, column: Literal["day", "keyId"], where: Any) -> dict[str, Usage]:
        order: Any = {column: "asc"}
        groups: Any = await query(
            lambda: self.client.mediagatejob.group_by(
                by=[column, "status"],
                where=where,
                count=True,
                sum={"bytes": True, "bytesOut": True, "modelRuns": True},
                order=order,
            )
        )
        found: dict[str, Usage] = {}
        for group in groups:
            name, count, sums = group[column], group["_count"]["_all"], group["_sum"]
            used = Usage(count, sums["bytes"], sums["bytesOut"], sums["modelRuns"], {JobStatus(group["status"]): count})
            found[name] = found.get(name, Usage()) + used
        return found


def _between(owner_id: str | None, first: date, last: date) -> Any:
    where: Any = {
        "createdAt": {"gte": datetime.combine(first, time.min, UTC), "lte": datetime.combine(last, LAST, UTC)}
    }
    return where if owner_id is None else where | {"ownerId": owner_id}


def page(cursor: str | None, **columns: str | None) -> Any:
    """Return the condition of a row behind the cursor that has these values, where one is given."""
    where: Any = {name: value for name, value in columns.items() if value is not None}
    if cursor is not None:
        created_at, row_id = read_cursor(cursor)
        where["OR"] = [{"createdAt": {"lt": created_at}}, {"createdAt": created_at, "id": {"lt": row_id}}]
        # It follows from those two, but only this lets an index begin there instead of at the newest.
        where["createdAt"] = {"lte": created_at}
    return where
