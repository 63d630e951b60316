"""Rows of idempotency keys: reserved by the insert that succeeds, extended or released until bound to a job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mediagate.records.client_patches import Prisma, UniqueViolationError
from mediagate.records.queries import execute
from mediagate.records.reservation import Reservation


async def reserve_key(client: Prisma, key: str, now: datetime, expires_at: datetime) -> Reservation | None:
    """Reserve a key; returns the existing reservation, or ``None`` when the key is now ours."""
    keys = client.mediagateidempotencykey
    for _ in range(2):
        try:
            await execute(lambda: keys.create(data={"key": key, "expiresAt": expires_at}))
        except UniqueViolationError:
            row = await execute(lambda: keys.find_unique(where={"key": key}))
            if row is not None and row.expiresAt > now:
                return Reservation(key, row.jobId, row.fingerprint)
            await execute(lambda: keys.delete_many(where={"key": key, "expiresAt": {"lte": now}}))
        else:
            return None
    return Reservation(key, None, None)


async def keep_key(client: Prisma, key: str, expires_at: datetime) -> None:
    """Extend a reservation that is not bound to a job."""
    where: Any = {"key": key, "jobId": None}
    await execute(lambda: client.mediagateidempotencykey.update_many(where=where, data={"expiresAt": expires_at}))


async def release_key(client: Prisma, key: str) -> None:
    """Delete a reservation that is not bound to a job."""
    where: Any = {"key": key, "jobId": None}
    await execute(lambda: client.mediagateidempotencykey.delete_many(where=where))


async def forget_expired_keys(client: Prisma, now: datetime) -> int:
    """Delete expired keys and return their number."""
    return await execute(lambda: client.mediagateidempotencykey.delete_many(where={"expiresAt": {"lte": now}}))
