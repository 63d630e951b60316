"""The protocol of outputs: the files of pipelines, from the end of their job to their deletion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from mediagate.values import Job, JobState


@runtime_checkable
class Outputs(Protocol):
    """The outputs of pipelines, with the times and errors of ``Records``. ``Records.settle`` writes them."""

    async def expired(self, *, now: datetime, limit: int, after: Job | None = None) -> Sequence[JobState]:
        """Return jobs whose outputs have expired, with them, after ``after``; ordered by ``expires_at`` and id."""
        ...

    async def clear(self, job_id: str, *, now: datetime) -> bool:
        """Delete the outputs and the result of a COMPLETE pipeline, in one transaction; the job remains.

        Sets ``cleared_at`` and removes ``expires_at``. ``False``, changing nothing, if that was done before or there is
        no such job.
        """
        ...
