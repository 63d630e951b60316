"""Changes of one row of a job."""

from __future__ import annotations

from typing import Any

from mediagate.records.client_patches import Prisma
from mediagate.records.queries import execute, query


async def change_job(client: Prisma, where: Any, data: Any) -> bool:
    """Change a job idempotently: under a lease, or to the same values."""
    return bool(await query(lambda: client.mediagatejob.update_many(where=where, data=data)))


async def take_job(client: Prisma, where: Any, data: Any) -> Any:
    """Change a job by compare-and-set and return its row, or ``None``: one UPDATE with all these conditions."""
    return await execute(lambda: client.mediagatejob.update(where=where, data=data))
