"""Turns: the order in which jobs of one priority are claimed, so that no owner waits behind all that another sent.

A start-time fair queue (Goyal, Vin, Cheng 1996, "Start-time Fair Queuing") in which every job costs the same. Its time
is the highest turn that was claimed, and the jobs of one share are ``APART``. Whoever has none waiting comes one behind
that time: before the next of those who have many, and behind it the next time.
"""

from __future__ import annotations

from dataclasses import replace

from mediagate.records.client import Prisma
from mediagate.records.database import Database
from mediagate.values import Job, JobStatus

APART = 2
"""What lies between two jobs of one share; twice what a share without waiting jobs keeps from the queue's time."""
BEGUN = (JobStatus.PROCESSING, JobStatus.COMPLETE, JobStatus.REJECTED, JobStatus.FAILED)
"""Jobs that were claimed, for certain: one may be cancelled before."""

_TIME = " UNION ALL ".join(
    f"SELECT MAX(turn) AS turn FROM mediagate_job WHERE status = '{status}' AND priority = {{priority}}"
    for status in BEGUN
)
TAKE = f"""
INSERT INTO mediagate_turn AS t (priority, share, turn)
SELECT CAST(? AS INTEGER), CAST(? AS TEXT), COALESCE(MAX(turn), 0) + 1
FROM ({_TIME.format(priority="CAST(? AS INTEGER)")}) AS begun WHERE true
ON CONFLICT (priority, share) DO UPDATE
SET turn = CASE WHEN t.turn + {APART} > excluded.turn THEN t.turn + {APART} ELSE excluded.turn END
RETURNING turn
"""
"""One statement, so that uploads of one share at the same moment get turns of their own."""
FORGET = f"""
DELETE FROM mediagate_turn WHERE turn <= (
    SELECT COALESCE(MAX(turn), 0) FROM ({_TIME.format(priority="mediagate_turn.priority")}) AS begun
) OR NOT EXISTS (
    SELECT 1 FROM mediagate_job AS job WHERE job.status = 'PENDING' AND job.priority = mediagate_turn.priority
)
"""


def share_of(job: Job) -> str:
    """Return who shares with whom: an owner's jobs with one another; without one, those of a source id."""
    # An owner's name has no line break.
    return job.owner_id or f"{job.source_type}\n{job.source_id}"


class PrismaTurns:
    """The part of the records that gives jobs their turns."""

    client: Prisma
    postgres_schema: str | None

    async def _forget_turns(self) -> None:
        await Database(self).change_rows(FORGET)

    async def _with_turn(self, job: Job) -> Job:
        """Return a new job with its turn; one that is not recorded then leaves a gap, which is nobody's loss."""
        values = (job.priority, share_of(job), *[job.priority] * len(BEGUN))
        rows = await Database(self).fetch_rows(TAKE, *values)
        return replace(job, turn=int(rows[0]["turn"]))
