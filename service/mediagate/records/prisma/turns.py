"""The turns of jobs in the database: one row for each share with its last turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mediagate.records.database import Database
from mediagate.records.turns import APART, share_of
from mediagate.values import Job, JobStatus

BEGUN = (JobStatus.PROCESSING, JobStatus.COMPLETE, JobStatus.REJECTED, JobStatus.FAILED)
"""Statuses of jobs that were certainly claimed; a waiting or cancelled job may never have been."""

TIME = "\n"
"""The share of the row that holds the highest claimed turn of jobs in another status: no other share is a line break
alone."""

_TIME = " UNION ALL ".join(
    f"SELECT MAX(turn) AS turn FROM mediagate_job WHERE status = '{status}' AND priority = {{priority}}"
    for status in BEGUN
)
_TIME_KEPT = f"{_TIME} UNION ALL SELECT turn FROM mediagate_turn WHERE priority = {{priority}} AND share = '{TIME}'"
TAKE = f"""
INSERT INTO mediagate_turn AS t (priority, share, turn)
SELECT CAST(? AS INTEGER), CAST(? AS TEXT), COALESCE(MAX(turn), 0) + 1 + {{more}}
FROM ({_TIME_KEPT.format(priority="CAST(? AS INTEGER)")}) AS begun WHERE true
ON CONFLICT (priority, share) DO UPDATE
SET turn = CASE WHEN t.turn + {APART} + {{more}} > excluded.turn THEN t.turn + {APART} + {{more}} ELSE excluded.turn END
RETURNING turn
"""
"""Takes a turn, and the turns before it of ``more / APART`` other jobs of the share.

A single statement, so that concurrent uploads of one share get different turns.
"""
FORGET = f"""
DELETE FROM mediagate_turn WHERE turn <= (
    SELECT COALESCE(MAX(turn), 0) FROM ({_TIME.format(priority="mediagate_turn.priority")}) AS begun
) OR NOT EXISTS (
    SELECT 1 FROM mediagate_job AS job WHERE job.status = 'PENDING' AND job.priority = mediagate_turn.priority
)
"""
KEEP_TIME = f"""
INSERT INTO mediagate_turn AS t (priority, share, turn)
SELECT priority, '{TIME}', MAX(turn) FROM mediagate_job
WHERE id IN ({{ids}}) AND "startedAt" IS NOT NULL GROUP BY priority
ON CONFLICT (priority, share) DO UPDATE
SET turn = CASE WHEN t.turn > excluded.turn THEN t.turn ELSE excluded.turn END
"""
"""Records the highest claimed turns of jobs that are about to be deleted, or to leave the statuses of ``BEGUN``.

The time of the queue must not run back: new jobs would come before those that wait.
"""
LEAVE = "DELETE FROM mediagate_turn WHERE share = ?"


async def with_turn(database: Database, job: Job) -> Job:
    """Return a new job with its turn; if the job is then not recorded, the gap is harmless."""
    (with_it,) = await with_turns(database, [job])
    return with_it


async def with_turns(database: Database, jobs: Sequence[Job]) -> list[Job]:
    """Return new jobs of one share and priority with their turns, in their order, as if they came one by one."""
    first, more = jobs[0], APART * (len(jobs) - 1)
    values = (first.priority, share_of(first), *[first.priority] * (len(BEGUN) + 1))
    rows = await database.fetch_rows(TAKE.replace("{more}", str(more)), *values)
    begin = int(rows[0]["turn"]) - more
    return [replace(job, turn=begin + APART * number) for number, job in enumerate(jobs)]


async def keep_time(database: Database, job_id: str) -> None:
    """Record the turn of a job that is about to be cancelled or to wait again, if it was claimed."""
    statement: Any = database.sql(KEEP_TIME.format(ids="?"))
    await database.query(lambda client: client.execute_raw(statement, job_id))


async def forget_turns(database: Database) -> None:
    """Delete last turns that no longer affect new jobs."""
    await database.change_rows(FORGET)
