"""Turns: the order in which jobs of one priority are claimed, so that no owner waits for another's whole backlog.

This is a start-time fair queue (Goyal, Vin, Cheng 1996, "Start-time Fair Queuing") in which every job costs the same.
Its time is the highest claimed turn, and the jobs of one share are ``APART``. The job of a share without waiting jobs
gets the turn one after that time: before the next job of a share with many, and after it the next time.
"""

from __future__ import annotations

from mediagate.values import Job

APART = 2
"""The distance between two jobs of one share; twice the distance of an idle share's next job from the queue's time."""


def share_of(job: Job) -> str:
    """Return the share of a job: its owner, or without one its source type and id."""
    # An owner's name has no line break, so the two kinds cannot collide.
    return job.owner_id or f"{job.source_type}\n{job.source_id}"
