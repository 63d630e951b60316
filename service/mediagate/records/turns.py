"""Turns: the order in which jobs of one priority are claimed, so that no owner waits behind all that another sent.

A start-time fair queue (Goyal, Vin, Cheng 1996, "Start-time Fair Queuing") in which every job costs the same. Its time
is the highest turn that was claimed, and the jobs of one share are ``APART``. Whoever has none waiting comes one behind
that time: before the next of those who have many, and behind it the next time.
"""

from __future__ import annotations

from mediagate.values import Job

APART = 2
"""What lies between two jobs of one share; twice what a share without waiting jobs keeps from the queue's time."""


def share_of(job: Job) -> str:
    """Return who shares with whom: an owner's jobs with one another; without one, those of a source id."""
    # An owner's name has no line break.
    return job.owner_id or f"{job.source_type}\n{job.source_id}"
