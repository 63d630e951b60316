"""Batches in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from mediagate.records.batches import Batches
from mediagate.records.memory.idempotency_keys import IdempotencyKeys
from mediagate.records.memory.outbox import Outbox
from mediagate.records.reservation import Reservation
from mediagate.values import Batch, BatchChild, BatchState, EventsOfBatch, Job, no_batch_events


class MemoryBatches(Batches):
    """The batches beside their jobs; ``insert`` adds a job with its turn."""

    def __init__(
        self, jobs: dict[str, Job], keys: IdempotencyKeys, outbox: Outbox, insert: Callable[[Job], None]
    ) -> None:
        self._jobs = jobs
        self._keys = keys
        self._outbox = outbox
        self._insert = insert
        self._batches: dict[str, Batch] = {}

    async def create(
        self,
        batch: Batch,
        jobs: Sequence[Job],
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        bound = None if key is None else Reservation(key, jobs[0].id, fingerprint)
        if bound and key_expires_at and not self._keys.bind(bound, key_expires_at):
            return False
        self._batches[batch.id] = batch
        for job in jobs:
            self._insert(job)
        return True

    async def get(self, batch_id: str) -> BatchState | None:
        batch = self._batches.get(batch_id)
        return None if batch is None else self._state_of(batch)

    async def report(self, batch_id: str, *, now: datetime, events_of: EventsOfBatch = no_batch_events) -> bool:
        state = await self.get(batch_id)
        if state is None or state.batch.reported_at is not None or not state.status.terminal:
            return False
        self._batches[batch_id] = replace(state.batch, reported_at=now)
        self._outbox.write(events_of(state))
        return True

    async def unreported(self, *, limit: int) -> Sequence[str]:
        found = [batch for batch in self._batches.values() if batch.reported_at is None]
        ended = [batch for batch in found if not any(not job.status.terminal for job in self._of(batch))]
        return [batch.id for batch in sorted(ended, key=lambda batch: (batch.created_at, batch.id))][:limit]

    async def of_owner(self, owner_id: str, *, limit: int, after: str = "") -> Sequence[Batch]:
        found = [batch for batch in self._batches.values() if batch.owner_id == owner_id and batch.id > after]
        return sorted(found, key=lambda batch: batch.id)[:limit]

    async def forget(self, *, owner_id: str | None = None) -> int:
        theirs = [batch for batch in self._batches.values() if owner_id in (None, batch.owner_id)]
        gone = [batch.id for batch in theirs if not self._of(batch)]
        for batch_id in gone:
            del self._batches[batch_id]
        self._outbox.erase(gone)
        return len(gone)

    def _of(self, batch: Batch) -> list[Job]:
        found = [job for job in self._jobs.values() if job.batch_id == batch.id]
        return sorted(found, key=lambda job: job.batch_position or 0)

    def _state_of(self, batch: Batch) -> BatchState:
        return BatchState(batch, tuple(BatchChild.of(job) for job in self._of(batch)))
