"""The protocol of batches: the parents of jobs that were requested together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from mediagate.values import Batch, BatchState, EventsOfBatch, Job, no_batch_events


@runtime_checkable
class Batches(Protocol):
    """Batches and their jobs, with the times and errors of ``Records``.

    A batch has no status: its state is read from its jobs, which name it and their place in it.
    """

    async def create(
        self,
        batch: Batch,
        jobs: Sequence[Job],
        *,
        key: str | None = None,
        fingerprint: str | None = None,
        key_expires_at: datetime | None = None,
    ) -> bool:
        """Insert a batch and its PENDING jobs, with their turns as for ``Records.create_job``, in one transaction.

        The reserved key is bound to the first job. Returns ``False``, writing nothing, when the key is bound to another
        job or no longer reserved.
        """
        ...

    async def get(self, batch_id: str) -> BatchState | None:
        """Return a batch with its jobs in their order."""
        ...

    async def report(self, batch_id: str, *, now: datetime, events_of: EventsOfBatch = no_batch_events) -> bool:
        """Write the events of a batch whose jobs have all ended and mark it as reported, in one transaction.

        Returns ``False``, writing nothing, while a job is live, and when the batch was reported before: of concurrent
        callers exactly one reports it.
        """
        ...

    async def unreported(self, *, limit: int) -> Sequence[str]:
        """Return ids of batches whose jobs have all ended and that were not reported, oldest first."""
        ...

    async def of_owner(self, owner_id: str, *, limit: int, after: str = "") -> Sequence[Batch]:
        """Return an owner's batches with an id after ``after``, ordered by id."""
        ...

    async def forget(self, *, owner_id: str | None = None) -> int:
        """Delete batches that have no job any more, of one owner or of all, with their events; returns their number."""
        ...
