"""The conformance check of idempotency keys in records."""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import partial

from mediagate.records import Records, Reservation, get_job
from mediagate.testing.record_samples import HOSTILE, LEASE, RACERS, a_job, expect, race, same


async def check_keys(records: Records, now: datetime) -> None:
    """Check the promises about idempotency keys."""
    await _one_by_one(records, now)
    await _kept_in_flight(records, now)
    await _races(records, now)


async def _one_by_one(records: Records, now: datetime) -> None:
    key, soon, late = HOSTILE + secrets.token_hex(8), now + LEASE, now + 9 * LEASE
    same(await records.reserve_key(key, now=now, expires_at=soon), None, "reserve_key() of a new key must be None")
    in_flight = Reservation(key, None, None)
    same(await records.reserve_key(key, now=now, expires_at=soon), in_flight, "reserve_key() of a key in flight")
    await records.release_key(key)
    same(await records.reserve_key(key, now=now, expires_at=soon), None, "reserve_key() after release_key()")
    job = a_job(now)
    created = await records.create_job(job, key=key, fingerprint=HOSTILE, key_expires_at=late)
    expect(created and await get_job(records, job.id), "create_job() with a key must create the job")
    bound = Reservation(key, job.id, HOSTILE)
    same(
        await records.reserve_key(key, now=soon, expires_at=late),
        bound,
        "create_job() must bind the key until key_expires_at",
    )
    await records.release_key(key)
    same(await records.reserve_key(key, now=soon, expires_at=late), bound, "release_key() must leave a bound key")
    for other in (key, secrets.token_hex(8)):
        second = a_job(now)
        expect(
            not await records.create_job(second, key=other, fingerprint="f", key_expires_at=late),
            "create_job() with another job's key, or an unreserved one, must be False",
        )
        same(await get_job(records, second.id), None, "create_job() that is False must insert no job")
    same(await records.reserve_key(key, now=soon, expires_at=late), bound, "create_job() must leave another job's key")
    await records.release_key(secrets.token_hex(8))
    same(await records.reserve_key(key, now=late, expires_at=late + LEASE), None, "reserve_key() of an expired key")
    same(await records.reserve_key(key, now=late, expires_at=late), in_flight, "a key taken over must be in flight")
    kept = secrets.token_hex(8)
    await records.reserve_key(kept, now=now, expires_at=late + 2 * LEASE)
    expect(await records.forget(now=late + LEASE) >= 1, "forget() must count the keys that expired")
    same(await records.forget(now=late + LEASE), 0, "forget() must delete expired keys")
    same(await records.reserve_key(key, now=now, expires_at=late), None, "reserve_key() of a forgotten key")
    same(
        await records.reserve_key(kept, now=now, expires_at=late),
        Reservation(kept, None, None),
        "forget() must leave keys that have not expired",
    )


async def _kept_in_flight(records: Records, now: datetime) -> None:
    key, soon, late = secrets.token_hex(8), now + LEASE, now + 9 * LEASE
    in_flight = Reservation(key, None, None)
    await records.reserve_key(key, now=now, expires_at=soon)
    await records.keep_key(key, expires_at=late)
    same(await records.reserve_key(key, now=soon, expires_at=late), in_flight, "keep_key() must extend a key in flight")
    job = a_job(now)
    await records.create_job(job, key=key, fingerprint="f", key_expires_at=soon)
    await records.keep_key(key, expires_at=late)
    same(await records.reserve_key(key, now=soon, expires_at=late), None, "keep_key() must leave a bound key")
    await records.keep_key(secrets.token_hex(8), expires_at=late)


async def _races(records: Records, now: datetime) -> None:
    key = secrets.token_hex(8)

    async def reserve(at: datetime, _: int) -> Reservation | None:
        return await records.reserve_key(key, now=at, expires_at=at + LEASE)

    for at, kind in ((now, "a new key"), (now + LEASE, "an expired key")):
        answers = await race(partial(reserve, at))
        same(answers.count(None), 1, f"of {RACERS} concurrent reservations of {kind} exactly one must win")
        same(answers.count(Reservation(key, None, None)), RACERS - 1, f"the others must see {kind} in flight")
