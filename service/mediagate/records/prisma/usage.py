"""The usage of owners, summed over the rows of jobs."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, Literal

from mediagate.records.client_patches import Prisma
from mediagate.records.queries import query
from mediagate.values import JobStatus, Usage, UsageReport

LAST = time(23, 59, 59, 999_000)
"""The last moment of a day, at the precision of the databases."""


async def read_usage(client: Prisma, owner_id: str | None, first: date, last: date) -> UsageReport:
    """Return the usage by day and by key of the upload."""
    where = _between(owner_id, first, last)
    # Selected by time, for which there are indexes, and grouped by the stored day.
    days = await _used_by(client, "day", where)
    # A separate query: grouped by day as well, it would return one row for each pair of day and key.
    keys = await _used_by(client, "keyId", where | {"keyId": {"not": None}})
    return UsageReport(owner_id, first, last, {date.fromisoformat(day): used for day, used in days.items()}, keys)


async def _used_by(client: Prisma, column: Literal["day", "keyId"], where: Any) -> dict[str, Usage]:
    order: Any = {column: "asc"}
    groups: Any = await query(
        lambda: client.mediagatejob.group_by(
            by=[column, "status"],
            where=where,
            count=True,
            sum={"bytes": True, "bytesOut": True, "modelRuns": True, "credits": True},
            order=order,
        )
    )
    found: dict[str, Usage] = {}
    for group in groups:
        name, count, sums = group[column], group["_count"]["_all"], group["_sum"]
        status = JobStatus(group["status"])
        charged = sums["credits"] if status is JobStatus.COMPLETE else 0
        used = Usage(count, sums["bytes"], sums["bytesOut"], sums["modelRuns"], {status: count}, charged)
        found[name] = found.get(name, Usage()) + used
    return found


def _between(owner_id: str | None, first: date, last: date) -> Any:
    where: Any = {
        "createdAt": {"gte": datetime.combine(first, time.min, UTC), "lte": datetime.combine(last, LAST, UTC)}
    }
    return where if owner_id is None else where | {"ownerId": owner_id}
